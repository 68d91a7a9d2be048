//! A new run of a worker because the operator wants one: asked to stop as by any stop, and started anew at once. Without
//! this a program that was changed, or one that is stuck, would have to crash to be started again, and that would be waited
//! for and counted.

use std::time::Instant;

use brigade_protocol::id::Post;

use super::Core;
use super::action::{Action, Ask, State};
use super::event::{Actor, StopLevel};
use super::intensity::Intensity;
use super::trial::Trial;
use super::worker::{Process, Worker};

impl Core {
    /// Why a worker cannot be started anew now; `None`: it can. To be asked before [`Event::Restart`](super::event::Event).
    pub fn why_no_restart(&self, post: Post) -> Option<&'static str> {
        let Some(worker) = self.worker(post) else { return Some("there is no such worker") };
        if self.level() >= Some(StopLevel::Now) || self.winding_down {
            return Some("the pipeline is being stopped");
        }
        match worker.state {
            State::Exited => Some("it has ended for good"),
            State::Failed => self.why_not_again(worker),
            State::Pending => Some("it waits for its turn to be started"),
            State::Stopping if is_stopped_for_good(worker) => Some("it is being stopped for good"),
            State::Starting | State::Ready | State::Draining | State::Stopping | State::Backoff => None,
        }
    }

    /// A new run, if there can be one. What went wrong before is forgotten: the next crash counts as the first.
    pub(super) fn restart_at_will(&mut self, post: Post, actor: Actor, now: Instant) {
        if self.why_no_restart(post).is_some() {
            return;
        }
        let ix = usize::from(post.0) - 1;
        let worker = &mut self.workers[ix];
        (worker.failures, worker.intensity) = (0, Intensity::default());
        // The manager runs the supervisor's own program, which has not changed.
        if worker.stage.is_some() {
            worker.trial.get_or_insert(Trial::Run);
        }
        match worker.process {
            Process::None if worker.state == State::Failed => self.try_again(ix, "asked to start again", actor, now),
            Process::None => {
                self.go_on(ix, "its wait is over: asked to start again", actor, now);
            }
            // It is a new run as it is.
            Process::Asked => {}
            // It is on its way down with others, and comes back with them; or it was asked to stop for this before.
            Process::Alive(_) if worker.run.goes_with.is_some() || worker.run.at_will => {}
            Process::Alive(_) => {
                let (post, incarnation, killed) = (worker.post, worker.incarnation, worker.run.killed);
                // Whatever it says of itself now, it is not waited for.
                (worker.run.replaced, worker.run.at_will, worker.run.failing) = (true, true, false);
                self.change(ix, State::Stopping, "asked to stop, to be started again", actor, now);
                if !killed {
                    self.out.push(Action::Stop { post, incarnation, ask: Ask::Now });
                    self.lose_patience(ix, "it was asked to stop", now);
                }
            }
        }
    }
}

fn is_stopped_for_good(worker: &Worker) -> bool {
    worker.run.asked.is_some() && worker.run.goes_with.is_none()
}
