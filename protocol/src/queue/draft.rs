//! A draft: an item that is written into its slot piece by piece. So a value is encoded where it will be read, without a
//! copy in between.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::error::Refused;
use super::file::Queue;
use super::member::Member;
use super::ring::Held;
use super::wait::Wait;
use crate::crash_point;
use crate::id::ItemId;
use crate::shm::is_forked_copy;

/// A claimed slot that is being filled. Bytes that do not fit are counted and not kept: [`Member::send_draft`] says so.
/// Dropped unsent, the slot is free again; if the process dies, the sweep frees it. Meanwhile others pass it by.
#[derive(Debug)]
pub struct Draft<'q> {
    queue: &'q Queue,
    held: Held,
    owner: u16,
    /// Bytes so far, those included that were not kept.
    len: usize,
    /// Where in the region they are.
    at: usize,
    /// How many have room there.
    room: usize,
    refused: Option<Refused>,
    is_sent: bool,
}

impl Member {
    /// Begins an item if there is room for one. `queue` is a handle of this member's queue: the member itself is free
    /// to send other items meanwhile.
    pub fn try_draft<'q>(&mut self, queue: &'q Queue) -> Result<Draft<'q>, Refused> {
        assert!(Arc::ptr_eq(&queue.shared, &self.queue.shared), "the draft is one of this member's queue");
        let held = self.claim()?;
        crash_point!("filling");
        queue.count_drafts(self.index, 1);
        Ok(Draft {
            queue,
            held,
            owner: self.index,
            len: 0,
            at: queue.inline_at(held.slot),
            room: queue.shared.geometry.item_bytes as usize,
            refused: None,
            is_sent: false,
        })
    }

    /// Begins an item, waiting for room as long as `wait` says.
    #[inline]
    pub fn draft<'q>(&mut self, queue: &'q Queue, wait: &Wait<'_>) -> Result<Draft<'q>, Refused> {
        match self.try_draft(queue) {
            Err(Refused::Full) => self.when_room(wait, |member| member.try_draft(queue)),
            answer => answer,
        }
    }

    /// Sends what was written, as [`Member::try_send`] does. To be called once, and the draft dropped then.
    ///
    /// The draft stays where it is: to read it in other pieces than it was written, as a move does, the processor would wait
    /// until what was written before, the item, is out of its hands, and that takes as long as the slot's cache line takes
    /// to come from the other core.
    #[inline]
    pub fn send_draft(&mut self, draft: &mut Draft<'_>) -> Result<ItemId, Refused> {
        if is_forked_copy() {
            return Err(Refused::Copy); // What encodes the item has forked.
        }
        match draft.refused {
            None => {}
            Some(Refused::TooLarge { max, .. }) => return Err(Refused::TooLarge { len: draft.len, max }),
            Some(refused) => return Err(refused),
        }
        let id = self.next_item();
        self.queue.write_head(draft.held.slot, id, draft.len as u64);
        draft.is_sent = true;
        self.send_filled(draft.held, id, self.drafts())
    }

    /// How many drafts it has open. They are among the slots that it fills: who finds it dead counts those.
    #[inline]
    pub(super) fn drafts(&self) -> u64 {
        self.queue.shared.drafts[usize::from(self.index)].load(Ordering::Relaxed).into()
    }
}

impl Draft<'_> {
    /// Whether `end` bytes have room now.
    #[cold]
    fn make_room(&mut self, end: usize) -> bool {
        let max = self.queue.shared.geometry.max_item_bytes as usize;
        if self.refused.is_none() && end > max {
            self.refused = Some(Refused::TooLarge { len: end, max });
        }
        let large = self.queue.large_at(self.held.slot);
        // An item that grows by small pieces is not to ask the system for each.
        let room = if self.at == large { end.max(2 * self.room).min(max) } else { end };
        if self.refused.is_none() && self.queue.back_large(self.held.slot, room).is_err() {
            self.refused = Some(Refused::NoSpace);
        }
        if self.refused.is_some() {
            self.room = 0;
            return false;
        }
        if self.at != large {
            self.queue.shared.region.copy(self.at, large, self.len);
            self.at = large;
        }
        self.room = room;
        true
    }
}

impl Write for Draft<'_> {
    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let end = self.len.saturating_add(bytes.len());
        if end <= self.room || self.make_room(end) {
            self.queue.shared.region.write(self.at + self.len, bytes);
        }
        self.len = end;
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        self.queue.count_drafts(self.owner, -1);
        if !self.is_sent && !is_forked_copy() {
            self.queue.give_up(self.held, self.owner);
        }
    }
}

impl Queue {
    fn count_drafts(&self, owner: u16, more: i32) {
        let drafts = &self.shared.drafts[usize::from(owner)];
        // The member's thread alone writes it: no need for a locked instruction.
        drafts.store(drafts.load(Ordering::Relaxed).wrapping_add_signed(more), Ordering::Relaxed);
    }

    /// A claimed slot is free again, unsent.
    #[cold]
    pub(super) fn give_up(&self, held: Held, owner: u16) {
        self.shared.ring.abandon(held, owner);
        self.shared.room.notify();
        if self.is_closed() {
            self.shared.items.call_all(); // The end may be near.
        }
    }
}
