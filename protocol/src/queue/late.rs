//! The late lane: where receivers find items that are not at their position in the ring any more. They came back from
//! a receiver that failed or died, or were passed over while their sender was still writing.
//!
//! It is a bitmap of hints, one bit per slot, under one word that says which parts of the bitmap to look at: one relaxed
//! load when nothing is late. A hint never grants anything; the slot's state word does. A hint is *claimed* (its bit
//! cleared) before the slot is looked at: the other way round, a receiver that saw an outdated slot could clear the hint
//! of the item that had come back to it in the meantime. A process that dies or is stopped between claiming the hint and
//! leasing the slot hides that one item; the sweep after its death sets the hints of all late slots anew.

use crate::crash_point;
use crate::shm::Words;
use crate::sync::{Ordering, fence};

/// The bitmap of late slots.
#[derive(Clone, Debug)]
pub struct LateLane {
    top: Words,
    bits: Words,
    words_per_part: usize,
}

impl LateLane {
    /// Words of bitmap for so many slots.
    pub const fn words_for(capacity: u32) -> usize {
        (capacity as usize).div_ceil(64)
    }

    /// Over one word `top` and [`LateLane::words_for`] words of `bits`.
    pub fn new(top: Words, bits: Words) -> Self {
        let words_per_part = bits.len().div_ceil(64);
        Self { top, bits, words_per_part }
    }

    /// Whether it is worth looking.
    #[inline]
    pub fn may_hold(&self) -> bool {
        self.top.at(0).load(Ordering::Relaxed) != 0
    }

    /// The slot's word says *late* now: let receivers find it. May be repeated; may be wrong.
    pub fn hint(&self, slot: usize) {
        let word = slot / 64;
        // Release: pairs with the claim in `claim`, which then sees the slot's word. SeqCst on `top`: pairs with the
        // re-check after clearing in `claim`, and comes before the notifier's look at the event count.
        self.bits.at(word).fetch_or(1 << (slot % 64), Ordering::SeqCst);
        self.top.at(0).fetch_or(1 << (word / self.words_per_part), Ordering::SeqCst);
    }

    /// Takes one hint away, which is then the caller's alone to follow.
    pub fn claim(&self) -> Option<usize> {
        let mut parts = self.top.at(0).load(Ordering::Acquire);
        while parts != 0 {
            let part = parts.trailing_zeros() as usize;
            parts &= parts - 1;
            if let Some(slot) = self.claim_in(part) {
                crash_point!("late_hint_claimed");
                return Some(slot);
            }
            self.top.at(0).fetch_and(!(1 << part), Ordering::SeqCst);
            // A hint that was set before the line above and whose `top` bit we have just cleared must not be lost.
            fence(Ordering::SeqCst);
            if self.words_of(part).any(|word| self.bits.at(word).load(Ordering::SeqCst) != 0) {
                self.top.at(0).fetch_or(1 << part, Ordering::SeqCst);
                parts |= 1 << part;
            }
        }
        None
    }

    /// Looks at the whole bitmap, in case a process was stopped between clearing a part and checking it again.
    /// Called before a receiver sleeps.
    pub fn recheck(&self) {
        for word in 0..self.bits.len() {
            if self.bits.at(word).load(Ordering::SeqCst) != 0 {
                self.top.at(0).fetch_or(1 << (word / self.words_per_part), Ordering::SeqCst);
            }
        }
    }

    fn words_of(&self, part: usize) -> impl Iterator<Item = usize> + use<> {
        let first = part * self.words_per_part;
        first.min(self.bits.len())..(first + self.words_per_part).min(self.bits.len())
    }

    fn claim_in(&self, part: usize) -> Option<usize> {
        for word in self.words_of(part) {
            let mut bits = self.bits.at(word).load(Ordering::Acquire);
            while bits != 0 {
                let bit = bits & bits.wrapping_neg();
                // AcqRel: pairs with the `fetch_or` in `hint`.
                if self.bits.at(word).fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                    return Some(word * 64 + bit.trailing_zeros() as usize);
                }
                bits &= !bit;
            }
        }
        None
    }
}
