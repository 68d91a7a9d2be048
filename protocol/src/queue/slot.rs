//! The state word of a slot: everything about its ownership in one 64-bit word, so that every change of hands is one
//! compare-and-swap and there is no instant at which a slot belongs to nobody.
//!
//! ```text
//!  bit 63    60..62   59      44..58       28..43   0..27
//!  { late,   kind,    alone,  deliveries,  owner,   lap }
//! ```
//!
//! `deliveries` counts the deliveries that count towards `max_deliveries`: those of a receiver that takes one item at a
//! time. An item of a *run* (several items leased together) is leased without being counted: the word of such a lease has 0
//! deliveries. When its receiver dies, nothing tells which item of the run was at fault, so each comes back marked *alone*:
//! it is leased by itself from then on, and counted.
//!
//! `late` and `alone` mean something else in some kinds, where they mean nothing of their own: see [`Word::is_loose`].
//!
//! A word of zeroes is `{ kind: free, lap: 0 }`, so that a fresh file is a fresh ring.

use std::fmt;

const LAP_BITS: u32 = 28;
const LAP_MASK: u64 = (1 << LAP_BITS) - 1;
const OWNER_SHIFT: u32 = 28;
const DELIVERIES_SHIFT: u32 = 44;
const ALONE_BIT: u64 = 1 << 59;

/// The largest number of deliveries that a word can count.
pub const MOST_DELIVERIES: u16 = (1 << 15) - 1;
const KIND_SHIFT: u32 = 60;
const LATE_BIT: u64 = 1 << 63;

/// What a slot is to its owner and to everybody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// Empty: a sender whose position has the word's lap may claim it.
    Free = 0,
    /// Claimed by a sender that writes into it.
    Filling = 1,
    /// Written, and part of a batch that is not committed yet.
    Staged = 2,
    /// Holds an item that waits at its position.
    Ready = 3,
    /// A receiver has the item.
    Leased = 4,
    /// A receiver has dealt with the item in a batch that is not committed yet.
    Settled = 5,
    /// Holds an item that came back or was passed over; found through the late lane.
    Late = 6,
    /// Holds an item that ran out of deliveries and that the supervisor is to put aside.
    Dead = 7,
}

impl Kind {
    const ALL: [Self; 8] =
        [Self::Free, Self::Filling, Self::Staged, Self::Ready, Self::Leased, Self::Settled, Self::Late, Self::Dead];
}

/// A state word. `owner` is the index of a member of the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Word(pub u64);

impl Word {
    /// Put together. `deliveries` is at most [`MOST_DELIVERIES`].
    pub const fn new(kind: Kind, lap: Lap, owner: u16, deliveries: u16) -> Self {
        debug_assert!(deliveries <= MOST_DELIVERIES);
        Self(
            lap.0 as u64
                | (owner as u64) << OWNER_SHIFT
                | (deliveries as u64) << DELIVERIES_SHIFT
                | (kind as u64) << KIND_SHIFT,
        )
    }

    /// What the slot is.
    #[inline]
    pub const fn kind(self) -> Kind {
        Kind::ALL[(self.0 >> KIND_SHIFT & 7) as usize]
    }

    /// The lap that the slot is in.
    #[inline]
    pub const fn lap(self) -> Lap {
        Lap((self.0 & LAP_MASK) as u32)
    }

    /// Whose it is, if somebody's.
    #[inline]
    pub const fn owner(self) -> u16 {
        (self.0 >> OWNER_SHIFT) as u16
    }

    /// How many deliveries of the item count, the present lease included. 0 in a lease: it is one of a run.
    #[inline]
    pub const fn deliveries(self) -> u16 {
        (self.0 >> DELIVERIES_SHIFT) as u16 & MOST_DELIVERIES
    }

    /// Whether a run or batch that held the item has failed: it is leased by itself from now on.
    #[inline]
    pub const fn is_alone(self) -> bool {
        self.0 & ALONE_BIT != 0
    }

    /// Whether the item may be part of a run: no delivery of it has failed.
    #[inline]
    pub const fn fits_a_run(self) -> bool {
        !self.is_alone() && self.deliveries() == 0
    }

    /// Marked as *alone*, or not.
    #[must_use]
    pub const fn with_alone(self, alone: bool) -> Self {
        if alone { Self(self.0 | ALONE_BIT) } else { Self(self.0 & !ALONE_BIT) }
    }

    /// How often the item was delivered as its receiver sees it, this lease included: 1 for the first time.
    #[inline]
    pub const fn attempt(self) -> u16 {
        let counted = self.deliveries();
        (if counted == 0 { 1 } else { counted }) + self.is_alone() as u16
    }

    /// Whether receivers have passed it over while it was being filled or staged.
    #[inline]
    pub const fn is_late(self) -> bool {
        self.0 & LATE_BIT != 0
    }

    /// Whether the slot is *loose*: its lap says nothing, and senders and receivers pass it in every lap. See [`Ring`].
    ///
    /// The mark is the bit of `late`, which is a mark of its own only while a slot is being filled or staged. Then it is that
    /// bit and the bit of `alone`, which only an item has that was delivered.
    ///
    /// [`Ring`]: super::ring::Ring
    #[inline]
    pub const fn is_loose(self) -> bool {
        self.is_late()
            && match self.kind() {
                Kind::Ready => false,
                Kind::Filling | Kind::Staged => self.is_alone(),
                Kind::Free | Kind::Leased | Kind::Settled | Kind::Late | Kind::Dead => true,
            }
    }

    /// Marked as loose. Never an item that waits at its position.
    #[must_use]
    pub const fn loosened(self) -> Self {
        match self.kind() {
            Kind::Filling | Kind::Staged => Self(self.0 | LATE_BIT | ALONE_BIT),
            Kind::Free | Kind::Ready | Kind::Leased | Kind::Settled | Kind::Late | Kind::Dead => {
                Self(self.0 | LATE_BIT)
            }
        }
    }

    /// The word of the slot when it is something else, in the same lap and as loose as before.
    #[inline]
    #[must_use]
    pub const fn turned(self, kind: Kind, owner: u16, deliveries: u16) -> Self {
        let turned = Self::new(kind, self.lap(), owner, deliveries);
        if self.is_loose() { turned.loosened() } else { turned }
    }

    /// The word of the slot when it is free again: in the next lap, or loose as before.
    #[inline]
    #[must_use]
    pub const fn freed(self) -> Self {
        if self.is_loose() {
            Self::new(Kind::Free, self.lap(), 0, 0).loosened()
        } else {
            Self::new(Kind::Free, self.lap().next(), 0, 0)
        }
    }

    /// Whether a sender whose position has the word's lap may claim the slot.
    #[inline]
    pub const fn is_free(self) -> bool {
        self.0 >> KIND_SHIFT == Kind::Free as u64
    }

    /// Whether the slot is loose and free: a sender may claim it at any position.
    #[inline]
    pub const fn is_loose_and_free(self) -> bool {
        self.0 >> KIND_SHIFT == (LATE_BIT >> KIND_SHIFT) | Kind::Free as u64
    }

    /// Marked as passed over.
    pub const fn passed_over(self) -> Self {
        Self(self.0 | LATE_BIT)
    }

    /// The same in another lap.
    pub const fn in_lap(self, lap: Lap) -> Self {
        Self(self.0 & !LAP_MASK | lap.0 as u64)
    }

    /// Whether it is of this kind and belongs to this owner.
    #[inline]
    pub const fn is(self, kind: Kind, owner: u16) -> bool {
        const MASK: u64 = 7 << KIND_SHIFT | 0xffff << OWNER_SHIFT;
        self.0 & MASK == (kind as u64) << KIND_SHIFT | (owner as u64) << OWNER_SHIFT
    }

    /// Whether receivers are past a slot of this kind in its own lap: it is in somebody's hands, or in the late lane.
    #[inline]
    pub const fn is_passed(self) -> bool {
        match self.kind() {
            Kind::Free | Kind::Ready => false,
            Kind::Filling | Kind::Staged => self.is_late(),
            Kind::Leased | Kind::Settled | Kind::Late | Kind::Dead => true,
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{ kind: {:?}, lap: {}, owner: {}, deliveries: {}, alone: {}, late: {}, loose: {} }}",
            self.kind(),
            self.lap().0,
            self.owner(),
            self.deliveries(),
            self.is_alone(),
            self.is_late(),
            self.is_loose()
        )
    }
}

/// How often a slot's position has come round, modulo 2²⁸. Laps are compared on the circle: two that are compared are
/// never half a circle (134 million laps) apart unless the slot is loose, or a process would have to be stopped for that long between two of
/// its own steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lap(u32);

/// How the lap of a slot compares with that of a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compared {
    /// The slot has not come to this position yet.
    Earlier,
    /// The slot is at this position.
    Same,
    /// The slot is past this position.
    Later,
}

impl Lap {
    /// The next one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self((self.0 + 1) & LAP_MASK as u32)
    }

    /// The one so many laps later.
    #[must_use]
    pub const fn after(self, laps: u32) -> Self {
        Self(self.0.wrapping_add(laps) & LAP_MASK as u32)
    }

    /// This lap as seen from `position`'s.
    #[inline]
    pub const fn compared_to(self, position: Self) -> Compared {
        let ahead = self.0.wrapping_sub(position.0) & LAP_MASK as u32;
        if ahead == 0 {
            Compared::Same
        } else if ahead < 1 << (LAP_BITS - 1) {
            Compared::Later
        } else {
            Compared::Earlier
        }
    }
}

/// A place in the endless line: positions count up for ever, position `{ lap, index }` is slot `index` in its lap.
/// Kept as a record instead of a number, so that no position is ever divided by the capacity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(u64);

impl Position {
    /// Read from a shared word: checked, because shared memory is input.
    #[inline]
    pub const fn read(word: u64, capacity: u32) -> Option<Self> {
        if word as u32 >= capacity { None } else { Some(Self(word)) }
    }

    /// As a shared word: `{ lap: high half, index: low half }`.
    #[inline]
    pub const fn word(self) -> u64 {
        self.0
    }

    /// Which slot.
    #[inline]
    pub const fn index(self) -> usize {
        self.0 as u32 as usize
    }

    /// In which lap.
    #[inline]
    pub const fn lap(self) -> Lap {
        Lap((self.0 >> 32 & LAP_MASK) as u32)
    }

    /// The position after it.
    #[inline]
    #[must_use]
    pub const fn next(self, capacity: u32) -> Self {
        if self.0 as u32 + 1 == capacity { Self((self.0 >> 32).wrapping_add(1) << 32) } else { Self(self.0 + 1) }
    }

    /// The same slot, one lap later.
    #[inline]
    #[must_use]
    pub const fn next_lap(self) -> Self {
        Self(self.0.wrapping_add(1 << 32))
    }

    /// How many positions lie from `earlier` to this one; 0 if it is not earlier.
    #[inline]
    pub const fn since(self, earlier: Self, capacity: u32) -> u64 {
        let laps = (self.0 >> 32).wrapping_sub(earlier.0 >> 32) as u32;
        if laps > u32::MAX / 2 {
            return 0;
        }
        (laps as u64 * capacity as u64 + (self.0 as u32 as u64)).saturating_sub(earlier.0 as u32 as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(number: u64) -> Lap {
        Position::read(number << 32, 1).expect("index 0 of 1").lap()
    }

    #[test]
    fn a_word_gives_back_what_was_put_in() {
        for kind in Kind::ALL {
            let word = Word::new(kind, lap(77), 65_535, 300);
            assert_eq!((word.kind(), word.lap(), word.owner(), word.deliveries()), (kind, lap(77), 65_535, 300));
            assert!(!word.is_late() && word.passed_over().is_late());
            assert!(!word.is_alone() && word.with_alone(true).is_alone());
            assert_eq!(word.with_alone(true).with_alone(false), word);
            assert_eq!((word.with_alone(true).deliveries(), word.with_alone(true).kind()), (300, kind));
            assert_eq!(word.in_lap(lap(78)).lap(), lap(78));
            assert_eq!(word.in_lap(lap(78)).in_lap(lap(77)), word);
        }
        assert_eq!(Word(0), Word::new(Kind::Free, lap(0), 0, 0));
        assert_eq!(Word::new(Kind::Late, lap(0), 0, MOST_DELIVERIES).deliveries(), MOST_DELIVERIES);
    }

    #[test]
    fn the_attempt_counts_a_failed_run_once() {
        let lease = |deliveries| Word::new(Kind::Leased, lap(0), 7, deliveries);
        assert_eq!([lease(0), lease(1), lease(2)].map(Word::attempt), [1, 1, 2]);
        assert_eq!([lease(1), lease(3)].map(|word| word.with_alone(true).attempt()), [2, 4]);
        assert!(lease(0).fits_a_run() && !lease(1).fits_a_run() && !lease(0).with_alone(true).fits_a_run());
    }

    #[test]
    fn laps_compare_across_the_seam_of_the_circle() {
        let last = lap(LAP_MASK);
        assert_eq!(last.next(), lap(0));
        assert_eq!(last.next().compared_to(last), Compared::Later);
        assert_eq!(last.compared_to(last.next()), Compared::Earlier);
        assert_eq!(last.compared_to(last), Compared::Same);
    }

    #[test]
    fn positions_come_round_after_the_last_slot() {
        let start = Position::read(2, 3).expect("slot 2 of 3");
        let next = start.next(3);
        assert_eq!((next.index(), next.lap()), (0, lap(1)));
        assert_eq!(next.next(3).since(start, 3), 2);
        assert_eq!(start.since(next, 3), 0);
        assert_eq!(Position::read(3, 3), None);
    }
}
