//! What the core wants done. The reactor does it and reports back by events; nothing here can fail.

use brigade_protocol::id::{Incarnation, Post};

use super::event::{Actor, StopLevel};
use super::forecast::Outlook;
use crate::config::plan::QueueIx;

/// How a worker is asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Make nothing new, finish what is there (sources; consumers never get this: their end comes through the queue).
    Drain,
    /// Finish or give back the item in hand.
    Now,
    /// Finish the item in hand, and end, to be started anew. Said to the worker alone, by no signal: what it works with is
    /// not to be disturbed.
    Renew,
}

/// State of a worker, as shown by `status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Waits for the stages that must be ready before it.
    Pending,
    /// Spawned, not ready yet.
    Starting,
    /// At work.
    Ready,
    /// At work, and nothing new comes in from outside.
    Draining,
    /// Was asked to stop, or is being killed.
    Stopping,
    /// Waits for its next start.
    Backoff,
    /// Ended and will not be started again.
    Exited,
    /// Given up.
    Failed,
}

/// Why the supervisor ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every stage came to its end by itself.
    Complete,
    /// A stop was asked for and the drain finished in time.
    Drained,
    /// A significant stage has ended, and the rest was drained.
    Ended {
        /// The stage.
        stage: String,
    },
    /// Stopped before the queues were empty.
    Stopped,
    /// A stage ended (exit 0, or temporary) and left nobody to take from a queue.
    Abandoned {
        /// The stage.
        stage: String,
    },
    /// Workers waited for each other, and the pipeline file says that this ends the run.
    Standstill {
        /// Which of them, and for what.
        words: String,
    },
    /// A source or task of a temporary stage has failed, and all others came to their ends.
    Failed {
        /// Such as `make/0`.
        worker: String,
        /// The exit, in words.
        words: String,
    },
    /// A stage can never start, because one that it depends on has failed.
    NeverStarts {
        /// The stage.
        stage: String,
        /// What it waited for in vain, in words.
        words: String,
    },
    /// So many items became dead letters that the run was to stop.
    DeadLetters {
        /// How many there may be: the plan's `max_dead_letters`.
        most: u64,
    },
    /// A worker was given up.
    GaveUp {
        /// Such as `hash/0`.
        worker: String,
        /// Which limit was reached, in words.
        reason: String,
        /// The last exit, in words.
        words: String,
    },
    /// A worker can never work: no such program, exit 126, 127 or 78, or its own word.
    Hopeless {
        /// Such as `hash/0`.
        worker: String,
        /// Why, in words.
        words: String,
    },
}

/// Something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start a process. Answered by `Spawned` or `SpawnFailed`.
    Spawn {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// Ask to stop: stop word and order for one that said hello; stop signal and SIGCONT to the group of one that did
    /// not, and (for `Ask::Now`) of every one.
    Stop {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// How.
        ask: Ask,
    },
    /// SIGABRT to the worker, for its dump.
    Abort {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// Why, in words.
        why: String,
    },
    /// SIGKILL to the group.
    Kill {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// Why, in words.
        why: String,
    },
    /// Give back what the incarnation held, in every queue. Comes after its exit and before its next start.
    Sweep {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
    },
    /// All producers of the queue are complete: close it.
    Close(QueueIx),
    /// Look from time to time whether this loop is idle: nothing ready, leased, staged or waiting in any queue that a
    /// stage of it takes from (also the closed ones that feed it from outside, else items that wait there would be
    /// cut off). Answer once, by `LoopIdle`.
    WatchLoop(usize),
    /// A worker's state has changed (for the log and the live view).
    Changed {
        /// The post of the worker.
        post: Post,
        /// The run of the worker.
        incarnation: Incarnation,
        /// Before.
        from: State,
        /// After.
        to: State,
        /// Why, in words.
        cause: String,
        /// Who wanted it.
        actor: Actor,
    },
    /// Workers wait for each other, and none of them can continue, in words; or, with `None`, this is over.
    Standstill(Option<String>),
    /// The drain will not be done in time; or, with `None`, now it will.
    Outlook(Option<Outlook>),
    /// The whole pipeline's stop has reached this level; what the next signal will do is to be printed.
    Level(StopLevel, Actor),
    /// All workers are gone: report and end. Comes once, last.
    Finish(Verdict),
}
