//! The ring: who owns which slot, and in which order slots are handed from senders to receivers.
//!
//! Many senders, many receivers, no lock. Positions count up for ever (see [`Position`]); the slot's state word (see
//! [`Word`]) is the truth, `head` and `tail` are hints that anybody may move on (helping), never a claim. Any process
//! may die or stop between any two steps: the others pass by whatever it holds, and the sweep gives it back.
//!
//! The ring of Vyukov and of crossbeam's array channel ties each slot's turn to a stamp; here the stamp also names the
//! owner, so that a slot whose owner died can be told from one that is in use, and a slot that is not free when its turn
//! comes is skipped (its lap is *bumped*) instead of holding up everybody behind it.
//!
//! A slot whose item waits for the time of its retry would be skipped in every lap, by a write each. So the first sender that
//! skips it marks it as *loose* ([`Word::is_loose`]), and from then on senders and receivers pass it by reading alone. A loose slot
//! that becomes free may be claimed at any position: its item goes by the late lane and stands *behind* that position (see
//! [`spare`](super::spare)), and the slot is in step with the ring again.
//!
//! The ring knows no payloads, no waiting and no counters.

use super::delayed::{Delayed, Instant};
use super::hint::{Cursor, stride};
use super::late::LateLane;
use super::oldest::Oldest;
use super::slot::{Compared, Kind, Position, Word};
use super::spare::SPARES;
use super::take::Take;
use crate::crash_point;
use crate::shm::Words;
use crate::sync::{AtomicU64, Ordering};

/// How often a change of a word is tried that others change meanwhile. Those who keep the rules change it a few times; a
/// broken process that never stops must not hold up the sweep.
pub(super) const TRIES: usize = 1 << 16;

/// State words and hints of one queue.
#[derive(Clone, Debug)]
pub struct Ring {
    states: Words,
    /// By slot: the position at which it was claimed last. Only the late lane asks.
    pub(super) born: Words,
    pub(super) head: Words,
    pub(super) tail: Words,
    pub(super) late: LateLane,
    /// Counts the hints of the late lane, so that a receiver can tell whether any came since it looked.
    pub(super) hints: Words,
    pub(super) delayed: Delayed,
    pub(super) capacity: u32,
    pub(super) max_deliveries: u16,
    /// See [`stride`].
    pub(super) stride: u64,
    /// Where a slot's state word is: at its index, shifted by this (see [`Geometry::words_apart`]).
    ///
    /// [`Geometry::words_apart`]: super::geometry::Geometry::words_apart
    apart: u32,
}

/// A slot in the caller's hands, and the word by which it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Index of the slot.
    pub slot: usize,
    /// Its word when it was taken. Its lap may have moved on since.
    pub word: Word,
}

/// Why no slot could be claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoSlot {
    /// None is free.
    Full,
    /// The shared words make no sense.
    Spoilt,
}

/// What a receiver finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Met {
    /// An item, leased to it.
    Item(Held),
    /// Nothing at present.
    Empty,
    /// The next item is still being written. To be asked again soon, and passed over if that does not help.
    Unfinished(Unfinished),
    /// The shared words make no sense.
    Spoilt,
}

/// A slot at the head whose sender has not finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfinished {
    position: Position,
    word: Word,
}

impl Ring {
    /// Over the state words, one word per slot for its position, one word each for head and tail, the late lane and its count
    /// of hints, and the delayed lane. The [spare slots](super::spare) have words behind those of the ring. Of the state words
    /// every first, second, fourth or eighth is used, if there are so many times more of them than of slots.
    /// `max_deliveries` 0: no limit.
    pub fn new(
        states: Words,
        born: Words,
        [head, tail]: [Words; 2],
        (late, hints): (LateLane, Words),
        delayed: Delayed,
        max_deliveries: u16,
    ) -> Self {
        let capacity = u32::try_from(born.len() - SPARES).expect("a geometry has at most 2^24 slots");
        let apart = (states.len() / born.len()).ilog2();
        let stride = stride(capacity);
        Self { states, born, head, tail, late, hints, delayed, capacity, max_deliveries, stride, apart }
    }

    /// How many slots.
    #[inline]
    pub fn slots(&self) -> usize {
        self.capacity as usize
    }

    /// The word of a slot.
    #[inline]
    pub fn word(&self, slot: usize) -> Word {
        // Acquire: pairs with the release of whoever changed it, so that what it wrote before is seen.
        Word(self.state(slot).load(Ordering::Acquire))
    }

    #[inline]
    pub(super) fn state(&self, slot: usize) -> &AtomicU64 {
        self.states.at(slot << self.apart)
    }

    /// The slot that `owner` was filling holds an item now. False if the word is not as it should be.
    #[inline]
    pub fn publish(&self, held: Held, owner: u16) -> bool {
        let mut word = held.word;
        loop {
            if !word.is(Kind::Filling, owner) {
                return false;
            }
            let next =
                if word.is_late() { word.turned(Kind::Late, 0, 0) } else { Word::new(Kind::Ready, word.lap(), 0, 0) };
            if self.change(held.slot, word, next) {
                if word.is_late() {
                    crash_point!("published_late");
                    self.hint_late(held.slot);
                }
                return true;
            }
            word = self.word(held.slot);
        }
    }

    /// The slot that `owner` was filling is free again, unsent.
    pub fn abandon(&self, held: Held, owner: u16) {
        self.leave(held.slot, |word| word.is(Kind::Filling, owner), Word::freed);
    }

    /// Leases the next item to `owner`: one of the late lane if there is one, else the one at the head. What waits in
    /// the delayed lane has to be [promoted](Ring::promote) first. [`Met::Empty`] also if a run has to end here, because
    /// the next item is to be taken by itself.
    #[inline]
    pub fn lease(&self, owner: u16, take: Take, oldest: &mut Oldest, now: impl Fn() -> Instant + Copy) -> Met {
        loop {
            if self.late.may_hold()
                && let Some(met) = self.lease_late(owner, take, oldest, now)
            {
                return met;
            }
            let Some(head) = Position::read(self.head.at(0).load(Ordering::Relaxed), self.capacity) else {
                return Met::Spoilt;
            };
            let word = self.word(head.index());
            if word.is_loose() {
                let past = self.past_loose(head);
                if past != head {
                    self.move_on(&self.head, head, past);
                } else if let Some(met) = self.lease_last(head, owner, take, oldest, now) {
                    return met;
                }
                continue;
            }
            match word.lap().compared_to(head.lap()) {
                Compared::Earlier => {
                    if let Some(met) = self.lease_last(head, owner, take, oldest, now) {
                        return met;
                    }
                }
                Compared::Later => self.step(&self.head, head),
                Compared::Same => match word.kind() {
                    Kind::Free => {
                        if let Some(met) = self.lease_last(head, owner, take, oldest, now) {
                            return met;
                        }
                    }
                    Kind::Ready => {
                        // An item that its sender finished late was sent before this one, if by the same sender: having
                        // acquired this one's word, we see the hint of that one.
                        if self.late.may_hold()
                            && let Some(met) = self.lease_late(owner, take, oldest, now)
                        {
                            return met;
                        }
                        let leased = Word::new(Kind::Leased, word.lap(), owner, take.of_ready());
                        if self.change(head.index(), word, leased) {
                            crash_point!("leased");
                            self.step(&self.head, head);
                            return Met::Item(Held { slot: head.index(), word: leased });
                        }
                    }
                    Kind::Filling | Kind::Staged if !word.is_late() => {
                        return Met::Unfinished(Unfinished { position: head, word });
                    }
                    Kind::Filling | Kind::Staged | Kind::Leased | Kind::Settled | Kind::Late | Kind::Dead => {
                        self.step(&self.head, head);
                    }
                },
            }
        }
    }

    /// Nothing waits at `head`: what is left stands behind it. `None` if something waits there after all: its sender may have
    /// sent it before what stands behind.
    fn lease_last(
        &self,
        head: Position,
        owner: u16,
        take: Take,
        oldest: &mut Oldest,
        now: impl Fn() -> Instant,
    ) -> Option<Met> {
        if !self.late.may_hold() {
            return Some(Met::Empty);
        }
        let met = self.lease_late(owner, take, oldest, now);
        met.or_else(|| self.is_nothing_at(head).then_some(Met::Empty))
    }

    /// Whether no item waits at this position of the head, or may come to wait there before its sender comes to it.
    pub(super) fn is_nothing_at(&self, head: Position) -> bool {
        let word = self.word(head.index());
        match word.lap().compared_to(head.lap()) {
            _ if word.is_loose() => self.past_loose(head) == head,
            Compared::Earlier => true,
            Compared::Same => word.is_free(),
            Compared::Later => false,
        }
    }

    /// The position behind the loose slots that begin at `head`, as far as a receiver may pass them.
    fn past_loose(&self, head: Position) -> Position {
        let (mut past, mut cursor) = (head, Cursor::default());
        while self.word(past.index()).is_loose() && self.may_pass_loose(past, &mut cursor) {
            past = past.next(self.capacity);
        }
        past
    }

    /// Whether a receiver may pass a loose slot here. Nothing tells whether the tail has come to that position, and it need not
    /// have. But receivers stay within a lap of it, or they would go round and round a ring of loose slots.
    #[inline]
    fn may_pass_loose(&self, head: Position, cursor: &mut Cursor) -> bool {
        cursor.is_before_limit(head, self.capacity) || {
            let tail = Position::read(self.tail.at(0).load(Ordering::Relaxed), self.capacity);
            cursor.limit(tail.map_or(head, Position::next_lap));
            cursor.is_before_limit(head, self.capacity)
        }
    }

    /// Leases up to `count` more items to `owner`: those at the head that are ready, up to the first that is not, and moves
    /// the head on once at most. None while the late lane holds any: those come first, by [`Ring::lease`].
    #[inline]
    pub fn lease_more(&self, owner: u16, count: usize, take: Take, cursor: &mut Cursor, mut leased: impl FnMut(Held)) {
        let Some(seen) = Position::read(self.head.at(0).load(Ordering::Relaxed), self.capacity) else { return };
        let mut head = self.begin(seen, *cursor);
        let mut left = count;
        while left > 0 {
            let word = self.word(head.index());
            // As in `lease`: the late lane after the word.
            if word.lap() != head.lap() || self.late.may_hold() {
                if !word.is_loose() || self.late.may_hold() || !self.may_pass_loose(head, cursor) {
                    break;
                }
            } else if word.kind() == Kind::Ready {
                let lease = Word::new(Kind::Leased, word.lap(), owner, take.of_ready());
                if !self.change(head.index(), word, lease) {
                    break;
                }
                crash_point!("leased");
                leased(Held { slot: head.index(), word: lease });
                left -= 1;
            } else if !word.is_passed() || word.is_loose() && !self.may_pass_loose(head, cursor) {
                break;
            }
            head = head.next(self.capacity);
        }
        cursor.set(head);
        self.follow(&self.head, seen, head, left > 0);
    }

    /// Passes over a slot whose sender takes too long. Its item will come by the late lane. Only after asking once more:
    /// that look at the late lane, after the slot was seen, finds an earlier item of this sender that was passed over.
    pub fn pass_over(&self, unfinished: Unfinished) {
        let Unfinished { position, word } = unfinished;
        if self.change(position.index(), word, word.passed_over()) {
            crash_point!("marked_late");
            self.step(&self.head, position);
        }
    }

    /// The item is done: its slot is free. False if `owner` does not hold it.
    #[inline]
    pub fn ack(&self, held: Held, owner: u16) -> bool {
        let mut word = held.word;
        loop {
            if !word.is(Kind::Leased, owner) {
                return false;
            }
            if self.change(held.slot, word, word.freed()) {
                return true;
            }
            word = self.word(held.slot);
        }
    }

    /// The item is done, and `owner` cleans up its slot before it [gives it away](Ring::abandon): until then nobody else
    /// writes into it, and if `owner` dies, the sweep frees it. False if `owner` does not hold it.
    pub fn ack_unfreed(&self, held: Held, owner: u16) -> bool {
        // Receivers have passed the slot; for senders it is one that is filled slowly.
        let emptied = |word: Word| word.turned(Kind::Filling, owner, 0).passed_over();
        self.leave(held.slot, |word| word.is(Kind::Leased, owner), emptied).is_some()
    }

    /// Changes a slot's word by `next` as long as `expected` holds of it; only its lap or its late mark can change under
    /// the hands of an owner. Gives the new word.
    pub(super) fn leave(
        &self,
        slot: usize,
        expected: impl Fn(Word) -> bool,
        next: impl Fn(Word) -> Word,
    ) -> Option<Word> {
        for _ in 0..TRIES {
            let word = self.word(slot);
            if !expected(word) {
                return None;
            }
            let new = next(word);
            if self.change(slot, word, new) {
                return Some(new);
            }
        }
        None
    }

    #[inline]
    pub(super) fn change(&self, slot: usize, from: Word, to: Word) -> bool {
        // SeqCst: releases what was written to (or read from) the slot to whoever acquires the new word, acquires what
        // its former owner wrote, and comes before the look at the event count in the order that sleepers rely on.
        self.state(slot).compare_exchange(from.0, to.0, Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }
}
