//! The receiving end of a queue in bytes, read where they lie. The typed [`Receiver`](crate::Receiver) is this one with
//! a decoder behind it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use brigade_protocol::page::Lane;
use brigade_protocol::queue::{Lease, Member, Nothing, Returned, Wait};

use crate::context::Context;
use crate::delivery::RawDelivery;
use crate::error::{OpenError, RecvError};
use crate::station::{Line, Station};

/// Takes bytes from a queue and reads them in place. Made by [`Context::raw_receiver`].
///
/// It may be moved to another thread, and is used by one at a time. Several deliveries may be held at once.
pub struct RawReceiver {
    member: RefCell<Member>,
    line: Line,
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
            line: line.clone(),
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
        std::iter::from_fn(|| going_on(self.recv(), &self.line.name)).flatten()
    }

    fn recv_until(&self, deadline: Option<Instant>) -> Result<RawDelivery<'_>, RecvError> {
        let stop = &self.ctx.station().stop;
        // It may hold other items meanwhile.
        let waiting = self.lane.waiting();
        let interrupted = || stop.now_or_wait(&waiting);
        self.taken(|member| match member.try_recv() {
            Err(Nothing::Empty) => member.recv(&Wait { deadline, interrupted: &interrupted }),
            answer => answer,
        })
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
        self.line.queue.bytes(lease)
    }

    pub(crate) fn ack(&self, lease: Lease) {
        self.member.borrow_mut().ack(lease);
        self.lane.done();
        self.let_go();
        self.ctx.station().dealt_with_one();
    }

    /// `after`: when it is to come again; `None`: as the queue's policy says.
    pub(crate) fn nack(&self, lease: Lease, after: Option<Duration>, why: &str) {
        nack(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, after, why);
        self.let_go();
        self.ctx.station().dealt_with_one();
    }

    /// A delivery was dropped without a word.
    pub(crate) fn dropped(&self, lease: Lease) {
        if self.ctx.station().stop.now() && !std::thread::panicking() {
            // It was to be stopped: that is not the item's fault.
            self.member.borrow_mut().give_back(lease);
        } else {
            let why = "the delivery was dropped without an ack";
            nack(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, None, why);
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
        &self.line.name
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.line.queue.len()
    }

    /// Whether nothing waits in the queue at this moment. Says nothing about the end: that is [`RecvError::Ended`].
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.line.queue.capacity()
    }
}

impl fmt::Debug for RawReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawReceiver").field("queue", &self.line.name).field("held", &self.held).finish_non_exhaustive()
    }
}

/// Gives the item back as failed, to come again after this time or when the queue's policy says so, and tells if it will
/// not come again.
pub(crate) fn nack(
    station: &Station,
    member: &mut Member,
    lease: Lease,
    line: &Line,
    after: Option<Duration>,
    why: &str,
) {
    let (item, deliveries, queue) = (lease.id(), lease.deliveries(), line.name.as_str());
    station.item_failed(queue, item, why);
    let wait = after.unwrap_or_else(|| line.retry.wait(item, deliveries));
    match member.nack_after(lease, wait) {
        Some(Returned::Dead) => {
            tracing::error!(%item, queue, deliveries, "the item is a dead letter now: every delivery of it failed");
        }
        Some(Returned::Late) if wait.is_zero() => {}
        Some(Returned::Late) => tracing::info!(%item, queue, deliveries, "the item comes again in {wait:.1?}"),
        None => tracing::error!(%item, queue, "the item is gone: the queue's shared memory is spoilt"),
    }
}

/// What an iterator makes of a result: `None` ends it, `Some(None)` passes over an item.
pub(crate) fn going_on<D>(taken: Result<D, RecvError>, queue: &str) -> Option<Option<D>> {
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

#[cfg(test)]
mod tests {
    use crate::sandbox::sandbox;

    #[test]
    fn bytes_are_read_in_place_while_more_is_taken() {
        let sandbox = sandbox(&["bytes"], &["bytes"]);
        let sender = sandbox.ctx.raw_sender("bytes").expect("an output");
        sender.send(b"first").expect("there is room");
        sender.send(&[9; 200]).expect("there is room");
        let bytes = sandbox.ctx.raw_receiver("bytes").expect("an input");
        let first = bytes.recv().expect("an item");
        let slice: &[u8] = &first;
        let second = bytes.recv().expect("an item");
        assert_eq!((slice, &second[..]), (&b"first"[..], &[9; 200][..]));
    }
}
