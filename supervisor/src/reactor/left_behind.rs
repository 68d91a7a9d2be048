//! What a run of a worker leaves behind: processes outside of its group, which outlive it. They are ended before the next
//! run of that worker starts; else a program that goes to the background would be there once more with every restart.
//!
//! They are known by their environment, and are children of this process, because it is the reaper of orphans. What a
//! worker leaves that is not started again stays until the end of the run, as other workers may rely on it.

use std::collections::{BTreeSet, HashMap};
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};

use super::Reactor;
use crate::core::event::Event;
use crate::effects::orphans;
use crate::figures::grouped;
use crate::kin::process::Process;

/// How long a start waits for the end of what was killed.
const PATIENCE: Duration = Duration::from_secs(2);

/// Starts that wait for the end of what an earlier run left.
#[derive(Debug, Default)]
pub(super) struct LeftBehind(HashMap<Post, Ending>);

/// What is being ended.
#[derive(Debug)]
struct Ending {
    since: Instant,
    killed: BTreeSet<(i32, u64)>,
}

impl Reactor {
    /// Children of this process that are no leaders of workers; none if nobody is started again at present.
    pub(super) fn strays(&mut self) -> Vec<i32> {
        if self.to_spawn.iter().all(|(_, incarnation)| *incarnation <= Incarnation(1)) {
            return Vec::new();
        }
        let keeper = self.keeping.pid();
        orphans::strays(|pid| Some(pid) == keeper || self.roster.is_leader(pid))
    }

    /// Ends what earlier runs of a worker have left among the strays. False: something of it is still there, and the next
    /// run has to wait.
    pub(super) fn end_left_behind(&mut self, post: Post, incarnation: Incarnation, strays: &[i32]) -> bool {
        if incarnation <= Incarnation(1) {
            return true;
        }
        let (name, replica) = self.name_of(post);
        let worker = format!("{name}/{replica}");
        let cookie = self.keeping.cookie();
        let living = strays.iter().filter_map(|pid| Process::of(*pid)).filter(|process| process.lives);
        let its: Vec<Process> = living.filter(|process| cookie.is_of(&worker, &process.environ())).collect();
        let patience_is_over = self.left_behind.0.get(&post).is_some_and(|ending| ending.since.elapsed() >= PATIENCE);
        if !its.is_empty() && !patience_is_over {
            let now = Instant::now();
            let ending = self.left_behind.0.entry(post).or_insert(Ending { since: now, killed: BTreeSet::new() });
            for process in its {
                orphans::end(process.pid);
                ending.killed.insert((process.pid, process.start));
            }
            return false;
        }
        let Some(ending) = self.left_behind.0.remove(&post) else { return true };
        if !its.is_empty() {
            let pids: Vec<String> = its.iter().map(|process| process.pid.to_string()).collect();
            tracing::warn!("{worker} starts again although what it left behind does not end: {}", pids.join(", "));
        }
        let left = match ending.killed.len() as u64 {
            1 => "1 process".to_owned(),
            number => format!("{} processes", grouped(number)),
        };
        let words = format!("left {left} behind: does it go to the background? Run it in the foreground");
        tracing::warn!("{worker} {words}; what it left was ended before its next start");
        self.events.push_back(Event::LeftBehind { post, incarnation, words });
        true
    }
}
