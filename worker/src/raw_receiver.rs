//! The receiving end of a queue in bytes, read where they lie. The typed [`Receiver`](crate::Receiver) is this one with
//! a decoder behind it.

use std::cell::{Cell, RefCell, RefMut};
use std::fmt;
use std::time::{Duration, Instant};

use brigade_protocol::id::ItemKey;
use brigade_protocol::page::{Lane, WaitsFor};
use brigade_protocol::queue::{Lease, Member, Nothing, Queue, Returned, Wait};

use crate::context::Context;
use crate::copies::{ignored, is_copy};
use crate::deliveries::RawDeliveries;
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
    /// Room for leases, kept from one [`RawReceiver::recv_many`] to the next.
    room: RefCell<Vec<Lease>>,
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
            room: RefCell::default(),
            lane: ctx.station().stop.page().lane(ctx.thread()),
            ctx: ctx.clone(),
        })
    }

    /// The queue itself.
    pub(crate) fn file(&self) -> &Queue {
        &self.line.queue
    }

    /// Takes the next item, and waits for it as long as it takes.
    ///
    /// # Errors
    /// [`RecvError::Ended`] at the end of the stream, [`RecvError::Stopped`] when the worker is told to stop,
    /// [`RecvError::HoldsAll`] if nothing can come before this handle lets go of a delivery.
    #[inline]
    pub fn recv(&self) -> Result<RawDelivery<'_>, RecvError> {
        self.recv_until(None)
    }

    /// Takes the next item if one is there at this moment.
    ///
    /// # Errors
    /// [`RecvError::Empty`] if not, or if the stage is paused, and all that [`recv`](Self::recv) has.
    pub fn try_recv(&self) -> Result<RawDelivery<'_>, RecvError> {
        if self.ctx.station().stop.is_held() {
            return Err(RecvError::Empty);
        }
        let lease = self.take(Member::try_recv)?;
        Ok(self.taken(lease))
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

    /// Takes up to `most` items in one go, and waits for the first of them as long as it takes: much faster than one by
    /// one. It takes what is there, and never waits for more; nobody else can take them then, so that slow work should not
    /// ask for many.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_many(&self, most: usize) -> Result<RawDeliveries<'_>, RecvError> {
        self.take_many(most, |most, leases| {
            self.take_until(None, |member, wait| match member.try_recv_many(most, leases) {
                Err(Nothing::Empty) => member.recv_many(most, leases, wait),
                answer => answer,
            })
        })
    }

    /// Takes up to `most` items that are there at this moment.
    ///
    /// # Errors
    /// As [`try_recv`](Self::try_recv).
    pub fn try_recv_many(&self, most: usize) -> Result<RawDeliveries<'_>, RecvError> {
        if self.ctx.station().stop.is_held() {
            return Err(RecvError::Empty);
        }
        self.take_many(most, |most, leases| self.take(|member| member.try_recv_many(most, leases)))
    }

    #[inline]
    fn take_many(
        &self,
        most: usize,
        take: impl FnOnce(usize, &mut Vec<Lease>) -> Result<(), RecvError>,
    ) -> Result<RawDeliveries<'_>, RecvError> {
        let mut leases = self.room.take();
        take(self.ctx.station().allowed(most).min(most), &mut leases)?;
        if let Some(first) = leases.first() {
            self.lane.hold(self.index, first.id());
        }
        self.held.set(self.held.get() + leases.len());
        Ok(RawDeliveries::new(self, leases))
    }

    #[inline]
    fn recv_until(&self, deadline: Option<Instant>) -> Result<RawDelivery<'_>, RecvError> {
        let lease = self.take_until(deadline, |member, wait| member.recv(wait))?;
        Ok(self.taken(lease))
    }

    /// Takes, and waits for it until the deadline.
    #[inline]
    fn take_until<T>(
        &self,
        deadline: Option<Instant>,
        mut take: impl FnMut(&mut Member, &Wait<'_>) -> Result<T, Nothing>,
    ) -> Result<T, RecvError> {
        let stop = &self.ctx.station().stop;
        // It may hold other items meanwhile.
        let waiting = self.lane.waiting();
        let interrupted = || stop.halts_or_waits(&waiting, WaitsFor::Item(self.index)) || self.holds_all().is_some();
        loop {
            if !stop.while_held(deadline) {
                return Err(RecvError::Timeout);
            }
            match self.take(|member| take(member, &Wait { deadline, interrupted: &interrupted })) {
                Err(RecvError::Stopped) if !stop.now() => {
                    if let Some(all) = self.holds_all() {
                        return Err(all);
                    } // Else it is only paused.
                }
                answer => return answer,
            }
        }
    }

    /// Nothing can come because of what this handle itself holds: every slot of the queue, or all that is left in a queue
    /// to which nothing is sent any more.
    fn holds_all(&self) -> Option<RecvError> {
        let (held, queue) = (self.held.get(), &self.line.queue);
        let is_all = held > 0 && (held >= queue.capacity() || queue.is_closed() && queue.depth().left() <= held as u64);
        is_all.then(|| RecvError::HoldsAll { queue: self.line.name.clone(), held, capacity: queue.capacity() })
    }

    #[inline]
    fn take<T>(&self, take: impl FnOnce(&mut Member) -> Result<T, Nothing>) -> Result<T, RecvError> {
        if self.ctx.station().stop.now() {
            return Err(RecvError::Stopped);
        }
        Ok(take(&mut self.member.borrow_mut())?)
    }

    #[inline]
    fn taken(&self, lease: Lease) -> RawDelivery<'_> {
        self.lane.hold(self.index, lease.id());
        self.held.set(self.held.get() + 1);
        RawDelivery::new(self, lease)
    }

    #[inline]
    pub(crate) fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        self.line.queue.bytes(lease)
    }

    pub(crate) fn key(&self, lease: &Lease) -> ItemKey {
        self.line.queue.key(lease)
    }

    #[inline]
    pub(crate) fn ack(&self, lease: Lease) {
        if !self.member.borrow_mut().ack(lease) {
            return ignored();
        }
        self.let_go(1);
        self.ctx.station().dealt_with_one();
    }

    #[inline]
    pub(crate) fn ack_many(&self, leases: &mut Vec<Lease>) {
        if is_copy() {
            leases.clear();
            return ignored();
        }
        let items = leases.len();
        self.member.borrow_mut().ack_many(leases);
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// The receiver's member at the queue, for the commit of a transaction.
    pub(crate) fn member(&self) -> RefMut<'_, Member> {
        self.member.borrow_mut()
    }

    /// Items of this receiver were committed with a transaction.
    pub(crate) fn committed(&self, items: usize) {
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// The leases are done with; their memory is used again.
    pub(crate) fn keep_room(&self, leases: Vec<Lease>) {
        self.room.replace(leases);
    }

    /// `after`: when it is to come again; `None`: as the queue's policy says.
    pub(crate) fn nack(&self, lease: Lease, after: Option<Duration>, why: &str) {
        if is_copy() {
            return ignored();
        }
        nack(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, after, why);
        self.let_go(1);
        self.ctx.station().dealt_with_one();
    }

    /// A run failed as a whole. `after`: as for [`RawReceiver::nack`].
    pub(crate) fn nack_run(&self, leases: &mut Vec<Lease>, after: Option<Duration>, why: &str) {
        if is_copy() {
            leases.clear();
            return ignored();
        }
        let items = leases.len();
        for lease in leases.drain(..) {
            fail_with_others(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, after, why);
        }
        self.let_go(items);
        self.ctx.station().dealt_with(items as u64);
    }

    /// A delivery was dropped without a word. One of a run: the run has failed.
    pub(crate) fn dropped(&self, lease: Lease) {
        if is_copy() {
            return; // It is still in the worker's hands.
        }
        if self.ctx.station().stop.now() && !std::thread::panicking() {
            // It was to be stopped: that is not the item's fault.
            self.member.borrow_mut().give_back(lease);
        } else {
            let why = "the delivery was dropped without an ack";
            fail_with_others(self.ctx.station(), &mut self.member.borrow_mut(), lease, &self.line, None, why);
        }
        self.let_go(1);
    }

    #[inline]
    fn let_go(&self, items: usize) {
        self.held.set(self.held.get() - items);
        if self.held.get() == 0 {
            self.lane.release_of(self.index);
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
    fail(station, line, lease, after, why, |lease, wait| member.nack_after(lease, wait));
}

/// The same for an item of a run that failed: it is not known to be at fault, and comes again by itself.
pub(crate) fn fail_with_others(
    station: &Station,
    member: &mut Member,
    lease: Lease,
    line: &Line,
    after: Option<Duration>,
    why: &str,
) {
    fail(station, line, lease, after, why, |lease, wait| member.fail_with_others(lease, wait));
}

fn fail(
    station: &Station,
    line: &Line,
    lease: Lease,
    after: Option<Duration>,
    why: &str,
    give_back: impl FnOnce(Lease, Duration) -> Option<Returned>,
) {
    let (item, deliveries, queue) = (lease.id(), lease.deliveries(), line.name.as_str());
    station.item_failed(queue, item, why);
    let wait = after.unwrap_or_else(|| line.retry.wait(item, deliveries));
    match give_back(lease, wait) {
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
        Err(
            error @ (RecvError::Empty
            | RecvError::Timeout
            | RecvError::HoldsAll { .. }
            | RecvError::Spoilt
            | RecvError::ForkedCopy),
        ) => {
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
