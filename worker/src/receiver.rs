//! The receiving end of a queue, for code that wants to take by itself. Handlers are called with their items.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use brigade_protocol::codec;
use brigade_protocol::page::Lane;
use brigade_protocol::queue::{Lease, Member, Nothing, Queue, Wait};
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::delivery::{Delivery, RawDelivery};
use crate::error::{OpenError, RecvError};
use crate::station::Line;

/// Takes bytes from a queue and reads them in place. Made by [`Context::raw_receiver`].
///
/// It may be moved to another thread, and is used by one at a time. Several deliveries may be held at once.
pub struct RawReceiver {
    member: RefCell<Member>,
    queue: Queue,
    name: String,
    /// Which of the stage's inputs it is.
    index: u16,
    /// Deliveries that are neither acknowledged nor given back.
    held: Cell<usize>,
    lane: Lane,
    ctx: Context,
}

impl RawReceiver {
    pub(crate) fn new(ctx: &Context, index: u16, line: &Line) -> Result<Self, OpenError> {
        let member = line
            .queue
            .join(ctx.station().welcome.post, ctx.thread())
            .map_err(|error| OpenError::Queue { queue: line.name.clone(), error })?;
        Ok(Self {
            member: RefCell::new(member),
            queue: line.queue.clone(),
            name: line.name.clone(),
            index,
            held: Cell::new(0),
            lane: ctx.station().stop.page().lane(ctx.thread()),
            ctx: ctx.clone(),
        })
    }

    /// Takes the next item, and waits for it as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Ended`] at the end of the stream, [`RecvError::Stopped`] when the worker is told to stop.
    pub fn recv(&self) -> Result<RawDelivery<'_>, RecvError> {
        self.recv_until(None)
    }

    /// Takes the next item if one is there at this moment.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if not, and all that [`recv`](Self::recv) has.
    pub fn try_recv(&self) -> Result<RawDelivery<'_>, RecvError> {
        self.taken(|member| member.try_recv())
    }

    /// Takes the next item, and waits for it at most `time`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and all that [`recv`](Self::recv) has.
    pub fn recv_timeout(&self, time: Duration) -> Result<RawDelivery<'_>, RecvError> {
        self.recv_until(Instant::now().checked_add(time))
    }

    /// Takes the next item, and waits for it at most until `deadline`.
    ///
    /// # Errors
    /// [`RecvError::Timeout`], and all that [`recv`](Self::recv) has.
    pub fn recv_deadline(&self, deadline: Instant) -> Result<RawDelivery<'_>, RecvError> {
        self.recv_until(Some(deadline))
    }

    /// The items one after the other, until the end of the stream or until the worker is told to stop.
    pub fn iter(&self) -> impl Iterator<Item = RawDelivery<'_>> {
        std::iter::from_fn(|| going_on(self.recv(), &self.name)).flatten()
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<RawDelivery<'_>, RecvError> {
        let stop = &self.ctx.station().stop;
        self.taken(|member| member.recv(&Wait { deadline, interrupted: &|| stop.now() }))
    }

    #[inline]
    fn taken(&self, take: impl FnOnce(&mut Member) -> Result<Lease, Nothing>) -> Result<RawDelivery<'_>, RecvError> {
        let stop = &self.ctx.station().stop;
        if stop.now() {
            return Err(RecvError::Stopped);
        }
        let lease = take(&mut self.member.borrow_mut())?;
        self.lane.hold(self.index, lease.id());
        self.held.set(self.held.get() + 1);
        Ok(RawDelivery::new(self, lease))
    }

    pub(crate) fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        self.queue.bytes(lease)
    }

    pub(crate) fn ack(&self, lease: Lease) {
        self.member.borrow_mut().ack(lease);
        self.lane.done();
        self.let_go();
    }

    pub(crate) fn nack(&self, lease: Lease) {
        self.member.borrow_mut().nack(lease);
        self.let_go();
    }

    /// A delivery was dropped without a word.
    pub(crate) fn dropped(&self, lease: Lease) {
        if self.ctx.station().stop.now() && !std::thread::panicking() {
            // It was to be stopped: that is not the item's fault.
            self.member.borrow_mut().give_back(lease);
        } else {
            self.member.borrow_mut().nack(lease);
        }
        self.let_go();
    }

    fn let_go(&self) {
        self.held.set(self.held.get() - 1);
        if self.held.get() == 0 {
            self.lane.release();
        }
    }

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        &self.name
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits in the queue at this moment. Says nothing about the end: that is [`RecvError::Ended`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}

impl fmt::Debug for RawReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReceiver").field("queue", &self.name).field("held", &self.held).finish_non_exhaustive()
    }
}

/// Takes items of one type from a queue. Made by [`Context::receiver`].
///
/// It may be moved to another thread, and is used by one at a time. Several deliveries may be held at once. An item is
/// gone from the queue when its delivery is acknowledged; until then the death of this process gives it to another.
///
/// ```no_run
/// use brigade_worker::{Exit, work};
///
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let numbers = ctx.receiver::<u64>("numbers")?;
///         let mut sum = 0;
///         for number in numbers.iter() {
///             sum += *number;
///             number.ack();
///         }
///         println!("{sum}");
///         Ok(())
///     })
/// }
/// ```
pub struct Receiver<T> {
    raw: RawReceiver,
    items: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Receiver<T> {
    pub(crate) fn new(raw: RawReceiver) -> Self {
        Self { raw, items: PhantomData }
    }

    /// Takes the next item, and waits for it as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Ended`] at the end of the stream, [`RecvError::Stopped`] when the worker is told to stop,
    /// [`RecvError::Undecodable`] for an item that is no `T` (it goes back: nack).
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

    /// The items one after the other, until the end of the stream or until the worker is told to stop. Items that are
    /// no `T` go back (nack) and are named in the log.
    pub fn iter(&self) -> impl Iterator<Item = Delivery<'_, T>> {
        std::iter::from_fn(|| going_on(self.recv(), self.queue())).flatten()
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
        Err(error) => {
            let (id, deliveries) = (raw.id(), raw.deliveries());
            raw.nack();
            Err(RecvError::Undecodable { id, deliveries, error })
        }
    }
}

/// What an iterator makes of a result: `None` ends it, `Some(None)` passes over an item.
fn going_on<D>(taken: Result<D, RecvError>, queue: &str) -> Option<Option<D>> {
    match taken {
        Ok(delivery) => Some(Some(delivery)),
        Err(RecvError::Undecodable { id, deliveries, error }) => {
            tracing::error!(item = %id, queue, deliveries, "the item cannot be decoded: {error}");
            Some(None)
        }
        Err(RecvError::Ended | RecvError::Stopped) => None,
        Err(error @ (RecvError::Empty | RecvError::Timeout | RecvError::Spoilt)) => {
            tracing::error!(queue, "cannot take more items: {error}");
            None
        }
    }
}
