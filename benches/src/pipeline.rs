//! Worker processes under the supervisor, joined by queues.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

/// A sender and a receiver of this `kind`. Gives the receiver's items per second.
pub fn pair(kind: &str, items: u64) -> io::Result<f64> {
    measure(|own, result| {
        format!(
            r#"
            name = "bench"
            [queues.items]
            item_bytes = "112B"
            [stages.send]
            command = [{own:?}, "worker", "{kind}-send", "{items}"]
            outputs = ["items"]
            [stages.recv]
            command = [{own:?}, "worker", "{kind}-recv", "{items}"]
            env = {{ RESULT = {result:?} }}
            inputs = ["items"]
            "#
        )
    })
}

/// A sender, a stage in the middle that does this `part`, and a receiver. Gives the receiver's items per second.
pub fn line(part: &str, batch: u32, items: u64) -> io::Result<f64> {
    measure(|own, result| {
        format!(
            r#"
            name = "bench"
            [queues.items]
            item_bytes = "112B"
            [queues.passed]
            item_bytes = "112B"
            [stages.send]
            command = [{own:?}, "worker", "typed-send", "{items}"]
            outputs = ["items"]
            [stages.middle]
            command = [{own:?}, "worker", "{part}", "{items}"]
            batch = {batch}
            inputs = ["items"]
            outputs = ["passed"]
            [stages.recv]
            command = [{own:?}, "worker", "typed-recv", "{items}"]
            env = {{ RESULT = {result:?}, QUEUE = "passed" }}
            inputs = ["passed"]
            "#
        )
    })
}

/// One process that does this `part` with shared state. Gives its items per second.
pub fn alone(part: &str, items: u64) -> io::Result<f64> {
    measure(|own, result| {
        format!(
            r#"
            name = "bench"
            [stages.only]
            command = [{own:?}, "worker", "{part}", "{items}"]
            env = {{ RESULT = {result:?} }}
            "#
        )
    })
}

/// Runs a pipeline of this same program once; one of its workers writes the result.
fn measure(plan: impl Fn(&Path, &Path) -> String) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let (file, result) = (folder.path().join("pipeline.toml"), folder.path().join("result"));
    std::fs::write(&file, plan(&own, &result))?;
    let status = Command::new(&own)
        .args(["run", "-q", "--state-dir"])
        .arg(folder.path().join("s"))
        .arg(&file)
        .stdout(Stdio::null())
        .status()?;
    if !status.success() {
        return Err(io::Error::other(format!("the pipeline ended with {status}")));
    }
    std::fs::read_to_string(&result)?.trim().parse().map_err(io::Error::other)
}
