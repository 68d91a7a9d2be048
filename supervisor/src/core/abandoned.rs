//! Abandoned queues: all stages that take from the queue have ended, and a stage that sends to it has not.
//!
//! Such a queue may be in order for a moment: a join may return at the end of one queue, when it knows that no more items
//! come in the other, and the process that sent those needs a moment to end. So the senders get [`GRACE`] to end by
//! themselves, unless it is certain that something is left undone.

use std::time::{Duration, Instant};

use super::Core;
use super::action::{State, Verdict};
use super::backoff::after;
use super::event::{Actor, StopLevel};
use super::worker::Worker;
use crate::config::plan::{QueueIx, StageIx};

/// How long the senders of a queue may take to end by themselves after the last stage that took from it.
pub(super) const GRACE: Duration = Duration::from_secs(1);

/// Whether a queue has a stage that takes from it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Takers {
    /// It has one, or needs none.
    #[default]
    Enough,
    /// It has had none since then, and its senders may end by themselves.
    Gone(Instant),
    /// The queue is abandoned: the stages that feed it are stopped.
    Missed,
}

impl Core {
    /// Notices abandoned queues, and stops what feeds them.
    pub(super) fn notice_abandoned(&mut self, now: Instant) {
        for queue in 0..self.plan.queues.len() {
            if self.takers[queue] == Takers::Missed {
                continue;
            }
            if !self.has_no_takers(queue) {
                self.takers[queue] = Takers::Enough;
                continue;
            }
            let since = match self.takers[queue] {
                Takers::Gone(since) => since,
                Takers::Enough | Takers::Missed => now,
            };
            if now < after(since, GRACE) && self.may_end_in_order(queue) {
                self.takers[queue] = Takers::Gone(since);
            } else {
                self.abandon(queue, now);
            }
        }
    }

    /// When the grace of a queue ends next.
    pub(super) fn grace_until(&self) -> Option<Instant> {
        if self.level() >= Some(StopLevel::Now) {
            return None;
        }
        let ends = self.takers.iter().filter_map(|takers| match takers {
            Takers::Gone(since) => Some(after(*since, GRACE)),
            Takers::Enough | Takers::Missed => None,
        });
        ends.min()
    }

    /// Whether items may still come to a queue from which no stage takes any more. The stages of a loop end one after the
    /// other when their queues were closed together: that is in order.
    fn has_no_takers(&self, queue: QueueIx) -> bool {
        let plan = &self.plan.queues[queue];
        self.closed[queue].is_none()
            && plan.consumers.iter().all(|stage| self.is_complete(*stage))
            && !plan.producers.iter().all(|stage| self.is_complete(*stage))
    }

    /// Whether nothing is left undone if all senders of the queue end now: the last worker that took from it left no items,
    /// and all senders have been started. The end of a significant stage is no fault, so it needs no grace.
    fn may_end_in_order(&self, queue: QueueIx) -> bool {
        let plan = &self.plan.queues[queue];
        let is_pending = |stage: &StageIx| self.crew(*stage).any(|worker| worker.state == State::Pending);
        let is_significant = |stage: &StageIx| self.plan.stages[*stage].significant;
        let left_items = self.last_taker(queue).is_some_and(|worker| worker.left_items);
        !left_items && !plan.consumers.iter().any(is_significant) && !plan.producers.iter().any(is_pending)
    }

    /// The worker that was the last to end of those that took from a queue.
    fn last_taker(&self, queue: QueueIx) -> Option<&Worker> {
        let stages = &self.plan.queues[queue].consumers;
        stages.iter().flat_map(|stage| self.crew(*stage)).max_by_key(|worker| worker.since)
    }

    fn abandon(&mut self, queue: QueueIx, now: Instant) {
        self.takers[queue] = Takers::Missed;
        let last = self.last_taker(queue).and_then(|worker| worker.stage);
        // The end of a significant stage is meant to be the end of all.
        if let Some(stage) = last.filter(|stage| !self.plan.stages[*stage].significant) {
            let stage = self.plan.stages[stage].name.clone();
            self.ladder.blame(Verdict::Abandoned { stage });
        }
        for stage in self.upstream_of(queue) {
            self.in_vain[stage] = true;
        }
        self.raise(StopLevel::Drain, Actor::Core, now);
    }

    /// The stages that feed a queue, directly or through others.
    fn upstream_of(&self, queue: QueueIx) -> Vec<StageIx> {
        let mut found: Vec<StageIx> = Vec::new();
        let mut queues = vec![queue];
        while let Some(queue) = queues.pop() {
            for stage in &self.plan.queues[queue].producers {
                if !found.contains(stage) {
                    found.push(*stage);
                    queues.extend(&self.plan.stages[*stage].inputs);
                }
            }
        }
        found
    }
}
