//! The sweep: after a worker's death the supervisor gives back what it held, and puts dead letters aside.
//!
//! A sweep follows an exit and nothing else: while one of a post's processes may still act, its leases are its own. It
//! may be broken off anywhere (the supervisor can die, too) and is then simply done again.

use std::io;

use super::file::Queue;
use super::geometry::{HAS_ORIGIN, SLOT_HEAD, UNDERTAKER};
use super::place::Count;
use super::places::Taken;
use super::recovery::{Fate, Swept};
use super::slot::Kind;
use crate::crash_point;
use crate::id::{ItemId, ItemKey, Post};
use crate::shm::clock;
use crate::sync::Ordering;

/// So many dead items are handed over at once, at most, or so many bytes and one item.
const KEPT_AT_ONCE: usize = 64;
const KEPT_BYTES: usize = 1 << 20;

/// An item that has run out of deliveries.
#[derive(Debug)]
pub struct DeadItem<'a> {
    /// Its identity. A dead letter may be seen twice, if the supervisor dies in between: this tells.
    pub id: ItemId,
    /// By this it is known wherever it was or will be.
    pub key: ItemKey,
    /// How often it was delivered.
    pub deliveries: u16,
    /// The item, as it was sent.
    pub bytes: &'a [u8],
}

/// Numbers of the dead members' places, in order, and how far each has committed. Mostly a single one.
#[derive(Default)]
struct Dead(Vec<(u16, u64)>);

impl Dead {
    /// Of a higher number than those before.
    fn add(&mut self, index: u16, committed: u64) {
        self.0.push((index, committed));
    }

    fn committed(&self, index: u16) -> Option<u64> {
        let at = self.0.binary_search_by_key(&index, |(index, _)| *index).ok()?;
        Some(self.0[at].1)
    }
}

impl Queue {
    /// Finishes or gives back everything that a dead post held: its committed batches are rolled forward; items it had
    /// leased go to the front or become dead letters, slots it was filling are free again, its counts are made true and
    /// its places free. Then those are woken for whom there is something now. `committed` is asked how far a thread of a post has committed its
    /// batches (its page tells).
    pub fn sweep(&self, post: Post, committed: impl Fn(Post, u16) -> u64) -> Swept {
        self.sweep_where(|owner| owner == post, true, committed)
    }

    /// The same for all posts: for a queue that nobody uses, found by a new run of the supervisor. Whether the deliveries
    /// `count` that were cut short: everybody has died, most likely with the supervisor and not of an item.
    pub fn sweep_all(&self, count: bool, committed: impl Fn(Post, u16) -> u64) -> Swept {
        let is_dead = |slot| slot >= self.capacity() || self.shared.ring.word(slot).kind() == Kind::Dead;
        self.place(UNDERTAKER).settle(Count::Acked, |slot| u64::from(!is_dead(slot as usize)));
        self.sweep_where(|_| true, count, committed)
    }

    fn sweep_where(&self, is_dead: impl Fn(Post) -> bool, count: bool, committed: impl Fn(Post, u16) -> u64) -> Swept {
        let mut dead = Dead::default();
        for Taken { index, post, lane } in self.shared.places.taken().filter(|taken| is_dead(taken.post)) {
            let (place, committed) = (self.place(index), committed(post, lane));
            dead.add(index, committed);
            // Before the slots change hands: from them it is seen whether what was noted came to be.
            let changed = |noted: u64, kind| {
                noted.min(self.capacity() as u64).saturating_sub(self.shared.ring.count(kind, index))
            };
            place.settle(Count::Sent, |noted| changed(noted, Kind::Filling));
            place.settle(Count::Acked, |noted| changed(noted, Kind::Leased));
            place.settle_batch(committed);
            self.end_turn_of(index);
            crash_point!("sweep_counts_settled");
        }
        let fate = |slot: usize, owner| match dead.committed(owner) {
            None => Fate::Alive,
            // What is leased is part of no batch, whatever number stands beside it.
            Some(_) if !count && self.shared.ring.word(slot).kind() == Kind::Leased => Fate::Cut,
            Some(committed) if self.shared.batches.at(slot).load(Ordering::Relaxed) <= committed => Fate::Committed,
            Some(_) if count => Fate::Dead,
            Some(_) => Fate::Cut,
        };
        let mut swept = self.shared.ring.sweep(clock(), fate, |from, to| self.copy_item(from, to));
        crash_point!("sweep_slots_done");
        let mut returned = swept.returned;
        for place in dead.0.iter().map(|(index, _)| self.place(*index)) {
            place.count_returned(std::mem::take(&mut returned));
            swept.sent = swept.sent.saturating_add(place.own(Count::Sent));
            swept.acked = swept.acked.saturating_add(place.own(Count::Acked));
            place.free();
            crash_point!("sweep_place_freed");
        }
        self.wake_after_a_sweep();
        swept
    }

    /// The dead may have been the ones who were woken for an item or for room, so that others sleep beside it. But who waits
    /// for items of a queue that is empty and open is left asleep: when a thousand die at once, each sweep would wake all who
    /// have taken the places of those before.
    fn wake_after_a_sweep(&self) {
        self.shared.items.come_in();
        if self.is_closed() || self.depth().left() > 0 {
            self.shared.items.call_all();
        }
        self.shared.room.notify_all();
    }

    /// Hands all dead items to `keep`, several at a time, and frees their slots when that has worked. Gives the number of
    /// those kept. If the process dies between the two, the items are handed over again, under the same keys; hence the
    /// memory of a large one is kept until the slot's next large item is done.
    pub fn take_dead(&self, mut keep: impl FnMut(&[DeadItem<'_>]) -> io::Result<()>) -> io::Result<u64> {
        let mut kept = 0;
        let (mut slots, mut items, mut bytes) = (Vec::new(), Vec::new(), 0);
        for slot in 0..self.capacity() {
            let word = self.shared.ring.word(slot);
            if word.kind() == Kind::Dead {
                let (id, offset, len) = self.content(slot);
                let item = self.shared.region.bytes(offset, len);
                slots.push(slot);
                items.push(DeadItem { id, key: self.key_of(slot, id), deliveries: word.attempt(), bytes: item });
                bytes += len;
            }
            let is_enough = items.len() == KEPT_AT_ONCE || bytes >= KEPT_BYTES;
            if !items.is_empty() && (is_enough || slot + 1 == self.capacity()) {
                keep(&items)?;
                crash_point!("dead_letter_kept");
                kept += self.free_dead(&slots);
                (slots, items, bytes) = (Vec::new(), Vec::new(), 0);
            }
        }
        Ok(kept)
    }

    /// Frees slots of dead items that are kept elsewhere.
    fn free_dead(&self, slots: &[usize]) -> u64 {
        let mut freed = 0;
        let count = self.place(UNDERTAKER);
        for &slot in slots {
            count.note(Count::Acked, slot as u64); // Here it is which one: workers make others dead meanwhile.
            if self.shared.ring.bury(slot) {
                crash_point!("dead_letter_buried");
                count.done(Count::Acked, 1);
                freed += 1;
                self.shared.room.notify();
            }
        }
        freed
    }

    /// Id, offset and length of the item in a slot. Read once and checked: what stands there is input, so a length that
    /// cannot be is cut to what the slot has room for.
    #[inline]
    pub(super) fn content(&self, slot: usize) -> (ItemId, usize, usize) {
        let shared = &self.shared;
        let at = shared.layout.slots + slot * shared.layout.stride;
        let head = shared.region.bytes(at, SLOT_HEAD);
        let word = |i: usize| u64::from_le_bytes(head[i * 8..i * 8 + 8].try_into().expect("eight bytes"));
        let (id, len) = (ItemId(word(0)), usize::try_from(word(1) & !HAS_ORIGIN).unwrap_or(usize::MAX));
        if len <= shared.geometry.item_bytes as usize {
            (id, at + SLOT_HEAD, len)
        } else if shared.layout.large_stride == 0 {
            (id, at + SLOT_HEAD, shared.geometry.item_bytes as usize)
        } else {
            let len = len.min(shared.geometry.max_item_bytes as usize);
            (id, shared.layout.large + slot * shared.layout.large_stride, len)
        }
    }
}
