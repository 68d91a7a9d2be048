//! The receiving end of a queue in bytes, read where they lie. The typed [`Receiver`](crate::Receiver) is this one with
//! a decoder behind it.

mod settle;

use std::cell::{Cell, RefCell};
use std::fmt;
use std::time::{Duration, Instant};

use brigade_protocol::codec::DecodeError;
use brigade_protocol::id::{ItemId, ItemKey};
use brigade_protocol::page::{Lane, WaitsFor};
use brigade_protocol::queue::{Lease, Member, Nothing, Queue, Take, Wait, recv_any};

use crate::context::Context;
use crate::deliveries::RawDeliveries;
use crate::delivery::RawDelivery;
use crate::error::{OpenError, RecvError};
use crate::station::Line;

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
    /// Whether the last answer to its owner was that it holds all that it could get.
    was_told: Cell<bool>,
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
            was_told: Cell::new(false),
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
    /// Items that this handle takes while it holds others are dealt with together: if that fails, by an error or the death of
    /// the process, only the first of them has failed by itself and comes nearer to its `max_deliveries`. Those that came
    /// again ([`RawDelivery::deliveries`] above 1) should be acknowledged one by one, as only then the one at fault is found.
    ///
    /// # Errors
    /// [`RecvError::Ended`] at the end of the stream, [`RecvError::Stopped`] when the worker is told to stop,
    /// [`RecvError::HoldsAll`] if nothing can come before this handle lets go of a delivery: as at the end of the stream,
    /// acknowledge what it holds. If it holds as many items as the queue has room for, the error ends a worker that returns it
    /// for good. Items that are dropped because of this error do not count as failed.
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
        let lease = self.take(|member| member.try_take(self.next_take()))?;
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

    /// The items one after the other, until the end of the stream or until the worker is told to stop. It ends as well when
    /// all that is left are items that this handle holds.
    ///
    /// # Panics
    /// The thread unwinds, and the worker ends with the error that [`recv`](Self::recv) would give, if that is
    /// [`RecvError::HoldsAll`] for another reason, or [`RecvError::Spoilt`]: the code behind a loop over the items runs only
    /// when the stream is at its end or the worker is told to stop.
    pub fn iter(&self) -> impl Iterator<Item = RawDelivery<'_>> {
        std::iter::from_fn(|| self.next_of(self.recv())).flatten()
    }

    /// Takes up to `most` items in one go, and waits for the first of them as long as it takes: much faster than one by
    /// one. It takes what is there, and never waits for more; nobody else can take them then, so that slow work should not
    /// ask for many.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_many(&self, most: usize) -> Result<RawDeliveries<'_>, RecvError> {
        self.take_many(most, |most, leases| {
            self.take_until(None, |member, wait| {
                if most == 1 {
                    return self.next(member, wait).map(|lease| leases.push(lease));
                }
                match member.try_recv_many(most, leases) {
                    Err(Nothing::Empty) => member.recv_many(most, leases, wait),
                    answer => answer,
                }
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
        self.take_many(most, |most, leases| {
            self.take(|member| match most {
                1 => member.try_take(self.next_take()).map(|lease| leases.push(lease)),
                _ => member.try_recv_many(most, leases),
            })
        })
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
        let lease = self.take_until(deadline, |member, wait| self.next(member, wait))?;
        Ok(self.taken(lease))
    }

    #[inline]
    fn next(&self, member: &mut Member, wait: &Wait<'_>) -> Result<Lease, Nothing> {
        match self.next_take() {
            Take::Single => member.recv(wait),
            take => match member.try_take(take) {
                Err(Nothing::Empty) => {
                    recv_any(std::slice::from_mut(member), wait, &mut 0, take).map(|(_, lease)| lease)
                }
                answer => answer,
            },
        }
    }

    /// Several items that are held at the same time are a run, whose failure tells nothing about each of them. The first is
    /// taken as one that is alone, since it may stay so.
    #[inline]
    fn next_take(&self) -> Take {
        if self.held.get() == 0 { Take::Single } else { Take::First }
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
                        self.set_told(true);
                        return Err(all);
                    } // Else it is only paused.
                }
                Err(RecvError::Timeout) => {
                    waiting.end_without_success();
                    return Err(RecvError::Timeout);
                }
                answer => return answer,
            }
        }
    }

    /// Nothing can come because of what this handle itself holds: every slot of the queue, or all that is left in a queue
    /// to which nothing is sent any more.
    fn holds_all(&self) -> Option<RecvError> {
        let (held, capacity) = (self.held.get(), self.capacity());
        let is_all = held > 0 && (held >= capacity || self.holds_the_rest());
        is_all.then(|| RecvError::HoldsAll { queue: self.line.name.clone(), held, capacity })
    }

    /// Whether nothing is left in the queue but what this handle holds, and nothing more will be sent to it.
    fn holds_the_rest(&self) -> bool {
        let queue = &self.line.queue;
        queue.is_closed() && queue.depth().left() <= self.held.get() as u64
    }

    /// What an iterator makes of a result: `None` ends it, `Some(None)` passes over an item.
    pub(crate) fn next_of<D>(&self, taken: Result<D, RecvError>) -> Option<Option<D>> {
        match taken {
            Ok(delivery) => Some(Some(delivery)),
            Err(RecvError::Undecodable { id, deliveries, error }) => {
                self.tell_undecodable(id, deliveries, &error);
                Some(None)
            }
            Err(RecvError::Ended | RecvError::Stopped) => None,
            Err(RecvError::HoldsAll { .. }) if self.holds_the_rest() => {
                self.forget_told();
                None
            }
            Err(error @ RecvError::ForkedCopy) => {
                tracing::error!(queue = self.queue(), "cannot take more items: {error}");
                None // The copy ends when it returns to the SDK.
            }
            Err(error @ (RecvError::Empty | RecvError::Timeout | RecvError::HoldsAll { .. } | RecvError::Spoilt)) => {
                self.ctx.station().end_by(error)
            }
        }
    }

    #[cold]
    pub(crate) fn tell_undecodable(&self, item: ItemId, deliveries: u16, error: &DecodeError) {
        tracing::error!(%item, queue = self.queue(), deliveries, "the item cannot be decoded: {error}");
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
