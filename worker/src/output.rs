//! Where a handler's results go. What it sends belongs to the item in hand, so that both can be committed together;
//! a plain [`Sender`](crate::Sender) knows of no item.

use std::fmt;
use std::marker::PhantomData;

use brigade_protocol::codec::DecodeError;
use brigade_protocol::id::{ItemId, ItemKey};
use serde::{Serialize, de::DeserializeOwned};

use crate::change::{CounterChange, ListChange, MapChange};
use crate::context::Context;
use crate::error::{CheckpointError, OpenError, Refusal, SendError};
use crate::outbox::Outbox;
use crate::shape;

/// Takes a handler's results to the stage's outputs.
///
/// What a handler sends and the end of the item that it came from are committed together, by one store. If the process
/// dies before it, nothing of both has happened; if it dies after it, all of both has. So a handler cannot send more for
/// one item than the output queue has room for: the send is refused ([`Refusal::MoreThanCapacity`]), and nothing of the item
/// goes out if the handler returns that error.
///
/// ```no_run
/// use brigade_worker::{Exit, Output, run};
///
/// fn split(line: String, out: &mut Output<String>) -> brigade_worker::Result {
///     for word in line.split_whitespace() {
///         out.send(word.to_lowercase())?;
///     }
///     if line.is_empty() {
///         out.to("oddities").send_as::<String>("an empty line")?;
///     }
///     Ok(())
/// }
///
/// fn main() -> Exit {
///     run(split)
/// }
/// ```
pub struct Output<T> {
    outbox: Outbox,
    items: PhantomData<fn(T)>,
}

impl<T> Output<T> {
    pub(crate) fn new(ctx: &Context) -> Result<Self, OpenError>
    where
        T: DeserializeOwned,
    {
        // With several outputs the type of each is known when the first item is sent there.
        if let [only] = ctx.station().outputs.as_slice()
            && !shape::is_unit::<T>()
        {
            shape::join_to_send::<T>(&only.name, &only.queue)?;
        }
        Ok(Self { outbox: Outbox::new(ctx)?, items: PhantomData })
    }

    pub(crate) fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// Sends to the stage's output; to the first in the pipeline file, if it has several. From a handler the item goes out
    /// when the handler has returned `Ok`; from a source at once, waiting while the queue is full, or, if it keeps
    /// [checkpoints](Output::checkpoint), with the next one.
    ///
    /// # Errors
    /// `TooLarge`, `Encode`; [`Refusal::MoreThanCapacity`]; `NoQueue` if the stage has no outputs, or the queue holds items of another shape, which ends the worker when the handler returns it. For
    /// a source also [`Refusal::Stopped`] if the worker is told to stop while it waits, `Closed` and `NoSpace`.
    pub fn send(&mut self, item: T) -> Result<(), SendError<T>>
    where
        T: Serialize + DeserializeOwned,
    {
        send::<T>(&mut self.outbox, None, &item).map_err(|reason| SendError { item, reason })
    }

    /// Sends a value that is encoded as an `Owned` is, such as a `&str` for a `String`: see [`send`](Output::send). What
    /// counts as the type of the item is `Owned`.
    ///
    /// # Errors
    /// As [`send`](Output::send); [`Refusal::NotReadBack`] if it is not encoded as an `Owned`.
    pub fn send_as<Owned: Serialize + DeserializeOwned>(
        &mut self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Refusal> {
        send::<Owned>(&mut self.outbox, None, value)
    }

    /// The output of this name, for a stage that has several. What is sent there may be of any type.
    pub fn to<'a>(&'a mut self, queue: &'a str) -> Port<'a> {
        Port { outbox: &mut self.outbox, queue }
    }

    /// The checkpoint of the last commit, whoever made it: this process, or one before it at the same post. To be asked
    /// first, by a source that wants to go on where it was: from then on what it sends is held back until it calls
    /// [`checkpoint`](Output::checkpoint), so that the two can never disagree.
    ///
    /// # Errors
    /// The checkpoint is of another type: the program has changed. Returned from a source, that ends the worker for good:
    /// run it with the old program, or put the old state aside with --fresh.
    pub fn restore<C: DeserializeOwned>(&mut self) -> Result<Option<C>, DecodeError> {
        self.outbox.restore()
    }

    /// Sets the checkpoint, any serde value of up to 4 KiB. In a source, what was sent since the last one is committed
    /// together with it, by one store: if the process dies before, neither has happened, if it dies after, both have.
    /// What is sent between two checkpoints must fit into the output's capacity: [`Refusal::MoreThanCapacity`] ends a source
    /// that returns it for good. In a handler it is committed with the item in hand.
    ///
    /// # Errors
    /// It is too large, or (in a source) the commit was interrupted: `Stopped`.
    pub fn checkpoint<C: Serialize>(&mut self, checkpoint: &C) -> Result<(), CheckpointError> {
        self.outbox.checkpoint(checkpoint)
    }

    /// The shared list of that name, to be changed with the item in hand: by the same commit, once, also if the item has to
    /// be delivered again because a process died. Whoever sees what the item has sent, or the end of the queue that it
    /// came from, finds the change made. The handler itself does not see it before.
    ///
    /// ```no_run
    /// # use brigade_worker::Output;
    /// fn count(word: String, out: &mut Output<()>) -> brigade_worker::Result {
    ///     out.map::<String, i64>("words").add(&word, 1)?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// Changes are combined before the manager hears of them, over all items of one commit: additions to the same number
    /// become one, and so does what is pushed to the same list, in its order. What comes of them, errors included, is what
    /// comes of them one by one. So a change costs little more than its encoding. A commit covers the items of a `batch`, and
    /// those of up to 16 batches that change shared state, if they are handled within 5 ms.
    ///
    /// A source that keeps [checkpoints](Output::checkpoint) changes it with the next one, and one that keeps none at once.
    pub fn list<U: Serialize + DeserializeOwned>(&mut self, name: &str) -> ListChange<'_, U> {
        ListChange::new(&mut self.outbox, name)
    }

    /// The shared map of that name, to be changed with the item in hand: see [`list`](Output::list).
    pub fn map<K, V>(&mut self, name: &str) -> MapChange<'_, K, V>
    where
        K: Serialize + DeserializeOwned,
        V: Serialize + DeserializeOwned,
    {
        MapChange::new(&mut self.outbox, name)
    }

    /// The shared counter of that name, to be changed with the item in hand: see [`list`](Output::list).
    pub fn counter(&mut self, name: &str) -> CounterChange<'_> {
        CounterChange::new(&mut self.outbox, name)
    }

    /// The identity of the item in hand within its queue. It stays the same when the item is delivered again. Another run, or
    /// another queue, has items of the same id: to know an item elsewhere, take its [`key`](Output::item_key). `None` in a
    /// source and in [`Worker::finish`](crate::Worker::finish).
    pub fn item_id(&self) -> Option<ItemId> {
        self.outbox.item().map(|item| item.id)
    }

    /// The identity of the item in hand among all items of all queues and runs. It stays the same when the item is delivered
    /// again, when it comes again as a dead letter that was retried, and when a later run continues with what was left. What
    /// another run, or a source that begins again, makes has other keys. So an effect outside of the pipeline (a row, a mail, a payment) is
    /// done once for each item if it is done under this key: as the key of the row, say, or as the idempotency key of the
    /// request. It is written as 32 hexadecimal digits. `None` in a source and in [`Worker::finish`](crate::Worker::finish).
    ///
    /// ```no_run
    /// # use brigade_worker::Output;
    /// # fn charge(amount: u64, idempotency_key: &str) -> brigade_worker::Result { Ok(()) }
    /// fn pay(amount: u64, out: &mut Output<()>) -> brigade_worker::Result {
    ///     let key = out.item_key().ok_or("no item is in hand")?;
    ///     charge(amount, &key.to_string())
    /// }
    /// ```
    pub fn item_key(&self) -> Option<ItemKey> {
        self.outbox.item().map(|item| item.key)
    }

    /// How often the item in hand was delivered, this time included: 1 for the first. `None` in a source and in
    /// [`Worker::finish`](crate::Worker::finish).
    pub fn deliveries(&self) -> Option<u16> {
        self.outbox.item().map(|item| item.deliveries)
    }

    /// Where the worker is, and its stop flag.
    pub fn ctx(&self) -> &Context {
        self.outbox.ctx()
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Output").finish_non_exhaustive()
    }
}

/// One of several outputs, chosen by name: [`Output::to`].
pub struct Port<'a> {
    outbox: &'a mut Outbox,
    queue: &'a str,
}

impl Port<'_> {
    /// Sends to this output.
    ///
    /// # Errors
    /// As [`Output::send`]; `NoQueue` if the stage has no output of this name.
    pub fn send<U: Serialize + DeserializeOwned>(self, item: U) -> Result<(), SendError<U>> {
        send::<U>(self.outbox, Some(self.queue), &item).map_err(|reason| SendError { item, reason })
    }

    /// Sends a value that is encoded as an `Owned` is: see [`Output::send_as`].
    ///
    /// # Errors
    /// As [`Output::send_as`]; `NoQueue` if the stage has no output of this name.
    pub fn send_as<Owned: Serialize + DeserializeOwned>(
        self,
        value: &(impl Serialize + ?Sized),
    ) -> Result<(), Refusal> {
        send::<Owned>(self.outbox, Some(self.queue), value)
    }
}

impl fmt::Debug for Port<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Port").field("queue", &self.queue).finish_non_exhaustive()
    }
}

pub(crate) fn send<U: DeserializeOwned>(
    outbox: &mut Outbox,
    queue: Option<&str>,
    item: &(impl Serialize + ?Sized),
) -> Result<(), Refusal> {
    match (outbox.port(queue), queue) {
        (Some(port), _) => outbox.send::<U>(port, item),
        (None, Some(queue)) => Err(Refusal::NoQueue(outbox.ctx().not_an_output(queue).into())),
        (None, None) => Err(Refusal::NoQueue(OpenError::NoOutputs { stage: outbox.ctx().stage().to_owned() }.into())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::is_permanent;
    use crate::sandbox::sandbox;

    #[test]
    fn items_go_to_the_first_output_and_by_name_to_the_others() {
        let sandbox = sandbox(&["numbers"], &["twice", "odd"]);
        let mut out = Output::<u64>::new(&sandbox.ctx).expect("outputs");
        out.send(14).expect("there is room");
        out.to("odd").send_as::<String>("seven").expect("there is room");
        assert!(sandbox.take::<u64>("twice").is_empty(), "nothing is seen before the commit");
        out.outbox().commit_alone().expect("committed");
        assert_eq!(sandbox.take::<u64>("twice"), [(1, 14)]);
        assert_eq!(sandbox.take::<String>("odd"), [(1, "seven".to_owned())]);
    }

    #[test]
    fn an_output_that_the_pipeline_file_lacks_fails_for_good() {
        let sandbox = sandbox(&["numbers"], &[]);
        let mut out = Output::<u64>::new(&sandbox.ctx).expect("outputs");
        let error = out.send(7).expect_err("there is no output");
        assert!(is_permanent(&error) && error.item == 7, "{error}");
        let error = out.to("odd").send(7).expect_err("there is no output");
        assert!(error.to_string().contains("does not send to queue \"odd\": it has none"), "{error}");
    }
}
