//! Stories: what happens is told line by line, with written time, and what the core does about it is compared as text.
//! Without them every rule about time and order would have to be tested by waiting for real processes.

mod at_will;
mod drain;
mod end;
mod failure;
mod group;
mod hung;
mod ladder;
mod manager;
mod matrix;
mod notified;
mod order;
mod random;
mod reload;
mod replace;
mod restart;
mod scale;
mod start;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};

use super::action::{Action, Ask, State, Verdict};
use super::event::{Actor, Event, Exit, Left, Progress, StopLevel};
use super::{Core, Worker};
use crate::config::plan::{
    ExitCode, Exits, Group, Limits, LogPlan, Loop, Plan, QueuePlan, Readiness, RestartPolicy, Role, StagePlan,
    Strategy, Watch,
};

const OK: Exit = Exit::Code(0);
const CRASH: Exit = Exit::Code(1);
const KILLED: Exit = Exit::Signal { signal: 9, core: false };
const TERM: Actor = Actor::Signal(15);

/// A pipeline without stages, to be told by [`Told`].
fn pipeline() -> Plan {
    Plan {
        name: "story".into(),
        file: PathBuf::from("/story.toml"),
        drain_timeout: Duration::from_secs(30),
        fail_on_dead_letters: true,
        max_dead_letters: None,
        logs: LogPlan::default(),
        queues: Vec::new(),
        stages: Vec::new(),
        groups: Vec::new(),
        loops: Vec::new(),
    }
}

/// How a plan is told.
trait Told: Sized {
    /// One more stage, of one worker. Queues come into being when they are named first.
    fn stage(self, name: &str, inputs: &[&str], outputs: &[&str]) -> Self;
    /// A change of the last stage.
    fn with(self, change: impl FnOnce(&mut StagePlan)) -> Self;
    /// Replicas of the last stage.
    fn times(self, replicas: u16) -> Self;
    /// The last stage depends on these, which were told before.
    fn needs(self, stages: &[&str]) -> Self;
    /// These stages are a group.
    fn group(self, strategy: Strategy, stages: &[&str]) -> Self;
    /// The stages of this name form a loop, with all queues between them.
    fn circle(self, stages: &[&str]) -> Self;
    fn queue(&mut self, name: &str) -> usize;
}

impl Told for Plan {
    fn stage(mut self, name: &str, inputs: &[&str], outputs: &[&str]) -> Self {
        let ix = self.stages.len();
        let inputs: Vec<usize> = inputs.iter().map(|queue| self.queue(queue)).collect();
        let outputs: Vec<usize> = outputs.iter().map(|queue| self.queue(queue)).collect();
        inputs.iter().for_each(|queue| self.queues[*queue].consumers.push(ix));
        outputs.iter().for_each(|queue| self.queues[*queue].producers.push(ix));
        self.stages.push(StagePlan {
            name: name.into(),
            program: PathBuf::from("/bin/true"),
            args: Vec::new(),
            env: BTreeMap::new(),
            cwd: PathBuf::from("/"),
            replicas: 1,
            threads: 1,
            batch: 1,
            batch_time: Duration::from_millis(20),
            ready: if inputs.is_empty() && outputs.is_empty() { Readiness::Alive } else { Readiness::Sdk },
            inputs,
            outputs,
            restart: RestartPolicy::Transient,
            max_restarts: Some(5),
            restart_period: Duration::from_secs(60),
            give_up_after: Duration::ZERO,
            outage_timeout: Duration::from_secs(600),
            backoff: Duration::from_millis(100),
            backoff_max: Duration::from_secs(30),
            start_timeout: Duration::from_secs(30),
            stop_timeout: Duration::from_secs(10),
            stop_signal: 15,
            watch: Watch::default(),
            exit_on_panic: false,
            exits: Exits::default(),
            significant: false,
            depends_on: Vec::new(),
            limits: Limits::default(),
            starts_after: Vec::new(),
            stops_after: Vec::new(),
            removed: false,
        });
        self
    }

    fn with(mut self, change: impl FnOnce(&mut StagePlan)) -> Self {
        change(self.stages.last_mut().expect("a stage was told before its change"));
        self
    }

    fn times(self, replicas: u16) -> Self {
        self.with(|stage| stage.replicas = replicas)
    }

    fn needs(mut self, names: &[&str]) -> Self {
        let needed = stages_named(&self, names);
        self.stages.last_mut().expect("a stage was told before what it needs").depends_on = needed;
        self
    }

    fn group(mut self, strategy: Strategy, names: &[&str]) -> Self {
        let stages = stages_named(&self, names);
        let (name, restart_period) = (format!("group {}", self.groups.len()), Duration::from_secs(60));
        self.groups.push(Group { name, stages, strategy, max_restarts: None, restart_period });
        self
    }

    fn circle(mut self, names: &[&str]) -> Self {
        let within = |stage: &usize| names.contains(&self.stages[*stage].name.as_str());
        let stages = (0..self.stages.len()).filter(within).collect();
        let both = |queue: &usize| {
            let QueuePlan { producers, consumers, .. } = &self.queues[*queue];
            producers.iter().any(within) && consumers.iter().any(within)
        };
        let queues = (0..self.queues.len()).filter(both).collect();
        self.loops.push(Loop { stages, queues });
        self
    }

    fn queue(&mut self, name: &str) -> usize {
        if let Some(ix) = self.queues.iter().position(|queue| queue.name == name) {
            return ix;
        }
        self.queues.push(QueuePlan {
            name: name.into(),
            capacity: 1024,
            item_bytes: 1024,
            max_item_bytes: 65536,
            max_deliveries: Some(5),
            retry_delay: Duration::ZERO,
            retry_delay_max: Duration::from_secs(300),
            producers: Vec::new(),
            consumers: Vec::new(),
            removed: false,
        });
        self.queues.len() - 1
    }
}

fn stages_named(plan: &Plan, names: &[&str]) -> Vec<usize> {
    let find = |name: &&str| plan.stages.iter().position(|stage| stage.name == *name);
    names.iter().map(|name| find(name).expect("this stage was told")).collect()
}

/// Fills in who starts after whom (a stage after those that it feeds, but for its own loop, after those that it depends
/// on, and after all services that depend on services alone) and who stops after whom.
fn in_order(mut plan: Plan) -> Plan {
    fn is_base(ix: usize, plan: &Plan) -> bool {
        plan.stages[ix].role() == Role::Service
            && plan.stages[ix].depends_on.iter().all(|needed| is_base(*needed, plan))
    }
    let mut needs = Vec::new();
    for ix in 0..plan.stages.len() {
        let is_service = plan.stages[ix].role() == Role::Service;
        let services = (0..plan.stages.len()).filter(|other| !is_service && is_base(*other, &plan));
        let needed: BTreeSet<usize> = services.chain(plan.stages[ix].depends_on.iter().copied()).collect();
        let fed = plan.stages[ix].outputs.iter().flat_map(|queue| plan.queues[*queue].consumers.clone());
        let same_loop = |other: &usize| {
            *other == ix || plan.loops.iter().any(|l| l.stages.contains(&ix) && l.stages.contains(other))
        };
        let after: BTreeSet<usize> = fed.filter(|other| !same_loop(other)).chain(needed.iter().copied()).collect();
        plan.stages[ix].starts_after = after.into_iter().collect();
        needs.push(needed);
    }
    for ix in 0..plan.stages.len() {
        plan.stages[ix].stops_after = (0..needs.len()).filter(|other| needs[*other].contains(&ix)).collect();
    }
    plan
}

fn gave_up(worker: &str, reason: &str, words: &str) -> Verdict {
    Verdict::GaveUp { worker: worker.into(), reason: reason.into(), words: words.into() }
}

/// walk → paths → hash ×2 → sums → report
fn line() -> Plan {
    pipeline().stage("walk", &[], &["paths"]).stage("hash", &["paths"], &["sums"]).times(2).stage(
        "report",
        &["sums"],
        &[],
    )
}

/// A core, and what it did.
struct Story {
    core: Core,
    now: Instant,
    /// What it did since somebody looked.
    unread: Vec<Action>,
}

impl Story {
    /// Before the beginning.
    fn of(plan: Plan) -> Self {
        Self { core: Core::new(in_order(plan), 7), now: Instant::now(), unread: Vec::new() }
    }

    /// Begun, and everybody is ready.
    fn running(plan: Plan) -> Self {
        let mut story = Self::of(plan);
        story.tell(Event::Begin);
        story.everybody_comes_up();
        story.unread.clear();
        story
    }

    fn tell(&mut self, event: Event) {
        let actions = self.core.handle(self.now, event);
        self.unread.extend(actions);
    }

    /// Time passes, and every deadline in it is kept.
    fn wait(&mut self, millis: u64) {
        let until = self.now + Duration::from_millis(millis);
        while let Some(deadline) = self.core.deadline().filter(|deadline| *deadline <= until) {
            self.now = self.now.max(deadline);
            self.tell(Event::Tick);
        }
        self.now = until;
    }

    fn seconds(&mut self, seconds: u64) {
        self.wait(seconds * 1000);
    }

    fn who(&self, name: &str) -> &Worker {
        self.core.workers().find(|worker| worker.name == name).expect("the story knows this worker")
    }

    fn id(&self, name: &str) -> (Post, Incarnation) {
        (self.who(name).post, self.who(name).incarnation)
    }

    fn state(&self, name: &str) -> State {
        self.who(name).state
    }

    fn spawned(&mut self, name: &str) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Spawned { post, incarnation, pid: 1000 + i32::from(post.0) });
    }

    /// It says hello, if it must.
    fn introduces(&mut self, name: &str) {
        let (post, incarnation) = self.id(name);
        if self.who(name).stage.is_some_and(|stage| !self.core.plan().stages[stage].is_plain()) {
            self.tell(Event::Hello { post, incarnation });
        }
    }

    fn ready(&mut self, name: &str) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Ready { post, incarnation });
    }

    /// Spawned and ready.
    fn up(&mut self, name: &str) {
        self.spawned(name);
        self.ready(name);
    }

    fn everybody_comes_up(&mut self) {
        while let Some(name) = self.first_starting() {
            self.up(&name);
        }
    }

    fn first_starting(&self) -> Option<String> {
        let mut starting = self.core.workers().filter(|worker| worker.state == State::Starting);
        starting.next().map(|worker| worker.name.clone())
    }

    fn exits(&mut self, name: &str, exit: Exit) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Exited { post, incarnation, exit, left: Left::default() });
    }

    fn exits_leaving(&mut self, name: &str, exit: Exit, left: Left) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Exited { post, incarnation, exit, left });
    }

    /// How the last run of a worker ended, in words.
    fn end_of(&self, name: &str) -> &str {
        self.who(name).last_end.as_deref().expect("it has ended once")
    }

    fn all_exit(&mut self, names: &[&str], exit: Exit) {
        names.iter().for_each(|name| self.exits(name, exit));
    }

    fn all_up(&mut self, names: &[&str]) {
        names.iter().for_each(|name| self.up(name));
    }

    fn spawn_fails(&mut self, name: &str, words: &str, permanent: bool) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::SpawnFailed { post, incarnation, words: words.into(), permanent });
    }

    fn says_failed(&mut self, name: &str, words: &str, permanent: bool) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Failed { post, incarnation, words: words.into(), permanent, outage: false });
    }

    fn paused(&mut self, name: &str) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Paused { post, incarnation });
    }

    fn resumed(&mut self, name: &str) {
        let (post, incarnation) = self.id(name);
        self.tell(Event::Resumed { post, incarnation });
    }

    /// A crash, the wait after it, and the next start, up to ready.
    fn crashes_and_comes_back(&mut self, name: &str) {
        self.exits(name, CRASH);
        assert_eq!(self.state(name), State::Backoff, "{name} waits for its next start");
        self.comes_back(name);
    }

    fn comes_back(&mut self, name: &str) {
        let at = self.who(name).next_start.expect("it waits for its next start");
        self.now = self.now.max(at);
        self.tell(Event::Tick);
        self.up(name);
    }

    fn signal(&mut self) {
        self.tell(Event::StopNext(TERM));
    }

    /// What was done since the last look is this and nothing else; changes of state are not looked at.
    #[track_caller]
    fn expect(&mut self, deeds: &[&str]) {
        let unread = std::mem::take(&mut self.unread);
        let done: Vec<String> = unread.iter().filter_map(|action| self.deed(action)).collect();
        assert_eq!(done, deeds);
    }

    /// An action as a line; `None` for a change of state.
    fn deed(&self, action: &Action) -> Option<String> {
        let name = |post: &Post| self.core.worker(*post).expect("actions name workers that exist").name.as_str();
        Some(match action {
            Action::Spawn { post, incarnation } => format!("spawn {} #{incarnation}", name(post)),
            Action::Stop { post, incarnation, ask } => {
                let how = match ask {
                    Ask::Drain => "drain",
                    Ask::Now => "now",
                    Ask::Renew => "renew",
                };
                format!("stop {} #{incarnation} {how}", name(post))
            }
            Action::Abort { post, incarnation, why } => format!("abort {} #{incarnation}: {why}", name(post)),
            Action::Kill { post, incarnation, why } => format!("kill {} #{incarnation}: {why}", name(post)),
            Action::Sweep { post, incarnation } => format!("sweep {} #{incarnation}", name(post)),
            Action::Close(queue) => format!("close {}", self.core.plan().queues[*queue].name),
            Action::WatchLoop(ix) => format!("watch loop {ix}"),
            Action::Changed { .. } => return None,
            Action::Level(StopLevel::Drain, actor) => format!("level drain by {actor:?}"),
            Action::Level(StopLevel::Now, actor) => format!("level now by {actor:?}"),
            Action::Level(StopLevel::Kill, actor) => format!("level kill by {actor:?}"),
            Action::Finish(verdict) => format!("finish {verdict:?}"),
        })
    }
}
