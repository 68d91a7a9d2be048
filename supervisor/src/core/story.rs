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
mod needs;
mod notified;
mod order;
mod random;
mod reload;
mod replace;
mod restart;
mod scale;
mod standstill;
mod start;
mod told;
mod trial;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};

use told::{Told, in_order, pipeline};

use super::action::{Action, Ask, State, Verdict};
use super::event::{Actor, Event, Exit, Left, Progress, StopLevel};
use super::{Core, Worker};
use crate::config::plan::{
    ExitCode, Exits, Group, Limits, LogPlan, Loop, OnStandstill, Plan, QueuePlan, Readiness, RestartPolicy, Role,
    StagePlan, Strategy, Watch,
};

const OK: Exit = Exit::Code(0);
const CRASH: Exit = Exit::Code(1);
const KILLED: Exit = Exit::Signal { signal: 9, core: false };
const TERM: Actor = Actor::Signal(15);

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

    fn everybody_comes_up_but(&mut self, one: &str) {
        while let Some(name) = self.starting().into_iter().find(|name| name != one) {
            self.up(&name);
        }
    }

    fn first_starting(&self) -> Option<String> {
        self.starting().into_iter().next()
    }

    fn starting(&self) -> Vec<String> {
        let starting = self.core.workers().filter(|worker| worker.state == State::Starting);
        starting.map(|worker| worker.name.clone()).collect()
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
            Action::Outlook(Some(outlook)) => {
                format!("{} items need {:?} of {:?}", outlook.items, outlook.needs, outlook.remaining)
            }
            Action::Outlook(None) => "in time".to_owned(),
            Action::Standstill(Some(words)) => format!("standstill: {words}"),
            Action::Standstill(None) => "standstill over".to_owned(),
            Action::Level(StopLevel::Drain, actor) => format!("level drain by {actor:?}"),
            Action::Level(StopLevel::Now, actor) => format!("level now by {actor:?}"),
            Action::Level(StopLevel::Kill, actor) => format!("level kill by {actor:?}"),
            Action::Finish(verdict) => format!("finish {verdict:?}"),
        })
    }
}
