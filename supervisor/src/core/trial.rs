//! Trials: what the operator changes while the pipeline runs must not end what works.
//!
//! A worker is on trial from the change on until it is ready with it: a worker of a stage that a reload has added, and a
//! worker that is started again because of a reload or `brigade restart`. If it can never work, or is given up, the worker
//! alone has failed. The run continues, and the operator can correct the change and have the worker started again.
//!
//! A stage that has failed so keeps its queues open for that as long as new items can come from a source. When no source
//! works any more, or the pipeline is drained, the stage counts as one that has ended, and the run's verdict names it.

use std::time::Instant;

use super::Core;
use super::action::{State, Verdict};
use super::event::{Actor, StopLevel};
use super::intensity::Intensity;
use super::worker::{Process, Worker};
use crate::config::plan::{MANAGER_STAGE, Role, StageIx};

/// What is new about a worker that has not been ready since.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Trial {
    /// Its whole stage.
    Stage,
    /// Its program, or what the program is told.
    Run,
}

impl Core {
    /// The worker alone has failed: the run continues without it.
    pub(super) fn fail_alone(&mut self, ix: usize, verdict: Verdict, cause: &str, now: Instant) {
        let worker = &mut self.workers[ix];
        let stage = worker.stage.map_or(MANAGER_STAGE, |stage| &self.plan.stages[stage].name);
        let words = format!(
            "{cause}; the run continues without it: correct the program and `brigade restart {stage}`, or the pipeline file \
             and `brigade reload`"
        );
        worker.failure = Some(verdict);
        worker.ended_well = Some(false);
        self.change(ix, State::Failed, words, Actor::Core, now);
    }

    /// A worker that has failed alone is tried again.
    pub(super) fn try_again(&mut self, ix: usize, cause: &str, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        (worker.failures, worker.intensity) = (0, Intensity::default());
        (worker.ended_well, worker.saw_end) = (None, false);
        worker.trial.get_or_insert(Trial::Run);
        self.go_on(ix, cause, actor, now);
    }

    /// Why a worker that has failed alone cannot be tried again; `None`: it can.
    pub(super) fn why_not_again(&self, worker: &Worker) -> Option<&'static str> {
        let outputs = worker.stage.map_or(&[][..], |stage| &self.plan.stages[stage].outputs);
        if worker.failure.is_none() {
            Some("it was given up")
        } else if outputs.iter().any(|queue| self.is_closed(*queue)) {
            Some("it was given up, and the queues that it sends to are closed")
        } else {
            None
        }
    }

    /// Whether a stage that a reload has added has not come up yet, or has failed. Until it has come up, the workers of
    /// other stages stay what they were before the reload.
    pub(super) fn awaits_new_stage(&self) -> bool {
        self.workers.iter().any(|worker| {
            worker.trial == Some(Trial::Stage) && !worker.let_go && !worker.dropped && worker.state != State::Exited
        })
    }

    /// Whether no worker of a stage will send anything any more.
    pub(super) fn sends_no_more(&self, stage: StageIx) -> bool {
        self.is_complete(stage) || (self.crew(stage).all(Worker::is_over) && self.is_ending())
    }

    /// Gives up the workers that wait for a stage which has failed alone, when the run comes to its end.
    pub(super) fn end_trials(&mut self, now: Instant) {
        let any_failed = self.workers.iter().any(|worker| worker.state == State::Failed && !worker.let_go);
        if !any_failed || !self.is_ending() {
            return;
        }
        for stage in 0..self.plan.stages.len() {
            let Some(needed) = self.blocked_by(stage) else { continue };
            let (name, needed) = (self.plan.stages[stage].name.clone(), &self.plan.stages[needed].name);
            let words = format!("it starts after stage {needed}, which has failed");
            for ix in self.posts_of(stage) {
                if self.workers[ix].state == State::Pending {
                    self.workers[ix].last_end = Some(format!("never started: {words}"));
                    let verdict = Verdict::NeverStarts { stage: name.clone(), words: words.clone() };
                    self.fail_alone(ix, verdict, &words, now);
                }
            }
        }
    }

    /// The verdicts of the workers that have failed alone and whose work was not done by others of their stage.
    pub(super) fn blame_failures(&mut self) {
        let verdicts: Vec<Verdict> =
            self.workers.iter().filter(|worker| self.is_missed(worker)).filter_map(|it| it.failure.clone()).collect();
        verdicts.into_iter().for_each(|verdict| self.ladder.blame(verdict));
    }

    fn is_missed(&self, worker: &Worker) -> bool {
        let others = || worker.stage.into_iter().flat_map(|stage| self.crew(stage));
        let is_done =
            worker.rules.role == Role::Consumer && others().any(|other| other.state == State::Exited && !other.let_go);
        worker.state == State::Failed && !worker.let_go && !is_done
    }

    /// Whether no item can come from outside any more: the pipeline is drained, or no source works.
    fn is_ending(&self) -> bool {
        self.level() >= Some(StopLevel::Drain) || !self.workers.iter().any(|worker| self.may_bring_items(worker))
    }

    fn may_bring_items(&self, worker: &Worker) -> bool {
        let Some(stage) = worker.stage else { return false };
        let is_blocked = worker.state == State::Pending && self.blocked_by(stage).is_some();
        matches!(worker.rules.role, Role::Source | Role::Task) && !worker.is_over() && !is_blocked
    }

    /// The stage that has failed alone, if a stage waits for one to be started.
    fn blocked_by(&self, stage: StageIx) -> Option<StageIx> {
        if !self.crew(stage).any(|worker| worker.state == State::Pending && worker.process == Process::None) {
            return None;
        }
        self.plan.stages[stage].starts_after.iter().filter(|needed| !self.is_met(stage, **needed)).find_map(|needed| {
            let has_failed = self.crew(*needed).any(|worker| worker.state == State::Failed && !worker.let_go);
            if has_failed { Some(*needed) } else { self.blocked_by(*needed) }
        })
    }
}
