//! The changes of shared state of one transaction, told to the manager before the transaction is committed. Were they made
//! one by one, an item that is delivered again after a crash would count twice.
//!
//! The changes of the item in hand are kept apart until its handler has returned, so that they can be dropped if it fails.
//! Then they are combined with those of the items before it: see [`Combined`].

use std::time::Duration;

use brigade_protocol::shared::combine::{Change, Combined};
use brigade_protocol::shared::op::{Op, Origin, Outcome};
use brigade_protocol::shared::parts::MESSAGE_BYTES;

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
    fresh: Vec<(Handle, Change)>,
    /// The most bytes that those of the item in hand take.
    fresh_bytes: usize,
}

impl Batch {
    /// Adds a change of the item in hand.
    pub(crate) fn push(&mut self, handle: &Handle, change: Change) -> Result<(), SharedError> {
        let bytes = self.fresh_bytes + handle.name().len() + change.bytes();
        let all = self.combined.bytes() + bytes;
        if all > MOST {
            let (bytes, limit) = (all as u64, MOST as u64);
            return Err(SharedError::TooLarge { name: handle.name().to_owned(), bytes, limit });
        }
        self.fresh_bytes = bytes;
        self.fresh.push((handle.clone(), change));
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
        for (handle, change) in self.fresh.drain(..) {
            if self.combined.push(handle.name(), change) {
                self.handles.push(handle);
            }
        }
        self.fresh_bytes = 0;
    }

    /// The handler of the item in hand has failed: its changes are dropped.
    pub(crate) fn drop_fresh(&mut self) {
        self.fresh.clear();
        self.fresh_bytes = 0;
    }

    /// Takes the changes of the item in hand out.
    pub(crate) fn take_fresh(&mut self) -> Self {
        let (fresh, fresh_bytes) = (std::mem::take(&mut self.fresh), std::mem::take(&mut self.fresh_bytes));
        Self { fresh, fresh_bytes, ..Self::default() }
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

    use brigade_protocol::codec;
    use brigade_protocol::shared::op::{CounterOp, Kind};

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
    fn a_number_that_is_changed_often_takes_no_more_room() {
        let (mut batch, one) = (Batch::default(), handle("one"));
        for _ in 0..100_000 {
            batch.push(&one, Change::Counter(CounterOp::Add(1))).expect("there is room");
            batch.keep();
        }
        assert!(batch.combined.bytes() < 200 && !batch.is_laden(), "{} bytes", batch.combined.bytes());
    }
}
