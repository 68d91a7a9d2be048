//! Changes of shared lists, maps and counters that belong to the item in hand: made when its batch is committed, and
//! exactly once, whatever is killed. The handles of a [`Context`](crate::Context) know of no item.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use brigade_protocol::shared::combine::Change;
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{CounterOp, Kind, ListOp, MapOp};
use serde::{Serialize, de::DeserializeOwned};

use crate::outbox::Outbox;
use crate::shared::{SharedError, encoded};

/// A shared list, changed with the item in hand: [`Output::list`](crate::Output::list).
pub struct ListChange<'a, T> {
    to: To<'a>,
    items: PhantomData<fn(T)>,
}

/// A shared map, changed with the item in hand: [`Output::map`](crate::Output::map).
pub struct MapChange<'a, K, V> {
    to: To<'a>,
    entries: PhantomData<fn(K, V)>,
}

/// A shared counter, changed with the item in hand: [`Output::counter`](crate::Output::counter).
pub struct CounterChange<'a> {
    to: To<'a>,
}

struct To<'a> {
    outbox: &'a mut Outbox,
    /// The number of the container's handle.
    handle: usize,
}

impl To<'_> {
    fn make(&mut self, change: Change) -> Result<(), SharedError> {
        self.outbox.change(self.handle, change)
    }
}

impl<'a, T: Serialize + DeserializeOwned> ListChange<'a, T> {
    pub(crate) fn new(outbox: &'a mut Outbox, name: &str) -> Self {
        let handle = outbox.handle(Kind::List, name, |ctx| ctx.list::<T>(name).into_handle());
        Self { to: To { outbox, handle }, items: PhantomData }
    }

    /// Adds an item at the end.
    ///
    /// # Errors
    /// `Encode`; `TooLarge` if the item in hand changes more than 256 MiB.
    pub fn push<Q: Serialize + ?Sized>(&mut self, item: &Q) -> Result<(), SharedError>
    where
        T: Borrow<Q>,
    {
        let mut items = Items::new();
        items.push_value(item)?;
        self.to.make(Change::List(ListOp::Extend(items)))
    }

    /// Adds items at the end, together.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn extend<I>(&mut self, items: I) -> Result<(), SharedError>
    where
        I: IntoIterator,
        I::Item: Borrow<T>,
    {
        let mut packed = Items::new();
        for item in items {
            packed.push_value(item.borrow())?;
        }
        self.to.make(Change::List(ListOp::Extend(packed)))
    }

    /// Takes out all items that are there at the commit.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn clear(&mut self) -> Result<(), SharedError> {
        self.to.make(Change::List(ListOp::Clear))
    }
}

impl<'a, K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> MapChange<'a, K, V> {
    pub(crate) fn new(outbox: &'a mut Outbox, name: &str) -> Self {
        let handle = outbox.handle(Kind::Map, name, |ctx| ctx.map::<K, V>(name).into_handle());
        Self { to: To { outbox, handle }, entries: PhantomData }
    }

    /// Puts a value at a key, in the place of the one that is there at the commit.
    ///
    /// # Errors
    /// `Encode`; `TooLarge` if the item in hand changes more than 256 MiB.
    pub fn insert<Q: Serialize + ?Sized, W: Serialize + ?Sized>(
        &mut self,
        key: &Q,
        value: &W,
    ) -> Result<(), SharedError>
    where
        K: Borrow<Q>,
        V: Borrow<W>,
    {
        self.to.make(Change::Map(MapOp::Insert(encoded(key)?, encoded(value)?)))
    }

    /// Puts many values at their keys; of two at one key the later stays.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn extend<I, Q, W>(&mut self, entries: I) -> Result<(), SharedError>
    where
        I: IntoIterator<Item = (Q, W)>,
        Q: Borrow<K>,
        W: Borrow<V>,
    {
        let mut packed = Items::new();
        for (key, value) in entries {
            packed.push_value(key.borrow())?;
            packed.push_value(value.borrow())?;
        }
        self.to.make(Change::Map(MapOp::Extend(packed)))
    }

    /// Takes out what is at a key at the commit.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn remove<Q: Serialize + ?Sized>(&mut self, key: &Q) -> Result<(), SharedError>
    where
        K: Borrow<Q>,
    {
        self.to.make(Change::Map(MapOp::Remove(encoded(key)?)))
    }

    /// Takes out all entries that are there at the commit.
    ///
    /// # Errors
    /// As [`insert`](Self::insert).
    pub fn clear(&mut self) -> Result<(), SharedError> {
        self.to.make(Change::Map(MapOp::Clear))
    }
}

/// A map of counters.
impl<K: Serialize + DeserializeOwned> MapChange<'_, K, i64> {
    /// Adds `number` (which may be negative) to the one at a key, where nothing counts as 0. A sum that does not fit into 64
    /// bits at the commit, or a value there that is no number, leaves that number as it was and is an error in the
    /// manager's log.
    ///
    /// # Errors
    /// `Encode`; `TooLarge` if the item in hand changes more than 256 MiB.
    pub fn add<Q: Serialize + ?Sized>(&mut self, key: &Q, number: i64) -> Result<(), SharedError>
    where
        K: Borrow<Q>,
    {
        self.to.outbox.add(self.to.handle, key, number)
    }

    /// Adds to many numbers: to all of them, or, if one of the sums does not fit, to none.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn add_all<I, Q>(&mut self, entries: I) -> Result<(), SharedError>
    where
        I: IntoIterator<Item = (Q, i64)>,
        Q: Borrow<K>,
    {
        let encode = |(key, number): (Q, i64)| Ok((encoded(key.borrow())?, number));
        self.to.make(Change::Map(MapOp::Add(entries.into_iter().map(encode).collect::<Result<_, SharedError>>()?)))
    }
}

impl<'a> CounterChange<'a> {
    pub(crate) fn new(outbox: &'a mut Outbox, name: &str) -> Self {
        let handle = outbox.handle(Kind::Counter, name, |ctx| ctx.counter(name).into_handle());
        Self { to: To { outbox, handle } }
    }

    /// Adds `number`, which may be negative. A sum that does not fit into 64 bits at the commit leaves the counter as it
    /// was and is an error in the manager's log.
    ///
    /// # Errors
    /// `TooLarge` if the item in hand changes more than 256 MiB.
    pub fn add(&mut self, number: i64) -> Result<(), SharedError> {
        self.to.make(Change::Counter(CounterOp::Add(number)))
    }

    /// Puts `number` in its place.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    pub fn set(&mut self, number: i64) -> Result<(), SharedError> {
        self.to.make(Change::Counter(CounterOp::Swap(number)))
    }
}

impl<T> fmt::Debug for ListChange<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a change of {:?}", self.to.outbox.known(self.to.handle))
    }
}

impl<K, V> fmt::Debug for MapChange<'_, K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a change of {:?}", self.to.outbox.known(self.to.handle))
    }
}

impl fmt::Debug for CounterChange<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a change of {:?}", self.to.outbox.known(self.to.handle))
    }
}
