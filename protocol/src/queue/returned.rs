//! What becomes of an item that was not done: it comes back, at once or when it is due, or it is dead.

use super::delayed::Instant;
use super::ring::{Held, Ring};
use super::slot::{Kind, Word};
use crate::crash_point;

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
        let mine = |word: Word| word.is(Kind::Leased, owner);
        let word = self.word(held.slot);
        let waits = due != 0 && mine(word) && self.after_failure(word).kind() == Kind::Late;
        if waits {
            self.delayed.set_due(held.slot, due);
            crash_point!("retry_due_written");
        }
        let word = self.leave(held.slot, mine, |word| self.after_failure(word))?;
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
            |word| Word::new(Kind::Late, word.lap(), 0, word.deliveries().saturating_sub(1)),
        );
        if returned.is_some() {
            self.late.hint(held.slot);
        }
        returned.is_some()
    }

    /// The item of a dead slot has been put aside: the slot is free.
    pub fn bury(&self, slot: usize) -> bool {
        self.leave(slot, |word| word.kind() == Kind::Dead, |word| Word::new(Kind::Free, word.lap().next(), 0, 0))
            .is_some()
    }

    pub(super) fn after_failure(&self, word: Word) -> Word {
        let out_of_deliveries = self.max_deliveries != 0 && word.deliveries() >= self.max_deliveries;
        let kind = if out_of_deliveries { Kind::Dead } else { Kind::Late };
        Word::new(kind, word.lap(), 0, word.deliveries())
    }

    pub(super) fn announce(&self, slot: usize, word: Word) -> Returned {
        if word.kind() == Kind::Dead {
            return Returned::Dead;
        }
        crash_point!("returned_late");
        self.late.hint(slot);
        Returned::Late
    }
}
