//! The sending end of a queue, for code that wants to send by itself. Handlers have an [`Output`](crate::Output).

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use brigade_protocol::codec;
use brigade_protocol::id::ItemId;
use brigade_protocol::queue::Draft;
use serde::{Serialize, de::DeserializeOwned};

use crate::error::{OpenError, Refusal, SendError, SendManyError};
use crate::raw_sender::RawSender;
use crate::shape::{self, Sent};

/// Sends items of one type to a queue. Made by [`Context::sender`](crate::Context::sender).
///
/// It may be moved to another thread, and is used by one at a time. When a call returns `Ok`, the item is in the
/// queue: killing the process in the next instruction does not lose it. When it returns an error, the item comes back.
///
/// One item is encoded straight into its place in the queue, several into a buffer first. A [`Serialize`] of your own should
/// therefore not wait for anything: its item takes room meanwhile, and receivers pass over it.
///
/// ```no_run
/// use brigade_worker::{Exit, work};
///
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let numbers = ctx.sender::<u64>("numbers")?;
///         for n in 1..=1_000_000 {
///             numbers.send(n)?; // Waits while the queue is full. After a kill, all are sent again: see `source`.
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct Sender<T> {
    raw: RawSender,
    /// Of the items of a run, encoded one behind the other.
    buffer: RefCell<Vec<u8>>,
    /// Where each of them ends in the buffer.
    ends: RefCell<Vec<usize>>,
    sent: Sent,
    items: PhantomData<fn(T)>,
}

impl<T: Serialize + DeserializeOwned> Sender<T> {
    pub(crate) fn new(raw: RawSender) -> Result<Self, OpenError> {
        shape::join_to_send::<T>(raw.queue(), raw.file())?;
        let sent = Sent::default();
        Ok(Self { raw, buffer: RefCell::default(), ends: RefCell::default(), sent, items: PhantomData })
    }

    /// Sends, and waits for room as long as it takes. Returns the item's id.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] if the worker is told to stop while it waits; `Closed`, `TooLarge`, `Encode`, `NoSpace`.
    pub fn send(&self, item: T) -> Result<ItemId, SendError<T>> {
        self.encoded(item, || self.raw.draft_until(None))
    }

    /// Sends if there is room at this moment.
    ///
    /// # Errors
    /// [`Refusal::Full`] if not; `Closed`, `TooLarge`, `Encode`, `NoSpace`.
    pub fn try_send(&self, item: T) -> Result<ItemId, SendError<T>> {
        self.encoded(item, || self.raw.try_draft())
    }

    /// Sends, and waits for room at most `time`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_timeout(&self, item: T, time: Duration) -> Result<ItemId, SendError<T>> {
        self.encoded(item, || self.raw.draft_until(Instant::now().checked_add(time)))
    }

    /// Sends, and waits for room at most until `deadline`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_deadline(&self, item: T, deadline: Instant) -> Result<ItemId, SendError<T>> {
        self.encoded(item, || self.raw.draft_until(Some(deadline)))
    }

    /// Sends all of these in order, and waits for room as long as it takes: see [`RawSender::send_many`].
    ///
    /// # Errors
    /// As [`send`](Self::send), with the number of those that were sent.
    pub fn send_many(&self, items: &[T]) -> Result<(), SendManyError> {
        self.encoded_many::<T>(items, true)
    }

    /// Sends as many of these as there is room for at this moment, in order.
    ///
    /// # Errors
    /// [`Refusal::Full`] if that is not all of them, and all that [`try_send`](Self::try_send) has; with the number of
    /// those that were sent.
    pub fn try_send_many(&self, items: &[T]) -> Result<(), SendManyError> {
        self.encoded_many::<T>(items, false)
    }

    /// Sends a value that is encoded as an `Owned` is, such as a `&str` for a `String`, and waits for room as long as it
    /// takes. What counts as the type of the item is `Owned`.
    ///
    /// ```no_run
    /// # fn example(names: &brigade_worker::Sender<String>, line: &str) -> brigade_worker::Result {
    /// for name in line.split(',') {
    ///     names.send_as::<String>(name)?; // nothing is copied before it is encoded
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Refusal::NotReadBack`] if it is not encoded as an `Owned`.
    pub fn send_as<Owned: Serialize + DeserializeOwned>(
        &self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<ItemId, Refusal> {
        self.checked::<Owned>(value)?;
        let mut draft = self.raw.draft_until(None)?;
        codec::encode_to(value, &mut draft)?;
        self.raw.send_draft(&mut draft)
    }

    /// Looks once whether an item of this type can be read by a receiver.
    #[inline]
    fn checked<U: DeserializeOwned>(&self, item: &(impl Serialize + ?Sized)) -> Result<(), Refusal> {
        self.sent.check::<U, _>(self.raw.queue(), self.raw.file(), item)
    }

    /// Sends all of these values in order, each encoded as an `Owned` is: see [`send_as`](Self::send_as).
    ///
    /// # Errors
    /// As [`send_as`](Self::send_as), with the number of those that were sent.
    pub fn send_many_as<Owned: Serialize + DeserializeOwned>(
        &self,
        values: &[impl Serialize],
    ) -> Result<(), SendManyError> {
        self.encoded_many::<Owned>(values, true)
    }

    fn encoded_many<U: DeserializeOwned>(&self, items: &[impl Serialize], waits: bool) -> Result<(), SendManyError> {
        if let Some(first) = items.first() {
            self.checked::<U>(first).map_err(|reason| SendManyError { sent: 0, reason })?;
        }
        let (mut buffer, mut ends) = (self.buffer.take(), self.ends.take());
        let mut sent = 0;
        let mut all = Ok(());
        while all.is_ok() && sent < items.len() {
            let encoded = encode_some(&items[sent..], &mut buffer, &mut ends);
            let item = |n: usize| &buffer[if n == 0 { 0 } else { ends[n - 1] }..ends[n]];
            all = if waits {
                self.raw.send_some(ends.len(), item, &mut sent)
            } else {
                self.raw.try_send_some(ends.len(), item, &mut sent)
            };
            all = all.and(encoded);
        }
        self.buffer.replace(buffer);
        self.ends.replace(ends);
        all.map_err(|reason| SendManyError { sent, reason })
    }

    /// Encodes the item into its slot.
    fn encoded<'q>(
        &'q self,
        item: T,
        begin: impl FnOnce() -> Result<Draft<'q>, Refusal>,
    ) -> Result<ItemId, SendError<T>> {
        let send = |item: &T| {
            self.checked::<T>(item)?;
            let mut draft = begin()?;
            codec::encode_to(item, &mut draft)?;
            self.raw.send_draft(&mut draft)
        };
        send(&item).map_err(|reason| SendError { item, reason })
    }
}

impl<T> Sender<T> {
    /// This handle sends no more. The queue itself is closed by the supervisor, when all its producers are complete.
    pub fn close(self) {}

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        self.raw.queue()
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether nothing waits in the queue at this moment.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether as many items wait as the queue can hold; see [`RawSender::is_full`].
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("queue", &self.queue()).finish_non_exhaustive()
    }
}

/// Items that are encoded before they are sent, at most, and about how many bytes.
const RUN: usize = 64;
const RUN_BYTES: usize = 64 << 10;

/// Encodes the first of the items one behind the other, each up to its place in `ends`. Those before one that has no
/// encoding are there all the same.
fn encode_some<T: Serialize>(items: &[T], buffer: &mut Vec<u8>, ends: &mut Vec<usize>) -> Result<(), Refusal> {
    buffer.clear();
    ends.clear();
    for item in items.iter().take(RUN) {
        codec::encode(item, buffer)?;
        ends.push(buffer.len());
        if buffer.len() >= RUN_BYTES {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{CAPACITY, sandbox};

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let sandbox = sandbox(&[], &["words"]);
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        for n in 0..CAPACITY {
            words.try_send(n.to_string()).expect("there is room");
        }
        assert!(words.is_full());
        let refused = words.try_send("one more".into()).expect_err("it is full");
        assert_eq!(refused.item, "one more");
        assert!(matches!(refused.reason, Refusal::Full));
        let refused = words.send_timeout("still".into(), Duration::from_millis(1)).expect_err("it is full");
        assert!(matches!(refused.reason, Refusal::Timeout));
        assert_eq!(sandbox.processed(), u64::from(CAPACITY), "what a source has sent is its progress");
        assert_eq!(sandbox.take::<String>("words").len(), CAPACITY as usize);
    }

    #[test]
    fn many_are_sent_in_order_as_far_as_there_is_room_and_the_number_is_told() {
        let sandbox = sandbox(&[], &["words"]);
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        let items: Vec<String> = (0..=CAPACITY).map(|n| n.to_string()).collect();
        let refused = words.try_send_many(&items).expect_err("it is full");
        assert_eq!(refused.sent, CAPACITY as usize);
        assert!(matches!(refused.reason, Refusal::Full));
        assert_eq!(sandbox.processed(), u64::from(CAPACITY));
        let taken: Vec<String> = sandbox.take("words").into_iter().map(|(_, item)| item).collect();
        assert_eq!(taken, items[..CAPACITY as usize]);
        words.send_many(&items[..2]).expect("there is room");
        let long = ["1".to_owned(), "x".repeat(1000), "2".to_owned()];
        let refused = words.send_many(&long).expect_err("one is too large");
        assert_eq!(refused.sent, 1);
        assert!(
            refused.to_string().starts_with("cannot send all items, only the first 1: the item has 1004 bytes"),
            "{refused}"
        );
        assert_eq!(sandbox.take::<String>("words").len(), 3);
    }

    #[test]
    fn more_than_there_is_room_for_is_sent_as_others_take_it() {
        let sandbox = sandbox(&[], &["numbers"]);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let numbers = sandbox.ctx.sender::<u32>("numbers").expect("an output");
                numbers.send_many(&(0..1000).collect::<Vec<_>>()).expect("all are sent in the end");
                sandbox.queue("numbers").close();
            });
            let mut taken: Vec<u32> = Vec::new();
            crate::sandbox::until(|| !sandbox.queue("numbers").is_empty());
            while taken.len() < 1000 {
                taken.extend(sandbox.take::<u32>("numbers").into_iter().map(|(_, item)| item));
            }
            assert!(taken.iter().copied().eq(0..1000));
        });
    }

    #[test]
    fn an_item_that_is_too_large_is_given_back_and_the_limit_named() {
        let sandbox = sandbox(&[], &["words"]);
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        let refused = words.send("x".repeat(1000)).expect_err("it is too large");
        assert_eq!(refused.item.len(), 1000);
        assert!(matches!(refused.reason, Refusal::TooLarge { max: 256, .. }));
        assert!(words.is_empty());
    }

    #[test]
    fn a_closed_queue_takes_nothing() {
        let sandbox = sandbox(&[], &["words"]);
        sandbox.queue("words").close();
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        assert!(matches!(words.send("late".into()), Err(SendError { reason: Refusal::Closed, .. })));
    }

    #[test]
    fn a_stop_wakes_a_sender_that_waits_for_room() {
        let sandbox = sandbox(&[], &["words"]);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let words = sandbox.ctx.sender::<u32>("words").expect("an output");
                (0..).find_map(|n| words.send(n).err()).expect("it fails in the end")
            });
            crate::sandbox::until(|| sandbox.queue("words").len() == CAPACITY as usize);
            sandbox.stop_now();
            let refused = sending.join().expect("no panic");
            assert_eq!(refused.item, CAPACITY);
            assert!(matches!(refused.reason, Refusal::Stopped));
        });
    }

    #[test]
    fn a_queue_that_is_no_output_is_named_with_those_that_are() {
        let sandbox = sandbox(&["numbers"], &["words"]);
        let error = sandbox.ctx.sender::<u32>("wrods").expect_err("there is none of this name");
        let words =
            "stage double does not send to queue \"wrods\": it has words; add it to outputs in the pipeline file";
        assert_eq!(error.to_string(), words);
        let error = sandbox.ctx.receiver::<u32>("words").expect_err("it is no input");
        assert!(error.to_string().contains("does not take from queue \"words\": it has numbers"), "{error}");
    }
}
