//! Several items in hand, taken in one go: their leases, and the duty to say what became of each.

use std::fmt;
use std::ops::Deref;
use std::time::Duration;

use brigade_protocol::queue::Lease;

use crate::delivery::{Delivery, GIVEN_BACK, RawDelivery};
use crate::raw_receiver::RawReceiver;

/// Several items in hand as bytes, read in place. Made by [`RawReceiver::recv_many`].
///
/// [`ack`](Self::ack) when the work on all of them is done, [`nack`](Self::nack) when it failed, or take them apart
/// ([`IntoIterator`]) and say it of each. Dropped without a word they are nacks (or, if the worker was told to stop, the
/// items go back without the deliveries being counted). If the process dies, all that are not acked come again.
///
/// A run of several items that fails (by a death, a nack, or dropped) comes again one by one, and only an item that fails by
/// itself comes nearer to its `max_deliveries`.
pub struct RawDeliveries<'r> {
    receiver: &'r RawReceiver,
    leases: Vec<Lease>,
}

impl<'r> RawDeliveries<'r> {
    #[inline]
    pub(crate) fn new(receiver: &'r RawReceiver, leases: Vec<Lease>) -> Self {
        Self { receiver, leases }
    }

    /// Takes one of them out.
    pub(crate) fn remove(&mut self, index: usize) -> RawDelivery<'r> {
        RawDelivery::new(self.receiver, self.leases.remove(index))
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.leases.len()
    }

    /// Whether it is none: only if none was asked for.
    pub fn is_empty(&self) -> bool {
        self.leases.is_empty()
    }

    /// The bytes of item number `index`, if there are so many.
    #[inline]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        self.leases.get(index).map(|lease| self.receiver.bytes(lease))
    }

    /// The bytes of each, in the order of the queue.
    #[inline]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.leases.iter().map(|lease| self.receiver.bytes(lease))
    }

    /// The work on all of them is done: they are gone for good. If the process dies before this returns, some may be gone
    /// and the others come again.
    pub fn ack(mut self) {
        self.receiver.ack_many(&mut self.leases);
    }

    /// The work failed: they come again, one by one, when the queue's `retry_delay` is over. Nothing tells which of them is
    /// at fault, so this delivery does not count towards `max_deliveries`, unless it is of a single item.
    pub fn nack(mut self) {
        self.receiver.nack_run(&mut self.leases, None, GIVEN_BACK);
    }

    /// The same, but they come again after `time`, whatever the queue's `retry_delay` is.
    pub fn nack_after(mut self, time: Duration) {
        self.receiver.nack_run(&mut self.leases, Some(time), GIVEN_BACK);
    }
}

/// One by one, to be acked one by one. Those that are not reached are given back as if dropped.
impl<'r> IntoIterator for RawDeliveries<'r> {
    type Item = RawDelivery<'r>;
    type IntoIter = std::vec::IntoIter<RawDelivery<'r>>;

    fn into_iter(mut self) -> Self::IntoIter {
        let receiver = self.receiver;
        let leases = std::mem::take(&mut self.leases).into_iter();
        leases.map(|lease| RawDelivery::new(receiver, lease)).collect::<Vec<_>>().into_iter()
    }
}

impl Drop for RawDeliveries<'_> {
    #[inline]
    fn drop(&mut self) {
        if self.leases.is_empty() {
            self.receiver.keep_room(std::mem::take(&mut self.leases));
        } else {
            self.leases.drain(..).for_each(|lease| self.receiver.dropped(lease));
        }
    }
}

impl fmt::Debug for RawDeliveries<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawDeliveries").field("len", &self.len()).finish_non_exhaustive()
    }
}

/// Several items in hand: it derefs to `[T]`. Made by [`Receiver::recv_many`](crate::Receiver::recv_many).
///
/// [`ack`](Self::ack) when the work on all of them is done, [`nack`](Self::nack) when it failed, or take them apart
/// ([`IntoIterator`]) and say it of each. Dropped without a word they are nacks (or, if the worker was told to stop, the
/// items go back without the deliveries being counted). If the process dies, all that are not acked come again.
///
/// ```no_run
/// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
/// let (numbers, sums) = (ctx.receiver::<u64>("numbers")?, ctx.sender::<u64>("sums")?);
/// while let Ok(batch) = numbers.recv_many(64) {
///     sums.send(batch.iter().sum())?;
///     batch.ack(); // A kill before this sends the sum again.
/// }
/// # Ok(())
/// # }
/// ```
pub struct Deliveries<'r, T> {
    items: Vec<T>,
    raw: RawDeliveries<'r>,
}

impl<'r, T> Deliveries<'r, T> {
    /// The items, and the deliveries without them.
    pub(crate) fn into_parts(self) -> (Vec<T>, RawDeliveries<'r>) {
        (self.items, self.raw)
    }

    /// Of each of `items` the lease at the same place.
    #[inline]
    pub(crate) fn new(items: Vec<T>, raw: RawDeliveries<'r>) -> Self {
        Self { items, raw }
    }

    /// The work on all of them is done: they are gone from the queue for good, and their values are the caller's. If the
    /// process dies before this returns, some may be gone and the others come again.
    pub fn ack(self) -> Vec<T> {
        self.raw.ack();
        self.items
    }

    /// The work failed: they come again, one by one: see [`RawDeliveries::nack`].
    pub fn nack(self) {
        self.raw.nack();
    }

    /// The work failed: they come again after `time`, one by one: see [`RawDeliveries::nack_after`].
    pub fn nack_after(self, time: Duration) {
        self.raw.nack_after(time);
    }
}

impl<T> Deref for Deliveries<'_, T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.items
    }
}

/// One by one, to be acked one by one. Those that are not reached are given back as if dropped.
impl<'r, T> IntoIterator for Deliveries<'r, T> {
    type Item = Delivery<'r, T>;
    type IntoIter = std::vec::IntoIter<Delivery<'r, T>>;

    fn into_iter(self) -> Self::IntoIter {
        let pairs = self.items.into_iter().zip(self.raw);
        pairs.map(|(item, raw)| Delivery::new(raw, item)).collect::<Vec<_>>().into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Deliveries<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::RecvError;
    use crate::sandbox::sandbox;

    #[test]
    fn what_is_there_is_taken_in_one_go_and_acked_in_one_go() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [1u64, 2, 3]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let first = numbers.recv_many(2).expect("two items");
        assert_eq!(first[..], [1, 2]);
        let second = numbers.recv_many(64).expect("the third");
        assert_eq!(second.ack(), [3]);
        assert_eq!(first.ack(), [1, 2]);
        assert_eq!(sandbox.processed(), 3);
        assert!(matches!(numbers.try_recv_many(64), Err(RecvError::Empty)));
        sandbox.queue("numbers").close();
        assert!(matches!(numbers.recv_many(64), Err(RecvError::Ended)));
    }

    #[test]
    fn taken_apart_each_has_its_own_end() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [1u64, 2, 3, 4]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let mut batch = numbers.recv_many(64).expect("items").into_iter();
        assert_eq!(batch.next().expect("the first").ack(), 1);
        batch.next().expect("the second").nack();
        drop(batch);
        assert_eq!(sandbox.take::<u64>("numbers"), [(2, 2), (2, 3), (2, 4)]);
    }

    #[test]
    fn dropped_without_a_word_all_come_again_in_their_order() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [1u64, 2, 3]);
        let numbers = sandbox.ctx.raw_receiver("numbers").expect("an input");
        drop(numbers.recv_many(64).expect("items"));
        let again = numbers.recv_many(1).expect("an item");
        assert_eq!((again.len(), again.get(1)), (1, None));
        again.nack();
        assert_eq!(sandbox.take::<u64>("numbers"), [(3, 1), (2, 2), (2, 3)]);
    }

    #[test]
    fn those_that_cannot_be_decoded_go_back_and_hold_up_no_others() {
        let sandbox = sandbox(&["words"], &[]);
        sandbox.feed("words", [7u64]);
        sandbox.feed("words", ["a word".to_owned()]);
        let words = sandbox.ctx.receiver::<String>("words").expect("an input");
        assert_eq!(words.recv_many(2).expect("the other one").ack(), ["a word"]);
        assert!(matches!(words.try_recv_many(2), Err(RecvError::Empty)), "it was tried as often as it may");
        assert_eq!(sandbox.dead("words"), 1);
    }
}
