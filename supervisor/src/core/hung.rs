//! A worker that lives and does not work any more. Without this it would keep its items for ever, and nobody would get to
//! see where it was stuck.

use std::time::{Duration, Instant};

use super::Core;
use super::action::{Action, State};
use super::backoff::after;
use super::event::Actor;
use super::worker::Process;

/// From SIGABRT to SIGKILL: time for a core dump.
const DUMP_TIME: Duration = Duration::from_secs(2);

impl Core {
    /// It is aborted, which counts as a crash. One that was stopped by a signal cannot work, and is not blamed for it; for
    /// one that was asked to stop there is the stop timeout. To be replaced has no timeout, so that this is its end then.
    pub(super) fn hung(&mut self, ix: usize, words: String, now: Instant) {
        let worker = &mut self.workers[ix];
        let at_work = match worker.state {
            State::Ready | State::Draining => true,
            State::Pending | State::Starting | State::Stopping | State::Backoff | State::Exited | State::Failed => {
                false
            }
        };
        let run = &mut worker.run;
        let lives = matches!(worker.process, Process::Alive(_));
        if !at_work || !lives || worker.paused.is_some() || run.asked.is_some() || run.failing || run.killed || run.hung
        {
            return;
        }
        run.hung = true;
        run.replaced = false;
        run.patience = Some((after(now, DUMP_TIME), format!("still there {DUMP_TIME:?} after SIGABRT")));
        let why = format!("{words}: aborted");
        worker.blame(why.clone());
        let (post, incarnation) = (worker.post, worker.incarnation);
        self.change(ix, State::Stopping, why.clone(), Actor::Core, now);
        self.out.push(Action::Abort { post, incarnation, why });
    }
}
