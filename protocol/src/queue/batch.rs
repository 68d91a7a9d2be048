//! The queue's part of a [transaction](crate::transaction): results are *staged*, items that were dealt with are *settled*;
//! other members see no difference until one store in the worker's page ([`Lane::commit`](crate::page::Lane)) makes the whole
//! transaction true at once.
//!
//! The number of the batch stands beside a slot's word *before* the word changes, so that a slot of a batch can always
//! be told from one of an earlier batch. After the commit its owner rolls the batch forward: staged slots become ready,
//! settled ones free. If it dies before it is done with that, the sweep does the same. If it dies before the commit, the
//! sweep rolls back: staged slots are freed, settled items go back to the front of their queue.

use super::error::Refused;
use super::lease::Lease;
use super::member::Member;
use super::ring::{Held, Ring};
use super::slot::{Kind, Word};
use super::spare::Room;
use super::wait::Wait;
use crate::crash_point;
use crate::shm::is_forked_copy;
use crate::sync::Ordering;

impl Ring {
    /// The slot that `owner` was filling is part of its batch now. Gives it back with its new word.
    pub fn stage(&self, held: Held, owner: u16) -> Option<Held> {
        let staged = |word: Word| {
            let staged = word.turned(Kind::Staged, owner, 0);
            if word.is_late() { staged.passed_over() } else { staged }
        };
        let word = self.leave(held.slot, |word| word.is(Kind::Filling, owner), staged)?;
        Some(Held { slot: held.slot, word })
    }

    /// The leased item is dealt with in `owner`'s batch. Gives its slot back with its new word.
    pub fn settle(&self, held: Held, owner: u16) -> Option<Held> {
        let settled = |word: Word| word.turned(Kind::Settled, owner, word.deliveries()).with_alone(word.is_alone());
        let word = self.leave(held.slot, |word| word.is(Kind::Leased, owner), settled)?;
        Some(Held { slot: held.slot, word })
    }

    /// A staged slot of a committed batch holds an item now.
    pub fn publish_staged(&self, held: Held, owner: u16) -> bool {
        let published = |word: Word| {
            let kind = if word.is_late() { Kind::Late } else { Kind::Ready };
            word.turned(kind, 0, 0)
        };
        let word = self.leave(held.slot, |word| word.is(Kind::Staged, owner), published);
        if word.is_some_and(|word| word.kind() == Kind::Late) {
            crash_point!("staged_published_late");
            self.hint_late(held.slot);
        }
        word.is_some()
    }

    /// A settled item of a batch that will not be committed is leased again. Gives its slot back with its new word.
    pub fn unsettle(&self, held: Held, owner: u16) -> Option<Held> {
        let leased = |word: Word| word.turned(Kind::Leased, owner, word.deliveries()).with_alone(word.is_alone());
        let word = self.leave(held.slot, |word| word.is(Kind::Settled, owner), leased)?;
        Some(Held { slot: held.slot, word })
    }

    /// A settled item of a committed batch is gone.
    pub fn free_settled(&self, held: Held, owner: u16) -> bool {
        self.leave(held.slot, |word| word.is(Kind::Settled, owner), Word::freed).is_some()
    }

    /// A staged slot of a batch that will not be committed is free again.
    pub fn unstage(&self, held: Held, owner: u16) {
        self.leave(held.slot, |word| word.is(Kind::Staged, owner), Word::freed);
    }
}

/// What a member has in the batch at hand.
#[derive(Debug, Default)]
pub struct Share {
    staged: Vec<Held>,
    settled: Vec<Lease>,
}

impl Share {
    /// Whether it holds anything.
    pub fn is_open(&self) -> bool {
        !(self.staged.is_empty() && self.settled.is_empty())
    }

    /// How many slots of a ring with so many it has claimed.
    fn claimed(&self, slots: usize) -> usize {
        self.staged.iter().filter(|held| held.slot < slots).count()
    }
}

impl Member {
    /// Writes one item into the queue as part of batch `number`, waiting for room as long as `wait` says. No receiver sees it
    /// before [`Member::roll_forward`]. If the queue is full, the item takes the `room` of one that the same batch settles
    /// there.
    ///
    /// A batch can stage as many items as the queue has slots, and those that take the room of others:
    /// [`Refused::Full`], instead of waiting indefinitely for the room that it takes itself.
    pub fn stage(&mut self, item: &[u8], number: u64, room: Option<Room>, wait: &Wait<'_>) -> Result<(), Refused> {
        let ahead = self.share.staged.len() as u64;
        let held = match self.try_fill_any(item, ahead, room) {
            Err(Refused::Full) if self.share.claimed(self.queue.capacity()) < self.queue.capacity() => {
                self.when_room(wait, |member| member.try_fill_any(item, ahead, room))?
            }
            answer => answer?,
        };
        // Relaxed: released with the word.
        self.queue.shared.batches.at(held.slot).store(number, Ordering::Relaxed);
        crash_point!("batch_numbered");
        let held = self.queue.shared.ring.stage(held, self.index).ok_or(Refused::Spoilt)?;
        crash_point!("batch_staged_one");
        self.share.staged.push(held);
        Ok(())
    }

    /// How many results of the batch take the room of items.
    pub fn exchanges(&self) -> usize {
        self.share.staged.len() - self.share.claimed(self.queue.capacity())
    }

    /// Whether the queue was full at its last commit, so that results took the room of items.
    pub fn was_full(&self) -> bool {
        self.was_full
    }

    /// Writes the item into a free slot, or if there is none, into a spare one.
    fn try_fill_any(&mut self, item: &[u8], ahead: u64, room: Option<Room>) -> Result<Held, Refused> {
        match (self.try_fill(item, ahead), room) {
            (Err(Refused::Full), Some(room)) => self.try_fill_spare(item, ahead, room),
            (answer, _) => answer,
        }
    }

    /// The item is dealt with as part of batch `number`: it is gone when the batch is committed, and comes back if it is
    /// not. False if the item is not this member's any more: the batch must not be committed then.
    pub fn settle(&mut self, lease: Lease, number: u64) -> bool {
        if is_forked_copy() {
            return false;
        }
        let shared = &self.queue.shared;
        self.leases -= 1;
        // A number beside a slot of another member would make that one's batch look like one of this member.
        if !shared.ring.word(lease.held.slot).is(Kind::Leased, self.index) {
            return false;
        }
        shared.batches.at(lease.held.slot).store(number, Ordering::Relaxed);
        let Some(held) = shared.ring.settle(lease.held, self.index) else { return false };
        self.share.settled.push(Lease { held, ..lease });
        crash_point!("batch_settled_one");
        true
    }

    /// The batch will not be committed: gives back what was settled, which is leased again.
    pub fn unsettle(&mut self, mut back: impl FnMut(Lease)) {
        if is_forked_copy() {
            return;
        }
        for lease in self.share.settled.drain(..) {
            if let Some(held) = self.queue.shared.ring.unsettle(lease.held, self.index) {
                self.leases += 1;
                back(Lease { held, ..lease });
            }
        }
    }

    /// Notes what the counts will be once batch `number` is committed. The last step before the commit, at every member
    /// that has a share in it.
    pub fn note_batch(&mut self, number: u64) {
        if is_forked_copy() {
            return;
        }
        self.place.note_batch(number, self.share.staged.len() as u64, self.share.settled.len() as u64);
    }

    /// The batch is committed: its items are in the queue, and those that it settled are gone.
    pub fn roll_forward(&mut self) {
        if is_forked_copy() {
            return;
        }
        let shared = &self.queue.shared;
        self.was_full = self.exchanges() > 0;
        for held in self.share.staged.drain(..) {
            if held.slot < self.queue.capacity() {
                shared.ring.publish_staged(held, self.index);
            } else {
                shared.ring.exchange(held, self.index, |from, to| self.queue.copy_item(from, to));
                shared.room.notify();
            }
            crash_point!("batch_published_one");
            shared.items.call();
        }
        let settled = !self.share.settled.is_empty();
        for Lease { held, len, .. } in self.share.settled.drain(..) {
            let is_ours = shared.ring.word(held.slot).is(Kind::Settled, self.index);
            if !is_ours {
                continue; // Its room is taken by a result.
            }
            if self.queue.is_released(len) {
                self.queue.release_large(held.slot);
            }
            shared.ring.free_settled(held, self.index);
            crash_point!("batch_freed_one");
        }
        self.place.count_batch();
        if settled {
            self.room_made();
        }
    }

    /// The batch will not be committed: what was staged is free again. What was settled was [taken back](Member::unsettle)
    /// before.
    pub fn roll_back(&mut self) {
        let shared = &self.queue.shared;
        if self.share.staged.is_empty() || is_forked_copy() {
            return;
        }
        self.was_full = self.exchanges() > 0;
        for held in self.share.staged.drain(..) {
            shared.ring.unstage(held, self.index);
        }
        shared.room.notify_all();
        self.end_may_be_near();
    }
}
