//! When to tell our own supervisor what. See [`Parent`](crate::effects::parent::Parent) for how.

use std::time::{Duration, Instant};

use super::Reactor;
use crate::core::action::State;
use crate::core::event::StopLevel;
use crate::figures::counted;

/// What the end may take beside the waits that the plan allows: killing, reaping, reading the pipes to their end.
const ENDING: Duration = Duration::from_secs(5);

impl Reactor {
    pub(super) fn tell_parent(&mut self) {
        self.parent.live(Instant::now());
        if self.parent.knows_ready() {
            return;
        }
        let is_up = |state: State| match state {
            State::Ready | State::Draining | State::Exited => true,
            State::Pending | State::Starting | State::Stopping | State::Backoff | State::Failed => false,
        };
        if self.core.workers().all(|worker| is_up(worker.state)) {
            self.parent.ready();
        }
    }

    /// What is going on, in one line.
    pub(super) fn tell_parent_status(&mut self) {
        if !self.parent.is_there() {
            return;
        }
        let (mut ready, mut waiting, mut all) = (0, 0, 0);
        for worker in self.core.workers() {
            all += usize::from(!matches!(worker.state, State::Exited));
            ready += usize::from(matches!(worker.state, State::Ready | State::Draining));
            waiting += usize::from(worker.state == State::Backoff);
        }
        let items: usize = self.queues.iter().map(|queue| queue.queue.len()).sum();
        let mut words = format!(
            "{ready} of {all} workers at work, {} in {}",
            counted(items as u64, "item"),
            counted(self.queues.len() as u64, "queue")
        );
        if waiting > 0 {
            let wait = if waiting == 1 { "waits" } else { "wait" };
            words += &format!(", {} {wait} for a restart", counted(waiting as u64, "worker"));
        }
        self.parent.status(&words);
    }

    pub(super) fn tell_parent_of_stop(&mut self, level: StopLevel) {
        let plan = self.core.plan();
        let stop = plan.stages.iter().map(|stage| stage.stop_timeout).max().unwrap_or_default();
        self.parent.stopping(match level {
            StopLevel::Drain => plan.drain_timeout + stop + ENDING,
            StopLevel::Now => stop + ENDING,
            StopLevel::Kill => ENDING,
        });
    }
}
