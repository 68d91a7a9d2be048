//! Peers in Python: small programs of their own that print items per second.

use std::io;
use std::process::Command;

/// Runs one of the scripts in `benches/peers`.
pub fn run(script: &str, items: u64) -> io::Result<f64> {
    run_with(script, &[items])
}

/// The same with these arguments.
pub fn run_with(script: &str, args: &[u64]) -> io::Result<f64> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/");
    let output =
        Command::new("python3").arg(format!("{path}{script}")).args(args.iter().map(u64::to_string)).output().map_err(
            |error| {
                io::Error::other(format!(
                    "python3 cannot be started ({error}): install it, on Debian with `apt-get install python3`"
                ))
            },
        )?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    String::from_utf8_lossy(&output.stdout).trim().parse().map_err(io::Error::other)
}
