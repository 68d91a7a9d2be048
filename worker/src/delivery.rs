//! An item in hand: its lease, and the duty to say what became of it.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use brigade_protocol::id::{ItemId, ItemKey};
use brigade_protocol::queue::Lease;

use crate::raw_receiver::RawReceiver;

/// Bytes in hand, read in place: it derefs to `[u8]`.
///
/// [`ack`](Self::ack) when the work is done, [`nack`](Self::nack) when it failed. Dropped without either it is a nack
/// (or, if the worker was told to stop, the item goes back without the delivery being counted).
///
/// What a [`Sender`](crate::Sender) has sent can be decoded without its strings being copied:
///
/// ```no_run
/// use brigade_worker::{Result, decode};
/// use serde::Deserialize;
///
/// #[derive(Deserialize)]
/// struct Visit<'a> {
///     host: &'a str,
///     bytes: u64,
/// }
///
/// # fn example(ctx: &brigade_worker::Context) -> Result {
/// let visits = ctx.raw_receiver("visits")?;
/// let delivery = visits.recv()?;
/// let visit: Visit = decode(&delivery)?;
/// println!("{}: {} bytes", visit.host, visit.bytes);
/// delivery.ack();
/// # Ok(())
/// # }
/// ```
pub struct RawDelivery<'r> {
    receiver: &'r RawReceiver,
    /// `None` only after `ack` or `nack`, which consume the delivery.
    lease: Option<Lease>,
}

pub(crate) const GIVEN_BACK: &str = "the worker gave it back as failed";
const HELD: &str = "ack and nack consume the delivery";

impl<'r> RawDelivery<'r> {
    #[inline]
    pub(crate) fn new(receiver: &'r RawReceiver, lease: Lease) -> Self {
        Self { receiver, lease: Some(lease) }
    }

    #[inline]
    fn lease(&self) -> &Lease {
        self.lease.as_ref().expect(HELD)
    }

    /// The item's identity within its queue. It stays the same when the item is delivered again. Another run, or another
    /// queue, has items of the same id: to know an item elsewhere, take its [`key`](Self::key).
    pub fn id(&self) -> ItemId {
        self.lease().id()
    }

    /// The item's identity among all items: see [`Output::item_key`](crate::Output::item_key).
    pub fn key(&self) -> ItemKey {
        self.receiver.key(self.lease())
    }

    /// How often the item was delivered, this time included: 1 at first.
    pub fn deliveries(&self) -> u16 {
        self.lease().deliveries()
    }

    /// The work is done: the item is gone for good.
    #[inline]
    pub fn ack(mut self) {
        self.receiver.ack(self.lease.take().expect(HELD));
    }

    /// The work failed: the item comes again, in front of the others, when the queue's `retry_delay` is over (at once by
    /// default), or becomes a dead letter after `max_deliveries`.
    pub fn nack(self) {
        self.failed(None, GIVEN_BACK);
    }

    /// The work failed: the item comes again, in front of the others, after `time` (24 h at most) whatever the queue's
    /// `retry_delay` is, or becomes a dead letter after `max_deliveries`. Until then it takes its room in the queue and
    /// holds back the end of the stream. If this process dies before the call returns, the item may come at once.
    ///
    /// ```no_run
    /// # use std::time::Duration;
    /// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
    /// let pages = ctx.raw_receiver("pages")?;
    /// let page = pages.recv()?;
    /// page.nack_after(Duration::from_secs(60)); // The site wants to be left alone for a minute.
    /// # Ok(())
    /// # }
    /// ```
    pub fn nack_after(self, time: Duration) {
        self.failed(Some(time), GIVEN_BACK);
    }

    /// Hands the lease over, with the receiver that it is from.
    pub(crate) fn into_parts(mut self) -> (&'r RawReceiver, Lease) {
        (self.receiver, self.lease.take().expect(HELD))
    }

    pub(crate) fn failed(mut self, after: Option<Duration>, why: &str) {
        self.receiver.nack(self.lease.take().expect(HELD), after, why);
    }
}

impl Deref for RawDelivery<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        self.receiver.bytes(self.lease())
    }
}

impl Drop for RawDelivery<'_> {
    #[inline]
    fn drop(&mut self) {
        if let Some(lease) = self.lease.take() {
            self.receiver.dropped(lease);
        }
    }
}

impl fmt::Debug for RawDelivery<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RawDelivery");
        debug.field("id", &self.id()).field("deliveries", &self.deliveries()).field("len", &self.len()).finish()
    }
}

/// An item in hand: it derefs to `T`.
///
/// [`ack`](Self::ack) when the work is done, [`nack`](Self::nack) when it failed. Dropped without either it is a nack
/// (or, if the worker was told to stop, the item goes back without the delivery being counted). If the process dies
/// while it holds deliveries, they go to another worker.
///
/// ```no_run
/// # use brigade_worker::{Receiver, RecvError};
/// /// Takes two items that belong together.
/// fn pair(words: &Receiver<String>) -> Result<String, RecvError> {
///     let first = words.recv()?;
///     let second = words.recv()?; // an error here gives the first one back
///     Ok(format!("{} {}", first.ack(), second.ack()))
/// }
/// ```
pub struct Delivery<'r, T> {
    item: T,
    raw: RawDelivery<'r>,
}

impl<'r, T> Delivery<'r, T> {
    #[inline]
    pub(crate) fn new(raw: RawDelivery<'r>, item: T) -> Self {
        Self { item, raw }
    }

    /// The item's identity within its queue: see [`RawDelivery::id`].
    pub fn id(&self) -> ItemId {
        self.raw.id()
    }

    /// The item's identity among all items of all queues and runs, by which effects outside of the pipeline can be made
    /// idempotent: see [`Output::item_key`](crate::Output::item_key).
    pub fn key(&self) -> ItemKey {
        self.raw.key()
    }

    /// How often the item was delivered, this time included: 1 at first.
    pub fn deliveries(&self) -> u16 {
        self.raw.deliveries()
    }

    /// The work is done: the item is gone from the queue for good, and its value is the caller's.
    #[inline]
    pub fn ack(self) -> T {
        self.raw.ack();
        self.item
    }

    /// The item, and the delivery without it.
    pub(crate) fn into_parts(self) -> (T, RawDelivery<'r>) {
        (self.item, self.raw)
    }

    /// The work failed: the item comes again, in front of the others, when the queue's `retry_delay` is over (at once by
    /// default), or becomes a dead letter after `max_deliveries`.
    pub fn nack(self) {
        self.raw.nack();
    }

    /// The work failed: the item comes again after `time`. See [`RawDelivery::nack_after`].
    pub fn nack_after(self, time: Duration) {
        self.raw.nack_after(time);
    }
}

impl<T> Deref for Delivery<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.item
    }
}

impl<T> DerefMut for Delivery<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.item
    }
}

impl<T: fmt::Debug> fmt::Debug for Delivery<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Delivery");
        debug.field("id", &self.id()).field("deliveries", &self.deliveries()).field("item", &self.item).finish()
    }
}
