//! The order in which stages start and stop. Without it a worker would be started before what it needs, or would lose it
//! while it still has an item in hand.

use std::time::Instant;

use brigade_protocol::id::Incarnation;

use super::Core;
use super::action::{Ask, State};
use super::event::{Actor, StopLevel};
use super::worker::{Process, Worker};
use crate::config::plan::{Role, StageIx};

impl Core {
    /// Starts all workers of the stages whose time has come.
    pub(super) fn start_stages(&mut self, now: Instant) {
        for stage in 0..self.plan.stages.len() {
            if self.crew(stage).any(|worker| worker.state == State::Pending) && self.may_start(stage) {
                for ix in self.posts_of(stage) {
                    if self.workers[ix].state == State::Pending {
                        self.start(ix, "its turn has come", Actor::Core, now);
                    }
                }
            }
        }
        if let Some(manager) = self.manager_ix()
            && self.workers[manager].state == State::Pending
        {
            self.start(manager, "a worker wants it", Actor::Core, now);
        }
    }

    /// A worker goes on: its wait after a crash is over, or it is replaced. It may have others to wait for by now, if a group
    /// went down.
    pub(super) fn go_on(&mut self, ix: usize, cause: &str, actor: Actor, now: Instant) {
        if self.workers[ix].stage.is_none_or(|stage| self.may_start(stage)) {
            self.start(ix, cause, actor, now);
        } else {
            self.pend(ix, cause, actor, now);
        }
    }

    /// It waits for its turn to be started.
    pub(super) fn pend(&mut self, ix: usize, cause: &str, actor: Actor, now: Instant) {
        self.workers[ix].next_start = None;
        self.change(ix, State::Pending, cause, actor, now);
    }

    /// Whether everybody is up that a stage starts after, and nobody of its group is still on the way down.
    fn may_start(&self, stage: StageIx) -> bool {
        let up = |needed: &StageIx| self.crew(*needed).all(Worker::is_up);
        self.plan.stages[stage].starts_after.iter().all(up) && !self.is_held(stage)
    }

    /// Whether everybody is gone that needs a stage.
    fn may_stop(&self, stage: StageIx) -> bool {
        let gone = |other: &StageIx| self.crew(*other).all(Worker::is_over);
        self.plan.stages[stage].stops_after.iter().all(gone)
    }

    /// Asks all stages to stop that are to and whose turn has come, and the manager when all others are gone.
    pub(super) fn stop_stages(&mut self, now: Instant) {
        for stage in 0..self.plan.stages.len() {
            let Some((ask, cause)) = self.stop_of(stage) else { continue };
            let turn = self.may_stop(stage);
            for ix in self.posts_of(stage) {
                if turn || self.is_not_started_for(ix, ask) {
                    self.ask(ix, ask, self.ladder.actor(), cause, now);
                }
            }
        }
        if let Some(manager) = self.manager_ix() {
            let others_gone = self.workers.iter().filter(|worker| worker.stage.is_some()).all(Worker::is_over);
            // It stays for the others to finish, but it is not started for that.
            let not_there = self.level() >= Some(StopLevel::Now) && self.workers[manager].process == Process::None;
            if others_gone || not_there {
                self.ask(manager, Ask::Now, self.ladder.actor(), "all others are gone", now);
            }
        }
    }

    /// Whether a worker that has no process is not worth a start, even for those that need its stage: nobody works any
    /// more as if nothing were, or nobody has relied on it yet.
    fn is_not_started_for(&self, ix: usize, ask: Ask) -> bool {
        let worker = &self.workers[ix];
        let hurry = self.level() >= Some(StopLevel::Now) || self.winding_down;
        worker.process == Process::None && (hurry || (ask == Ask::Drain && worker.incarnation == Incarnation::NONE))
    }

    /// How a stage is to stop by now, and why; `None` if it is to go on, or ends by itself.
    fn stop_of(&self, stage: StageIx) -> Option<(Ask, &'static str)> {
        if self.level() >= Some(StopLevel::Now) {
            return Some((Ask::Now, "asked to stop now"));
        }
        if self.winding_down {
            return Some((Ask::Now, "all work is done"));
        }
        if self.in_vain[stage] {
            return Some((Ask::Now, "nobody takes what it sends"));
        }
        self.level()?;
        match self.plan.stages[stage].role() {
            Role::Source | Role::Task => Some((Ask::Drain, "asked to stop producing")),
            // Those that others need wait for their turn.
            Role::Service => Some((Ask::Now, "nobody needs it any more")),
            Role::Consumer => None,
        }
    }

    /// Notices that all the work is done. Services and manager are then stopped.
    pub(super) fn wind_down(&mut self) {
        let stages = self.plan.stages.len();
        let only_services = stages > 0 && (0..stages).all(|stage| self.is_service(stage));
        if self.work_is_complete() && (!only_services || self.level().is_some()) {
            self.winding_down = true;
            self.ladder.end_drain();
        }
    }
}
