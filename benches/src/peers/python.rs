//! Peers in Python: small programs of their own, in `benches/peers`, that print what they have measured.

use std::io;
use std::process::Command;
use std::time::Duration;

use super::Shape;

/// Items per second through a `multiprocessing.Queue`.
pub fn queue(shape: Shape) -> io::Result<f64> {
    first(run("mp_queue.py", &[shape.items, shape.bytes as u64])?)
}

/// Round trips through two of them.
pub fn round_trip(shape: Shape, pause: Duration) -> io::Result<(f64, f64)> {
    let times = run("mp_round_trip.py", &[shape.items, shape.bytes as u64, pause.as_micros() as u64])?;
    match times[..] {
        [half, most] => Ok((half, most)),
        _ => Err(io::Error::other("it did not print two numbers")),
    }
}

/// One of the scripts, with these numbers; it prints items per second.
pub fn script(name: &str, numbers: &[u64]) -> io::Result<f64> {
    first(run(name, numbers)?)
}

fn first(numbers: Vec<f64>) -> io::Result<f64> {
    numbers.first().copied().ok_or_else(|| io::Error::other("it printed no number"))
}

fn run(script: &str, numbers: &[u64]) -> io::Result<Vec<f64>> {
    let path = format!("{}/peers/{script}", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new("python3").arg(path).args(numbers.iter().map(u64::to_string)).output();
    let output = output.map_err(|error| {
        io::Error::other(format!("python3 cannot be started ({error}): on Debian, `apt-get install python3`"))
    })?;
    if !output.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&output.stderr).into_owned()));
    }
    let said = String::from_utf8_lossy(&output.stdout);
    said.split_whitespace().map(|word| word.parse().map_err(io::Error::other)).collect()
}
