//! A worker that ends in order, to be started anew at once: it has grown too large, or has done as many items as one run
//! may. Without this an order of the stage's own plan would count as a crash, and would be waited for as one.
//!
//! Until it has ended it is at work: it has an item in hand, and may be drained, stopped or taken along by others like
//! any other. All of these weigh more.

use super::Core;
use super::action::{Action, Ask, State};
use super::worker::Process;

impl Core {
    /// It is to end after the item in hand. Only one that is at work is asked, once; whoever does not end is not killed for
    /// it, since its item may take long.
    pub(super) fn replace(&mut self, ix: usize, words: String) {
        if self.is_leaving(ix, words) {
            let (post, incarnation) = (self.workers[ix].post, self.workers[ix].incarnation);
            self.out.push(Action::Stop { post, incarnation, ask: Ask::Renew });
        }
    }

    /// It says that it is about to end. Whether that is news, and is taken for granted: not if it is to stop for other
    /// reasons.
    pub(super) fn is_leaving(&mut self, ix: usize, words: String) -> bool {
        let worker = &mut self.workers[ix];
        let at_work = match worker.state {
            State::Ready | State::Draining => true,
            State::Pending | State::Starting | State::Stopping | State::Backoff | State::Exited | State::Failed => {
                false
            }
        };
        let lives = matches!(worker.process, Process::Alive(_));
        if !at_work
            || !lives
            || worker.run.replaced
            || worker.run.asked.is_some()
            || worker.run.failing
            || worker.run.killed
        {
            return false;
        }
        worker.run.replaced = true;
        worker.run.words = Some(words);
        true
    }
}
