//! How many workers a stage has, changed while it works. Without it a stage that turns out to be too slow, or to take too
//! much of the machine, would take a stop and a new run to be another size.
//!
//! A worker that is *let go* is asked to stop as by any stop now, and stays over when it has ended, however it does; the
//! sweep gives back what it held. Posts are never given to anybody else: when the stage grows again, those that were let go
//! come back first, as new runs of the same posts, since what they have committed stands in pages of their names.

use std::sync::Arc;
use std::time::Instant;

use super::action::Ask;
use super::event::{Actor, StopLevel};
use super::intensity::Intensity;
use super::trial::Trial;
use super::worker::{Process, Rules, Worker};
use super::{Core, post_at};
use crate::config::plan::{MOST_MEMBERS, MOST_WORKERS, QueueIx, Role, StageIx};

impl Core {
    /// Why a stage cannot have so many workers now; `None`: it can. To be asked before
    /// [`Event::Scale`](super::event::Event).
    pub fn why_no_scale(&self, stage: StageIx, replicas: u16) -> Option<String> {
        let plan = &self.plan.stages[stage];
        if self.level() >= Some(StopLevel::Now) || self.winding_down {
            return Some("the pipeline is being stopped".to_owned());
        }
        if plan.role() == Role::Source {
            return Some(
                "it is a source, and its workers share the work by their numbers: let the run come to its end, and change \
                 replicas in the pipeline file then"
                    .to_owned(),
            );
        }
        if self.sends_no_more(stage) {
            return Some("it has come to its end".to_owned());
        }
        // Whoever was let go keeps its post.
        let (crew, workers) = (self.crews[stage].len() as u64, self.workers.len() as u64);
        let workers = workers + u64::from(replicas).saturating_sub(crew);
        if workers > MOST_WORKERS {
            return Some(format!("the pipeline would have {workers} workers, more than {MOST_WORKERS}"));
        }
        let queues = plan.inputs.iter().chain(&plan.outputs);
        queues.map(|queue| (queue, self.members(*queue, stage, replicas))).find_map(|(queue, members)| {
            let name = &self.plan.queues[*queue].name;
            (members > MOST_MEMBERS)
                .then(|| format!("queue {name:?} would be shared by {members} threads, more than {MOST_MEMBERS}"))
        })
    }

    /// Threads at a queue if a stage had so many workers.
    fn members(&self, queue: QueueIx, scaled: StageIx, replicas: u16) -> u64 {
        let queue = &self.plan.queues[queue];
        let threads = |stage: &StageIx| {
            let plan = &self.plan.stages[*stage];
            u64::from(if *stage == scaled { replicas } else { plan.replicas }) * u64::from(plan.threads)
        };
        queue.producers.iter().chain(&queue.consumers).map(threads).sum()
    }

    /// The stage has so many workers from now on, if it can. `replicas` is at least 1.
    pub(super) fn scale(&mut self, stage: StageIx, replicas: u16, actor: Actor, now: Instant) {
        if replicas == 0 || stage >= self.plan.stages.len() || self.why_no_scale(stage, replicas).is_some() {
            return;
        }
        Arc::make_mut(&mut self.plan).stages[stage].replicas = replicas;
        self.resize(stage, replicas, &format!("its stage is scaled to {replicas}"), actor, now);
    }

    /// Lets workers go, calls them back or makes new ones, until there are so many.
    pub(super) fn resize(&mut self, stage: StageIx, replicas: u16, why: &str, actor: Actor, now: Instant) {
        for (replica, ix) in self.crews[stage].clone().into_iter().enumerate() {
            match (replica < usize::from(replicas), self.workers[ix].let_go) {
                (true, true) => self.call_back(ix, why, actor, now),
                (false, false) => self.let_go(ix, why, actor, now),
                (true, false) | (false, true) => {}
            }
        }
        // The workers of a stage that is new as a whole are no additions: its work is not done without them.
        let grows = !self.crews[stage].is_empty();
        for replica in self.crews[stage].len()..usize::from(replicas) {
            let plan = &self.plan.stages[stage];
            let replica = u16::try_from(replica).expect("it is less than replicas");
            let ix = self.workers.len();
            let mut worker = Worker::new(post_at(ix), Some(stage), &plan.name, replica, Rules::of(plan));
            worker.is_addition = grows;
            worker.trial = Some(if grows { Trial::Run } else { Trial::Stage });
            self.workers.push(worker);
            self.crews[stage].push(ix);
        }
    }

    fn let_go(&mut self, ix: usize, why: &str, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        worker.let_go = true;
        worker.run.let_go = worker.process != Process::None;
        self.ask(ix, Ask::Now, actor, why, now);
    }

    /// Whether a worker that never became ready was added to others that do the work of its stage without it.
    pub(super) fn is_dispensable(&self, ix: usize) -> bool {
        let worker = &self.workers[ix];
        let mut others = worker.stage.into_iter().flat_map(|stage| self.crew(stage));
        worker.is_addition && others.any(|other| !other.is_addition && !other.let_go)
    }

    /// An addition that failed as others are given up for: the stage works on without it.
    pub(super) fn drop_addition(&mut self, ix: usize, why: &str, now: Instant) {
        let worker = &mut self.workers[ix];
        (worker.let_go, worker.dropped, worker.is_addition) = (true, true, false);
        let Some(stage) = worker.stage else { return };
        let others = self.crew(stage).filter(|worker| !worker.let_go).count();
        let replicas = &mut Arc::make_mut(&mut self.plan).stages[stage].replicas;
        *replicas = u16::try_from(others).unwrap_or(*replicas);
        let cause = format!("it could not be added ({why}); the stage works on with {others}");
        self.rest(ix, &cause, Actor::Core, now);
    }

    /// One whose last process is still on its way out is started when that has ended.
    fn call_back(&mut self, ix: usize, why: &str, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        (worker.let_go, worker.dropped) = (false, false);
        (worker.failures, worker.intensity) = (0, Intensity::default());
        worker.trial = Some(Trial::Run);
        if worker.process == Process::None && worker.is_over() {
            (worker.saw_end, worker.was_ready, worker.is_addition) = (false, false, true);
            self.pend(ix, why, actor, now);
        }
    }
}
