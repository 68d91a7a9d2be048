//! The receiving end of a queue, for code that wants to take by itself. Handlers are called with their items.

use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use brigade_protocol::codec;
use serde::de::DeserializeOwned;

use crate::deliveries::{Deliveries, RawDeliveries};
use crate::delivery::{Delivery, RawDelivery};
use crate::error::{OpenError, RecvError};
use crate::raw_receiver::RawReceiver;
use crate::shape;

/// Takes items of one type from a queue. Made by [`Context::receiver`](crate::Context::receiver).
///
/// It may be moved to another thread, and is used by one at a time. Several deliveries may be held at once. An item is
/// gone from the queue when its delivery is acknowledged; until then the death of this process gives it to another.
///
/// ```no_run
/// use brigade_worker::{Exit, work};
///
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let lines = ctx.receiver::<String>("lines")?;
///         for line in lines.iter() {
///             println!("{}", *line);
///             line.ack(); // A kill before this prints the line again; what is kept in memory beyond it dies with the process.
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct Receiver<T> {
    raw: RawReceiver,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    pub(crate) fn new(raw: RawReceiver) -> Result<Self, OpenError> {
        shape::join_to_receive::<T>(raw.queue(), raw.file())?;
        Ok(Self { raw, items: PhantomData })
    }

    /// Takes the next item, and waits for it as long as it takes. What holds of several items in the hands of one handle is
    /// said at [`RawReceiver::recv`].
    ///
    /// # Errors
    /// [`RecvError::Ended`] at the end of the stream, [`RecvError::Stopped`] when the worker is told to stop,
    /// [`RecvError::Undecodable`] for an item that is no `T` (it goes back: nack), [`RecvError::HoldsAll`] if nothing can come
    /// before this handle lets go of a delivery.
    pub fn recv(&self) -> Result<Delivery<'_, T>, RecvError> {
        decoded(self.raw.recv())
    }

    /// Takes the next item if one is there at this moment.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if not, and all that [`recv`](Self::recv) has.
    pub fn try_recv(&self) -> Result<Delivery<'_, T>, RecvError> {
        decoded(self.raw.try_recv())
    }

    /// Takes the next item, and waits for it at most `time`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and all that [`recv`](Self::recv) has.
    pub fn recv_timeout(&self, time: Duration) -> Result<Delivery<'_, T>, RecvError> {
        decoded(self.raw.recv_timeout(time))
    }

    /// Takes the next item, and waits for it at most until `deadline`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and all that [`recv`](Self::recv) has.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<Delivery<'_, T>, RecvError> {
        decoded(self.raw.recv_deadline(deadline))
    }

    /// Takes up to `most` items in one go, and waits for the first of them as long as it takes: see
    /// [`RawReceiver::recv_many`]. Items that are no `T` go back (nack) and are named in the log.
    ///
    /// # Errors
    /// [`RecvError::Ended`], [`RecvError::Stopped`].
    pub fn recv_many(&self, most: usize) -> Result<Deliveries<'_, T>, RecvError> {
        self.some(most, || self.raw.recv_many(most))
    }

    /// Takes up to `most` items that are there at this moment. Items that are no `T` go back (nack) and are named in the
    /// log.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if there are none, and all that [`recv_many`](Self::recv_many) has.
    pub fn try_recv_many(&self, most: usize) -> Result<Deliveries<'_, T>, RecvError> {
        self.some(most, || self.raw.try_recv_many(most))
    }

    /// Tries until one of the items can be decoded.
    fn some<'r>(
        &self,
        most: usize,
        take: impl Fn() -> Result<RawDeliveries<'r>, RecvError>,
    ) -> Result<Deliveries<'r, T>, RecvError> {
        loop {
            let deliveries = self.decoded_many(take()?);
            if !deliveries.is_empty() || most == 0 {
                return Ok(deliveries);
            }
        }
    }

    fn decoded_many<'r>(&self, mut raw: RawDeliveries<'r>) -> Deliveries<'r, T> {
        let mut items = Vec::with_capacity(raw.len());
        while let Some(bytes) = raw.get(items.len()) {
            match codec::decode(bytes) {
                Ok(item) => items.push(item),
                Err(error) => {
                    let delivery = raw.remove(items.len());
                    self.raw.tell_undecodable(delivery.id(), delivery.deliveries(), &error);
                    let _ = undecodable(delivery, error);
                }
            }
        }
        Deliveries::new(items, raw)
    }

    /// The items one after the other, until the end of the stream or until the worker is told to stop. Items that are
    /// no `T` go back (nack) and are named in the log. It ends as well when all that is left are items that this handle
    /// holds.
    ///
    /// # Panics
    /// The thread unwinds, and the worker ends with the error, if it cannot take the next item: see [`RawReceiver::iter`].
    pub fn iter(&self) -> impl Iterator<Item = Delivery<'_, T>> {
        std::iter::from_fn(|| self.raw.next_of(self.recv())).flatten()
    }
}

impl<T> Receiver<T> {
    /// Name of the queue.
    pub fn queue(&self) -> &str {
        self.raw.queue()
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether nothing waits in the queue at this moment. Says nothing about the end: that is [`RecvError::Ended`].
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver").field("queue", &self.queue()).finish_non_exhaustive()
    }
}

#[inline]
fn decoded<T: DeserializeOwned>(taken: Result<RawDelivery<'_>, RecvError>) -> Result<Delivery<'_, T>, RecvError> {
    let raw = taken?;
    match codec::decode(&raw) {
        Ok(item) => Ok(Delivery::new(raw, item)),
        Err(error) => Err(undecodable(raw, error)),
    }
}

#[cold]
fn undecodable(raw: RawDelivery<'_>, error: codec::DecodeError) -> RecvError {
    let (id, deliveries) = (raw.id(), raw.deliveries());
    raw.failed(None, &format!("the item cannot be decoded: {error}"));
    RecvError::Undecodable { id, deliveries, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use brigade_protocol::retry::RetryPolicy;

    use crate::failure::is_permanent;
    use crate::sandbox::{MAX_DELIVERIES, sandbox, sandbox_with};

    #[test]
    fn a_delivery_dropped_without_a_word_comes_again() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [7u64]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let first = numbers.recv().expect("an item");
        let id = first.id();
        assert_eq!((*first, first.deliveries()), (7, 1));
        drop(first);
        let second = numbers.recv().expect("the item again");
        assert_eq!((second.id(), second.deliveries()), (id, 2));
        assert_eq!(second.ack(), 7);
        assert!(matches!(numbers.try_recv(), Err(RecvError::Empty)));
    }

    #[test]
    fn a_failed_delivery_waits_as_the_queue_says_or_as_long_as_it_is_told() {
        const HOUR: Duration = Duration::from_secs(3600);
        let sandbox = sandbox_with(&["slow", "quick"], &[], |welcome| {
            welcome.inputs[0].retry = RetryPolicy { delay: HOUR, longest: HOUR };
        });
        for name in ["slow", "quick"] {
            sandbox.feed(name, [7u64, 8]);
            let numbers = sandbox.ctx.receiver::<u64>(name).expect("an input");
            numbers.recv().expect("an item").nack();
            let again = numbers.recv().expect("an item");
            assert_eq!(*again, if name == "slow" { 8 } else { 7 });
            again.nack_after(if name == "slow" { Duration::ZERO } else { HOUR });
            assert_eq!(numbers.recv().expect("an item").ack(), 8);
            assert_eq!(sandbox.queue(name).depth().retry, 1);
        }
    }

    #[test]
    fn the_page_shows_an_item_of_one_queue_until_it_is_acked_whatever_becomes_of_others() {
        let sandbox = sandbox(&["names", "ages"], &[]);
        sandbox.feed("names", ["ada"]);
        sandbox.feed("ages", [36u8]);
        let (names, ages) = (sandbox.ctx.receiver::<String>("names"), sandbox.ctx.receiver::<u8>("ages"));
        let (names, ages) = (names.expect("an input"), ages.expect("an input"));
        let (name, age) = (names.recv().expect("a name"), ages.recv().expect("an age"));
        let lane = sandbox.page.lane(0);
        name.ack();
        assert_eq!(lane.holds(), Some((1, age.id())));
        age.ack();
        assert_eq!(lane.holds(), None);
    }

    #[test]
    fn several_deliveries_are_held_at_once_and_acked_in_any_order() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [1u64, 2, 3]);
        sandbox.queue("numbers").close();
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let held: Vec<_> = (0..3).map(|_| numbers.recv().expect("an item")).collect();
        assert!(sandbox.page.lane(0).holds().is_some());
        assert!(matches!(numbers.try_recv(), Err(RecvError::Empty)), "while items are held there is no end");
        let values: Vec<_> = held.into_iter().rev().map(crate::Delivery::ack).collect();
        assert_eq!(values, [3, 2, 1]);
        assert_eq!((sandbox.processed(), sandbox.page.lane(0).holds()), (3, None));
        assert!(matches!(numbers.recv(), Err(RecvError::Ended)));
    }

    #[test]
    fn a_handle_that_holds_all_that_there_is_is_told_instead_of_waiting() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", 1..=4u64);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let mut held: Vec<_> = (0..4).map(|_| numbers.recv().expect("an item")).collect();
        let words = "cannot take another item of queue numbers: this handle holds 4 deliveries not acknowledged yet, \
                     as many as the queue has room for; acknowledge some before taking more, or raise the queue's capacity";
        assert_eq!(numbers.recv().expect_err("the queue has four slots").to_string(), words);
        assert!(matches!(numbers.recv_many(2), Err(RecvError::HoldsAll { held: 4, capacity: 4, .. })));
        assert!(matches!(numbers.recv_timeout(Duration::MAX), Err(RecvError::HoldsAll { .. })));
        assert!(matches!(numbers.try_recv(), Err(RecvError::Empty)), "a call that does not wait is told as before");
        drop(held.split_off(1).into_iter().map(crate::Delivery::ack).collect::<Vec<_>>());
        sandbox.feed("numbers", [5u64]);
        assert_eq!(numbers.recv().expect("there is room again").ack(), 5);
        sandbox.queue("numbers").close();
        let words = "cannot take another item of queue numbers: this handle holds 1 delivery not acknowledged yet, \
                     which is all that is left in it; acknowledge some before taking more";
        assert_eq!(numbers.recv().expect_err("nothing else will come").to_string(), words);
        held.pop().expect("the first one").ack();
        assert!(matches!(numbers.recv(), Err(RecvError::Ended)));
    }

    #[test]
    fn what_a_worker_drops_because_it_holds_too_much_has_not_failed() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", 1..=4u64);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        for _ in 0..MAX_DELIVERIES {
            let held: Vec<_> = (0..4).map(|_| numbers.recv().expect("an item")).collect();
            let error = numbers.recv().expect_err("the queue has four slots");
            assert!(is_permanent(&error), "{error}");
            drop(held);
        }
        let mut held: Vec<_> = (0..4).map(|_| numbers.recv().expect("an item")).collect();
        assert_eq!(held[0].deliveries(), 1);
        assert!(numbers.recv().is_err());
        held.remove(0).ack();
        drop(held);
        assert_eq!(numbers.recv().expect("an item").deliveries(), 2, "it has let go of one, and then failed");
    }

    #[test]
    fn an_iterator_does_not_end_as_at_the_end_of_the_stream_when_its_handle_holds_too_much() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", 1..=4u64);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let collect = || numbers.iter().collect::<Vec<_>>().len();
        let unwound = crate::panics::caught(collect).expect_err("it unwinds");
        assert!(unwound.message.contains("this handle holds 4 deliveries"), "{unwound}");
        let station = sandbox.ctx.station();
        assert!(matches!(station.take_fault(), Some(RecvError::HoldsAll { .. })) && station.stop.now());
        assert_eq!(sandbox.take::<u64>("numbers"), [(1, 1), (1, 2), (1, 3), (1, 4)], "they have not failed");
    }

    #[test]
    fn an_iterator_ends_when_all_that_is_left_is_in_its_handles_hands() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", 1..=4u64);
        sandbox.queue("numbers").close();
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let all: Vec<_> = numbers.iter().collect();
        assert!(!sandbox.ctx.station().holds_too_much());
        assert_eq!(all.into_iter().map(crate::Delivery::ack).collect::<Vec<_>>(), [1, 2, 3, 4]);
        assert_eq!(numbers.iter().count(), 0);
    }

    #[test]
    fn a_panic_while_an_item_is_held_gives_it_back() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [7u64]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        let panic = crate::panics::caught(|| {
            let held = numbers.recv().expect("an item");
            panic!("cannot stand {}", *held)
        });
        assert!(panic.is_err());
        assert_eq!(numbers.recv().expect("the item again").deliveries(), 2);
    }

    #[test]
    fn an_item_of_another_type_is_named_and_ends_as_a_dead_letter() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", ["a string, no number"]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        for round in 1..=MAX_DELIVERIES {
            match numbers.try_recv() {
                Err(RecvError::Undecodable { deliveries, .. }) => assert_eq!(deliveries, round),
                other => panic!("{other:?}"),
            }
        }
        assert!(matches!(numbers.try_recv(), Err(RecvError::Empty)));
        assert_eq!(sandbox.dead("numbers"), 1);
    }

    #[test]
    fn an_iterator_passes_over_what_it_cannot_decode_and_ends_with_the_stream() {
        let sandbox = sandbox(&["words"], &[]);
        sandbox.feed("words", [300u64]);
        sandbox.feed("words", ["one", "two"]);
        sandbox.queue("words").close();
        let words = sandbox.ctx.receiver::<String>("words").expect("an input");
        let all: Vec<String> = words.iter().map(crate::Delivery::ack).collect();
        assert_eq!(all, ["one", "two"]);
    }

    #[test]
    fn a_stop_wakes_a_receiver_and_what_it_holds_goes_back_uncounted() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [7u64]);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
                let held = numbers.recv().expect("an item");
                let next = numbers.recv().map(|other| *other);
                drop(held);
                next
            });
            crate::sandbox::until(|| sandbox.page.lane(0).holds().is_some());
            sandbox.stop_now();
            assert!(matches!(taker.join().expect("no panic"), Err(RecvError::Stopped)));
        });
        assert_eq!(sandbox.take::<u64>("numbers"), [(1, 7)]);
    }

    #[test]
    fn waiting_ends_at_the_deadline() {
        let sandbox = sandbox(&["numbers"], &[]);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("an input");
        assert!(matches!(numbers.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout)));
        assert!(matches!(numbers.recv_deadline(Instant::now()), Err(RecvError::Timeout)));
    }
}
