//! The delayed lane: where items that failed wait until they are due. Without it a retry with a delay would keep a
//! worker busy with waiting, or come at once.
//!
//! Such an item's slot is *late*, like that of any item that came back; beside its state word stands when it is *due*.
//! The word is the truth, and the due time is part of it: it is written before the word becomes *late*, and is 0 (*at
//! once*) whenever the word becomes *late* for another reason than a delayed retry. For that, who leases a slot puts
//! its due time back to 0 before anything else, and the sweep does so for a slot that its owner left leased.
//!
//! A hint in this lane, a second bitmap like the late lane's, says that a slot may wait for its time. From time to time
//! a receiver that comes by looks through them, and *promotes* those that are due: a hint in the late lane first, then
//! the one in this lane goes, and then it looks again whether the item has failed once more in the meantime. A process
//! that dies between the last two may hide that item; like all late ones, the sweep after its death finds it.

use std::time::Duration;

use super::late::LateLane;
use super::ring::Ring;
use super::slot::Kind;
use crate::crash_point;
use crate::retry::LONGEST_WAIT;
use crate::shm::Words;
use crate::sync::Ordering;

/// A due time, or a time to look, in nanoseconds of the [clock](crate::shm::clock). 0: at once.
pub type Instant = u64;

/// How often receivers look for items that are due: 10 ms. So much later than due an item may come, and by a tick of the clock
/// that they look at, if there is a receiver to take it.
pub const LOOK_EVERY: u64 = 10_000_000;

/// The hints of slots that wait, when each is due, and when somebody looks next.
#[derive(Clone, Debug)]
pub struct Delayed {
    pub(super) lane: LateLane,
    /// By slot. Written by the slot's owner alone.
    due: Words,
    next_look: Words,
}

impl Delayed {
    /// Over the lane, one word per slot, and one word.
    pub fn new(lane: LateLane, due: Words, next_look: Words) -> Self {
        Self { lane, due, next_look }
    }

    /// When the item of a slot is due. To be asked after the slot's word, with which the answer was released.
    pub fn due(&self, slot: usize) -> Instant {
        self.due.at(slot).load(Ordering::Relaxed)
    }

    /// Sets when the item of a slot will be due: for the slot's owner, before it makes the word *late*.
    pub fn set_due(&self, slot: usize, due: Instant) {
        // Relaxed: released with the word.
        self.due.at(slot).store(due, Ordering::Relaxed);
    }

    /// For the owner of a slot that it has just leased: whatever becomes of the item now, the old due time is over.
    pub fn forget(&self, slot: usize) {
        if self.due(slot) != 0 {
            self.set_due(slot, 0);
        }
    }

    /// How long the item of a late slot has to wait yet, in nanoseconds. What nobody can have asked for is garbage in
    /// shared memory, and no reason to wait.
    fn left(&self, slot: usize, now: Instant) -> u64 {
        let left = self.due(slot).saturating_sub(now);
        if u128::from(left) > LONGEST_WAIT.as_nanos() { 0 } else { left }
    }

    /// How long nobody is to look, in nanoseconds; garbage is no reason to wait here either.
    fn until_look(&self, now: Instant) -> u64 {
        let left = self.next_look.at(0).load(Ordering::Relaxed).saturating_sub(now);
        if left > LOOK_EVERY { 0 } else { left }
    }

    /// Whether it may be time to look, by a clock that is up to some ticks late.
    fn is_time_to_look(&self, now: Instant) -> bool {
        let left = self.next_look.at(0).load(Ordering::Relaxed).saturating_sub(now);
        left == 0 || left > 4 * LOOK_EVERY
    }

    /// Whether it is the caller's turn to look. Everybody else passes by for a while, also if it dies now.
    fn wins_look(&self, now: Instant) -> bool {
        let next = self.next_look.at(0).load(Ordering::Relaxed);
        // Relaxed: it is about the caller's time only, and grants nothing.
        let take =
            |next| self.next_look.at(0).compare_exchange(next, now + LOOK_EVERY, Ordering::Relaxed, Ordering::Relaxed);
        self.until_look(now) == 0 && take(next).is_ok()
    }
}

impl Ring {
    /// Whether a late slot's item is to wait yet. The clock is asked only if a time stands there.
    #[inline]
    pub fn is_waiting(&self, slot: usize, now: impl Fn() -> Instant) -> bool {
        self.delayed.due(slot) != 0 && self.delayed.left(slot, now()) != 0
    }

    /// Lets receivers find a late slot, now or when it is due. May be repeated; may be wrong.
    pub fn show_late(&self, slot: usize, now: Instant) {
        if self.is_waiting(slot, || now) {
            self.delayed.lane.hint(slot);
        } else {
            self.hint_late(slot);
        }
    }

    /// Whether an item may wait for its time.
    #[inline]
    pub fn has_delayed(&self) -> bool {
        self.delayed.lane.may_hold()
    }

    /// Whether an item may wait for its time and it may be time to look. The clock is asked only if one may, and may be late.
    #[inline]
    pub fn may_promote(&self, now: impl Fn() -> Instant) -> bool {
        self.has_delayed() && self.delayed.is_time_to_look(now())
    }

    /// Puts the items that are due where receivers find them, if it is time to look; gives how many those were. One load
    /// if nothing waits.
    #[inline]
    pub fn promote(&self, now: impl Fn() -> Instant) -> usize {
        if self.has_delayed() { self.promote_due(now()) } else { 0 }
    }

    #[cold]
    fn promote_due(&self, now: Instant) -> usize {
        if !self.delayed.wins_look(now) {
            return 0;
        }
        crash_point!("retry_look_won");
        let mut promoted = 0;
        self.delayed.lane.visit(|slot| {
            let is_late = self.is_late(slot);
            if is_late && self.is_waiting(slot, || now) {
                return;
            }
            if is_late {
                self.hint_late(slot);
                crash_point!("retry_hinted");
                promoted += 1;
            }
            self.delayed.lane.withdraw(slot);
            crash_point!("retry_promoted");
            // It may have been leased and have failed again since we looked, and its hint is what we have just withdrawn;
            // or a receiver whose clock we were ahead of has put the item back here.
            if self.is_late(slot) {
                self.show_late(slot, now);
            }
        });
        promoted
    }

    /// How long a receiver may sleep until an item is due that waits now; `None` if none does.
    pub fn until_due(&self, now: impl Fn() -> Instant) -> Option<Duration> {
        if !self.delayed.lane.may_hold() {
            return None;
        }
        let now = now();
        let mut nearest: Option<u64> = None;
        self.delayed.lane.visit(|slot| {
            if self.is_late(slot) {
                let left = self.delayed.left(slot, now);
                nearest = Some(nearest.map_or(left, |nearest| nearest.min(left)));
            }
        });
        Some(Duration::from_nanos(nearest?.max(self.delayed.until_look(now))))
    }

    /// The lanes may have bits beyond the last slot, if somebody has written over them.
    fn is_late(&self, slot: usize) -> bool {
        slot < self.slots() && self.word(slot).kind() == Kind::Late
    }
}
