//! Lists, maps and counters that all workers of a pipeline see. They live in a process of their own, the manager, by
//! name, and are made when they are first used; what a worker holds are handles, cheap to clone and to send to other
//! threads.
//!
//! Every operation is applied as a whole and in one order for all. There is no way to get hold of a value *in* a list
//! or map: what an operation gives is a copy, and a changed copy goes back by an operation ([`SharedList::set`],
//! [`SharedMap::update`]), so a change cannot be lost unseen.
//!
//! What a handler changes through its [`Output`](crate::Output::map) instead belongs to the item in hand: it is made when
//! the item is committed, and not twice if the item has to be delivered again.
//!
//! If the manager dies, its state is not lost: the next one finds it in the state folder. An operation under way waits for
//! the new manager and goes there again, and is applied once. Only if none comes within 30 s does it fail, with
//! [`SharedError::ManagerGone`], and then nobody can tell whether it was applied.

use std::sync::Arc;

use brigade_protocol::codec::{DecodeError, EncodeError};
use brigade_protocol::shared::op::{Kind, Outcome, Refusal};
use serde::Serialize;
use serde::de::DeserializeOwned;

mod batch;
pub mod client;
mod connection;
mod counter;
mod handle;
mod list;
mod map;
mod pipeline;
mod wait;

use std::time::Duration;

pub use client::ManagerDoor;
pub use counter::SharedCounter;
pub use list::SharedList;
pub use map::{Exchange, SharedMap};
pub use pipeline::Pipeline;

pub(crate) use batch::{Batch, pause_before_retry};
use client::Client;
pub(crate) use handle::{Handle, encoded};
pub(crate) use wait::show_waits_in;

use crate::shape::known;

/// Why an operation on shared state failed. Unless the variant says otherwise, it was not applied.
#[derive(Debug, thiserror::Error)]
pub enum SharedError {
    /// The manager died, or was stopped, while the operation was under way, and no other came within 30 s: **it may have
    /// been applied or not**. The next operation looks for a manager again.
    #[error("the manager of shared state is gone: nobody can tell whether the operation was applied")]
    ManagerGone,
    /// There was no manager to be had.
    #[error("no manager of shared state for {waited:?}: see what the supervisor's log says about it")]
    NoManager {
        /// How long was waited.
        waited: Duration,
    },
    /// No connection to the manager could be made.
    #[error("cannot connect to the manager of shared state: {0}")]
    Connect(std::io::Error),
    /// This process is a forked copy of the worker, which alone may change shared state.
    #[error("{}", crate::copies::REFUSED)]
    ForkedCopy,
    /// The name stands for something else.
    #[error("`{name}` is a shared {is}, not a {wanted}: give one of them another name")]
    WrongKind {
        /// The name.
        name: String,
        /// What it is.
        is: Kind,
        /// What was asked for.
        wanted: Kind,
    },
    /// The values under this name are of another type. Nothing was read or written.
    #[error(
        "shared `{name}` holds {held}, and this program uses it for {wanted} ({difference}): change the type back, give it another name, or put the old state aside with --fresh"
    )]
    OtherShape {
        /// Name of the list or map.
        name: String,
        /// What its items, keys or values are.
        held: String,
        /// What they are to this program.
        wanted: String,
        /// Where the two first differ.
        difference: String,
    },
    /// Values of this type could be stored and never be read. Nothing was read or written.
    #[error(
        "values of type {type_name} cannot be kept in the shared `{name}`, for they could never be read again: {why}"
    )]
    Unreadable {
        /// Name of the list or map.
        name: String,
        /// The type, in Rust.
        type_name: String,
        /// The reason, in words.
        why: &'static str,
    },
    /// There is no such position in the list.
    #[error("position {position} is past the end of the shared list `{name}` of {length}")]
    PastTheEnd {
        /// Name of the list.
        name: String,
        /// The one asked for.
        position: u64,
        /// How many items there are.
        length: u64,
    },
    /// The number would not fit in an `i64`.
    #[error("the sum in `{name}` does not fit in 64 bits")]
    Overflow {
        /// Name of the counter or map.
        name: String,
    },
    /// The operation or its answer is larger than a message may be (256 MiB).
    #[error("too much at once for the shared `{name}`: {bytes} bytes, and a message holds {limit}")]
    TooLarge {
        /// Name of the list or map.
        name: String,
        /// How large it is.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// The manager could not write the operation to its journal, most likely because the disk is full.
    #[error("shared `{name}`: the change cannot be kept: {words}; make room in the state folder and try again")]
    NotSaved {
        /// Name of the list, map or counter.
        name: String,
        /// What the system says.
        words: String,
    },
    /// A value has no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// What stands there is no value of this type: others use the name for another type. **The operation was applied.**
    #[error("a value in the shared `{name}`: {error}")]
    Decode {
        /// Name of the list or map.
        name: String,
        /// What is wrong.
        error: DecodeError,
    },
    /// The manager refused for a reason that has no variant of its own, in words.
    #[error("shared `{name}`: {words}")]
    Refused {
        /// Name of the list, map or counter.
        name: String,
        /// The reason, in words.
        words: String,
    },
    /// The manager's answer makes no sense: it is of another version.
    #[error("the manager of shared state answered something else than was asked: {0}")]
    Protocol(String),
}

impl SharedError {
    /// Whether a restart would meet the same again.
    pub(crate) fn is_permanent(&self) -> bool {
        matches!(self, Self::OtherShape { .. } | Self::Unreadable { .. } | Self::WrongKind { .. })
    }

    fn refused(name: &str, refusal: Refusal) -> Self {
        let name = name.to_owned();
        match refusal {
            Refusal::WrongKind { is, wanted } => Self::WrongKind { name, is, wanted },
            Refusal::PastTheEnd { position, length } => Self::PastTheEnd { name, position, length },
            Refusal::OtherShape { held, wanted, difference } => Self::OtherShape { name, held, wanted, difference },
            Refusal::Overflow => Self::Overflow { name },
            Refusal::TooLarge { bytes, limit } => Self::TooLarge { name, bytes, limit },
            Refusal::NotSaved { words } => Self::NotSaved { name, words },
            Refusal::BadName
            | Refusal::Unknown
            | Refusal::NotANumber
            | Refusal::NotNext { .. }
            | Refusal::Malformed => Self::Refused { name, words: refusal.to_string() },
        }
    }

    fn unexpected(outcome: &Outcome) -> Self {
        Self::Protocol(format!("{outcome:.200?}"))
    }
}

/// The way to shared state: one per process, cloned at will.
#[derive(Clone, Debug)]
pub struct Shared {
    client: Arc<Client>,
}

impl Shared {
    /// Through this door. Nothing is connected before the first operation.
    pub fn new(door: Arc<ManagerDoor>) -> Self {
        Self { client: Arc::new(Client::new(door)) }
    }

    /// The list of that name (1 to 255 bytes). Asks nobody; the list is made by its first operation.
    pub fn list<T: Serialize + DeserializeOwned>(&self, name: &str) -> SharedList<T> {
        SharedList::new(Handle::new(&self.client, name, Kind::List, || vec![known::<T>()]))
    }

    /// The map of that name (1 to 255 bytes). Asks nobody; the map is made by its first operation.
    pub fn map<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned>(&self, name: &str) -> SharedMap<K, V> {
        SharedMap::new(Handle::new(&self.client, name, Kind::Map, || vec![known::<K>(), known::<V>()]))
    }

    /// The counter of that name (1 to 255 bytes). Asks nobody; the counter is made (0) by its first operation.
    pub fn counter(&self, name: &str) -> SharedCounter {
        SharedCounter::new(Handle::new(&self.client, name, Kind::Counter, Vec::new))
    }
}
