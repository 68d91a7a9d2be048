//! What a slot holds: a head (the item's id and length), and the item, behind it or, if that is too large, in a region of the
//! slot's own.

use std::io;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

use super::file::Queue;
use super::geometry::{HAS_ORIGIN, SLOT_HEAD};
use crate::id::{ItemId, ItemKey};
use crate::sync::Ordering;

/// Large regions of items above this size are given back to the system with the item; smaller ones stay allocated for
/// the next item of the slot, because giving back costs a system call.
const KEPT_BYTES: usize = 256 << 10;

impl Queue {
    /// Writes an item into a claimed slot. False if the disk has no room for it.
    #[inline]
    pub(super) fn write(&self, slot: usize, id: ItemId, item: &[u8]) -> bool {
        let inline = item.len() <= self.shared.geometry.item_bytes as usize;
        if !inline && self.back_large(slot, item.len()).is_err() {
            return false;
        }
        self.write_head(slot, id, item.len() as u64);
        let place = if inline { self.inline_at(slot) } else { self.large_at(slot) };
        self.shared.region.write(place, item);
        true
    }

    /// Writes what stands before an item.
    #[inline]
    pub(super) fn write_head(&self, slot: usize, id: ItemId, len: u64) {
        let mut head = [0; SLOT_HEAD];
        head[..8].copy_from_slice(&id.0.to_le_bytes());
        head[8..].copy_from_slice(&len.to_le_bytes());
        self.shared.region.write(self.inline_at(slot) - SLOT_HEAD, &head);
    }

    /// Gives the item in a claimed slot the key of the dead letter that it was. Only behind [`Queue::write`].
    pub(super) fn write_origin(&self, slot: usize, id: ItemId, len: usize, key: ItemKey) {
        let origins = &self.shared.origins;
        // Relaxed: released with the slot's word.
        origins.at(2 * slot).store(key.life, Ordering::Relaxed);
        origins.at(2 * slot + 1).store(key.id, Ordering::Relaxed);
        self.write_head(slot, id, len as u64 | HAS_ORIGIN);
    }

    /// The key of the item in a slot that is leased, dead, or nobody else's.
    pub(super) fn key_of(&self, slot: usize, id: ItemId) -> ItemKey {
        if self.length_word(slot) & HAS_ORIGIN == 0 {
            return ItemKey { life: self.life(), id: id.0 };
        }
        let word = |number| self.shared.origins.at(2 * slot + number).load(Ordering::Relaxed);
        ItemKey { life: word(0), id: word(1) }
    }

    /// Makes sure that the first `len` bytes of a slot's large region exist on the disk: a full one is an error here,
    /// instead of a SIGBUS while writing.
    pub(super) fn back_large(&self, slot: usize, len: usize) -> io::Result<()> {
        let shared = &self.shared;
        let backed = shared.backed.at(slot);
        let relaxed = std::sync::atomic::Ordering::Relaxed; // The slot's owner alone reads and writes it.
        if backed.load(relaxed) >= len as u64 {
            return Ok(());
        }
        let at = self.large_at(slot) as i64;
        loop {
            match fallocate(&shared.file, FallocateFlags::empty(), at, len as i64) {
                Ok(()) => break,
                Err(Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        backed.store(len as u64, relaxed);
        Ok(())
    }

    /// Whether the memory of an item of this length is given back to the system with it.
    #[inline]
    pub(super) fn is_released(&self, len: usize) -> bool {
        len > KEPT_BYTES && len > self.shared.geometry.item_bytes as usize
    }

    /// Gives the memory of a large item back to the system. Only while the slot is the caller's, and the item done.
    pub(super) fn release_large(&self, slot: usize) {
        let shared = &self.shared;
        shared.backed.at(slot).store(0, std::sync::atomic::Ordering::Relaxed);
        let at = self.large_at(slot) as i64;
        let flags = FallocateFlags::FALLOC_FL_PUNCH_HOLE | FallocateFlags::FALLOC_FL_KEEP_SIZE;
        // A file system that cannot punch holes keeps the bytes: no harm but the space.
        let _ = fallocate(&shared.file, flags, at, shared.layout.large_stride as i64);
    }

    /// Where an item that fits into its slot begins.
    #[inline]
    pub(super) fn inline_at(&self, slot: usize) -> usize {
        self.shared.layout.slots + slot * self.shared.layout.stride + SLOT_HEAD
    }

    /// Where one that does not begins.
    #[inline]
    pub(super) fn large_at(&self, slot: usize) -> usize {
        self.shared.layout.large + slot * self.shared.layout.large_stride
    }
}
