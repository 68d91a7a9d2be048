//! What it costs to start a worker, and to have one.

use std::io;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A supervisor at work, killed when it is dropped.
struct Run {
    child: Child,
    _folder: tempfile::TempDir,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn run(stages: &str) -> io::Result<Run> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("pipeline.toml");
    std::fs::write(&file, format!("name = \"bench\"\n{stages}"))?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["run", "-q", "--state-dir"]).arg(folder.path().join("s")).arg(&file);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    Ok(Run { child, _folder: folder })
}

/// The processor time of a process so far, in nanoseconds.
fn processor_time(pid: u32) -> io::Result<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/schedstat"))?;
    text.split_whitespace().next().and_then(|word| word.parse().ok()).ok_or_else(|| io::Error::other("no schedstat"))
}

/// Part of one processor, in millionths, that the supervisor of so many workers at rest takes over so long a time.
pub fn idle(workers: u64, time: Duration) -> io::Result<f64> {
    let own = std::env::current_exe()?;
    let run = run(&format!("[stages.rest]\ncommand = [{own:?}, \"worker\", \"rest\"]\nreplicas = {workers}\n"))?;
    std::thread::sleep(Duration::from_secs(2));
    let (begun, before) = (Instant::now(), processor_time(run.child.id())?);
    std::thread::sleep(time);
    let used = processor_time(run.child.id())? - before;
    Ok(used as f64 * 1e6 / begun.elapsed().as_nanos() as f64)
}

/// From the decision of a supervisor at work to start a worker to that worker's being ready, in nanoseconds, as its events
/// tell. The median of so many.
pub fn start(times: usize) -> io::Result<f64> {
    let own = std::env::current_exe()?;
    let folder = tempfile::tempdir()?;
    let (state, file) = (folder.path().join("s"), folder.path().join("pipeline.toml"));
    // One after the other: each stage waits for the one before it.
    let stages = (0..times).map(|n| {
        let after = n.checked_sub(1).map(|before| format!("depends_on = [\"stage-{before}\"]\n")).unwrap_or_default();
        format!("[stages.stage-{n}]\ncommand = [{own:?}, \"worker\", \"rest\"]\n{after}")
    });
    std::fs::write(&file, format!("name = \"bench\"\n{}", stages.collect::<String>()))?;
    let brigade = |words: &[&str]| {
        let mut command = Command::new(&own);
        command.args(words).arg("--state-dir").arg(&state);
        command
    };
    let mut run = brigade(&["run", "-q"]).arg(&file).stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
    let ready = brigade(&["wait", "--for", "ready", "--timeout", "60s"]).stdout(Stdio::null()).status()?;
    let said = brigade(&["events", "--json"]).output()?;
    brigade(&["stop"]).stdout(Stdio::null()).stderr(Stdio::null()).status()?;
    run.wait()?;
    let (mut begun, mut took) = (None, Vec::new());
    for line in said.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let event: serde_json::Value = serde_json::from_slice(line)?;
        let at = event["time"].as_str().and_then(micros).ok_or_else(|| io::Error::other("an event without a time"))?;
        match event["to"].as_str() {
            Some("starting") => begun = Some(at),
            Some("ready") => took.extend(begun.take().map(|begun| (at - begun) * 1e3)),
            _ => {}
        }
    }
    took.sort_by(f64::total_cmp);
    let middle = took.get(took.len() / 2).copied();
    middle.filter(|_| ready.success()).ok_or_else(|| io::Error::other("no worker became ready"))
}

/// Microseconds since midnight, of a time such as `2026-11-26T17:25:32.723275Z`.
fn micros(time: &str) -> Option<f64> {
    let mut parts = time.strip_suffix('Z')?.split('T').nth(1)?.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(((hours * 60.0 + minutes) * 60.0 + seconds) * 1e6)
}
