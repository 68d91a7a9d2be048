//! Another plan for a pipeline that runs. Without it every change of the file would take a stop of everything.
//!
//! What is said of workers here is carried out by the rules that hold anyway: those of stages that are new are pending, those
//! of stages that are gone are let go, and those whose processes were started with something else are *stale*: one by one
//! they are started anew, each when all others of its stage are at work.

use std::sync::Arc;
use std::time::Instant;

use super::Core;
use super::abandoned::Takers;
use super::action::State;
use super::event::Actor;
use super::intensity::GroupIntensity;
use super::trial::Trial;
use super::worker::{Process, Rules};
use crate::config::plan::StageIx;
use crate::config::plan::difference::Difference;

impl Core {
    /// Goes by the new plan from now on. The reactor has seen to it that it can be had, and has made what it needs.
    pub(super) fn reload(&mut self, difference: Difference, actor: Actor, now: Instant) {
        let before = std::mem::replace(&mut self.plan, Arc::new(difference.plan));
        self.closed.resize(self.plan.queues.len(), None);
        self.takers.resize(self.plan.queues.len(), Takers::default());
        self.in_vain.resize(self.plan.stages.len(), false);
        self.crews.resize(self.plan.stages.len(), Vec::new());
        let was_watched = |circle| before.loops.iter().position(|old| old == circle).is_some_and(|ix| self.watched[ix]);
        self.watched = self.plan.loops.iter().map(was_watched).collect();
        let intensity = |name: &String| {
            let old = before.groups.iter().position(|old| old.name == *name);
            old.map_or_else(GroupIntensity::default, |ix| self.group_intensity[ix].clone())
        };
        self.group_intensity = self.plan.groups.iter().map(|group| intensity(&group.name)).collect();
        let mut tried = Vec::new();
        for stage in 0..self.plan.stages.len() {
            let (rules, removed) = (Rules::of(&self.plan.stages[stage]), self.plan.stages[stage].removed);
            for ix in self.posts_of(stage) {
                let is_renewed = difference.renewed.contains(&stage);
                let worker = &mut self.workers[ix];
                worker.stale |= is_renewed && worker.process != Process::None;
                if is_renewed && !worker.is_over() {
                    worker.trial.get_or_insert(Trial::Run);
                }
                if is_renewed && worker.failure.is_some() && !worker.let_go {
                    tried.push(ix);
                }
                if !removed {
                    worker.rules = rules;
                }
            }
            let replicas = self.plan.stages[stage].replicas;
            let why =
                if removed { "its stage is removed".to_owned() } else { format!("its stage is scaled to {replicas}") };
            self.resize(stage, replicas, &why, actor, now);
        }
        for ix in tried {
            if self.workers[ix].state == State::Failed && self.why_not_again(&self.workers[ix]).is_none() {
                self.try_again(ix, "its stage has changed", actor, now);
            }
        }
    }

    /// Starts stale workers again, one of a stage at a time, when all new stages have come up.
    pub(super) fn renew_stale(&mut self, now: Instant) {
        if self.awaits_new_stage() {
            return;
        }
        for stage in 0..self.plan.stages.len() {
            if let Some(ix) = self.next_stale(stage) {
                self.restart_at_will(self.workers[ix].post, Actor::Operator, now);
            }
        }
    }

    fn next_stale(&self, stage: StageIx) -> Option<usize> {
        let at_work = |ix: &usize| match self.workers[*ix].state {
            State::Ready | State::Draining => true,
            State::Pending | State::Starting | State::Stopping | State::Backoff | State::Exited | State::Failed => {
                false
            }
        };
        let crew = || self.crews[stage].iter().filter(|ix| !self.workers[**ix].is_over());
        // The first that fails with the new orders is the last that gets them.
        let has_failed = self.crew(stage).any(|worker| worker.state == State::Failed && !worker.let_go);
        if has_failed || !crew().all(at_work) {
            return None;
        }
        crew().copied().find(|ix| self.workers[*ix].stale)
    }

    /// Whether all processes of a stage that was removed have ended.
    pub fn is_gone(&self, stage: StageIx) -> bool {
        self.crew(stage).all(|worker| worker.is_over() && worker.process == Process::None)
    }
}
