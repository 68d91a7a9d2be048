//! A transaction of [`work`](crate::work): items of several queues, results, changes of shared state and a checkpoint, by one
//! commit.

use std::fmt;

use brigade_protocol::codec::DecodeError;
use brigade_protocol::queue::{Lease, Member};
use serde::{Serialize, de::DeserializeOwned};

use crate::change::{CounterChange, ListChange, MapChange};
use crate::context::Context;
use crate::deliveries::Deliveries;
use crate::delivery::{Delivery, RawDelivery};
use crate::error::{CheckpointError, OpenError, Refusal, SendError};
use crate::outbox::Outbox;
use crate::output;
use crate::raw_receiver::RawReceiver;

/// What becomes true together. Made by [`Context::transaction`], and used again after each commit.
///
/// What is sent and acknowledged through it is kept in this process until [`commit`](Self::commit), which makes all of it true
/// by one store. If the process dies before that store, nothing of it has happened and the items come again; if it dies after
/// it, all of it has happened. So items pass such a stage exactly once, whatever is killed. (What a plain
/// [`Sender`](crate::Sender) sends and a plain [`Delivery::ack`] are steps of their own: a process that dies between the two
/// does the item again.)
///
/// A join of two streams, item by item:
///
/// ```no_run
/// use brigade_worker::{Exit, RecvError, work};
///
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let (names, ages) = (ctx.receiver::<String>("names")?, ctx.receiver::<u8>("ages")?);
///         let mut tx = ctx.transaction()?;
///         for name in names.iter() {
///             let age = ages.recv()?;
///             let person = (tx.ack(name), tx.ack(age));
///             tx.to("people").send(person)?;
///             tx.commit()?;
///         }
///         // Both queues are read to their ends: a stage that ends earlier would leave a sender without a taker.
///         match ages.recv() {
///             Ok(_) => Err("there are more ages than names".into()),
///             Err(RecvError::Ended | RecvError::Stopped) => Ok(()),
///             Err(error) => Err(error.into()),
///         }
///     })
/// }
/// ```
///
/// Dropped without a commit, it sends nothing, and the items come again as if their deliveries had been dropped. Several items
/// of one queue are acknowledged together by [`commit_at`](Self::commit_at), or taken by
/// [`recv_many`](crate::Receiver::recv_many): either way what failed together comes again one by one, and only an item that
/// fails by itself becomes a dead letter. A worker that commits only whole groups of items, whether or not they came again,
/// fails with the same group again, and then every item of it comes nearer to its `max_deliveries`.
pub struct Transaction<'r> {
    outbox: Outbox,
    /// The receivers that it has taken from.
    receivers: Vec<&'r RawReceiver>,
    /// Items that are acknowledged by the commit: number of the receiver, and the lease.
    taken: Vec<(usize, Lease)>,
}

impl<'r> Transaction<'r> {
    pub(crate) fn new(ctx: &Context) -> Result<Self, OpenError> {
        Ok(Self { outbox: Outbox::of_transaction(ctx)?, receivers: Vec::new(), taken: Vec::new() })
    }

    /// The item is acknowledged by the commit. Gives its value.
    pub fn ack<T>(&mut self, delivery: Delivery<'r, T>) -> T {
        let (item, raw) = delivery.into_parts();
        self.ack_raw(raw);
        item
    }

    /// The same for bytes.
    pub fn ack_raw(&mut self, delivery: RawDelivery<'r>) {
        let (receiver, lease) = delivery.into_parts();
        let number = self.receivers.iter().position(|known| std::ptr::eq(*known, receiver)).unwrap_or_else(|| {
            self.receivers.push(receiver);
            self.receivers.len() - 1
        });
        self.taken.push((number, lease));
    }

    /// All these items are acknowledged by the commit. Gives their values.
    pub fn ack_many<T>(&mut self, deliveries: Deliveries<'r, T>) -> Vec<T> {
        let (items, raw) = deliveries.into_parts();
        raw.into_iter().for_each(|delivery| self.ack_raw(delivery));
        items
    }

    /// The output of this name. What is sent there goes out with the commit.
    pub fn to<'a>(&'a mut self, queue: &'a str) -> TransactionPort<'a> {
        TransactionPort { outbox: &mut self.outbox, queue }
    }

    /// The shared list of that name, to be changed by the commit: see [`Output::list`](crate::Output::list).
    pub fn list<U: Serialize + DeserializeOwned>(&mut self, name: &str) -> ListChange<'_, U> {
        ListChange::new(&mut self.outbox, name)
    }

    /// The shared map of that name, to be changed by the commit: see [`Output::list`](crate::Output::list).
    pub fn map<K, V>(&mut self, name: &str) -> MapChange<'_, K, V>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        MapChange::new(&mut self.outbox, name)
    }

    /// The shared counter of that name, to be changed by the commit: see [`Output::list`](crate::Output::list).
    pub fn counter(&mut self, name: &str) -> CounterChange<'_> {
        CounterChange::new(&mut self.outbox, name)
    }

    /// Sets the checkpoint of the commit, any serde value of up to 4 KiB.
    ///
    /// # Errors
    /// It is too large, or has no encoding.
    pub fn checkpoint<C: Serialize>(&mut self, checkpoint: &C) -> Result<(), CheckpointError> {
        self.outbox.checkpoint(checkpoint)
    }

    /// The checkpoint that the next commit will write, or else the last committed one, whichever process committed it.
    ///
    /// # Errors
    /// The checkpoint is of another type: the program has changed.
    pub fn last_checkpoint<C: DeserializeOwned>(&self) -> Result<Option<C>, DecodeError> {
        self.outbox.pending()
    }

    /// Commits, waiting for room in the outputs as long as it takes. The transaction is empty then, for the next one.
    ///
    /// # Errors
    /// Nothing has happened then, and the transaction is as it was: [`Refusal::Stopped`] if the worker is told to stop while it
    /// waits; `Closed`, `Shared`; [`Refusal::LeaseGone`] if an item is not this worker's any more.
    pub fn commit(&mut self) -> Result<(), Refusal> {
        let mut members: Vec<_> = self.receivers.iter().map(|receiver| receiver.member()).collect();
        let mut inputs: Vec<&mut Member> = members.iter_mut().map(|member| &mut **member).collect();
        let mut items = vec![0; self.receivers.len()];
        self.taken.iter().for_each(|(receiver, _)| items[*receiver] += 1);
        self.outbox.commit(&mut inputs, &mut self.taken)?;
        drop(members);
        for (receiver, items) in self.receivers.iter().zip(items) {
            receiver.committed(items);
        }
        Ok(())
    }

    /// Commits if at least so many items are to be acknowledged, or one that came again, which gets a commit of its own. Says
    /// whether it did. So one commit covers many items, and an item that makes the commit fail, or kills the process, takes no
    /// others along for more than its first delivery:
    ///
    /// ```no_run
    /// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
    /// let lines = ctx.receiver::<String>("lines")?;
    /// let mut tx = ctx.transaction()?;
    /// for line in lines.iter() {
    ///     let line = tx.ack(line);
    ///     tx.to("words").send(line.split_whitespace().count())?;
    ///     tx.commit_at(100)?;
    /// }
    /// tx.commit()?; // What is left at the end of the stream.
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`commit`](Self::commit).
    pub fn commit_at(&mut self, items: usize) -> Result<bool, Refusal> {
        let is_due = self.taken.len() >= items || self.taken.iter().any(|(_, lease)| lease.deliveries() > 1);
        if is_due {
            self.commit()?;
        }
        Ok(is_due)
    }

    /// Forgets what was sent, and gives the items back as if their deliveries had been dropped.
    pub fn roll_back(&mut self) {
        self.outbox.roll_back();
        for (receiver, lease) in self.taken.drain(..) {
            self.receivers[receiver].dropped(lease);
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.roll_back();
    }
}

impl fmt::Debug for Transaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transaction").field("taken", &self.taken.len()).finish_non_exhaustive()
    }
}

/// An output of a transaction, chosen by name: [`Transaction::to`].
pub struct TransactionPort<'a> {
    outbox: &'a mut Outbox,
    queue: &'a str,
}

impl TransactionPort<'_> {
    /// Sends to this output, with the commit.
    ///
    /// # Errors
    /// `TooLarge`, `Encode`; `NoQueue` if the stage has no output of this name; [`Refusal::MoreThanCapacity`].
    pub fn send<U: Serialize + DeserializeOwned>(self, item: U) -> Result<(), SendError<U>> {
        output::send::<U>(self.outbox, Some(self.queue), &item).map_err(|reason| SendError { item, reason })
    }

    /// Sends a value that is encoded as an `Owned` is: see [`Output::send_as`](crate::Output::send_as).
    ///
    /// # Errors
    /// As [`send`](Self::send); [`Refusal::NotReadBack`](crate::Refusal::NotReadBack) if it is not encoded as an `Owned`.
    pub fn send_as<Owned: Serialize + DeserializeOwned>(
        self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Refusal> {
        output::send::<Owned>(self.outbox, Some(self.queue), value)
    }
}

impl fmt::Debug for TransactionPort<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransactionPort").field("queue", &self.queue).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{MAX_DELIVERIES, sandbox};

    #[test]
    fn items_of_two_queues_and_what_is_sent_for_them_are_committed_together() {
        let sandbox = sandbox(&["names", "ages"], &["people"]);
        sandbox.feed("names", ["ada", "bob"]);
        sandbox.feed("ages", [36u8, 40]);
        let ctx = &sandbox.ctx;
        let (names, ages) = (ctx.receiver::<String>("names"), ctx.receiver::<u8>("ages"));
        let (names, ages) = (names.expect("an input"), ages.expect("an input"));
        let mut tx = ctx.transaction().expect("outputs");
        for _ in 0..2 {
            let person = (tx.ack(names.recv().expect("a name")), tx.ack(ages.recv().expect("an age")));
            tx.to("people").send(person).expect("taken");
        }
        tx.checkpoint(&2u8).expect("small");
        assert_eq!((sandbox.processed(), sandbox.queue("people").len()), (0, 0));
        tx.commit().expect("committed");
        assert_eq!(sandbox.processed(), 4);
        assert_eq!(tx.last_checkpoint::<u8>().expect("a number"), Some(2));
        let people = sandbox.take::<(String, u8)>("people");
        assert_eq!(people, [(1, ("ada".into(), 36)), (1, ("bob".into(), 40))]);
        assert!(sandbox.page.lane(0).holds().is_none());
    }

    #[test]
    fn dropped_without_a_commit_nothing_has_happened() {
        let sandbox = sandbox(&["names"], &["people"]);
        sandbox.feed("names", ["ada"]);
        let names = sandbox.ctx.receiver::<String>("names").expect("an input");
        let mut tx = sandbox.ctx.transaction().expect("outputs");
        let name = tx.ack(names.recv().expect("a name"));
        tx.to("people").send(name).expect("taken");
        drop(tx);
        assert!(sandbox.queue("people").is_empty());
        assert_eq!(names.recv().expect("the name again").deliveries(), 2);
    }

    #[test]
    fn more_items_than_the_queue_can_hold_are_refused_before_the_commit() {
        let sandbox = sandbox(&["names"], &["people"]);
        let mut tx = sandbox.ctx.transaction().expect("outputs");
        for n in 0..crate::sandbox::CAPACITY {
            tx.to("people").send(n).expect("taken");
        }
        let error = tx.to("people").send(9u32).expect_err("there is no room for it");
        assert!(matches!(error.reason, Refusal::MoreThanCapacity { capacity: 4, .. }), "{error}");
        tx.commit().expect("those before are committed");
        assert_eq!(sandbox.take::<u32>("people").len(), 4);
        assert!(matches!(tx.to("peeple").send(1).expect_err("no such output").reason, Refusal::NoQueue(_)));
    }

    #[test]
    fn a_commit_that_waits_for_room_lets_another_thread_make_it() {
        let sandbox = sandbox(&["names"], &["people"]);
        sandbox.feed("names", ["ada"]);
        sandbox.feed("people", ["cy", "dan", "eve", "fay"]);
        let ctx = &sandbox.ctx;
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| {
                let mut tx = ctx.transaction().expect("outputs");
                tx.to("people").send("bob".to_owned()).expect("taken");
                tx.commit()
            });
            crate::sandbox::until(|| sandbox.page.lane(0).waits().is_some());
            let names = ctx.receiver::<String>("names").expect("an input");
            let mut tx = ctx.transaction().expect("outputs");
            tx.ack(names.recv().expect("a name"));
            tx.checkpoint(&1u8).expect("small");
            tx.commit().expect("it has its turn while the other one waits");
            // The other commit may find its room while these are being taken.
            let mut people = sandbox.take::<String>("people");
            waits.join().expect("no panic").expect("there is room now");
            people.extend(sandbox.take::<String>("people"));
            assert_eq!(people.last(), Some(&(1, "bob".to_owned())));
            assert_eq!(people.len(), 5);
        });
    }

    #[test]
    fn of_items_that_fail_together_only_the_first_has_failed_by_itself() {
        let sandbox = sandbox(&["names"], &["people"]);
        sandbox.feed("names", ["ada", "bob", "cy"]);
        let names = sandbox.ctx.receiver::<String>("names").expect("an input");
        for _ in 0..MAX_DELIVERIES {
            let mut tx = sandbox.ctx.transaction().expect("outputs");
            (0..3).for_each(|_| drop(tx.ack(names.recv().expect("a name"))));
        }
        assert_eq!(sandbox.dead("names"), 1);
        assert_eq!(names.recv_many(1).expect("a name").ack(), ["bob"]);
    }

    #[test]
    fn whichever_item_makes_a_commit_fail_it_alone_becomes_a_dead_letter() {
        for poison in 0..4u64 {
            let sandbox = sandbox(&["numbers"], &["sums"]);
            sandbox.feed("numbers", 0..4u64);
            sandbox.queue("numbers").close();
            let mut runs = 0;
            let serve = || -> crate::Result {
                let numbers = sandbox.ctx.receiver::<u64>("numbers")?;
                let mut tx = sandbox.ctx.transaction()?;
                for number in numbers.iter() {
                    let number = tx.ack(number);
                    if number == poison {
                        return Err("it cannot be done".into());
                    }
                    tx.to("sums").send(number)?;
                    tx.commit_at(3)?;
                }
                Ok(tx.commit()?)
            };
            while serve().is_err() {
                runs += 1;
                assert!(runs < 10, "item {poison} comes again and again");
            }
            let done: Vec<u64> = sandbox.take("sums").into_iter().map(|(_, n)| n).collect();
            let others: Vec<u64> = (0..4).filter(|n| *n != poison).collect();
            assert_eq!((done, sandbox.dead("numbers")), (others, 1), "item {poison}");
        }
    }
}
