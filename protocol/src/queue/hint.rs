//! The hints, head and tail: where receivers and senders begin to look.
//!
//! A hint is a word that all write to, so it is not moved on for every item: each member remembers where it has been last
//! (its [`Cursor`]), begins there, and moves the hint on when that is [`Ring::stride`] positions behind, or when it finds
//! nothing. Whoever begins at the hint walks over the few positions between. That is one
//! locked instruction of three less per item and side, and about a fifth more items from one sender to one receiver.

use super::ring::{Ring, TRIES};
use super::slot::{Compared, Kind, Position, Word};
use super::spare::Behind;
use crate::shm::Words;
use crate::sync::Ordering;

/// Where a member has been last at one end of the ring: all positions before it are passed, and stay so. At first it has
/// been nowhere.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    been: u64,
    stopped: u64,
    /// A receiver may pass loose slots up to here.
    limit: u64,
    pub(super) behind: Behind,
}

impl Cursor {
    /// It has been up to `position` now.
    #[inline]
    pub(super) fn set(&mut self, position: Position) {
        self.been = position.word();
    }

    /// Loose slots may be passed up to this position.
    pub(super) fn limit(&mut self, limit: Position) {
        self.limit = limit.word();
    }

    /// Whether a loose slot at this position may be passed, as far as is known.
    #[inline]
    pub(super) fn is_before_limit(self, position: Position, capacity: u32) -> bool {
        Position::read(self.limit, capacity).is_some_and(|limit| limit.since(position, capacity) > 0)
    }

    /// A sender's try to claim a slot has found none: its walk stopped at the slot of this position.
    pub(super) fn stopped_at(&mut self, position: Position) {
        self.stopped = position.word();
    }

    /// Where a sender's last vain try to claim a slot has stopped.
    pub(super) fn stopped(self, capacity: u32) -> Option<Position> {
        Position::read(self.stopped, capacity)
    }
}

/// By how many positions a hint is moved on at once. Less than a lap: nobody shall take what is behind it for something of
/// the lap before.
pub(super) fn stride(capacity: u32) -> u64 {
    // The models have a few slots only, and are to see hints that stay behind.
    let most = if cfg!(any(model_loom, model_shuttle)) { capacity.min(2) } else { (capacity / 4).min(16) };
    u64::from(most.max(1))
}

impl Ring {
    /// Where to begin: at the hint, or where the member has been if that is a little further.
    #[inline]
    pub(super) fn begin(&self, hint: Position, cursor: Cursor) -> Position {
        match Position::read(cursor.been, self.capacity) {
            Some(been) if (1..self.stride).contains(&been.since(hint, self.capacity)) => been,
            _ => hint,
        }
    }

    /// Moves a hint on, from what was read of it, if it is a stride behind `to`, or at once. When it returns, the hint is
    /// less than a stride behind, or there.
    #[inline]
    pub(super) fn follow(&self, hint: &Words, from: Position, to: Position, at_once: bool) {
        if at_once || to.since(from, self.capacity) >= self.stride {
            self.move_on(hint, from, to);
        }
    }

    /// Moves a hint on, from what was read of it, over positions that are all passed. When it returns, the hint is there
    /// or further.
    #[inline]
    pub(super) fn move_on(&self, hint: &Words, from: Position, to: Position) {
        let mut from = from;
        for _ in 0..TRIES {
            if to.since(from, self.capacity) == 0 {
                return;
            }
            // Relaxed: a hint. Whoever reads it checks the state word.
            match hint.at(0).compare_exchange(from.word(), to.word(), Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => match Position::read(now, self.capacity) {
                    Some(now) => from = now, // Others have moved it as well, maybe not as far.
                    None => return,
                },
            }
        }
    }

    /// Moves a hint on by one.
    #[inline]
    pub(super) fn step(&self, hint: &Words, from: Position) {
        self.move_on(hint, from, from.next(self.capacity));
    }

    /// Where the tail would be if every claim moved it on.
    pub(super) fn real_tail(&self, hint: Position) -> Position {
        self.walk(hint, |word| !word.is_loose_and_free(), |word| word.kind() != Kind::Free)
    }

    /// Where the head would be if every lease moved it on.
    pub(super) fn real_head(&self, hint: Position) -> Position {
        self.walk(hint, |_| true, Word::is_passed)
    }

    /// Goes on over the positions that are passed: at most those by which the hint is behind, and what was given up there.
    fn walk(&self, hint: Position, passes: impl Fn(Word) -> bool, passed: impl Fn(Word) -> bool) -> Position {
        let mut at = hint;
        for _ in 0..self.capacity {
            let word = self.word(at.index());
            if word.is_loose() {
                if !passes(word) {
                    break;
                }
                at = at.next(self.capacity);
                continue;
            }
            match word.lap().compared_to(at.lap()) {
                Compared::Same if !passed(word) => break,
                Compared::Earlier => break,
                Compared::Same | Compared::Later => at = at.next(self.capacity),
            }
        }
        at
    }
}
