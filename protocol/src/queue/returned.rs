//! What becomes of an item that was not done: it comes back, at once or when it is due, or it is dead.

use std::time::Duration;

use super::delayed::Instant;
use super::lease::Lease;
use super::member::Member;
use super::ring::{Held, Ring};
use super::slot::{Kind, Word};
use crate::crash_point;
use crate::retry::LONGEST_WAIT;
use crate::shm::{clock, is_forked_copy};

/// Where an item went that was not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Returned {
    /// To the front of the queue.
    Late,
    /// It has run out of deliveries.
    Dead,
}

impl Ring {
    /// The item is not done: it comes again when it is `due`, in front of the others, or is dead if it has run out of
    /// deliveries. `None` if `owner` does not hold it.
    pub fn nack(&self, held: Held, owner: u16, due: Instant) -> Option<Returned> {
        self.fail_by(held, owner, due, |word| self.after_failure(word))
    }

    /// The run or batch that the item is part of has failed, and nothing tells whether this item was at fault: it comes
    /// again when it is `due`, to be leased by itself. For a lease of a run this delivery does not count.
    pub fn fail_with_others(&self, held: Held, owner: u16, due: Instant) -> Option<Returned> {
        self.fail_by(held, owner, due, |word| self.after_death(word))
    }

    fn fail_by(&self, held: Held, owner: u16, due: Instant, failed: impl Fn(Word) -> Word) -> Option<Returned> {
        let mine = |word: Word| word.is(Kind::Leased, owner);
        let word = self.word(held.slot);
        let waits = due != 0 && mine(word) && failed(word).kind() == Kind::Late;
        if waits {
            self.delayed.set_due(held.slot, due);
            crash_point!("retry_due_written");
        }
        let word = self.leave(held.slot, mine, failed)?;
        if waits {
            crash_point!("returned_delayed");
            self.delayed.lane.hint(held.slot);
            return Some(Returned::Late);
        }
        Some(self.announce(held.slot, word))
    }

    /// The item was not started: it goes to the front, and this delivery does not count. False if `owner` does not
    /// hold it.
    pub fn give_back(&self, held: Held, owner: u16) -> bool {
        let returned = self.leave(
            held.slot,
            |word| word.is(Kind::Leased, owner),
            |word| Self::uncounted(word).with_alone(word.is_alone()),
        );
        if returned.is_some() {
            self.hint_late(held.slot);
        }
        returned.is_some()
    }

    /// The item of a dead slot has been put aside: the slot is free.
    pub fn bury(&self, slot: usize) -> bool {
        self.leave(slot, |word| word.kind() == Kind::Dead, Word::freed).is_some()
    }

    /// The word of an item that comes back as if the present lease had not been.
    pub(super) fn uncounted(word: Word) -> Word {
        word.turned(Kind::Late, 0, word.deliveries().saturating_sub(1))
    }

    /// The word of an item that failed by itself, as one of a run or not: the delivery counts.
    pub(super) fn after_failure(&self, word: Word) -> Word {
        let deliveries = word.deliveries().max(1);
        let out_of_deliveries = self.max_deliveries != 0 && deliveries >= self.max_deliveries;
        let kind = if out_of_deliveries { Kind::Dead } else { Kind::Late };
        word.turned(kind, 0, deliveries).with_alone(word.is_alone())
    }

    /// The word of an item whose receiver died. One of a run comes back to be leased by itself, uncounted.
    pub(super) fn after_death(&self, word: Word) -> Word {
        if word.deliveries() == 0 { Self::uncounted(word).with_alone(true) } else { self.after_failure(word) }
    }

    pub(super) fn announce(&self, slot: usize, word: Word) -> Returned {
        if word.kind() == Kind::Dead {
            return Returned::Dead;
        }
        crash_point!("returned_late");
        self.hint_late(slot);
        Returned::Late
    }
}

impl Member {
    /// The item failed: it goes to the front, or becomes a dead letter if this was its last delivery.
    pub fn nack(&mut self, lease: Lease) -> Option<Returned> {
        self.nack_after(lease, Duration::ZERO)
    }

    /// The item failed: it goes to the front when this time is over ([`LONGEST_WAIT`] at most), and takes its room in the
    /// queue as before; or it becomes a dead letter now if this was its last delivery. If the process dies before this
    /// returns, the item may come again at once.
    pub fn nack_after(&mut self, lease: Lease, wait: Duration) -> Option<Returned> {
        if is_forked_copy() {
            return None;
        }
        let (slot, due) = (lease.held.slot, due_after(wait));
        let returned = self.queue.shared.ring.nack(lease.held, self.index, due)?;
        self.failed(returned, slot, due);
        Some(returned)
    }

    /// The run that the item is part of has failed: it goes to the front when this time is over, to be taken by itself. The
    /// delivery does not count towards `max_deliveries`, unless the item was taken by itself. Otherwise as
    /// [`Member::nack_after`].
    pub fn fail_with_others(&mut self, lease: Lease, wait: Duration) -> Option<Returned> {
        if is_forked_copy() {
            return None;
        }
        let (slot, due) = (lease.held.slot, due_after(wait));
        let returned = self.queue.shared.ring.fail_with_others(lease.held, self.index, due)?;
        self.failed(returned, slot, due);
        Some(returned)
    }

    fn failed(&mut self, returned: Returned, slot: usize, due: u64) {
        self.leases -= 1;
        match returned {
            Returned::Late => {
                self.place.count_returned(1);
                crash_point!("nacked");
                if due == 0 {
                    self.queue.shared.ring.returned(&mut self.oldest, slot);
                }
                self.queue.shared.items.call();
            }
            Returned::Dead => {
                crash_point!("died_of_failures");
                self.queue.count_death();
                self.end_may_be_near();
            }
        }
    }

    /// The item was not started: it goes to the front, and this delivery does not count.
    pub fn give_back(&mut self, lease: Lease) {
        if !is_forked_copy() && self.queue.shared.ring.give_back(lease.held, self.index) {
            self.leases -= 1;
            self.queue.shared.ring.returned(&mut self.oldest, lease.held.slot);
            self.queue.shared.items.call();
        }
    }
}

/// When an item is due that waits so long from now; 0: at once.
fn due_after(wait: Duration) -> u64 {
    let wait = u64::try_from(wait.min(LONGEST_WAIT).as_nanos()).expect("a day is less than 585 years");
    if wait == 0 { 0 } else { clock().saturating_add(wait) }
}
