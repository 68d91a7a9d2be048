//! Worker processes under the supervisor, joined by queues.

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::peers::Shape;
use crate::sample::{Sample, percentiles, rate};

/// Room for items of this size: a thousand small ones, fewer large ones.
fn queue(bytes: usize) -> String {
    let capacity = ((8 << 20) / bytes.max(1)).clamp(16, 1024);
    format!("capacity = {capacity}\nitem_bytes = \"{bytes}B\"\nmax_item_bytes = \"{bytes}B\"")
}

/// A sender and a receiver of this `kind`. Gives the receiver's items per second.
pub fn pair(kind: &str, shape: Shape, copies: bool) -> io::Result<f64> {
    let Shape { items, bytes, batch } = shape;
    let numbers = format!("\"{items}\", \"{bytes}\", \"{batch}\", \"{}\"", u8::from(copies));
    rate(&measure(|own| {
        format!(
            r#"
            [queues.items]
            {}
            [stages.send]
            command = [{own:?}, "worker", "{kind}-send", {numbers}]
            outputs = ["items"]
            [stages.recv]
            command = [{own:?}, "worker", "{kind}-recv", {numbers}]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["items"]
            "#,
            queue(bytes)
        )
    })?)
}

/// So many senders and as many receivers at one queue of this capacity. Gives the items per second of all together.
pub fn many(each: u64, shape: Shape, capacity: u64) -> io::Result<f64> {
    let Shape { items, bytes, batch } = shape;
    rate(&measure(|own| {
        format!(
            r#"
            [queues.items]
            capacity = {capacity}
            item_bytes = "{bytes}B"
            [stages.send]
            command = [{own:?}, "worker", "raw-send", "{}", "{bytes}", "{batch}"]
            outputs = ["items"]
            replicas = {each}
            [stages.recv]
            command = [{own:?}, "worker", "count"]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["items"]
            replicas = {each}
            "#,
            items / each
        )
    })?)
}

/// A sender, a stage in the middle that does this `part`, and a receiver. Gives the receiver's items per second.
pub fn line(part: &str, batch: u64, items: u64) -> io::Result<f64> {
    // A handler commits as its stage says; by hand, sender and receiver do as the middle does.
    let (keys, ends) = if part == "pass" { (format!("batch = {batch}"), 64) } else { (String::new(), batch) };
    rate(&measure(|own| {
        format!(
            r#"
            [queues.items]
            item_bytes = "64B"
            [queues.passed]
            item_bytes = "64B"
            [stages.send]
            command = [{own:?}, "worker", "typed-send", "{items}", "64", "{ends}"]
            outputs = ["items"]
            [stages.middle]
            command = [{own:?}, "worker", "{part}", "{batch}"]
            {keys}
            inputs = ["items"]
            outputs = ["passed"]
            [stages.recv]
            command = [{own:?}, "worker", "typed-recv", "{items}", "64", "{ends}"]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["passed"]
            "#
        )
    })?)
}

/// Lines of a log, read by a stage that does this `part`, 64 to a commit. Gives lines per second.
pub fn log(part: &str, lines: u64) -> io::Result<f64> {
    rate(&measure(|own| {
        format!(
            r#"
            [queues.lines]
            [queues.visits]
            [stages.send]
            command = [{own:?}, "worker", "log-send", "{lines}"]
            outputs = ["lines"]
            [stages.parse]
            command = [{own:?}, "worker", "{part}"]
            batch = 64
            inputs = ["lines"]
            outputs = ["visits"]
            [stages.recv]
            command = [{own:?}, "worker", "log-recv", "{lines}"]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["visits"]
            "#
        )
    })?)
}

/// Tasks handed to two workers, and their results. Gives tasks per second.
pub fn tasks(items: u64) -> io::Result<f64> {
    rate(&measure(|own| {
        format!(
            r#"
            [queues.tasks]
            [queues.results]
            # A circle needs somebody outside of it who could begin.
            [stages.nobody]
            command = [{own:?}, "worker", "nothing"]
            outputs = ["tasks"]
            [stages.driver]
            command = [{own:?}, "worker", "tasks", "{items}"]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["results"]
            outputs = ["tasks"]
            [stages.work]
            command = [{own:?}, "worker", "task"]
            inputs = ["tasks"]
            outputs = ["results"]
            replicas = 2
            "#
        )
    })?)
}

/// Round trips, spinning or not, with a pause of so many microseconds before each. Gives what half of them, and 99 of 100,
/// do not exceed, in nanoseconds.
pub fn round_trip(items: u64, spins: bool, pause: u64) -> io::Result<(f64, f64)> {
    let numbers = format!("\"{items}\", \"{}\", \"{pause}\"", u8::from(spins));
    percentiles(measure(|own| {
        format!(
            r#"
            [queues.there]
            item_bytes = "64B"
            [queues.back]
            item_bytes = "64B"
            # A circle needs somebody outside of it who could begin.
            [stages.nobody]
            command = [{own:?}, "worker", "nothing"]
            outputs = ["there"]
            [stages.ping]
            command = [{own:?}, "worker", "ping", {numbers}]
            env = {{ RESULT = "${{result}}" }}
            inputs = ["back"]
            outputs = ["there"]
            [stages.pong]
            command = [{own:?}, "worker", "pong", {numbers}]
            inputs = ["there"]
            outputs = ["back"]
            "#
        )
    })?)
}

/// One process that does this `part` with shared state. Gives its items per second.
pub fn alone(part: &str, items: u64) -> io::Result<f64> {
    rate(&measure(|own| {
        format!(
            r#"
            [stages.only]
            command = [{own:?}, "worker", "{part}", "{items}"]
            env = {{ RESULT = "${{result}}" }}
            "#
        )
    })?)
}

/// Runs a pipeline of this same program once. Gives what its workers have left.
fn measure(stages: impl Fn(&Path) -> String) -> io::Result<Vec<Sample>> {
    let folder = tempfile::tempdir()?;
    let own = std::env::current_exe()?;
    let (file, result) = (folder.path().join("pipeline.toml"), folder.path().join("result"));
    std::fs::create_dir(&result)?;
    let text = stages(&own).replace("${result}", &result.display().to_string());
    std::fs::write(&file, format!("name = \"bench\"\n{text}"))?;
    let output = Command::new(&own)
        .args(["run", "-q", "--state-dir"])
        .arg(folder.path().join("s"))
        .arg(&file)
        .stdout(Stdio::null())
        .output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(io::Error::other(format!("the pipeline ended with {}: {said}", output.status)));
    }
    Sample::read_all(&result)
}
