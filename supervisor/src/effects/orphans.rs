//! The end of those who left their group: a worker's child that made a session of its own is in no group that we end.
//! As we are the reaper of orphans, it becomes our child when its parents are gone, and without this it would outlive
//! the run.

use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const NAP: Duration = Duration::from_millis(5);

/// Ends all children of this process, and theirs, and reaps them. Only at the end of a run, when every worker is gone:
/// whoever is left is nobody's. Gives the number of those that were killed.
pub fn end_all() -> usize {
    let begun = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        let left = loop {
            match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
                Ok(WaitStatus::StillAlive) => break true,
                Err(Errno::ECHILD) => break false,
                Ok(_) | Err(Errno::EINTR) => {}
                Err(_) => break false,
            }
        };
        if !left || begun.elapsed() > PATIENCE {
            return killed.len();
        }
        // A child's own children become ours when it dies: hence the next round.
        for child in children() {
            // Not reaped yet, since only we can: the number is still its own.
            if kill(child, Signal::SIGKILL).is_ok() {
                killed.insert(child);
            }
        }
        std::thread::sleep(NAP);
    }
}

fn children() -> Vec<Pid> {
    let own = nix::unistd::getpid().as_raw().to_string();
    let Ok(all) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &i32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // The name stands in parentheses and can hold any character; then come the state and the parent.
        stat.rsplit_once(')').and_then(|(_, fields)| fields.split_whitespace().nth(1)) == Some(&own)
    };
    pids.filter(is_child).map(Pid::from_raw).collect()
}
