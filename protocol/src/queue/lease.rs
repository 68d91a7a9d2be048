//! A lease: the right of one member to one item, until it acks it or gives it back.

use super::file::Queue;
use super::ring::Held;
use crate::id::{ItemId, ItemKey};

/// An item in this member's hands. Dropping it does nothing: the item stays leased until the member ends it through
/// [`Member`](super::Member), or dies and is swept.
#[derive(Debug)]
#[must_use = "the item stays leased until it is acked or given back"]
pub struct Lease {
    pub(super) held: Held,
    pub(super) offset: usize,
    pub(super) len: usize,
    pub(super) id: ItemId,
}

impl Lease {
    /// The item's identity within its queue; a redelivered item keeps it.
    #[inline]
    pub fn id(&self) -> ItemId {
        self.id
    }

    /// How often the item was delivered, this time included: 1 for the first (32,767 stands for that and more). A run or
    /// batch that failed counts as one delivery of each of its items.
    #[inline]
    pub fn deliveries(&self) -> u16 {
        self.held.word.attempt()
    }

    /// Whether the item has to be dealt with by itself, because a delivery of it has failed: it is in no run or batch.
    #[inline]
    pub fn is_alone(&self) -> bool {
        self.held.word.deliveries() > 0
    }

    /// Bytes of the item.
    #[inline]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the item has no bytes.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

impl Queue {
    /// The key of an item that is leased from this queue.
    pub fn key(&self, lease: &Lease) -> ItemKey {
        self.key_of(lease.held.slot, lease.id)
    }

    /// The item in a slot that was leased.
    #[inline]
    pub(super) fn lease(&self, held: Held) -> Lease {
        let (id, offset, len) = self.content(held.slot);
        Lease { held, offset, len, id }
    }

    /// The bytes of an item that is leased from this queue, in place.
    #[inline]
    pub fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        self.shared.region.bytes(lease.offset, lease.len)
    }
}
