//! A world that does what the core wants, in its own time, and holds the core to what must never happen.

mod checks;

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};

use super::super::Core;
use super::super::action::{Action, Ask, State, Verdict};
use super::super::backoff::Random;
use super::super::event::{Event, Exit, Left, StopLevel};
use crate::config::plan::{Plan, Role};

/// Why a worker waits for its turn though those that start after it still count on it.
const STAYS_UP: [&str; 4] = ["its wait is over", "replaced: ", TRIED_AGAIN[0], TRIED_AGAIN[1]];
/// Why a worker that has failed alone is started again.
const TRIED_AGAIN: [&str; 2] = ["asked to start again", "its stage has changed"];

/// A process, as the world knows it.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) incarnation: Incarnation,
    /// Its spawn was answered.
    pub(super) spawned: bool,
    /// It will exit soon after it is asked to.
    pub(super) obeys: bool,
    pub(super) asked: bool,
    /// It said that it cannot work, and will exit.
    pub(super) fails: bool,
    pub(super) killed: bool,
    /// It is to go down with others.
    goes_down: bool,
    /// How many events had been told when it came into being.
    born: usize,
}

/// The world. Every call of the core goes through [`World::tell`], which checks what comes back.
pub(super) struct World {
    pub(super) core: Core,
    pub(super) now: Instant,
    pub(super) random: Random,
    pub(super) processes: BTreeMap<Post, Process>,
    pub(super) closed: Vec<bool>,
    pub(super) watched: Vec<bool>,
    pub(super) finish: Option<Verdict>,
    pub(super) log: Vec<String>,
    idle: Vec<bool>,
    states: BTreeMap<Post, State>,
    runs: BTreeMap<Post, Incarnation>,
    /// Who was ready since it was last brought down.
    up: BTreeSet<Post>,
    /// How many events had been told when it last crashed.
    crashed: BTreeMap<Post, usize>,
    level: Option<StopLevel>,
    begun: bool,
}

impl World {
    pub(super) fn new(plan: Plan, seed: u64) -> Self {
        Self {
            now: Instant::now(),
            random: Random::new(seed),
            processes: BTreeMap::new(),
            closed: vec![false; plan.queues.len()],
            watched: vec![false; plan.loops.len()],
            idle: vec![false; plan.loops.len()],
            finish: None,
            log: Vec::new(),
            states: BTreeMap::new(),
            runs: BTreeMap::new(),
            up: BTreeSet::new(),
            crashed: BTreeMap::new(),
            level: None,
            begun: false,
            core: Core::new(plan, seed),
        }
    }

    /// True once in `n` times.
    pub(super) fn chance(&mut self, n: u64) -> bool {
        self.random.next().is_multiple_of(n)
    }

    pub(super) fn below(&mut self, n: usize) -> usize {
        (self.random.next() % n.max(1) as u64) as usize
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }

    /// Tells the core, does what it wants done, and checks all of it.
    pub(super) fn tell(&mut self, event: Event) {
        self.log.push(format!("{event:?}"));
        let finished = self.finish.is_some();
        let mut unswept = None;
        match &event {
            Event::Begin => self.begun = true,
            Event::Spawned { post, incarnation, .. } => {
                if let Some(process) = self.living(*post, *incarnation) {
                    process.spawned = true;
                }
            }
            Event::SpawnFailed { post, incarnation, .. } => {
                if self.living(*post, *incarnation).is_some_and(|process| !process.spawned) {
                    self.processes.remove(post);
                }
            }
            Event::Exited { post, incarnation, .. } => {
                if self.living(*post, *incarnation).is_some() {
                    self.processes.remove(post);
                    unswept = Some((*post, *incarnation));
                }
            }
            Event::Failed { post, incarnation, .. } => {
                if let Some(process) = self.living(*post, *incarnation) {
                    process.fails = true;
                }
            }
            Event::LoopIdle(ix) => {
                if let Some(idle) = self.idle.get_mut(*ix) {
                    *idle |= self.watched[*ix];
                }
            }
            Event::Ready { post, incarnation } => {
                if self.living(*post, *incarnation).is_some() {
                    self.up.insert(*post);
                }
            }
            Event::Hello { .. }
            | Event::Replace { .. }
            | Event::Hung { .. }
            | Event::SaysStopping { .. }
            | Event::Extend { .. }
            | Event::Leaving { .. }
            | Event::Paused { .. }
            | Event::Resumed { .. }
            | Event::LeftBehind { .. }
            | Event::Looked(_)
            | Event::Left(_)
            | Event::StopNext(_)
            | Event::StopAt(..)
            | Event::WantManager
            | Event::Restart { .. }
            | Event::Scale { .. }
            | Event::Reload { .. }
            | Event::DeadLetters(_)
            | Event::Tick => {}
        }
        let actions = self.core.handle(self.now, event);
        assert!(!finished || actions.is_empty(), "nothing comes after the end: {actions:?}");
        for (n, action) in actions.iter().enumerate() {
            self.log.push(format!("    {action:?}"));
            self.follow(action, &mut unswept);
            assert!(self.finish.is_none() || n + 1 == actions.len(), "the end comes last");
        }
        assert_eq!(unswept, None, "an exit is followed by a sweep");
        self.check_standing();
    }

    fn living(&mut self, post: Post, incarnation: Incarnation) -> Option<&mut Process> {
        self.processes.get_mut(&post).filter(|process| process.incarnation == incarnation)
    }

    fn follow(&mut self, action: &Action, unswept: &mut Option<(Post, Incarnation)>) {
        match action {
            Action::Spawn { post, incarnation } => {
                assert!(self.begun, "nobody is started before the beginning");
                assert!(self.level < Some(StopLevel::Now), "nobody is started after a stop");
                assert!(unswept.is_none_or(|(dead, _)| dead != *post), "a sweep comes before the next start");
                self.check_start(*post);
                let last = self.runs.insert(*post, *incarnation).unwrap_or(Incarnation::NONE);
                assert_eq!(*incarnation, last.next(), "runs are counted");
                let obeys = !self.chance(4);
                let process = Process {
                    incarnation: *incarnation,
                    spawned: false,
                    obeys,
                    asked: false,
                    fails: false,
                    killed: false,
                    goes_down: false,
                    born: self.log.len(),
                };
                let double = self.processes.insert(*post, process);
                assert!(double.is_none(), "nobody is started twice");
            }
            Action::Stop { post, incarnation, ask } => {
                // A worker that is replaced comes back at once, and of those that are let go others of the stage stay. One
                // that is started again may go down with others without a change of its state.
                let run = self.core.worker(*post).map(|worker| &worker.run);
                let is_replaced = run.is_some_and(|run| run.let_go || run.replaced && run.asked.is_none());
                if *ask != Ask::Renew && !is_replaced {
                    let goes_down = self.core.worker(*post).is_some_and(|worker| worker.run.goes_with.is_some());
                    self.living(*post, *incarnation).expect("only the living are asked to stop").goes_down |= goes_down;
                    self.check_stop(*post);
                }
                let process = self.living(*post, *incarnation).expect("only the living are asked to stop");
                assert!(process.spawned && !process.killed);
                process.asked = true;
            }
            Action::Abort { post, incarnation, .. } => {
                let process = self.living(*post, *incarnation).expect("only the living are aborted");
                assert!(process.spawned && !process.killed);
                process.asked = true;
            }
            Action::Kill { post, incarnation, .. } => {
                let process = self.living(*post, *incarnation).expect("only the living are killed");
                assert!(process.spawned && !process.killed, "and once");
                process.killed = true;
            }
            Action::Sweep { post, incarnation } => {
                assert_eq!(unswept.take(), Some((*post, *incarnation)), "a sweep follows an exit, once");
            }
            Action::Close(queue) => {
                assert!(self.level < Some(StopLevel::Now), "after a stop the rest stays in open queues");
                assert!(!std::mem::replace(&mut self.closed[*queue], true), "a queue is closed once");
                assert_eq!(*unswept, None, "the sweep of the last producer comes before the end of its queue");
                let by_loop =
                    (0..self.idle.len()).any(|ix| self.idle[ix] && self.core.plan().loops[ix].queues.contains(queue));
                let complete = self.core.plan().queues[*queue].producers.iter().all(|stage| self.is_over(*stage));
                assert!(by_loop || complete, "a queue is closed when nobody can send to it any more");
            }
            Action::WatchLoop(ix) => {
                assert!(!std::mem::replace(&mut self.watched[*ix], true), "a loop is watched once");
                let circle = &self.core.plan().loops[*ix];
                for queue in circle.stages.iter().flat_map(|stage| &self.core.plan().stages[*stage].inputs) {
                    for stage in &self.core.plan().queues[*queue].producers {
                        assert!(circle.stages.contains(stage) || self.is_over(*stage), "nothing feeds a watched loop");
                    }
                }
            }
            Action::Changed { post, from, to, cause, .. } => {
                self.note_change(*post, *to, cause);
                let state = self.states.insert(*post, *to).unwrap_or(State::Pending);
                assert_eq!(state, *from, "changes follow one another");
                assert!(from != to && !cause.is_empty());
                let is_called_back = cause.starts_with("its stage is scaled to ");
                let is_tried_again = TRIED_AGAIN.contains(&cause.as_str());
                let may_come_back = match from {
                    State::Exited => is_called_back,
                    State::Failed => (is_called_back || is_tried_again) && self.level < Some(StopLevel::Now),
                    _ => true,
                };
                assert!(may_come_back, "what is over stays over");
            }
            Action::Standstill(_) | Action::Outlook(_) => {}
            Action::Level(level, _) => {
                assert!(self.level < Some(*level), "the ladder goes one way");
                self.level = Some(*level);
            }
            Action::Finish(verdict) => {
                assert!(self.processes.is_empty(), "the end comes when nobody lives");
                assert_eq!(self.finish.replace(verdict.clone()), None, "the end comes once");
            }
        }
    }

    fn stage_of(&self, post: Post) -> Option<usize> {
        self.core.worker(post).and_then(|worker| worker.stage)
    }

    /// Posts of the living whose stage is one of these.
    fn living_of<'a>(&'a self, stages: &'a [usize]) -> impl Iterator<Item = (&'a Post, &'a Process)> {
        let is_of = |post: &Post| self.stage_of(*post).is_some_and(|stage| stages.contains(&stage));
        self.processes.iter().filter(move |(post, _)| is_of(post))
    }

    fn note_change(&mut self, post: Post, to: State, cause: &str) {
        match to {
            State::Ready | State::Draining => _ = self.up.insert(post),
            State::Pending if !STAYS_UP.iter().any(|words| cause.starts_with(words)) => _ = self.up.remove(&post),
            State::Backoff => _ = self.crashed.insert(post, self.log.len()),
            State::Pending | State::Starting | State::Stopping | State::Exited | State::Failed => {}
        }
        if cause.starts_with("goes down with")
            && let Some(process) = self.processes.get_mut(&post)
        {
            process.goes_down = true;
        }
    }

    /// Goes on to the next deadline, if there is one before `most` has passed; else `most` passes.
    pub(super) fn pass(&mut self, most: Duration) {
        let until = self.now + most;
        match self.core.deadline() {
            Some(deadline) if deadline <= until => {
                self.now = self.now.max(deadline);
                self.tell(Event::Tick);
                // Else the reactor would spin.
                for _ in 0..64 {
                    if self.core.deadline().is_none_or(|next| next > self.now) {
                        return;
                    }
                    self.tell(Event::Tick);
                }
                panic!("a deadline that was kept is still there");
            }
            Some(_) | None => self.now = until,
        }
    }

    /// Everyone behaves: comes up, ends when it should, is gone when killed. False if nobody had anything to do.
    pub(super) fn behave(&mut self) -> bool {
        self.now += Duration::from_millis(1);
        let idle = (0..self.watched.len()).find(|ix| self.watched[*ix] && !self.idle[*ix]);
        if let Some(ix) = idle {
            self.tell(Event::LoopIdle(ix));
            return true;
        }
        let posts: Vec<Post> = self.processes.keys().copied().collect();
        for post in posts {
            let (incarnation, spawned, gone) = {
                let process = &self.processes[&post];
                (
                    process.incarnation,
                    process.spawned,
                    process.killed || process.fails || (process.asked && process.obeys),
                )
            };
            let worker = self.core.worker(post).expect("the world knows only posts of the core");
            let starting = worker.state == State::Starting;
            if !spawned {
                self.tell(Event::Spawned { post, incarnation, pid: 1 });
            } else if gone || (!starting && self.sees_end(post)) {
                let signal = self.processes[&post].killed;
                let exit = if signal { Exit::Signal { signal: 9, core: false } } else { Exit::Code(0) };
                self.tell(Event::Exited { post, incarnation, exit, left: Left::default() });
            } else if starting {
                self.tell(Event::Ready { post, incarnation });
            } else {
                continue;
            }
            return true;
        }
        false
    }

    /// Whether a worker that behaves would exit by itself now.
    fn sees_end(&self, post: Post) -> bool {
        let Some(stage) = self.core.worker(post).and_then(|worker| worker.stage) else { return false };
        let stage = &self.core.plan().stages[stage];
        match stage.role() {
            Role::Source | Role::Task => true,
            Role::Consumer => stage.inputs.iter().all(|queue| self.closed[*queue]),
            Role::Service => false,
        }
    }

    /// Whether the end was of this kind.
    pub(super) fn is_verdict(&self, verdict: &Verdict) -> bool {
        self.finish.as_ref().is_some_and(|finish| discriminant(finish) == discriminant(verdict))
    }
}
