//! A list that all workers see.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Bound, RangeBounds};

use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{ListOp, Op};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::handle::{Handle, encoded};
use super::{Pipeline, SharedError};

/// A list in the manager. Clones are the same list. Positions count from 0.
///
/// One operation is one round trip: some microseconds, or ten times that if the manager has to be woken; [`extend`](Self::extend) takes many items in one, and a
/// [`pipeline`](Self::pipeline) does so for items that come one by one.
pub struct SharedList<T> {
    handle: Handle,
    items: PhantomData<fn() -> T>,
}

impl<T> Clone for SharedList<T> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), items: PhantomData }
    }
}

impl<T> fmt::Debug for SharedList<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<T: Serialize + DeserializeOwned> SharedList<T> {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, items: PhantomData }
    }

    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    fn op(&self, op: ListOp) -> Op {
        Op::List { name: self.handle.name().to_owned(), op }
    }

    /// Adds an item at the end; gives the length with it. When this returns, all workers see it.
    pub fn push<Q: Serialize + ?Sized>(&self, item: &Q) -> Result<usize, SharedError>
    where
        T: Borrow<Q>,
    {
        let mut items = Items::new();
        items.push_value(item)?;
        self.handle.length(&self.op(ListOp::Extend(items)))
    }

    /// Adds items at the end, all at once: nobody sees a part of them, and nobody else's items come between them.
    /// Gives the length with them.
    pub fn extend<I>(&self, items: I) -> Result<usize, SharedError>
    where
        I: IntoIterator,
        I::Item: Borrow<T>,
    {
        let mut packed = Items::new();
        for item in items {
            packed.push_value(item.borrow())?;
        }
        self.handle.length(&self.op(ListOp::Extend(packed)))
    }

    /// Adds items that come one by one, many per message; see [`Pipeline`].
    pub fn pipeline(&self) -> Pipeline<T> {
        Pipeline::new(self.handle.clone())
    }

    /// The item at a position, or none past the end.
    pub fn get(&self, position: usize) -> Result<Option<T>, SharedError> {
        self.handle.value(&self.op(ListOp::Get(position as u64)))
    }

    /// Puts an item in the place of another. Past the end: `PastTheEnd`.
    pub fn set<Q: Serialize + ?Sized>(&self, position: usize, item: &Q) -> Result<(), SharedError>
    where
        T: Borrow<Q>,
    {
        self.handle.done(&self.op(ListOp::Set(position as u64, encoded(item)?)))
    }

    /// Puts an item before the one at a position, or at the end if the position is the length. Past that: `PastTheEnd`.
    pub fn insert<Q: Serialize + ?Sized>(&self, position: usize, item: &Q) -> Result<(), SharedError>
    where
        T: Borrow<Q>,
    {
        self.handle.done(&self.op(ListOp::Insert(position as u64, encoded(item)?)))
    }

    /// Takes out the item at a position, or none past the end. Cheap at both ends of the list.
    pub fn remove(&self, position: usize) -> Result<Option<T>, SharedError> {
        self.handle.value(&self.op(ListOp::Remove(position as u64)))
    }

    /// Takes out the last item.
    pub fn pop(&self) -> Result<Option<T>, SharedError> {
        self.handle.value(&self.op(ListOp::Pop))
    }

    /// How many items there are at this moment.
    pub fn len(&self) -> Result<usize, SharedError> {
        self.handle.length(&self.op(ListOp::Len))
    }

    /// Whether there are none at this moment.
    pub fn is_empty(&self) -> Result<bool, SharedError> {
        self.len().map(|length| length == 0)
    }

    /// A copy of what there is at these positions at one moment; what is past the end is left out.
    pub fn range(&self, positions: impl RangeBounds<usize>) -> Result<Vec<T>, SharedError> {
        let from = match positions.start_bound() {
            Bound::Included(from) => *from as u64,
            Bound::Excluded(before) => (*before as u64).saturating_add(1),
            Bound::Unbounded => 0,
        };
        let to = match positions.end_bound() {
            Bound::Included(last) => (*last as u64).saturating_add(1),
            Bound::Excluded(to) => *to as u64,
            Bound::Unbounded => u64::MAX,
        };
        self.handle.items(&self.op(ListOp::Range(from, to)))
    }

    /// A copy of all items at one moment. A list of more than 256 MiB is `TooLarge` for that; take ranges of it.
    pub fn iter(&self) -> Result<std::vec::IntoIter<T>, SharedError> {
        self.range(..).map(Vec::into_iter)
    }

    /// Takes out all items.
    pub fn clear(&self) -> Result<(), SharedError> {
        self.handle.done(&self.op(ListOp::Clear))
    }
}
