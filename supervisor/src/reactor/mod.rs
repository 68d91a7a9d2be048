//! The reactor: the one loop between the world and the core. News becomes events, actions become deeds; every event and
//! every action is logged, once, so that the log is the story.
//!
//! Nothing in the loop waits for anything but news. This thread alone starts and reaps processes.

mod act;
mod bell;
mod change;
mod dead;
mod drain;
mod ending;
mod folder;
mod from_start;
mod hear;
mod history;
mod hung;
mod idle;
mod in_use;
mod keeper;
mod left;
mod left_behind;
mod limits;
mod load;
mod notify;
mod operate;
mod outfit;
mod parent;
mod pause;
mod picture;
mod progress;
mod ready;
mod reload;
mod scale;
mod spoilt;
mod told;
mod waits;

pub use act::committed;
pub use ending::Ending;
pub use keeper::Keeping;
pub use outfit::Outfit;
pub use picture::keep;
pub use reload::Origin;
pub use spoilt::Spoilt;

use std::collections::{BTreeMap, BTreeSet, HashSet, VecDeque};
use std::io;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use brigade_protocol::crash_point;
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::page::Page;
use brigade_protocol::shared::Connect;
use ipc_channel::ipc::IpcSender;
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token};

use crate::config::plan::StageIx;
use crate::core::Core;
use crate::core::action::Verdict;
use crate::core::event::Event;
use crate::door::{Deliver, Door, Doors, Entry};
use crate::effects::parent::Parent;
use crate::effects::spawn::NotSpawned;
use crate::logs::Capture;
use crate::porters::Porters;
use crate::roster::Roster;
use crate::sources::commands::{self, Call, Control};
use crate::sources::signals::Signals;
use crate::state::StateDir;
use crate::view::View;
use bell::Bell;
use in_use::QueueInUse;

const SIGNALS: Token = Token(0);
const INBOX: Token = Token(1);
const READY: Token = Token(2);
const NOTES: Token = Token(3);

/// How often the live view is drawn.
const FRAME: Duration = Duration::from_millis(250);
/// How often the reactor looks after what nobody tells it of: dead letters.
const ROUND: Duration = Duration::from_secs(1);
/// How often it looks whether the remainder of a process group is gone, or a loop of stages idle.
const SOON: Duration = Duration::from_millis(10);
/// How often it looks at every worker and every slot: for damaged shared memory, and for `status.json`.
const LONG_ROUND: Duration = Duration::from_secs(5);
/// The longest time for one kind of work (starts, exits, sweeps, hellos) in one round of the loop.
const SLICE: Duration = Duration::from_millis(10);

/// All that the loop needs.
pub struct Reactor {
    core: Core,
    dir: StateDir,
    origin: Origin,
    /// Somebody has removed the state folder.
    folder_is_gone: bool,
    queues: Vec<QueueInUse>,
    pages: BTreeMap<Post, Page>,
    roster: Roster,
    capture: Capture,
    signals: Signals,
    control: Control,
    keeping: Keeping,
    view: Option<View>,
    poll: Poll,
    bell: Arc<Bell>,
    /// What comes through the workers' doors.
    entries: Receiver<(Post, Incarnation, Entry)>,
    /// What comes from the control socket.
    calls: Receiver<Call>,
    deliver: Deliver,
    porters: Porters,
    /// For the next worker, so that its start does not wait for the file system.
    spare_door: Option<Door>,
    doors: Doors,
    events: VecDeque<Event>,
    parent: Parent,
    /// A slice was over before everything was done: there is more for the next turn.
    more: bool,
    /// A child has ended, or was stopped, as far as is known. Not asked for in every turn: the kernel looks at each of a
    /// thousand children to find that there is no news.
    children: bool,
    /// Who is to be started, in this order.
    to_spawn: VecDeque<(Post, Incarnation)>,
    /// Those of them that wait for the end of what an earlier run has left.
    held_up: VecDeque<(Post, Incarnation)>,
    left_behind: left_behind::LeftBehind,
    loops: Vec<idle::Watch>,
    manager: Option<IpcSender<Connect>>,
    want_manager: HashSet<Post>,
    history: history::History,
    limited: limits::Limited,
    load: load::Load,
    /// Stages that the operator has paused.
    paused: BTreeSet<StageIx>,
    watch: hung::Watch,
    ready_lines: ready::Lines,
    notes: notify::Notes,
    /// What the earlier runs of a post have processed, all together.
    done_before: BTreeMap<Post, u64>,
    /// What the last failed run of a post wrote to stderr at last.
    last_words: BTreeMap<Post, Vec<String>>,
    /// Whose exit is dealt with now, and what that run wrote to stderr at last.
    leaver: Option<(Post, Incarnation, Vec<String>)>,
    spoilt: Vec<Spoilt>,
    earlier: left::Earlier,
    told: told::Told,
    /// Items that became dead letters in this run.
    dead_letters: u64,
    started: Instant,
    next_round: Instant,
    next_long_round: Instant,
    verdict: Option<Verdict>,
    /// What the whole pipeline was last said to be.
    standing: &'static str,
    /// The terminal signal that led to the third rung, to die of at the end.
    killed_by: Option<i32>,
}

impl Reactor {
    /// Sets up the loop: poll, inbox, control socket.
    pub fn new(outfit: Outfit) -> io::Result<Self> {
        let poll = Poll::new()?;
        poll.registry().register(&mut SourceFd(&outfit.signals.as_raw_fd()), SIGNALS, Interest::READABLE)?;
        let bell = Arc::new(Bell::new(poll.registry(), INBOX)?);
        let (sender, entries) = channel();
        let deliver = bell.deliverer(sender);
        let caller = Arc::clone(&bell);
        let (sender, calls) = channel();
        let control = commands::listen(&outfit.dir.socket(), move |call| {
            if sender.send(call).is_ok() {
                caller.ring();
            }
        })?;
        let loops = outfit.core.plan().loops.iter().map(|_| idle::Watch::default()).collect();
        let queues = outfit.queues.into_iter().map(QueueInUse::new);
        let now = Instant::now();
        let limited = limits::Limited::begin(outfit.core.plan());
        let mut events = VecDeque::from([Event::Begin]);
        if outfit.dir.shared().exists() {
            // An earlier run has used it. Whoever goes on where it was shall not hold its first item while it starts.
            events.push_back(Event::WantManager);
        }
        Ok(Self {
            told: told::Told::begin(outfit.core.plan()),
            core: outfit.core,
            dir: outfit.dir,
            origin: outfit.origin,
            folder_is_gone: false,
            queues: queues.collect(),
            pages: BTreeMap::new(),
            roster: Roster::default(),
            capture: outfit.capture,
            signals: outfit.signals,
            control,
            keeping: outfit.keeping,
            view: outfit.view,
            poll,
            bell,
            entries,
            calls,
            deliver,
            porters: Porters::default(),
            spare_door: None,
            doors: Doors::default(),
            events,
            parent: Parent::of_this_process(),
            more: false,
            children: true,
            to_spawn: VecDeque::new(),
            held_up: VecDeque::new(),
            left_behind: left_behind::LeftBehind::default(),
            loops,
            manager: None,
            want_manager: HashSet::new(),
            history: history::History::default(),
            limited,
            load: load::Load::default(),
            paused: BTreeSet::new(),
            watch: hung::Watch::default(),
            ready_lines: ready::Lines::default(),
            notes: notify::Notes::default(),
            done_before: BTreeMap::new(),
            last_words: BTreeMap::new(),
            leaver: None,
            spoilt: Vec::new(),
            earlier: left::Earlier::default(),
            dead_letters: 0,
            started: now,
            next_round: now,
            next_long_round: now,
            verdict: None,
            standing: "running",
            killed_by: None,
        })
    }

    /// Runs until everybody is gone.
    pub fn run(mut self) -> io::Result<Ending> {
        let mut ready = Events::with_capacity(64);
        self.note_begin();
        self.have_keeper(); // Before there is anybody whom it would have to end.
        self.decide();
        while self.verdict.is_none() {
            match self.poll.poll(&mut ready, Some(self.patience())) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            self.more = false;
            self.bell.hear();
            self.hear_signals();
            // Whoever asks waits for one step of these, and not for all: each of them hears calls between its steps.
            self.hear_calls();
            self.hear_children();
            self.hear_doors();
            self.hear_ready_lines();
            self.hear_notes();
            self.look_after_groups();
            self.hear_calls();
            self.look_at_loops();
            self.look_around();
            if self.core.deadline().is_some_and(|at| at <= Instant::now()) {
                self.events.push_back(Event::Tick);
            }
            self.decide();
            self.tell_parent();
            self.spawn_some();
            self.wake_sleepers();
        }
        Ok(self.end())
    }

    /// Hands all events to the core, and does what it wants, until nothing is left.
    fn decide(&mut self) {
        while let Some(event) = self.events.pop_front() {
            tracing::debug!(?event);
            for action in self.core.handle(Instant::now(), event) {
                self.act(action);
            }
        }
    }

    /// Starts those that are to be started, until nobody is left or the slice is over.
    fn spawn_some(&mut self) {
        let begun = Instant::now();
        self.to_spawn.append(&mut self.held_up);
        let strays = self.strays();
        while let Some((post, incarnation)) = self.to_spawn.pop_front() {
            if !self.end_left_behind(post, incarnation, &strays) {
                self.held_up.push_back((post, incarnation));
                continue;
            }
            let event = match self.spawn(post, incarnation) {
                Ok(pid) => Event::Spawned { post, incarnation, pid },
                Err(NotSpawned { words, permanent }) => Event::SpawnFailed { post, incarnation, words, permanent },
            };
            self.events.push_back(event);
            self.decide();
            self.hear_calls();
            if begun.elapsed() >= SLICE {
                return;
            }
        }
    }

    /// How long to sleep.
    fn patience(&self) -> Duration {
        if !self.events.is_empty() || !self.to_spawn.is_empty() || self.notes.more || self.more {
            return Duration::ZERO;
        }
        let now = Instant::now();
        let mut until = self.next_round;
        if self.view.is_some() {
            until = until.min(now + FRAME);
        }
        if !self.roster.ended().is_empty() || !self.held_up.is_empty() || self.loops.iter().any(idle::Watch::is_on) {
            until = until.min(now + SOON);
        }
        for deadline in [self.core.deadline(), self.parent.deadline()].into_iter().flatten() {
            until = until.min(deadline);
        }
        until.saturating_duration_since(now)
    }

    /// What nobody tells of.
    fn look_around(&mut self) {
        let now = Instant::now();
        if let Some(mut view) = self.view.take() {
            view.show(&self.picture());
            self.view = Some(view);
        }
        if now < self.next_round {
            return;
        }
        self.next_round = now + ROUND;
        self.have_keeper();
        self.look_for_dead(now);
        self.look_at_memory();
        self.look_at_load(now);
        self.look_for_hung(now);
        self.look_for_silent(now);
        self.look_at_drain();
        self.tell_parent_status();
        if now >= self.next_long_round {
            self.next_long_round = now + LONG_ROUND;
            self.look_for_folder();
            self.look_for_spoilt();
            self.look_for_standstill();
            self.keep_picture();
        }
    }

    fn end(mut self) -> Ending {
        crash_point!("run_ended");
        self.look_for_folder();
        self.look_for_spoilt();
        for index in 0..self.queues.len() {
            self.put_dead_aside(index);
        }
        let mut picture = self.picture();
        "ended".clone_into(&mut picture.state);
        picture.pid = 0;
        if let Some(view) = self.view.take() {
            view.finish();
        }
        let orphans = crate::effects::orphans::end_all(self.keeping.pid());
        self.keeping.dismiss();
        if orphans > 0 {
            let (processes, were) = if orphans == 1 { ("process", "was") } else { ("processes", "were") };
            tracing::warn!("{orphans} {processes} that workers had started outside of their groups {were} killed");
        }
        let verdict = self.verdict.take().unwrap_or(Verdict::Stopped);
        let dead_letters = self.new_dead_letters();
        self.note_end(&verdict, &picture);
        for leak in self.capture.finish(LEAK_GRACE) {
            tracing::warn!("{leak}");
        }
        // Who asked too late for an answer hears that at once, instead of waiting for one.
        while self.calls.try_recv().is_ok() {}
        self.control.finish(ANSWER_GRACE);
        Ending {
            plan: Arc::clone(self.core.plan()),
            verdict,
            picture,
            killed_by: self.killed_by,
            dead_letters,
            spoilt: self.spoilt,
        }
    }
}

/// How long the end waits for answers that are on their way to those who asked.
const ANSWER_GRACE: Duration = Duration::from_millis(500);
/// How long after the last exit the log pipes may stay open before they are called a leak.
const LEAK_GRACE: Duration = Duration::from_millis(100);
