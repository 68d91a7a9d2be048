//! The late lane: where receivers find items that are not at their position in the ring any more. They came back from
//! a receiver that failed or died, or were passed over while their sender was still writing.
//!
//! It is a bitmap of hints, one bit per slot, under one word that says which parts of the bitmap to look at: one relaxed
//! load when nothing is late. A hint never grants anything; the slot's state word does. A hint is *claimed* (its bit
//! cleared) before the slot is looked at: the other way round, a receiver that saw an outdated slot could clear the hint
//! of the item that had come back to it in the meantime. A process that dies or is stopped between claiming the hint and
//! leasing the slot hides that one item; the sweep after its death sets the hints of all late slots anew.

use super::delayed::Instant;
use super::oldest::{Hinted, Oldest};
use super::ring::{Held, Met, Ring, TRIES};
use super::slot::Kind;
use super::take::Take;
use crate::crash_point;
use crate::shm::Words;
use crate::sync::{Ordering, fence};

/// Hints in one word. In the models, whose queues have a few slots, a look at all hints must be several steps, too.
const WORD: usize = if cfg!(any(model_loom, model_shuttle)) { 2 } else { 64 };

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
        (capacity as usize).div_ceil(WORD)
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
        let word = slot / WORD;
        // Release: pairs with the claim in `claim`, which then sees the slot's word. SeqCst on `top`: pairs with the
        // re-check after clearing in `claim`, and comes before the notifier's look at the event count.
        self.bits.at(word).fetch_or(1 << (slot % WORD), Ordering::SeqCst);
        self.top.at(0).fetch_or(1 << (word / self.words_per_part), Ordering::SeqCst);
    }

    /// Takes one hint away, which is then the caller's alone to follow: that of the oldest item, as `born` tells. The
    /// caller must compare the position in the answer with the slot's once it has read the slot's word: the slot may hold
    /// another item than the one that was found. [`Oldest`] says which order this keeps.
    ///
    /// `None` also if the oldest item's turn has not come, as `may_take` tells.
    pub fn claim(
        &self,
        oldest: &mut Oldest,
        born: impl Fn(usize) -> u64,
        may_take: impl Fn(Hinted) -> bool,
    ) -> Option<Hinted> {
        // Each further round means that other receivers have taken all that was found. The bound is for a broken process.
        for _ in 0..TRIES {
            while let Some(found) = oldest.first() {
                if !may_take(found) && self.is_hinted(found.slot) && born(found.slot) == found.born {
                    return None;
                }
                oldest.pop();
                let bit = 1 << (found.slot % WORD);
                // AcqRel: pairs with the `fetch_or` in `hint`.
                if self.bits.at(found.slot / WORD).fetch_and(!bit, Ordering::AcqRel) & bit != 0 {
                    crash_point!("late_hint_claimed");
                    return Some(found);
                }
            }
            if !oldest.find(|look| self.visit(|slot| look(Hinted { slot, born: born(slot) }))) {
                return None;
            }
        }
        None
    }

    /// Whether the hint of this slot is set.
    fn is_hinted(&self, slot: usize) -> bool {
        self.bits.at(slot / WORD).load(Ordering::Acquire) & 1 << (slot % WORD) != 0 // Pairs with `hint`.
    }

    /// Takes the hint of this slot away.
    pub fn withdraw(&self, slot: usize) {
        // AcqRel: pairs with the `fetch_or` in `hint`; who looks at the slot's word afterwards sees what was hinted at.
        self.bits.at(slot / WORD).fetch_and(!(1 << (slot % WORD)), Ordering::AcqRel);
    }

    /// Looks at all slots whose hints are set, and notes which parts have none. It sees every hint that was set before it
    /// began and is still there when it ends.
    pub fn visit(&self, mut look: impl FnMut(usize)) {
        let mut parts = self.top.at(0).load(Ordering::Acquire);
        while parts != 0 {
            let part = parts.trailing_zeros() as usize;
            let mut is_hinted = false;
            for slot in self.hinted(part) {
                is_hinted = true;
                look(slot);
            }
            // Not empty after all: a hint was set meanwhile, maybe in front of one that was set before this look began.
            if is_hinted || !self.clear(part) {
                parts &= parts - 1;
            }
        }
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
                Some(word * WORD + bit)
            })
        })
    }
}

impl Ring {
    /// The slot's word says *late* now: lets receivers find it. May be repeated; may be wrong.
    pub(super) fn hint_late(&self, slot: usize) {
        self.late.hint(slot);
        // After the hint: a receiver that has seen this count finds the item.
        self.hints.at(0).fetch_add(1, Ordering::Release); // Pairs with `lease_late`.
    }

    /// Leases the oldest item of the late lane, if there is one that is not to wait. [`Met::Empty`] if a run has to end before
    /// it.
    pub(super) fn lease_late(
        &self,
        owner: u16,
        take: Take,
        oldest: &mut Oldest,
        now: impl Fn() -> Instant,
    ) -> Option<Met> {
        let may_take = |hinted| self.is_in_turn(hinted);
        // An item that came back meanwhile comes before one that stands behind items of the ring.
        oldest.refresh(self.hints.at(0).load(Ordering::Acquire), may_take); // Pairs with `hint_late`.
        // Each further round is a hint that was outdated. The bound is for a broken process that keeps setting them.
        for _ in 0..TRIES {
            let Hinted { slot, born } = self.late.claim(oldest, |slot| self.born_at(slot), may_take)?;
            if slot >= self.capacity as usize {
                continue;
            }
            let mut word = self.word(slot);
            while word.kind() == Kind::Late {
                // After the word, with which it was released. Another item has taken the slot since the hint was seen, so
                // this one comes in its own turn.
                if self.born_at(slot) != born {
                    self.show_late(slot, now());
                    break;
                }
                if self.is_waiting(slot, &now) {
                    self.delayed.lane.hint(slot); // The hint was an old one, or the sweep's.
                    break;
                }
                if take == Take::More && !word.fits_a_run() {
                    self.late.hint(slot);
                    self.returned(oldest, slot);
                    return Some(Met::Empty);
                }
                let leased = word.turned(Kind::Leased, owner, take.of_late(word)).with_alone(word.is_alone());
                if self.change(slot, word, leased) {
                    crash_point!("late_leased");
                    self.delayed.forget(slot);
                    return Some(Met::Item(Held { slot, word: leased }));
                }
                word = self.word(slot); // A sender has bumped its lap.
            }
        }
        None
    }

    /// An item that a receiver has just returned by itself.
    pub fn returned(&self, oldest: &mut Oldest, slot: usize) {
        oldest.add(Hinted { slot, born: self.born_at(slot) });
    }

    /// The position at which a slot was claimed last.
    pub fn born_at(&self, slot: usize) -> u64 {
        if slot < self.born.len() { self.born.at(slot).load(Ordering::Relaxed) } else { 0 }
    }
}
