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

/// How many hints to look at before one is chosen.
const CHOICE: usize = 64;

/// A bitmap of hints at slots. The late lane is one; the [delayed](super::delayed) lane is another.
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
        self.top.first().load(Ordering::Relaxed) != 0
    }

    /// The slot's word says *late* now: let receivers find it. May be repeated; may be wrong.
    pub fn hint(&self, slot: usize) {
        let word = slot / 64;
        // Release: pairs with the claim in `claim`, which then sees the slot's word. SeqCst on `top`: pairs with the
        // re-check after clearing in `claim`, and comes before the notifier's look at the event count.
        self.bits.at(word).fetch_or(1 << (slot % 64), Ordering::SeqCst);
        self.top.at(0).fetch_or(1 << (word / self.words_per_part), Ordering::SeqCst);
    }

    /// Takes one hint away, which is then the caller's alone to follow: that of the slot whose position is the oldest,
    /// as `born` tells, among the first [`CHOICE`] that are found. Several items of one sender that were passed over keep
    /// their order by this.
    pub fn claim(&self, born: impl Fn(usize) -> u64) -> Option<usize> {
        loop {
            let slot = self.oldest(&born)?;
            let bit = 1 << (slot % 64);
            // AcqRel: pairs with the `fetch_or` in `hint`.
            if self.bits.at(slot / 64).fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                crash_point!("late_hint_claimed");
                return Some(slot);
            }
        }
    }

    /// Takes the hint of this slot away.
    pub fn withdraw(&self, slot: usize) {
        // AcqRel: pairs with the `fetch_or` in `hint`; who looks at the slot's word afterwards sees what was hinted at.
        self.bits.at(slot / 64).fetch_and(!(1 << (slot % 64)), Ordering::AcqRel);
    }

    /// Looks at all slots whose hints are set, and notes which parts have none.
    pub fn visit(&self, mut look: impl FnMut(usize)) {
        let mut parts = self.top.at(0).load(Ordering::Acquire);
        while parts != 0 {
            let part = parts.trailing_zeros() as usize;
            parts &= parts - 1;
            let mut is_hinted = false;
            for slot in self.hinted(part) {
                is_hinted = true;
                look(slot);
            }
            if !is_hinted {
                self.clear(part);
            }
        }
    }

    fn oldest(&self, born: impl Fn(usize) -> u64) -> Option<usize> {
        let mut parts = self.top.at(0).load(Ordering::Acquire);
        let mut oldest: Option<(usize, u64)> = None;
        let mut choice = 0;
        while parts != 0 && choice < CHOICE {
            let part = parts.trailing_zeros() as usize;
            parts &= parts - 1;
            let before = choice;
            for slot in self.hinted(part).take(CHOICE - choice) {
                choice += 1;
                let position = born(slot);
                // Positions count up for ever; the difference is right across the seam, too.
                if oldest.is_none_or(|(_, other)| (position.wrapping_sub(other) as i64) < 0) {
                    oldest = Some((slot, position));
                }
            }
            if choice == before && self.clear(part) {
                parts |= 1 << part;
            }
        }
        oldest.map(|(slot, _)| slot)
    }

    /// Notes that a part is empty. True if it is not: a hint that was set meanwhile must not be lost.
    fn clear(&self, part: usize) -> bool {
        self.top.at(0).fetch_and(!(1 << part), Ordering::SeqCst);
        fence(Ordering::SeqCst);
        let is_hinted = self.words_of(part).any(|word| self.bits.at(word).load(Ordering::SeqCst) != 0);
        if is_hinted {
            self.top.at(0).fetch_or(1 << part, Ordering::SeqCst);
        }
        is_hinted
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

    /// The slots of a part whose hints are set.
    fn hinted(&self, part: usize) -> impl Iterator<Item = usize> + '_ {
        self.words_of(part).flat_map(|word| {
            let mut bits = self.bits.at(word).load(Ordering::Acquire); // Pairs with `hint`.
            std::iter::from_fn(move || {
                let bit = (bits != 0).then(|| bits.trailing_zeros() as usize)?;
                bits &= bits - 1;
                Some(word * 64 + bit)
            })
        })
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;

    #[test]
    fn of_several_hints_that_of_the_oldest_item_is_claimed_first_also_across_the_seam() {
        for start in [5, u64::MAX - 11] {
            let lane = LateLane::new(Words::on_heap(1), Words::on_heap(LateLane::words_for(128)));
            let born = |slot: usize| start.wrapping_add([30, 10, 20, 0][slot / 32]);
            [0, 32, 64, 96].into_iter().for_each(|slot| lane.hint(slot));
            let order: Vec<usize> = std::iter::from_fn(|| lane.claim(born)).collect();
            assert_eq!(order, [96, 32, 64, 0]);
        }
    }
}
