//! The changes of shared state of one transaction, told to the manager before the transaction is committed. Were they made
//! one by one, an item that is delivered again after a crash would count twice.
//!
//! The changes of the item in hand are kept apart until its handler has returned, so that they can be dropped if it fails.
//! Then they are combined with those of the items before it: see [`Combined`].

use std::time::Duration;

use brigade_protocol::codec;
use brigade_protocol::shared::combine::{Change, Combined};
use brigade_protocol::shared::op::{Op, Origin, Outcome};
use brigade_protocol::shared::parts::MESSAGE_BYTES;

use serde::Serialize;

use super::handle::Handle;
use super::{Shared, SharedError};

/// All changes of a transaction have to fit into one message, beside what stands around them.
const MOST: usize = MESSAGE_BYTES - (64 << 10);
/// From so many bytes on, no more items are collected.
const LADEN: usize = 1 << 20;

/// The changes of one handler thread that are not committed yet.
#[derive(Default)]
pub(crate) struct Batch {
    /// Of items whose handlers have succeeded.
    combined: Combined,
    /// The containers of those.
    handles: Vec<Handle>,
    /// Of the item in hand, in their order.
    fresh: Vec<(Handle, Fresh)>,
    /// The encoded keys of the additions among those, one behind the other.
    keys: Vec<u8>,
    /// The most bytes that those of the item in hand take.
    fresh_bytes: usize,
}

/// A change of the item in hand.
enum Fresh {
    /// An addition to one number of a map, whose key ends there among the keys.
    Add {
        key_ends: usize,
        number: i64,
    },
    Other(Change),
}

impl Batch {
    /// Adds a change of the item in hand.
    pub(crate) fn push(&mut self, handle: &Handle, change: Change) -> Result<(), SharedError> {
        self.make_room(handle, change.bytes())?;
        self.fresh.push((handle.clone(), Fresh::Other(change)));
        Ok(())
    }

    /// Adds an addition of the item in hand to one number of a map.
    pub(crate) fn push_add<K: Serialize + ?Sized>(
        &mut self,
        handle: &Handle,
        key: &K,
        number: i64,
    ) -> Result<(), SharedError> {
        let start = self.keys.len();
        let room = codec::encode(key, &mut self.keys)
            .map_err(SharedError::from)
            .and_then(|()| self.make_room(handle, Change::bytes_of_add(self.keys.len() - start)));
        if let Err(error) = room {
            self.keys.truncate(start);
            return Err(error);
        }
        self.fresh.push((handle.clone(), Fresh::Add { key_ends: self.keys.len(), number }));
        Ok(())
    }

    /// Counts so many more bytes of the item in hand.
    fn make_room(&mut self, handle: &Handle, bytes: usize) -> Result<(), SharedError> {
        let bytes = self.fresh_bytes + handle.name().len() + bytes;
        let all = self.combined.bytes() + bytes;
        if all > MOST {
            let (bytes, limit) = (all as u64, MOST as u64);
            return Err(SharedError::TooLarge { name: handle.name().to_owned(), bytes, limit });
        }
        self.fresh_bytes = bytes;
        Ok(())
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.combined.is_empty() && self.fresh.is_empty()
    }

    /// Whether it is time to commit.
    pub(crate) fn is_laden(&self) -> bool {
        self.combined.bytes() + self.fresh_bytes >= LADEN
    }

    /// The handler of the item in hand has succeeded: its changes are combined with the earlier ones.
    pub(crate) fn keep(&mut self) {
        let mut start = 0;
        for (handle, change) in self.fresh.drain(..) {
            let is_first = match change {
                Fresh::Add { key_ends, number } => {
                    let key = &self.keys[std::mem::replace(&mut start, key_ends)..key_ends];
                    self.combined.push_add(handle.name(), key, number)
                }
                Fresh::Other(change) => self.combined.push(handle.name(), change),
            };
            if is_first {
                self.handles.push(handle);
            }
        }
        self.drop_fresh();
    }

    /// The handler of the item in hand has failed: its changes are dropped.
    pub(crate) fn drop_fresh(&mut self) {
        self.fresh.clear();
        self.keys.clear();
        self.fresh_bytes = 0;
    }

    /// Takes the changes of the item in hand out.
    pub(crate) fn take_fresh(&mut self) -> Self {
        let (fresh, keys) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.keys));
        Self { fresh, keys, fresh_bytes: std::mem::take(&mut self.fresh_bytes), ..Self::default() }
    }

    /// All changes are made or given up.
    pub(crate) fn clear(&mut self) {
        self.drop_fresh();
        self.combined = Combined::default();
        self.handles.clear();
    }

    /// Tells the manager. When this returns `Ok`, the changes are in its journal, and are made when the transaction is
    /// committed. Waits up to 30 s for a manager. May be called again; if the transaction is never committed, none of its
    /// changes is made.
    pub(crate) fn prepare(
        &self,
        shared: &Shared,
        from: Origin,
        incarnation: u32,
        batch: u64,
    ) -> Result<(), SharedError> {
        debug_assert!(self.fresh.is_empty(), "the changes of the item in hand are kept or dropped before");
        let Some(first) = self.handles.first() else { return Ok(()) };
        let ops = self.combined.encoded()?;
        let prepare = first.encoded(&Op::Prepare { from, incarnation, batch, ops })?;
        shared.client.with(|connection| {
            for handle in &self.handles {
                handle.tell(connection)?;
            }
            match first.accepted(connection.call(prepare)?)? {
                Outcome::Done => Ok(()),
                other => Err(SharedError::unexpected(&other)),
            }
        })
    }
}

/// How long to wait for the disk of the manager to have room again, if that is what is wrong.
pub(crate) fn pause_before_retry(error: &SharedError) -> Option<Duration> {
    match error {
        SharedError::NotSaved { .. } => Some(Duration::from_millis(500)),
        SharedError::ManagerGone
        | SharedError::NoManager { .. }
        | SharedError::Connect(_)
        | SharedError::ForkedCopy
        | SharedError::WrongKind { .. }
        | SharedError::OtherShape { .. }
        | SharedError::Unreadable { .. }
        | SharedError::PastTheEnd { .. }
        | SharedError::Overflow { .. }
        | SharedError::TooLarge { .. }
        | SharedError::Encode(_)
        | SharedError::Decode { .. }
        | SharedError::Refused { .. }
        | SharedError::Protocol(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use brigade_protocol::shared::op::{CounterOp, Kind, MapOp};

    use super::super::client::{Client, ManagerDoor};
    use super::*;

    fn handle(name: &str) -> Handle {
        let door = Arc::new(ManagerDoor::new(Box::new(|| {})));
        Handle::new(&Arc::new(Client::new(door)), name, Kind::Counter, Vec::new)
    }

    /// What the manager is told to add to each counter.
    fn told(batch: &Batch) -> Vec<(String, i64, u64)> {
        let ops = batch.combined.encoded().expect("they have an encoding");
        let addition = |bytes: &brigade_protocol::shared::op::Bytes| match codec::decode(bytes).expect("it was encoded")
        {
            Op::Counter { name, op: CounterOp::AddEach(addends) } => (name, addends.applied(0).0, addends.count()),
            other => panic!("{other:?}"),
        };
        ops.iter().map(addition).collect()
    }

    #[test]
    fn changes_of_an_item_that_failed_are_dropped_and_those_of_the_others_are_combined() {
        let (mut batch, one, two) = (Batch::default(), handle("one"), handle("two"));
        let add = |number| Change::Counter(CounterOp::Add(number));
        for number in 1..=100 {
            batch.push(&one, add(number)).expect("there is room");
            batch.push(&two, add(1)).expect("there is room");
            match number % 2 {
                0 => batch.keep(),
                _ => batch.drop_fresh(),
            }
        }
        assert_eq!(told(&batch), [("one".to_owned(), 2550, 50), ("two".to_owned(), 50, 50)]);
        assert_eq!(batch.handles.len(), 2);
        // Those of the item in hand stay for the next transaction.
        batch.push(&one, add(7)).expect("there is room");
        let mut next = batch.take_fresh();
        assert!(batch.fresh.is_empty() && batch.fresh_bytes == 0 && !next.is_empty());
        next.keep();
        assert_eq!(told(&next), [("one".to_owned(), 7, 1)]);
        next.drop_fresh();
        assert!(!next.is_empty() && !next.is_laden());
    }

    #[test]
    fn additions_to_a_map_are_dropped_and_kept_with_their_own_keys() {
        let (mut batch, map) = (Batch::default(), handle("map"));
        for number in 0..300u64 {
            batch.push_add(&map, &(number % 3), 1).expect("there is room");
            batch.push(&map, Change::Map(MapOp::Clear)).expect("there is room");
            batch.push_add(&map, &(number % 20), 10).expect("there is room");
            match number {
                0..290 => batch.drop_fresh(),
                _ => batch.keep(),
            }
        }
        let ops = batch.combined.encoded().expect("they have an encoding");
        let mut additions = ops.iter().filter_map(|op| match codec::decode(op).expect("it was encoded") {
            Op::Map { op: MapOp::AddEach(entries), .. } => Some(entries),
            _ => None,
        });
        let last = additions.next_back().expect("the last addition of the last item");
        assert_eq!(last.len(), 1, "what came before the item's clear is another operation");
        let key: u64 = codec::decode(&last[0].0).expect("a key");
        assert_eq!((key, last[0].1.applied(0)), (299 % 20, (10, 0)));
        assert_eq!((batch.keys.len(), batch.fresh_bytes, batch.handles.len()), (0, 0, 1));
        batch.clear();
        assert!(batch.is_empty() && batch.handles.is_empty());
    }

    #[test]
    fn a_number_that_is_changed_often_takes_no_more_room() {
        let (mut batch, one) = (Batch::default(), handle("one"));
        for _ in 0..100_000 {
            batch.push(&one, Change::Counter(CounterOp::Add(1))).expect("there is room");
            batch.keep();
        }
        assert!(batch.combined.bytes() < 200 && !batch.is_laden(), "{} bytes", batch.combined.bytes());
    }
}
