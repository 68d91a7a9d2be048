//! What a stage waits for before it starts: those before it in the order of starts are ready, or have completed where the
//! pipeline file says so. A stage that waits for one that has failed is given up, and the run ends.

use std::time::Instant;

use brigade_protocol::id::Incarnation;

use super::Core;
use super::action::{State, Verdict};
use super::event::{Actor, StopLevel};
use super::worker::Worker;
use crate::config::plan::StageIx;

impl Core {
    /// Whether a stage may start as far as another one is concerned that it starts after.
    pub(super) fn is_met(&self, stage: StageIx, needed: StageIx) -> bool {
        let plan = &self.plan.stages[stage];
        if plan.needs_completed.contains(&needed) {
            return self.crew(needed).all(|worker| worker.let_go || worker.is_done());
        }
        // A stage that was started once relied on it when it was ready; it is not held back when it crashes.
        let counts_failure = plan.depends_on.contains(&needed) && !self.was_started(stage);
        // It worked before the needed stage was added, or changed.
        let does_without = |worker: &Worker| worker.state == State::Failed && self.was_started(stage);
        self.crew(needed)
            .all(|worker| (worker.is_up() || does_without(worker)) && !(counts_failure && worker.has_failed()))
    }

    /// What a worker that has not been started yet waits for, in words.
    pub fn pending_for(&self, worker: &Worker) -> Option<String> {
        let stage = worker.stage.filter(|_| worker.state == State::Pending)?;
        let plan = &self.plan.stages[stage];
        let Some(needed) = plan.starts_after.iter().find(|needed| !self.is_met(stage, **needed)) else {
            return self.is_held(stage).then(|| "waits for the others of its group to stop".to_owned());
        };
        let condition = if plan.needs_completed.contains(needed) { "to complete" } else { "to be ready" };
        Some(format!("waits for {} {condition}", self.plan.stages[*needed].name))
    }

    /// Gives up the stages that wait for what will never come. The rest is drained.
    pub(super) fn give_up_waiting(&mut self, now: Instant) {
        for stage in 0..self.plan.stages.len() {
            if !self.crew(stage).any(|worker| worker.state == State::Pending) {
                continue;
            }
            let Some(words) = self.waits_in_vain(stage) else { continue };
            if self.level().is_none() {
                let stage = self.plan.stages[stage].name.clone();
                self.ladder.blame(Verdict::NeverStarts { stage, words: words.clone() });
            }
            for ix in self.posts_of(stage) {
                if self.workers[ix].state == State::Pending {
                    self.workers[ix].ended_well = Some(false);
                    self.workers[ix].last_end = Some(format!("never started: {words}"));
                    self.rest(ix, &words, Actor::Core, now);
                }
            }
            self.raise(StopLevel::Drain, Actor::Core, now);
        }
    }

    /// What a stage waits for in vain, in words.
    fn waits_in_vain(&self, stage: StageIx) -> Option<String> {
        let plan = &self.plan.stages[stage];
        let was_started = self.was_started(stage);
        plan.depends_on.iter().find_map(|needed| {
            let must_complete = plan.needs_completed.contains(needed);
            let lacks = |worker: &&Worker| {
                if worker.state == State::Failed {
                    return false; // It may be tried again: see `end_trials`.
                }
                let failed = worker.has_failed() && !was_started;
                failed || must_complete && worker.is_over() && !worker.let_go && !worker.is_done()
            };
            let worker = self.crew(*needed).find(lacks)?;
            let end = worker.last_end.as_deref().unwrap_or("it was never started");
            let what = if worker.has_failed() { "has failed" } else { "was stopped before it had completed" };
            Some(format!("it depends on {}, and {} {what}: {end}", self.plan.stages[*needed].name, worker.name))
        })
    }

    fn was_started(&self, stage: StageIx) -> bool {
        self.crew(stage).any(|worker| worker.incarnation != Incarnation::NONE)
    }
}
