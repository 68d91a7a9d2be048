//! The stop ladder (drain, now, kill) and the verdict at its foot. Without it a signal would mean nothing, and the
//! supervisor would not know why it ends.

use std::time::Instant;

use super::Core;
use super::action::{Action, Ask, State, Verdict};
use super::backoff::after;
use super::event::{Actor, StopLevel};
use super::worker::Process;
use crate::config::plan::Role;

/// Where the whole pipeline stands on the ladder.
#[derive(Debug)]
pub(super) struct Ladder {
    reached: Option<(StopLevel, Actor)>,
    drain_until: Option<Instant>,
    verdict: Verdict,
}

impl Ladder {
    pub(super) fn new() -> Self {
        Self { reached: None, drain_until: None, verdict: Verdict::Complete }
    }

    pub(super) fn level(&self) -> Option<StopLevel> {
        self.reached.map(|(level, _)| level)
    }

    /// Who wanted the level that was reached.
    pub(super) fn actor(&self) -> Actor {
        self.reached.map_or(Actor::Core, |(_, actor)| actor)
    }

    /// The next rung; `None` at the foot.
    pub(super) fn next(&self) -> Option<StopLevel> {
        match self.level() {
            None => Some(StopLevel::Drain),
            Some(StopLevel::Drain) => Some(StopLevel::Now),
            Some(StopLevel::Now) => Some(StopLevel::Kill),
            Some(StopLevel::Kill) => None,
        }
    }

    /// Until when the drain may last, if one is going on.
    pub(super) fn drain_until(&self) -> Option<Instant> {
        self.drain_until.filter(|_| self.level() == Some(StopLevel::Drain))
    }

    /// The drain has come to its end in time: what remains to be stopped has times of its own.
    pub(super) fn end_drain(&mut self) {
        self.drain_until = None;
    }

    /// A reason to end. The worst one counts, and of equals the first.
    pub(super) fn blame(&mut self, verdict: Verdict) {
        if rank(&verdict) > rank(&self.verdict) {
            self.verdict = verdict;
        }
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.verdict
    }
}

fn rank(verdict: &Verdict) -> u8 {
    match verdict {
        Verdict::Complete => 0,
        Verdict::Drained | Verdict::Ended { .. } => 1,
        Verdict::Stopped => 2,
        Verdict::Failed { .. } => 3,
        Verdict::Abandoned { .. } | Verdict::Standstill { .. } | Verdict::NeverStarts { .. } => 4,
        Verdict::DeadLetters { .. } => 5,
        Verdict::GaveUp { .. } | Verdict::Hopeless { .. } => 6,
    }
}

impl Core {
    /// How far the stop of the whole pipeline has come; `None` before the first rung.
    pub fn level(&self) -> Option<StopLevel> {
        self.ladder.level()
    }

    /// Goes to a level of the ladder, never back.
    pub(super) fn raise(&mut self, level: StopLevel, actor: Actor, now: Instant) {
        if self.ladder.level() >= Some(level) {
            return;
        }
        self.ladder.reached = Some((level, actor));
        self.out.push(Action::Level(level, actor));
        if !self.winding_down {
            self.ladder.blame(Verdict::Drained);
            if level >= StopLevel::Now && !self.work_is_complete() {
                self.ladder.blame(Verdict::Stopped);
            }
        }
        match level {
            StopLevel::Drain => self.drain(actor, now),
            StopLevel::Now => self.stop_stages(now),
            StopLevel::Kill => {
                for ix in 0..self.workers.len() {
                    self.kill_for_good(ix, actor, now);
                }
            }
        }
    }

    /// Nothing new comes in from outside; what is queued is worked on.
    fn drain(&mut self, actor: Actor, now: Instant) {
        self.ladder.drain_until = Some(after(now, self.plan.drain_timeout));
        for ix in 0..self.workers.len() {
            if self.workers[ix].rules.role == Role::Consumer && self.workers[ix].state == State::Ready {
                self.change(ix, State::Draining, "the pipeline is drained", actor, now);
            }
        }
        self.stop_stages(now);
    }

    /// During a drain, nothing is left in any queue. A worker that fails and has never got anything done is not started again
    /// to see the end of its inputs, as nothing can come into them. Any other one is: it may have something to finish.
    pub(super) fn nothing_is_left(&mut self, now: Instant) {
        for ix in 0..self.workers.len() {
            let worker = &self.workers[ix];
            let is_down = matches!(worker.state, State::Pending | State::Starting | State::Backoff);
            let has_only_failed = is_down && worker.failures > 0 && !worker.has_worked;
            if has_only_failed && self.level() == Some(StopLevel::Drain) && self.inputs_closed(worker.stage).is_some() {
                self.ask(ix, Ask::Now, self.ladder.actor(), "nothing is left for it to do", now);
            }
        }
    }

    fn kill_for_good(&mut self, ix: usize, actor: Actor, now: Instant) {
        const WHY: &str = "killed with the whole pipeline";
        match self.workers[ix].process {
            // Not there yet: it is killed when it is.
            Process::None | Process::Asked => self.ask(ix, Ask::Now, actor, WHY, now),
            Process::Alive(_) => {
                self.workers[ix].run.asked.get_or_insert((Ask::Now, actor));
                self.kill(ix, WHY, actor, now);
            }
        }
    }
}
