//! A map that all workers see.

use std::borrow::Borrow;
use std::fmt;
use std::marker::PhantomData;

use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Bytes, MapOp, Op, Outcome};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::SharedError;
use super::handle::{Handle, encoded};

/// A map in the manager. Clones are the same map. Two keys are the same if their encodings are, so a key must not be of
/// a type whose equal values may be encoded differently (a `HashMap`, for one).
///
/// One operation is one round trip, some ten microseconds; [`extend`](Self::extend) takes many entries in one.
pub struct SharedMap<K, V> {
    handle: Handle,
    entries: PhantomData<fn() -> (K, V)>,
}

/// What came of [`SharedMap::compare_exchange`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exchange<V> {
    /// What was expected stood there, and the new value stands there now.
    Done,
    /// Something else stands there (none: nothing), and nothing has changed.
    Refused(Option<V>),
}

impl<K, V> Clone for SharedMap<K, V> {
    fn clone(&self) -> Self {
        Self { handle: self.handle.clone(), entries: PhantomData }
    }
}

impl<K, V> fmt::Debug for SharedMap<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

impl<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned> SharedMap<K, V> {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle, entries: PhantomData }
    }

    pub(crate) fn into_handle(self) -> Handle {
        self.handle
    }

    fn op(&self, op: MapOp) -> Op {
        Op::Map { name: self.handle.name().to_owned(), op }
    }

    /// Puts a value at a key; gives the one that stood there.
    pub fn insert<Q: Serialize + ?Sized, W: Serialize + ?Sized>(
        &self,
        key: &Q,
        value: &W,
    ) -> Result<Option<V>, SharedError>
    where
        K: Borrow<Q>,
        V: Borrow<W>,
    {
        self.handle.value(&self.op(MapOp::Insert(encoded(key)?, encoded(value)?)))
    }

    /// Puts many values at their keys, all at once; of two at one key the later stays. Gives the number of entries.
    pub fn extend<I, Q, W>(&self, entries: I) -> Result<usize, SharedError>
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
        self.handle.length(&self.op(MapOp::Extend(packed)))
    }

    /// The value at a key.
    pub fn get<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, SharedError>
    where
        K: Borrow<Q>,
    {
        self.handle.value(&self.op(MapOp::Get(encoded(key)?)))
    }

    /// Takes out the value at a key.
    pub fn remove<Q: Serialize + ?Sized>(&self, key: &Q) -> Result<Option<V>, SharedError>
    where
        K: Borrow<Q>,
    {
        self.handle.value(&self.op(MapOp::Remove(encoded(key)?)))
    }

    /// Puts `new` (none: nothing) at a key if exactly `expected` (none: nothing) stands there. Values are compared by
    /// their encodings. [`update`](Self::update) is the loop that most want around it.
    pub fn compare_exchange<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        expected: Option<&V>,
        new: Option<&V>,
    ) -> Result<Exchange<V>, SharedError>
    where
        K: Borrow<Q>,
    {
        let expected = expected.map(encoded).transpose()?;
        let new = new.map(encoded).transpose()?;
        Ok(match self.exchange(encoded(key)?, expected, new)? {
            Ok(()) => Exchange::Done,
            Err(current) => Exchange::Refused(current.map(|bytes| self.handle.decoded(&bytes)).transpose()?),
        })
    }

    /// Puts what `change` makes of the value at a key in its place (none: nothing) and gives it. If someone else was
    /// quicker, `change` is called again with what stands there then: it must not do anything but compute.
    pub fn update<Q: Serialize + ?Sized>(
        &self,
        key: &Q,
        mut change: impl FnMut(Option<V>) -> Option<V>,
    ) -> Result<Option<V>, SharedError>
    where
        K: Borrow<Q>,
    {
        let key = encoded(key)?;
        let outcome = self.handle.call(&self.op(MapOp::Get(key.clone())))?;
        let Outcome::Value(mut current) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        loop {
            // The bytes that stood there are what is expected, not a new encoding of them, which might differ.
            let new = change(current.as_ref().map(|bytes| self.handle.decoded(bytes)).transpose()?);
            match self.exchange(key.clone(), current, new.as_ref().map(encoded).transpose()?)? {
                Ok(()) => return Ok(new),
                Err(instead) => current = instead,
            }
        }
    }

    fn exchange(
        &self,
        key: Bytes,
        expected: Option<Bytes>,
        new: Option<Bytes>,
    ) -> Result<Result<(), Option<Bytes>>, SharedError> {
        let outcome = self.handle.call(&self.op(MapOp::CompareExchange { key, expected, new }))?;
        let Outcome::Exchanged(exchanged) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        Ok(exchanged)
    }

    /// How many entries there are at this moment.
    pub fn len(&self) -> Result<usize, SharedError> {
        self.handle.length(&self.op(MapOp::Len))
    }

    /// Whether there are none at this moment.
    pub fn is_empty(&self) -> Result<bool, SharedError> {
        self.len().map(|length| length == 0)
    }

    /// A copy of all keys at one moment, in the order of their encodings. More than 256 MiB of them are `TooLarge`.
    pub fn keys(&self) -> Result<Vec<K>, SharedError> {
        self.handle.items(&self.op(MapOp::Keys))
    }

    /// A copy of all entries at one moment, in the order of their keys' encodings. More than 256 MiB are `TooLarge`.
    pub fn iter(&self) -> Result<std::vec::IntoIter<(K, V)>, SharedError> {
        let outcome = self.handle.call(&self.op(MapOp::Entries))?;
        let Outcome::Items(items) = &outcome else { return Err(SharedError::unexpected(&outcome)) };
        let (mut entries, mut items) = (Vec::with_capacity(items.len() / 2), items.iter());
        while let (Some(key), Some(value)) = (items.next(), items.next()) {
            entries.push((self.handle.decoded(key)?, self.handle.decoded(value)?));
        }
        Ok(entries.into_iter())
    }

    /// Takes out all entries.
    pub fn clear(&self) -> Result<(), SharedError> {
        self.handle.done(&self.op(MapOp::Clear))
    }
}

/// A map of counters: adding needs no loop and no second round trip.
impl<K: Serialize + DeserializeOwned> SharedMap<K, i64> {
    /// Adds `number` (which may be negative) to the one at a key, where nothing counts as 0; gives the sum. A sum that
    /// does not fit: `Overflow`.
    pub fn add<Q: Serialize + ?Sized>(&self, key: &Q, number: i64) -> Result<i64, SharedError>
    where
        K: Borrow<Q>,
    {
        let sums = self.sums(vec![(encoded(key)?, number)])?;
        sums.first().copied().ok_or_else(|| SharedError::Protocol("no sum".into()))
    }

    /// Adds to many numbers, all at once or, after an error, to none; gives the sums in the order of the entries.
    pub fn add_all<I, Q>(&self, entries: I) -> Result<Vec<i64>, SharedError>
    where
        I: IntoIterator<Item = (Q, i64)>,
        Q: Borrow<K>,
    {
        let encode = |(key, number): (Q, i64)| Ok((encoded(key.borrow())?, number));
        self.sums(entries.into_iter().map(encode).collect::<Result<_, SharedError>>()?)
    }

    fn sums(&self, addends: Vec<(Bytes, i64)>) -> Result<Vec<i64>, SharedError> {
        let outcome = self.handle.call(&self.op(MapOp::Add(addends)))?;
        let Outcome::Numbers(sums) = outcome else { return Err(SharedError::unexpected(&outcome)) };
        Ok(sums)
    }
}
