//! Changes of shared state, combined: fewer operations that do exactly what the single ones do one by one, in state and in
//! refusals. A transaction's changes are told to the manager in this form.
//!
//! An operation is combined only with the last one of the same container, as those of other containers in between touch
//! nothing that it touches:
//!
//! - additions to one number each, of a map or a counter: [`Addends`] keeps those of each number in their order, and
//!   additions to different numbers do not meet. An addition to several numbers, which is made to all of them or none, stays
//!   as it is;
//! - what is put at the end of a list, in its order;
//! - what is put at keys of a map, and in the place of a counter: the last one stays, and none is ever refused.
//!
//! Everything else stays as it is. The first operation of a container keeps its place among those of the others, so a name
//! that is used for two kinds is refused for the same operation as before.

use std::collections::HashMap;

use super::addends::Addends;
use super::items::Items;
use super::op::{Bytes, CounterOp, Kind, ListOp, MapOp, Op};
use crate::codec::{self, EncodeError};

/// The most bytes that an operation takes beside its name and its contents.
const OP_BYTES: usize = 64;
/// The same for a key or an item.
const ENTRY_BYTES: usize = 32;
/// Up to so many containers, looking at each is quicker than a hash of a name.
const FEW: usize = 8;

/// A change of one container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Something with a list.
    List(ListOp),
    /// Something with a map.
    Map(MapOp),
    /// An addition to one number of a map.
    Add(Bytes, i64),
    /// Something with a counter.
    Counter(CounterOp),
}

impl Change {
    /// The kind of container that it is for.
    pub fn kind(&self) -> Kind {
        match self {
            Self::List(_) => Kind::List,
            Self::Map(_) | Self::Add(..) => Kind::Map,
            Self::Counter(_) => Kind::Counter,
        }
    }

    /// As an operation on the container of that name.
    pub fn into_op(self, name: String) -> Op {
        match self {
            Self::List(op) => Op::List { name, op },
            Self::Map(op) => Op::Map { name, op },
            Self::Add(key, number) => Op::Map { name, op: MapOp::Add(vec![(key, number)]) },
            Self::Counter(op) => Op::Counter { name, op },
        }
    }

    /// The most bytes that an addition to one number of a map takes in its encoding, by the bytes of its key.
    pub fn bytes_of_add(key: usize) -> usize {
        OP_BYTES + key + ENTRY_BYTES
    }

    /// The most bytes that it takes in its encoding, beside the name.
    pub fn bytes(&self) -> usize {
        OP_BYTES
            + match self {
                Self::List(ListOp::Extend(items)) | Self::Map(MapOp::Extend(items)) => items.bytes(),
                Self::List(ListOp::Set(_, value) | ListOp::Insert(_, value)) => value.len(),
                Self::Map(MapOp::Insert(key, value)) => key.len() + value.len() + 2 * ENTRY_BYTES,
                Self::Map(MapOp::Remove(key) | MapOp::Get(key)) => key.len() + ENTRY_BYTES,
                Self::Add(key, _) => return Self::bytes_of_add(key.len()),
                Self::Map(MapOp::Add(entries)) => entries.iter().map(|(key, _)| key.len() + ENTRY_BYTES).sum(),
                Self::Map(MapOp::AddEach(entries)) => {
                    entries.iter().map(|(key, addends)| key.len() + ENTRY_BYTES + addends.bytes()).sum()
                }
                Self::Map(MapOp::CompareExchange { key, expected, new }) => {
                    let length = |value: &Option<Bytes>| value.as_ref().map_or(0, |value| value.len() + ENTRY_BYTES);
                    key.len() + length(expected) + length(new)
                }
                Self::Counter(CounterOp::AddEach(addends)) => addends.bytes(),
                Self::List(_) | Self::Map(_) | Self::Counter(_) => 0,
            }
    }
}

/// Changes that are combined as they come.
#[derive(Debug, Default)]
pub struct Combined {
    subjects: Vec<Subject>,
    /// The numbers of the subjects by name, once there are more than a few.
    by_name: HashMap<String, Vec<usize>>,
    /// In the order in which they are made: the number of the subject, and what.
    parts: Vec<(usize, Part)>,
    bytes: usize,
}

#[derive(Debug)]
struct Subject {
    name: String,
    kind: Kind,
    /// The number of its last part.
    last: usize,
}

/// One operation that others may still join.
#[derive(Debug)]
enum Part {
    Adds(ByKey<Addends>),
    Puts(ByKey<Bytes>),
    Pushes(Items),
    Counts(Addends),
    Other(Change),
}

/// Values by key, in the order of the keys' first coming.
#[derive(Debug, Default)]
struct ByKey<V> {
    entries: Vec<(Bytes, V)>,
    at: HashMap<Bytes, usize>,
}

impl<V> ByKey<V> {
    /// The value at a key, if there is one.
    fn get_mut(&mut self, key: &[u8]) -> Option<&mut V> {
        if self.entries.len() <= FEW {
            return self.entries.iter_mut().find(|(known, _)| known.as_slice() == key).map(|(_, value)| value);
        }
        let at = *self.at.get(serde_bytes::Bytes::new(key))?;
        self.entries.get_mut(at).map(|(_, value)| value)
    }

    /// Puts a value at a key that has none.
    fn insert(&mut self, key: Bytes, value: V) {
        if self.entries.len() >= FEW {
            // The few that were there before are found by their hash from now on as well.
            let known = if self.at.is_empty() { self.entries.len() } else { 0 };
            let known = self.entries.iter().take(known).map(|(key, _)| key.clone()).zip(0..);
            self.at.extend(known);
            self.at.insert(key.clone(), self.entries.len());
        }
        self.entries.push((key, value));
    }
}

impl Combined {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.parts.is_empty()
    }

    /// The most bytes that all of them take in their encoding.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Adds a change of the container of that name behind all others. Whether it is the first one of that container.
    pub fn push(&mut self, name: &str, change: Change) -> bool {
        let kind = change.kind();
        let Some(subject) = self.subject(name, kind) else {
            let subject = self.subjects.len();
            self.subjects.push(Subject { name: name.to_owned(), kind, last: self.parts.len() });
            self.note_name(subject);
            self.begin(subject, change);
            return true;
        };
        let (_, last) = &mut self.parts[self.subjects[subject].last];
        match joined(last, change) {
            Ok(bytes) => self.bytes += bytes,
            Err(change) => {
                self.subjects[subject].last = self.parts.len();
                self.begin(subject, change);
            }
        }
        false
    }

    /// Adds an addition to one number of the map of that name behind all others, like [`push`](Self::push) of a
    /// [`Change::Add`]. An addition to a number that is added to already copies no key.
    pub fn push_add(&mut self, name: &str, key: &[u8], number: i64) -> bool {
        if let Some(subject) = self.subject(name, Kind::Map)
            && let (_, Part::Adds(adds)) = &mut self.parts[self.subjects[subject].last]
            && let Some(addends) = adds.get_mut(key)
        {
            self.bytes += addends.push(number);
            return false;
        }
        self.push(name, Change::Add(Bytes::from(key), number))
    }

    fn begin(&mut self, subject: usize, change: Change) {
        self.bytes += self.subjects[subject].name.len() + change.bytes() + ENTRY_BYTES;
        self.parts.push((subject, Part::new(change)));
    }

    fn subject(&self, name: &str, kind: Kind) -> Option<usize> {
        let is_it = |subject: &Subject| subject.kind == kind && subject.name == name;
        if self.subjects.len() <= FEW {
            return self.subjects.iter().position(is_it);
        }
        self.by_name.get(name)?.iter().copied().find(|number| is_it(&self.subjects[*number]))
    }

    /// Has the newest subject found by its name.
    fn note_name(&mut self, newest: usize) {
        let from = if newest == FEW { 0 } else { newest };
        for number in from..=newest {
            if newest >= FEW {
                self.by_name.entry(self.subjects[number].name.clone()).or_default().push(number);
            }
        }
    }

    /// The encoded operations, in their order.
    ///
    /// # Errors
    /// One of them is larger than an encoding may be.
    pub fn encoded(&self) -> Result<Vec<Bytes>, EncodeError> {
        let encode = |(subject, part): &(usize, Part)| {
            let mut bytes = Vec::new();
            codec::encode(&part.op(&self.subjects[*subject].name), &mut bytes)?;
            Ok(Bytes::from(bytes))
        };
        self.parts.iter().map(encode).collect()
    }
}

impl Part {
    fn new(change: Change) -> Self {
        match change {
            Change::Add(key, number) => {
                let mut adds = ByKey::default();
                adds.insert(key, Addends::one(number));
                Self::Adds(adds)
            }
            Change::Map(MapOp::Insert(key, value)) => {
                let mut puts = ByKey::default();
                puts.insert(key, value);
                Self::Puts(puts)
            }
            Change::List(ListOp::Extend(items)) => Self::Pushes(items),
            Change::Counter(CounterOp::Add(number)) => Self::Counts(Addends::one(number)),
            other @ (Change::List(_) | Change::Map(_) | Change::Counter(_)) => Self::Other(other),
        }
    }

    fn op(&self, name: &str) -> Op {
        let name = name.to_owned();
        match self {
            Self::Adds(adds) => Op::Map { name, op: MapOp::AddEach(adds.entries.clone()) },
            Self::Puts(puts) => {
                let mut items = Items::new();
                for (key, value) in &puts.entries {
                    items.push(key);
                    items.push(value);
                }
                Op::Map { name, op: MapOp::Extend(items) }
            }
            Self::Pushes(items) => Op::List { name, op: ListOp::Extend(items.clone()) },
            Self::Counts(addends) => Op::Counter { name, op: CounterOp::AddEach(addends.clone()) },
            Self::Other(change) => change.clone().into_op(name),
        }
    }
}

/// Has a change join the last one of its container: gives how many more bytes that one takes at most, or the change, if it
/// cannot join.
fn joined(last: &mut Part, change: Change) -> Result<usize, Change> {
    match (last, change) {
        (Part::Adds(adds), Change::Add(key, number)) => Ok(match adds.get_mut(&key) {
            Some(addends) => addends.push(number),
            None => {
                let addends = Addends::one(number);
                let bytes = key.len() + ENTRY_BYTES + addends.bytes();
                adds.insert(key, addends);
                bytes
            }
        }),
        (Part::Puts(puts), Change::Map(MapOp::Insert(key, value))) => Ok(match puts.get_mut(&key) {
            // What it takes is not less than before, for the sum is an upper bound.
            Some(before) => {
                let more = value.len().saturating_sub(before.len());
                *before = value;
                more
            }
            None => {
                let bytes = key.len() + value.len() + 2 * ENTRY_BYTES;
                puts.insert(key, value);
                bytes
            }
        }),
        (Part::Pushes(items), Change::List(ListOp::Extend(more))) => {
            items.append(&more);
            Ok(more.bytes())
        }
        (Part::Counts(addends), Change::Counter(CounterOp::Add(number))) => Ok(addends.push(number)),
        (Part::Other(Change::Counter(CounterOp::Swap(before))), Change::Counter(CounterOp::Swap(number))) => {
            *before = number;
            Ok(0)
        }
        (_, change) => Err(change),
    }
}
