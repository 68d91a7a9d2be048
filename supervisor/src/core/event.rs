//! What can happen in the world, as far as decisions depend on it.

use std::time::Duration;

use brigade_protocol::id::{Incarnation, Post};

use super::standstill::Look;
use crate::config::plan::StageIx;
use crate::config::plan::difference::Difference;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// By `exit(code)`.
    Code(i32),
    /// By a signal.
    Signal {
        /// Its number.
        signal: i32,
        /// Whether it left a core dump.
        core: bool,
    },
}

/// How hard a stop is. Later ones are harder.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopLevel {
    /// Sources stop, everything else works until its queues are at their end.
    Drain,
    /// Everyone finishes or gives back the item in hand; the rest stays in the queues.
    Now,
    /// SIGKILL to every group.
    Kill,
}

/// Who wanted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Actor {
    /// The supervisor's own rules.
    Core,
    /// A command through the control socket.
    Operator,
    /// A signal to the supervisor.
    Signal(i32),
}

/// What a process leaves behind at its exit, seen before anything is given back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Items are left in the queues that its stage takes from.
    pub items_left: bool,
    /// An item that it took and neither finished nor gave back, such as `item 7 of queue raw`.
    pub in_hand: Option<String>,
    /// It ended without telling that its work was done, as the SDK does when the program's function has returned.
    pub unannounced: bool,
    /// What it got done in this run.
    pub progress: Progress,
}

/// What a run of a worker got done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Progress {
    /// Nothing: the next run begins where this one began.
    #[default]
    None,
    /// A few items.
    Some,
    /// Many items, or an item that killed worker after worker became a dead letter: the next run meets something else.
    Much,
}

/// News. Every event about a worker names its incarnation; the core drops what is stale, in one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Begin: everything is set up, workers may be started.
    Begin,
    /// A spawn worked.
    Spawned {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// The process, leader of a group of its own.
        pid: i32,
    },
    /// A spawn did not work. There is no process.
    SpawnFailed {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// The reason, in words.
        words: String,
        /// Trying again would not help (no such file, not executable).
        permanent: bool,
    },
    /// The worker knocked and was welcomed. It is not ready yet.
    Hello {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// The worker says that it is ready.
    Ready {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// The worker says that it cannot work and is about to exit, or it broke the protocol (then the reactor has seen
    /// it, and the core has it killed).
    Failed {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// The reason, in words.
        words: String,
        /// No restart.
        permanent: bool,
        /// What it needs is not there for now.
        outage: bool,
    },
    /// The worker is at work, and is to be replaced by a new run of itself when it has done the item in hand.
    Replace {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// The reason, in words.
        words: String,
    },
    /// Somebody wants a new run of a worker, whichever is the present one.
    Restart {
        /// The post of the worker.
        post: Post,
        /// Who wants it.
        actor: Actor,
    },
    /// Somebody wants a stage to have so many workers.
    Scale {
        /// Which stage.
        stage: StageIx,
        /// How many; at least 1.
        replicas: u16,
        /// Who wants it.
        actor: Actor,
    },
    /// Another plan is to be gone by. Everything that it needs is there.
    Reload {
        /// The plan, and what it changes.
        difference: Box<Difference>,
        /// Who wants it.
        actor: Actor,
    },
    /// A plain process says that it ends by itself.
    SaysStopping {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// A plain process wants more time for its start, or for its end.
    Extend {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// From now on; at most a year.
        time: Duration,
    },
    /// The worker lives, and gives no sign that it still works.
    Hung {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// What it did not do, and for how long.
        words: String,
    },
    /// An earlier run of the worker had left processes behind, which were ended before this one was started.
    LeftBehind {
        /// The post of the worker.
        post: Post,
        /// The run that is started now.
        incarnation: Incarnation,
        /// What was left, and what to do about it.
        words: String,
    },
    /// The worker is about to exit by itself, to be replaced by a new run of itself.
    Leaving {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// The reason, in words.
        words: String,
    },
    /// The process has ended and its group is gone. Nothing of it can touch shared memory any more.
    Exited {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// How.
        exit: Exit,
        /// What the world looks like after it.
        left: Left,
    },
    /// So many items became dead letters since the run began.
    DeadLetters(u64),
    /// The process was stopped (SIGSTOP and the like).
    Paused {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// The process was continued (SIGCONT).
    Resumed {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// All queues that the stages of a watched loop take from were seen idle at one instant. Index into the plan's
    /// loops.
    LoopIdle(usize),
    /// What all threads wait for was looked at.
    Looked(Box<Look>),
    /// So many items are left in all queues, as was seen during a drain.
    Left(u64),
    /// Somebody wants the next rung of the stop ladder (SIGTERM, SIGINT).
    StopNext(Actor),
    /// Somebody wants at least this rung.
    StopAt(StopLevel, Actor),
    /// A worker asked for the manager: see that it runs.
    WantManager,
    /// Time has passed; look at the deadlines.
    Tick,
}
