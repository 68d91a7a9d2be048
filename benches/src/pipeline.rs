//! Two worker processes under the supervisor, joined by a queue.

use std::io;
use std::process::{Command, Stdio};

/// Runs the pipeline once with workers of this `kind`, and gives the receiver's items per second.
pub fn run(kind: &str, items: u64) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let (file, result) = (folder.path().join("pipeline.toml"), folder.path().join("result"));
    let plan = format!(
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
    );
    std::fs::write(&file, plan)?;
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
