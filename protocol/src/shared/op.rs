//! The operations of the manager and their outcomes. Names, kinds and positions are the manager's business; keys and
//! values are opaque to it: bytes that clients have encoded with [`codec`](crate::codec).

use serde::{Deserialize, Serialize};

use super::addends::Addends;
use super::items::Items;
use crate::shape::TypeNote;

/// No name of a list, map or counter is longer than this many bytes.
pub const NAME_BYTES: usize = 255;

/// One encoded key or value.
pub type Bytes = serde_bytes::ByteBuf;

/// What a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// A sequence.
    List,
    /// Keys and values.
    Map,
    /// A number.
    Counter,
}

impl std::fmt::Display for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::List => "list",
            Self::Map => "map",
            Self::Counter => "counter",
        })
    }
}

/// One operation. It is applied as a whole, and between no two others' halves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// Makes a container if there is none of that name, and tells what its values are. Refused if they are of another shape
    /// than those that it holds.
    Create {
        /// Its name, 1 to [`NAME_BYTES`] bytes.
        name: String,
        /// What it is to be.
        kind: Kind,
        /// Of a list the type of its items; of a map those of its keys and its values; of a counter nothing.
        types: Vec<TypeNote>,
    },
    /// Something with a list; makes it if there is none.
    List {
        /// Its name.
        name: String,
        /// What to do.
        op: ListOp,
    },
    /// Something with a map; makes it if there is none.
    Map {
        /// Its name.
        name: String,
        /// What to do.
        op: MapOp,
    },
    /// Something with a counter; makes it (0) if there is none.
    Counter {
        /// Its name.
        name: String,
        /// What to do.
        op: CounterOp,
    },
    /// Asks what there is. Outcome: `Containers`.
    Describe,
    /// Asks for the contents of a container of any kind, for people. Makes none. Outcome: `Dump`.
    Dump {
        /// Its name.
        name: String,
        /// At most this many items or entries, from the beginning.
        limit: u64,
    },
    /// Says what a batch of a worker will change, before it is committed. Nothing of it is seen until the worker's page
    /// says that the batch is committed; then all of it is. Takes the place of what that thread has said before.
    /// Outcome: `Done`, or `Refused`, and then the batch must not be committed.
    Prepare {
        /// Whose batch.
        from: Origin,
        /// Which run of the worker.
        incarnation: u32,
        /// Its number: the one after the last that was committed.
        batch: u64,
        /// Encoded operations on lists, maps and counters, in order. Their outcomes are told to nobody.
        ops: Vec<Bytes>,
    },
    /// That batch is committed: what was prepared for it is done. The manager writes this down for itself; from a client
    /// it is refused.
    Settle {
        /// Whose batch.
        from: Origin,
        /// Its number.
        batch: u64,
    },
}

/// A thread of a worker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Origin {
    /// Its stage.
    pub stage: String,
    /// Number of the worker within its stage.
    pub replica: u16,
    /// Number of the thread within the worker.
    pub lane: u16,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{} (thread {})", self.stage, self.replica, self.lane)
    }
}

/// What can be done with a list. Positions count from 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListOp {
    /// Adds these at the end. Outcome: `Length`.
    Extend(Items),
    /// Outcome: `Value`; none past the end.
    Get(u64),
    /// Puts a value in the place of another. Outcome: `Done`, or `Refused` past the end.
    Set(u64, Bytes),
    /// Puts a value before that position. Outcome: `Done`, or `Refused` if the list is shorter than that.
    Insert(u64, Bytes),
    /// Outcome: `Value`; none past the end.
    Remove(u64),
    /// Takes the last one. Outcome: `Value`.
    Pop,
    /// Outcome: `Length`.
    Len,
    /// What is there of the positions from the first up to, not including, the second. Outcome: `Items`.
    Range(u64, u64),
    /// Outcome: `Done`.
    Clear,
}

/// What can be done with a map.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MapOp {
    /// Outcome: `Value`, the one from before.
    Insert(Bytes, Bytes),
    /// Many at once: a key, its value, the next key, and so on. Outcome: `Length`.
    Extend(Items),
    /// Outcome: `Value`.
    Get(Bytes),
    /// Outcome: `Value`, the one from before.
    Remove(Bytes),
    /// Puts `new` (none: nothing) in the place of exactly `expected` (none: nothing). Outcome: `Exchanged`.
    CompareExchange {
        /// The key of the value.
        key: Bytes,
        /// What must be there.
        expected: Option<Bytes>,
        /// What is to be there.
        new: Option<Bytes>,
    },
    /// Adds to whole numbers (encoded `i64`; none counts as 0), many at once. Outcome: `Numbers`, or `Refused` and then
    /// nothing has been added.
    Add(Vec<(Bytes, i64)>),
    /// Outcome: `Length`.
    Len,
    /// Outcome: `Items`, the keys.
    Keys,
    /// Outcome: `Items`: a key, its value, the next key, and so on.
    Entries,
    /// Outcome: `Done`.
    Clear,
    /// Makes additions to single numbers, each as an `Add` of its own would be made. Outcome: `Added`.
    AddEach(Vec<(Bytes, Addends)>),
}

/// What can be done with a counter. Outcome: `Number`, if nothing else is said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CounterOp {
    /// The number after it, or `Refused` and then nothing has changed.
    Add(i64),
    /// The number.
    Get,
    /// The number from before.
    Swap(i64),
    /// Makes several additions, each as an `Add` of its own would be made. Outcome: `Added`.
    AddEach(Addends),
}

/// What came of an operation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// It is done.
    Done,
    /// The length after it.
    Length(u64),
    /// A value, or none.
    Value(Option<Bytes>),
    /// Values.
    Items(Items),
    /// A number.
    Number(i64),
    /// Numbers, in the order of the operation.
    Numbers(Vec<i64>),
    /// Whether the exchange was made, or what stands there instead.
    Exchanged(Result<(), Option<Bytes>>),
    /// What there is, by name.
    Containers(Vec<Container>),
    /// Contents, for people.
    Dump(Dump),
    /// It was not done, and nothing has changed.
    Refused(Refusal),
    /// Additions were made, but for those that had to be refused.
    Added {
        /// So many sums would not fit in 64 bits.
        overflows: u64,
        /// So many were to be made to a value that is not an `i64`.
        not_numbers: u64,
    },
}

/// One of the things that the manager holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Items of a list, entries of a map, 1 for a counter.
    pub length: u64,
    /// As in [`Op::Create`]; empty if no client has told.
    pub types: Vec<TypeNote>,
}

/// Contents of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dump {
    /// Whose; `length` counts what is not in `items` too.
    pub container: Container,
    /// Of a list its items; of a map a key, its value, the next key, and so on; of a counter its encoded number.
    pub items: Items,
}

/// Why an operation was not done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The name stands for something else.
    #[error("it is a {is}, not a {wanted}")]
    WrongKind {
        /// What it is.
        is: Kind,
        /// What the operation is for.
        wanted: Kind,
    },
    /// Empty, or longer than [`NAME_BYTES`].
    #[error("a name has 1 to {NAME_BYTES} bytes")]
    BadName,
    /// Nothing of that name.
    #[error("there is nothing of that name")]
    Unknown,
    /// There is no such position.
    #[error("position {position} is past the end of a list of {length}")]
    PastTheEnd {
        /// The one asked for.
        position: u64,
        /// How many items there are.
        length: u64,
    },
    /// The value to add to is not an `i64`.
    #[error("the value to add to is not a whole number (i64)")]
    NotANumber,
    /// The sum does not fit in 64 bits.
    #[error("the sum does not fit in 64 bits")]
    Overflow,
    /// The outcome is larger than a message may be.
    #[error("the answer would be {bytes} bytes and a message holds {limit}: ask for less at a time")]
    TooLarge {
        /// How large it would be.
        bytes: u64,
        /// How large it may be.
        limit: u64,
    },
    /// It could not be written to the journal: no room, most likely.
    #[error("it cannot be written to the journal of shared state: {words}")]
    NotSaved {
        /// What the system says.
        words: String,
    },
    /// What was prepared belongs to a run of the worker that is over, or not to its next batch.
    #[error("it is not the worker's next batch: {words}")]
    NotNext {
        /// What is wrong.
        words: String,
    },
    /// The operation makes no sense. A client of this version never sends such a one.
    #[error("the operation is malformed")]
    Malformed,
    /// The values under that name are of another shape.
    #[error("it holds {held}, not {wanted}: {difference}")]
    OtherShape {
        /// What its items, keys or values are.
        held: String,
        /// What they are to the client.
        wanted: String,
        /// Where the two first differ.
        difference: String,
    },
}
