//! The turn: the right of one member to be the only one that claims slots of a full queue.
//!
//! A transaction with many results needs room for all of them at once. As long as other senders take each slot that becomes
//! free, it may wait indefinitely. So a member whose transaction found too little room takes the turn, and the others wait as
//! if the queue were full. The turn stands in one word, beside the mark that the queue is closed, so that a sender reads both
//! by one load.
//!
//! The turn is no lock: it ends by the clock unless its member renews it, and the sweep ends that of a dead one. A member whose
//! turn has ended without success lets the others send for a while before it takes the next one, which is twice as long: what
//! frees room may itself be waiting to send, in a loop of stages. The turn only ever delays a claim, and grants nothing.

use super::error::Refused;
use super::file::Queue;
use super::member::Member;
use crate::shm::{clock, is_forked_copy};
use crate::sync::Ordering;

const MILLISECOND: u64 = 1_000_000;
/// The first turn of a member, and the time between two turns of it: 2 s.
const FIRST: u64 = 2_000;
/// No turn is longer: 64 s.
const LONGEST: u64 = 64_000;
/// A turn that is not renewed for so long is over: its process may be stopped.
const RENEWED: u64 = 400;

/// In the word: the queue is closed.
pub(super) const CLOSED: u64 = 1;
const PLACE_SHIFT: u32 = 1;
const UNTIL_SHIFT: u32 = 17;

/// What a member knows of its own turns. Times are in milliseconds of the [clock].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Turn {
    until: u64,
    length: u64,
}

/// Whose turn it is, and until when.
fn word_of(place: u16, until: u64) -> u64 {
    until << UNTIL_SHIFT | u64::from(place) << PLACE_SHIFT
}

fn now() -> u64 {
    clock() / MILLISECOND
}

impl Queue {
    /// Whether this member has to wait, because it is the turn of another one. Asked only if the word is not 0.
    pub(super) fn is_turn_of_another(&self, word: u64, place: u16) -> bool {
        let until = word >> UNTIL_SHIFT;
        let left = until.saturating_sub(now());
        // What no member can have written is garbage in shared memory, and no reason to wait.
        left > 0 && left <= RENEWED && (word >> PLACE_SHIFT) as u16 != place
    }

    /// The member at this place wants the turn no more, or is dead.
    pub(super) fn end_turn_of(&self, place: u16) {
        let gate = self.gate();
        let word = gate.load(Ordering::Relaxed);
        let is_its = word >> UNTIL_SHIFT != 0 && (word >> PLACE_SHIFT) as u16 == place;
        if is_its && gate.compare_exchange(word, word & CLOSED, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            self.shared.room.notify_all();
        }
    }
}

impl Member {
    /// Why it may claim no slots, as the word of the gate says.
    #[cold]
    pub(super) fn held_back(&self, gate: u64) -> Option<Refused> {
        if is_forked_copy() {
            return Some(Refused::Copy);
        }
        if gate & CLOSED != 0 {
            return Some(Refused::Closed);
        }
        (gate != 0 && self.queue.is_turn_of_another(gate, self.index)).then_some(Refused::Full)
    }

    /// Its transaction found too little room: takes or renews the turn, if no other member has it and its own last one is
    /// long enough ago.
    pub fn take_turn(&mut self) {
        let now = now();
        let is_on = now < self.turn.until;
        if !is_on && self.turn.length > 0 && now < self.turn.until + FIRST {
            return;
        }
        let gate = self.queue.gate();
        let word = gate.load(Ordering::Relaxed);
        if word & CLOSED != 0 || self.queue.is_turn_of_another(word, self.index) {
            return;
        }
        let renewed = word_of(self.index, now + RENEWED);
        // Relaxed: it grants nothing.
        let is_taken = gate.compare_exchange(word, renewed, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_taken && !is_on {
            let length = (self.turn.length * 2).clamp(FIRST, LONGEST);
            self.turn = Turn { until: now + length, length };
        }
    }

    /// Whether it is its turn, as far as it knows: it should not let time pass then.
    pub fn has_turn(&self) -> bool {
        self.turn.until > 0 && now() < self.turn.until
    }

    /// Its transaction is committed or given up: the others may send.
    pub fn end_turn(&mut self) {
        if self.turn.length > 0 && !is_forked_copy() {
            self.queue.end_turn_of(self.index);
            self.turn = Turn::default();
        }
    }
}

// The bench of the queue's tests is not built for the models.
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::super::error::Refused;
    use super::super::tests::{SMALL, queue};

    #[test]
    fn in_the_turn_of_one_member_the_others_find_the_queue_full() {
        let bench = queue(SMALL);
        let (mut one, mut other) = (bench.member(1), bench.member(2));
        one.take_turn();
        assert_eq!(other.try_send(&[0]), Err(Refused::Full));
        one.try_send(&[1]).expect("it is its turn");
        other.take_turn();
        assert_eq!(other.try_send(&[0]), Err(Refused::Full), "there is one turn at a time");
        one.end_turn();
        other.try_send(&[2]).expect("room for all");
        one.take_turn();
        bench.queue.close();
        assert_eq!(one.try_send(&[3]), Err(Refused::Closed));
        bench.queue.reopen();
        other.try_send(&[4]).expect("a new run has no turns");
    }

    #[test]
    fn the_turn_of_a_dead_member_ends_with_its_sweep() {
        let bench = queue(SMALL);
        let (mut one, mut other) = (bench.member(1), bench.member(2));
        one.take_turn();
        std::mem::forget(one);
        assert_eq!(other.try_send(&[0]), Err(Refused::Full));
        bench.queue.sweep(crate::id::Post(1), |_, _| 0);
        other.try_send(&[0]).expect("the turn is over");
    }

    #[test]
    fn a_turn_ends_by_the_clock_and_is_not_taken_again_at_once() {
        let bench = queue(SMALL);
        let (mut one, mut other) = (bench.member(1), bench.member(2));
        one.take_turn();
        // As if its time had passed.
        let over = super::now() - 1;
        one.turn.until = over;
        bench.queue.gate().store(super::word_of(one.index, over), std::sync::atomic::Ordering::Relaxed);
        other.try_send(&[1]).expect("the turn is over");
        one.take_turn();
        other.try_send(&[2]).expect("the others have their time");
        bench.queue.gate().store(!super::CLOSED, std::sync::atomic::Ordering::Relaxed);
        other.try_send(&[3]).expect("garbage is no turn");
    }
}
