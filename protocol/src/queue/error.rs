//! What can be wrong with a queue, and why a queue refuses.

use std::io;
use std::path::PathBuf;

use crate::control::PROTOCOL;

/// A queue's file cannot be made, opened or used.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// The system refused.
    #[error("cannot {what} queue file {}: {source}", path.display())]
    Io {
        /// Such as "create".
        what: &'static str,
        /// Of the file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Not a queue of ours, or a damaged one.
    #[error("{} is not a usable queue file: {why}", path.display())]
    Foreign {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Another program's way to write a queue.
    #[error("queue file {} has format {found}, and this program knows format {PROTOCOL}", path.display())]
    Version {
        /// Of the file.
        path: PathBuf,
        /// What it has.
        found: u64,
    },
    /// Its items have no place in a queue of other numbers.
    #[error("{0}")]
    Unfit(String),
    /// The machine was started anew since: what a mapped file held may be incomplete.
    #[error("queue file {} is from before the last start of this machine: its content cannot be trusted", path.display())]
    Rebooted {
        /// Of the file.
        path: PathBuf,
    },
    /// A number is out of its bounds.
    #[error("a queue cannot be made like this: {0}")]
    Geometry(String),
    /// Too many threads use the queue.
    #[error("all {0} places at this queue are taken: too many threads use it at the same time")]
    MembersFull(usize),
    /// This process is a forked copy of the one that opened the queue.
    #[error("this process is a forked copy of the one that opened the queue")]
    Copy,
}

/// Why an item was not taken by the queue. The caller keeps it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// No slot is free.
    #[error("the queue is full")]
    Full,
    /// All its producers were complete, so it was closed.
    #[error("the queue is closed")]
    Closed,
    /// More bytes than the pipeline file allows.
    #[error("the item has {len} bytes and the queue's max_item_bytes is {max}")]
    TooLarge {
        /// Of the item.
        len: usize,
        /// That are allowed.
        max: usize,
    },
    /// The disk of the state folder has no room for the item's bytes.
    #[error("no space for the item's bytes in the state folder")]
    NoSpace,
    /// The deadline has passed.
    #[error("the queue stayed full until the deadline")]
    Timeout,
    /// The waiting was interrupted (a stop).
    #[error("interrupted by a stop")]
    Interrupted,
    /// The shared words make no sense: a broken process has written over them.
    #[error("the queue's shared memory is spoilt")]
    Spoilt,
    /// This process is a forked copy of the one that joined the queue: only that one may use the member.
    #[error("this process is a forked copy of the one that joined the queue")]
    Copy,
}

/// Why there is no item.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nothing {
    /// None at present.
    #[error("the queue is empty")]
    Empty,
    /// None, and none will come: the queue is closed and nothing is held by anybody.
    #[error("the queue is at its end")]
    Ended,
    /// The deadline has passed.
    #[error("no item came until the deadline")]
    Timeout,
    /// The waiting was interrupted (a stop).
    #[error("interrupted by a stop")]
    Interrupted,
    /// The shared words make no sense: a broken process has written over them.
    #[error("the queue's shared memory is spoilt")]
    Spoilt,
    /// This process is a forked copy of the one that joined the queue: only that one may use the member.
    #[error("this process is a forked copy of the one that joined the queue")]
    Copy,
}
