//! Every decision of the supervisor, as a function of events and time: no clock, no I/O, nothing that can fail.
//!
//! ```text
//!              Event                        Action
//!  reactor ─────────────▶ Core::handle ──────────────▶ reactor
//!                         Core::deadline: when to call at the latest
//! ```
//!
//! Each call applies the event first and looks at the deadlines second: a worker that has just exited must not be
//! killed, and a busy inbox must not starve a timer. Then the rules about the whole (`settle`) run until nothing
//! changes any more; they look at how things stand, not at how they came about, so that no order of events escapes
//! them.

mod abandoned;
pub mod action;
mod backoff;
pub mod event;
mod exit;
mod failure;
pub mod forecast;
mod group;
mod hung;
mod intensity;
mod life;
mod needs;
mod notified;
mod order;
mod policy;
mod reload;
mod replace;
mod restart;
mod scale;
mod shutdown;
mod stage;
pub mod standstill;
#[cfg(test)]
mod story;
mod trial;
mod worker;

use std::sync::Arc;
use std::time::Instant;

use brigade_protocol::id::Post;

pub use self::exit::signal_name;
pub use self::stage::StageState;
pub use self::worker::Worker;

use self::abandoned::Takers;
use self::action::{Action, State};
use self::backoff::Random;
use self::event::{Actor, Event, StopLevel};
use self::intensity::GroupIntensity;
use self::shutdown::Ladder;
use self::worker::{Due, Rules};
use crate::config::plan::{Plan, QueueIx, StageIx};

/// The part that decides. It holds what is known of every worker and of the whole, and nothing else.
#[derive(Debug)]
pub struct Core {
    /// Cheap to have a part in, for whoever changes something else meanwhile.
    plan: Arc<Plan>,
    /// By post, from post 1 on: those of the plan, the manager, and those by whom stages grew.
    workers: Vec<Worker>,
    /// Indices of the workers of every stage, by their numbers in it, also of those that were let go.
    crews: Vec<Vec<usize>>,
    /// Index of the manager.
    manager: usize,
    /// Somebody has asked for the manager.
    manager_wanted: bool,
    /// Since when a queue is closed.
    closed: Vec<Option<Instant>>,
    /// Whether each queue has a stage that takes from it.
    takers: Vec<Takers>,
    /// Loops that are being watched.
    watched: Vec<bool>,
    /// Stages that send to nobody any more.
    in_vain: Vec<bool>,
    /// The latest crashes within each group.
    group_intensity: Vec<GroupIntensity>,
    ladder: Ladder,
    random: Random,
    standstills: standstill::Watch,
    forecast: forecast::Forecast,
    begun: bool,
    /// All the work is done; services and manager are being stopped.
    winding_down: bool,
    finished: bool,
    /// What the present call wants done.
    out: Vec<Action>,
}

impl Core {
    /// A core that waits for [`Event::Begin`]. Posts are numbered from 1, by stage and then by replica; the number
    /// after the last is the manager's, and then come those of stages that grow. `check` has seen to it that they fit.
    /// `seed`: of the jitter of restarts.
    pub fn new(plan: Plan, seed: u64) -> Self {
        let mut workers = Vec::new();
        let mut crews = Vec::new();
        for (ix, stage) in plan.stages.iter().enumerate() {
            crews.push((workers.len()..workers.len() + usize::from(stage.replicas)).collect());
            for replica in 0..stage.replicas {
                workers.push(Worker::new(post_at(workers.len()), Some(ix), &stage.name, replica, Rules::of(stage)));
            }
        }
        let manager = workers.len();
        workers.push(Worker::manager(post_at(manager)));
        Self {
            workers,
            crews,
            manager,
            manager_wanted: false,
            closed: vec![None; plan.queues.len()],
            takers: vec![Takers::default(); plan.queues.len()],
            watched: vec![false; plan.loops.len()],
            in_vain: vec![false; plan.stages.len()],
            group_intensity: vec![GroupIntensity::default(); plan.groups.len()],
            ladder: Ladder::new(),
            random: Random::new(seed),
            standstills: standstill::Watch::default(),
            forecast: forecast::Forecast::default(),
            begun: false,
            winding_down: false,
            finished: false,
            out: Vec::new(),
            plan: Arc::new(plan),
        }
    }

    /// Stages of these names came to their ends in the run that this one continues: their workers are not started.
    pub fn with_complete(mut self, stages: &[String]) -> Self {
        for worker in &mut self.workers {
            if worker.stage.is_some_and(|stage| stages.contains(&self.plan.stages[stage].name)) {
                worker.has_done_before();
            }
        }
        self
    }

    /// Workers, each by its stage and its number, did their part in the run that this one continues: they are not started.
    pub fn with_done(mut self, workers: &[(String, u16)]) -> Self {
        for worker in &mut self.workers {
            let Some(stage) = worker.stage.map(|stage| &self.plan.stages[stage].name) else { continue };
            if workers.iter().any(|(name, replica)| name == stage && *replica == worker.replica) {
                worker.has_done_before();
            }
        }
        self
    }

    /// Takes news, and says what is to be done about it, in this order. News that is stale, that names nobody, or that
    /// comes after [`Action::Finish`] is dropped. `now` must not go backwards.
    pub fn handle(&mut self, now: Instant, event: Event) -> Vec<Action> {
        if !self.finished {
            self.apply(event, now);
            self.settle(now);
            self.look_at_deadlines(now);
            self.settle(now);
            if (self.begun || self.level() >= Some(StopLevel::Now)) && self.is_over() {
                self.finished = true;
                self.blame_failures();
                self.out.push(Action::Finish(self.ladder.verdict().clone()));
            }
        }
        std::mem::take(&mut self.out)
    }

    /// When to call [`handle`](Self::handle) with [`Event::Tick`] at the latest; `None`: only when there is news.
    pub fn deadline(&self) -> Option<Instant> {
        if self.finished {
            return None;
        }
        let workers = self.workers.iter().filter_map(|worker| self.due(worker));
        workers.map(|(at, _)| at).chain(self.ladder.drain_until()).chain(self.grace_until()).min()
    }

    /// All workers by post; the manager, once it is wanted, is one of them.
    pub fn workers(&self) -> impl Iterator<Item = &Worker> {
        self.workers.iter().filter(|worker| worker.stage.is_some() || self.manager_wanted)
    }

    /// The worker of a post; `None` if there is no such post.
    pub fn worker(&self, post: Post) -> Option<&Worker> {
        let worker = self.workers.get(usize::from(post.0).checked_sub(1)?)?;
        (worker.stage.is_some() || self.manager_wanted).then_some(worker)
    }

    /// The post of a worker; `None` if the plan has no such stage or replica.
    pub fn post_of(&self, stage: StageIx, replica: u16) -> Option<Post> {
        self.crews.get(stage)?.get(usize::from(replica)).map(|ix| post_at(*ix))
    }

    /// The post of the manager, whether it is wanted already or not.
    pub fn manager_post(&self) -> Post {
        post_at(self.manager)
    }

    /// Whether a queue is closed.
    pub fn is_closed(&self, queue: QueueIx) -> bool {
        self.closed.get(queue).is_some_and(Option::is_some)
    }

    /// Whether all the work is done, and the rest is being stopped.
    pub fn is_winding_down(&self) -> bool {
        self.winding_down
    }

    /// The plan that it goes by.
    pub fn plan(&self) -> &Arc<Plan> {
        &self.plan
    }

    fn apply(&mut self, event: Event, now: Instant) {
        match event {
            Event::Begin => self.begun = true,
            Event::Spawned { post, incarnation, pid } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.spawned(ix, pid, now);
                }
            }
            Event::SpawnFailed { post, incarnation, words, permanent } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.spawn_failed(ix, words, permanent, now);
                }
            }
            Event::Hello { post, incarnation } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.workers[ix].run.hello = true;
                }
            }
            Event::Ready { post, incarnation } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.said_ready(ix, now);
                }
            }
            Event::Failed { post, incarnation, words, permanent, outage } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.said_failed(ix, words, permanent, outage, now);
                }
            }
            Event::Replace { post, incarnation, words } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.replace(ix, words);
                }
            }
            Event::SaysStopping { post, incarnation } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.says_stopping(ix, now);
                }
            }
            Event::Extend { post, incarnation, time } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.extend(ix, time, now);
                }
            }
            Event::Hung { post, incarnation, words } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.hung(ix, words, now);
                }
            }
            Event::Leaving { post, incarnation, words } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.is_leaving(ix, words);
                }
            }
            Event::LeftBehind { post, incarnation, words } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.left_behind(ix, words);
                }
            }
            Event::Restart { post, actor } => self.restart_at_will(post, actor, now),
            Event::Reload { difference, actor } => self.reload(*difference, actor, now),
            Event::Scale { stage, replicas, actor } => self.scale(stage, replicas, actor, now),
            Event::DeadLetters(count) => self.dead_letters(count, now),
            Event::Exited { post, incarnation, exit, left } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.exited(ix, exit, &left, now);
                }
            }
            Event::Paused { post, incarnation } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.workers[ix].paused.get_or_insert(now);
                }
            }
            Event::Resumed { post, incarnation } => {
                if let Some(ix) = self.current(post, incarnation) {
                    self.workers[ix].paused = None;
                }
            }
            Event::LoopIdle(ix) => self.loop_idle(ix, now),
            Event::Looked(look) => self.looked(*look, now),
            Event::Left(items) => {
                self.left(items, now);
                if items == 0 {
                    self.nothing_is_left(now);
                }
            }
            Event::StopNext(actor) => {
                if let Some(level) = self.ladder.next() {
                    self.raise(level, actor, now);
                }
            }
            Event::StopAt(level, actor) => self.raise(level, actor, now),
            Event::WantManager => {
                if !self.manager_wanted && self.level() < Some(StopLevel::Now) {
                    self.manager_wanted = true;
                    self.workers[self.manager].state = State::Pending;
                }
            }
            Event::Tick => {}
        }
    }

    fn look_at_deadlines(&mut self, now: Instant) {
        if self.ladder.drain_until().is_some_and(|at| at <= now) {
            self.raise(StopLevel::Now, Actor::Core, now);
        }
        for ix in 0..self.workers.len() {
            match self.due(&self.workers[ix]) {
                Some((at, due)) if at <= now => self.fall_due(ix, due, now),
                Some(_) | None => {}
            }
        }
    }

    fn fall_due(&mut self, ix: usize, due: Due, now: Instant) {
        let rules = self.workers[ix].rules;
        match due {
            Due::Start => self.go_on(ix, "its wait is over", Actor::Core, now),
            Due::Uptime => self.said_ready(ix, now),
            Due::StartTimeout => {
                let extended = self.workers[ix].run.extended;
                let why = match extended {
                    Some((_, time)) => format!("not ready when the time was over that it had asked for ({time:?})"),
                    None if !self.is_introduced(ix) => {
                        format!("not ready within {:?}: it has not said hello to the supervisor", rules.start_timeout)
                    }
                    None => format!("not ready within {:?}", rules.start_timeout),
                };
                self.workers[ix].blame(why.clone());
                self.kill(ix, &why, Actor::Core, now);
            }
            Due::Patience => {
                if let Some((_, why)) = self.workers[ix].run.patience.clone() {
                    self.kill(ix, &why, Actor::Core, now);
                }
            }
            Due::Paused => {
                let why = format!("stopped by a signal for {:?} while its stage waits for the end", rules.stop_timeout);
                self.workers[ix].blame(why.clone());
                self.workers[ix].run.killed_paused = true;
                self.kill(ix, &why, Actor::Core, now);
            }
        }
    }

    /// Applies the rules about the whole until nothing changes any more.
    fn settle(&mut self, now: Instant) {
        while self.begun && self.level() < Some(StopLevel::Now) {
            let before = self.out.len();
            self.release_waiting(now);
            self.close_queues(now);
            self.notice_significant(now);
            self.notice_abandoned(now);
            self.give_up_waiting(now);
            self.end_trials(now);
            self.wind_down();
            self.stop_stages(now);
            self.bring_down(now);
            self.renew_stale(now);
            self.start_stages(now);
            if self.out.len() == before {
                return;
            }
        }
        if self.level() >= Some(StopLevel::Now) {
            self.wind_down();
            self.stop_stages(now);
        }
    }

    fn due(&self, worker: &Worker) -> Option<(Instant, Due)> {
        worker.due(self.inputs_closed(worker.stage))
    }

    /// Indices of the workers of a stage.
    fn posts_of(&self, stage: StageIx) -> Vec<usize> {
        self.crews[stage].clone()
    }

    fn manager_ix(&self) -> Option<usize> {
        self.manager_wanted.then_some(self.manager)
    }
}

/// The post at an index. The plan holds no more workers than there are posts.
fn post_at(ix: usize) -> Post {
    Post(u16::try_from(ix + 1).unwrap_or(u16::MAX))
}
