//! What a plain process says of its own start and end: that it takes longer, or that it goes. Without it one that is slow for
//! good reasons would be killed for it.

use std::time::{Duration, Instant};

use super::Core;
use super::action::State;
use super::backoff::after;
use super::event::Actor;
use super::worker::Process;

impl Core {
    /// It wants so much time from now on, for its start or its end, whichever it is at. It never gets less than it had, and
    /// no more when it is to be killed in any case.
    pub(super) fn extend(&mut self, ix: usize, time: Duration, now: Instant) {
        let worker = &mut self.workers[ix];
        if !matches!(worker.process, Process::Alive(_)) || worker.run.killed || worker.run.hung {
            return;
        }
        let until = after(now, time);
        if let Some((at, why)) = worker.run.patience.as_mut().filter(|(at, _)| *at < until) {
            *at = until;
            *why = format!("still there when the time was over that it had asked for ({time:?})");
        } else if worker.state == State::Starting && worker.run.patience.is_none() {
            worker.run.extended = worker.run.extended.max(Some((until, time)));
        }
    }

    /// It ends by itself, and has its stop timeout for that. What its end means is for its exit to say.
    pub(super) fn says_stopping(&mut self, ix: usize, now: Instant) {
        let worker = &self.workers[ix];
        let at_work = match worker.state {
            State::Starting | State::Ready | State::Draining => true,
            State::Pending | State::Stopping | State::Backoff | State::Exited | State::Failed => false,
        };
        if at_work && matches!(worker.process, Process::Alive(_)) && !worker.run.failing {
            self.change(ix, State::Stopping, "it says that it is stopping", Actor::Core, now);
            self.lose_patience(ix, "it said that it was stopping", now);
        }
    }
}
