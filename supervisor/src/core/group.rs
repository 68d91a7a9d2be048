//! Groups: who goes down with a worker that crashed, and when all of them may come up again. Without it stages that
//! cannot do without each other would go on with half of what they knew.
//!
//! A crash takes others along at once. They are asked to stop, each after those that need it, and wait as pending until
//! nobody of the group is on the way down and the wait of the crashed one is over; then all start in the order of the
//! pipeline. No step of this is remembered but in the workers themselves, so that a crash, a stop or a drain may come in
//! between at any point.

use std::time::Instant;

use super::Core;
use super::action::{Ask, State};
use super::event::{Actor, Progress, StopLevel};
use super::worker::{Process, Worker};
use crate::config::plan::{RestartPolicy, StageIx};

impl Core {
    /// Counts a crash against the limit of the group. The limit in words, if it was reached by that.
    pub(super) fn limit_of_group(&mut self, ix: usize, progress: Progress, now: Instant) -> Option<String> {
        let stage = self.workers[ix].stage?;
        let group = self.plan.groups.iter().position(|group| group.stages.contains(&stage))?;
        let (most, period) = (self.plan.groups[group].max_restarts, self.plan.groups[group].restart_period);
        if self.group_intensity[group].allows(ix, progress != Progress::None, most, period, now) {
            return None;
        }
        let times = match most? {
            1 => "once".to_owned(),
            most => format!("{most} times"),
        };
        Some(format!("the workers of its group crashed more than {times} within {period:?}"))
    }

    /// A worker crashed and will be started again: those that go down with it are to be stopped, and all of them are to
    /// be ready again before anybody counts on them. Whoever is being stopped for good already, or waits for a start
    /// anyway, is left alone.
    pub(super) fn take_along(&mut self, ix: usize, now: Instant) {
        let crashed = self.workers[ix].name.clone();
        let others = self.others_of_fate(ix);
        if !others.is_empty() {
            self.workers[ix].was_ready = false;
        }
        for other in others {
            let worker = &mut self.workers[other];
            if worker.is_over() || worker.run.asked.is_some() {
                continue;
            }
            // What is never restarted is stopped all the same: it, too, worked with the one that crashed.
            worker.was_ready = false;
            if worker.process != Process::None {
                worker.run.goes_with.get_or_insert_with(|| crashed.clone());
            }
        }
        self.bring_down(now);
    }

    /// Asks those that go down to stop whom nobody needs who goes down as well.
    pub(super) fn bring_down(&mut self, now: Instant) {
        for ix in 0..self.workers.len() {
            let worker = &self.workers[ix];
            if let Some(with) = &worker.run.goes_with
                && worker.run.asked.is_none()
                && worker.process != Process::None
                && self.is_free_to_go_down(ix)
            {
                let cause = format!("goes down with {with}");
                self.ask(ix, Ask::Now, Actor::Core, &cause, now);
            }
        }
    }

    fn is_free_to_go_down(&self, ix: usize) -> bool {
        let Some(stage) = self.workers[ix].stage else { return true };
        // Also for good: a drain may have begun before.
        let stops = |worker: &Worker| worker.process != Process::None && worker.run.asked.is_some();
        let going = |other: &StageIx| self.crew(*other).any(|worker| worker.is_going_down() || stops(worker));
        !self.plan.stages[stage].stops_after.iter().any(going)
    }

    /// Whether a worker whose process has ended is to be started again because it only went down with others, or was let
    /// go and is wanted again.
    pub(super) fn comes_back(&self, ix: usize) -> bool {
        let worker = &self.workers[ix];
        let may = self.level() < Some(StopLevel::Now) && !self.winding_down;
        let wanted = !worker.let_go && (worker.run.goes_with.is_some() || worker.run.let_go);
        may && wanted && worker.rules.restart != RestartPolicy::Temporary
    }

    /// Whether nobody of a stage may be started yet, because somebody of its group is still on the way down, or waits
    /// after a crash that took the stage along.
    pub(super) fn is_held(&self, stage: StageIx) -> bool {
        let Some(group) = self.plan.group_of(stage) else { return false };
        group.stages.iter().any(|other| {
            let waits_for = group.takes_along(*other, stage);
            self.crew(*other).any(|worker| worker.is_going_down() || (waits_for && worker.state == State::Backoff))
        })
    }

    /// The workers that go down with one.
    fn others_of_fate(&self, ix: usize) -> Vec<usize> {
        let Some(stage) = self.workers[ix].stage else { return Vec::new() };
        let Some(group) = self.plan.group_of(stage) else { return Vec::new() };
        let along = group.stages.iter().filter(|other| group.takes_along(stage, **other));
        along.flat_map(|other| self.posts_of(*other)).filter(|other| *other != ix).collect()
    }
}
