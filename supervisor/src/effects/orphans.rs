//! The end of those who left their group: a worker's child that made a session of its own is in no group that we end.
//! As we are the reaper of orphans, it becomes our child when its parents are gone, and without this it would outlive
//! the run.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::kin::process;

/// How long the kernel may take to end what was killed.
const PATIENCE: Duration = Duration::from_secs(2);
/// Between two looks.
const NAP: Duration = Duration::from_millis(5);

/// Ends all children of this process but the keeper, and theirs, and reaps them. Only at the end of a run, when every
/// worker is gone: whoever is left is nobody's. Gives the number of those that were killed.
pub fn end_all(keeper: Option<i32>) -> usize {
    let begun = Instant::now();
    let mut killed = std::collections::BTreeSet::new();
    loop {
        while let Ok(status) = waitpid(None, Some(WaitPidFlag::WNOHANG))
            && status != WaitStatus::StillAlive
        {}
        // A child's own children become ours when it dies: hence the next round.
        let left = children(keeper);
        if left.is_empty() || begun.elapsed() > PATIENCE {
            return killed.len();
        }
        for child in left {
            // Not reaped yet, since only we can: the number is still its own.
            if kill(Pid::from_raw(child), Signal::SIGKILL).is_ok() {
                killed.insert(child);
            }
        }
        std::thread::sleep(NAP);
    }
}

/// Processes that have become children of this one because their parents have ended, and whatever else is its child and not
/// among those that `is_known`. It costs a look at the children, and at all processes only where the kernel keeps no list.
pub fn strays(is_known: impl Fn(i32) -> bool) -> Vec<i32> {
    // The kernel makes orphans children of the first thread.
    let own = nix::unistd::getpid().as_raw();
    let all = match std::fs::read_to_string(format!("/proc/self/task/{own}/children")) {
        Ok(list) => list.split_whitespace().filter_map(|pid| pid.parse().ok()).collect(),
        Err(_) => children(None),
    };
    all.into_iter().filter(|pid| !is_known(*pid)).collect()
}

/// Ends a process that is a child of this one, and has not been reaped.
pub fn end(pid: i32) {
    // It may have ended by itself just now.
    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
}

fn children(but: Option<i32>) -> Vec<i32> {
    let own = nix::unistd::getpid().as_raw();
    let all = process::all().unwrap_or_default().into_iter();
    all.filter(|process| process.parent == own && Some(process.pid) != but).map(|process| process.pid).collect()
}
