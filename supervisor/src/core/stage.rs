//! Stages and the queues between them: which stage is complete, and which queue is closed.

use std::time::Instant;

use super::Core;
use super::action::{Action, State, Verdict};
use super::event::{Actor, StopLevel};
use super::worker::{Process, Worker};
use crate::config::plan::{QueueIx, Role, StageIx, StagePlan};

/// State of a stage, summed up from its workers, as shown by `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageState {
    /// Waits for the stages that must be ready before it.
    Pending,
    /// Some of its workers are starting, or wait for their next start.
    Starting,
    /// At work.
    Ready,
    /// At work, and nothing new comes in from outside.
    Draining,
    /// Some of its workers were asked to stop, or are being killed.
    Stopping,
    /// All its workers have ended and will not be started again.
    Complete,
    /// All its workers have ended, and some of them because they were asked to.
    Stopped,
    /// One of its workers was given up.
    Failed,
}

impl StageState {
    fn of<'a>(workers: impl Iterator<Item = &'a Worker> + Clone) -> Self {
        let any = |states: &[State]| workers.clone().any(|worker| states.contains(&worker.state));
        if any(&[State::Failed]) {
            Self::Failed
        } else if workers.clone().all(|worker| worker.state == State::Exited) {
            if workers.clone().any(Worker::was_stopped) { Self::Stopped } else { Self::Complete }
        } else if workers.clone().all(|worker| worker.state == State::Pending) {
            Self::Pending
        } else if any(&[State::Stopping]) {
            Self::Stopping
        } else if any(&[State::Starting, State::Backoff, State::Pending]) {
            Self::Starting
        } else if any(&[State::Draining]) {
            Self::Draining
        } else {
            Self::Ready
        }
    }
}

impl Core {
    /// State of a stage, summed up; `None` if the plan has no such stage.
    pub fn stage_state(&self, stage: StageIx) -> Option<StageState> {
        (stage < self.plan.stages.len()).then(|| StageState::of(self.crew(stage)))
    }

    /// The workers of a stage.
    pub(super) fn crew(&self, stage: StageIx) -> impl Iterator<Item = &Worker> + Clone {
        self.crews[stage].iter().map(|ix| &self.workers[*ix])
    }

    pub(super) fn is_complete(&self, stage: StageIx) -> bool {
        self.crew(stage).all(|worker| worker.state == State::Exited)
    }

    pub(super) fn is_service(&self, stage: StageIx) -> bool {
        self.plan.stages[stage].role() == Role::Service
    }

    /// Whether everything that is waited for has ended: all stages but the services.
    pub(super) fn work_is_complete(&self) -> bool {
        (0..self.plan.stages.len()).all(|stage| self.is_service(stage) || self.crew(stage).all(Worker::is_over))
    }

    /// Since when all queues that a stage takes from are closed; `None` if one is open or it takes from none.
    pub(super) fn inputs_closed(&self, stage: Option<StageIx>) -> Option<Instant> {
        let inputs = &self.plan.stages.get(stage?)?.inputs;
        let mut latest = None;
        for queue in inputs {
            latest = latest.max(Some(self.closed[*queue]?));
        }
        latest
    }

    /// Closes every queue whose producers send no more, and has the loops watched that nothing new can come into.
    pub(super) fn close_queues(&mut self, now: Instant) {
        for queue in 0..self.plan.queues.len() {
            if self.plan.queues[queue].producers.iter().all(|stage| self.sends_no_more(*stage)) {
                self.close(queue, now);
            }
        }
        for ix in 0..self.plan.loops.len() {
            if !self.watched[ix] && self.is_cut_off(ix) {
                self.watched[ix] = true;
                self.out.push(Action::WatchLoop(ix));
            }
        }
    }

    /// A watched loop is idle: its queues end together.
    pub(super) fn loop_idle(&mut self, ix: usize, now: Instant) {
        if self.watched.get(ix) == Some(&true) && self.ladder.level() < Some(StopLevel::Now) {
            for queue in self.plan.loops[ix].queues.clone() {
                self.close(queue, now);
            }
        }
    }

    /// Whether nothing new can come into a loop: all that feeds its stages from outside is complete. That is more than
    /// the producers of the loop's own queues: what is still queued before one of its stages can set all in motion.
    fn is_cut_off(&self, ix: usize) -> bool {
        let circle = &self.plan.loops[ix];
        let inputs = circle.stages.iter().flat_map(|stage| &self.plan.stages[*stage].inputs);
        let mut feeders = inputs.chain(&circle.queues).flat_map(|queue| &self.plan.queues[*queue].producers);
        feeders.all(|stage| circle.stages.contains(stage) || self.sends_no_more(*stage))
    }

    fn close(&mut self, queue: QueueIx, now: Instant) {
        if self.closed[queue].is_none() {
            self.closed[queue] = Some(now);
            self.out.push(Action::Close(queue));
        }
    }

    /// A worker that waits for its next start is not needed any more when all others of its stage have seen the end of
    /// the stream: they see it only when no item is left that could come back.
    pub(super) fn release_waiting(&mut self, now: Instant) {
        for ix in 0..self.workers.len() {
            let worker = &self.workers[ix];
            let Some(stage) = worker.stage else { continue };
            if worker.state != State::Backoff || self.inputs_closed(Some(stage)).is_none() {
                continue;
            }
            let others = || self.crew(stage).filter(|other| other.post != worker.post && !other.let_go);
            if others().count() > 0 && others().all(|other| other.state == State::Exited && other.saw_end) {
                self.workers[ix].ended_well = Some(true);
                self.rest(ix, "its stage has come to its end", Actor::Core, now);
            }
        }
    }

    /// Whether other workers of its stage are there, or will be, to finish what it leaves.
    pub(super) fn has_company(&self, ix: usize) -> bool {
        let worker = &self.workers[ix];
        worker.stage.is_some_and(|stage| self.crew(stage).any(|other| other.post != worker.post && !other.is_over()))
    }

    /// Notices that a stage whose end is the end of the pipeline has ended, while others would go on.
    pub(super) fn notice_significant(&mut self, now: Instant) {
        let goes_on =
            |stage: &StagePlan, ix| matches!(stage.role(), Role::Source | Role::Task) && !self.is_complete(ix);
        let stages = || self.plan.stages.iter().enumerate();
        if self.level().is_none()
            && let Some((_, ended)) = stages().find(|(ix, stage)| stage.significant && self.is_complete(*ix))
            && stages().any(|(ix, stage)| goes_on(stage, ix))
        {
            self.ladder.blame(Verdict::Ended { stage: ended.name.clone() });
            self.raise(StopLevel::Drain, Actor::Core, now);
        }
    }

    /// Whether every worker is over and no process lives.
    pub(super) fn is_over(&self) -> bool {
        self.workers.iter().all(|worker| worker.is_over() && worker.process == Process::None)
    }
}
