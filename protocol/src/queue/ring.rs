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
//! The ring knows no payloads, no waiting and no counters.

use super::delayed::{Delayed, Instant};
use super::hint::{Cursor, stride};
use super::late::{LateLane, Turn};
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

    /// Claims the next free slot for `owner`, to be filled.
    #[inline]
    pub fn claim(&self, owner: u16, cursor: &mut Cursor) -> Result<Held, NoSlot> {
        let mut claimed = None;
        self.claim_many(owner, 1, cursor, |held| claimed = Some(held))?;
        claimed.ok_or(NoSlot::Full)
    }

    /// Claims up to `count` free slots for `owner`, in the order of their positions, and moves the tail on once at most. Fewer
    /// if there are no more; an error if there is none.
    #[inline]
    pub fn claim_many(
        &self,
        owner: u16,
        count: usize,
        cursor: &mut Cursor,
        mut claimed: impl FnMut(Held),
    ) -> Result<(), NoSlot> {
        let read = || Position::read(self.tail.at(0).load(Ordering::Relaxed), self.capacity).ok_or(NoSlot::Spoilt);
        let mut seen = read()?;
        let mut tail = self.begin(seen, *cursor);
        let mut left = count;
        let mut room = None;
        while left > 0 {
            let word = self.word(tail.index());
            match word.lap().compared_to(tail.lap()) {
                Compared::Same if word.kind() == Kind::Free => {
                    let filling = Word::new(Kind::Filling, tail.lap(), owner, 0);
                    if self.change(tail.index(), word, filling) {
                        crash_point!("slot_claimed");
                        // Relaxed: released with the word when the slot is published.
                        self.born.at(tail.index()).store(tail.word(), Ordering::Relaxed);
                        claimed(Held { slot: tail.index(), word: filling });
                        left -= 1;
                        tail = tail.next(self.capacity);
                    }
                }
                Compared::Same => tail = tail.next(self.capacity),
                Compared::Later => {
                    // Others are more than a lap ahead of what we have read.
                    self.move_on(&self.tail, seen, tail.next(self.capacity));
                    seen = read()?;
                    tail = seen;
                }
                Compared::Earlier => {
                    // Still taken from an earlier lap. One that receivers have passed is skipped, but only towards a
                    // free slot: else a waiting sender and a waiting receiver would chase each other round the ring.
                    if !word.is_passed() {
                        cursor.stopped_at(tail);
                        break;
                    }
                    // What was found once holds for all slots up to there: a lap never goes back.
                    if room.is_none_or(|room: Position| room.since(tail, self.capacity) == 0) {
                        match self.room_ahead(tail) {
                            Ok(found) => room = Some(found),
                            Err(full) => {
                                cursor.stopped_at(full);
                                break;
                            }
                        }
                    }
                    if self.change(tail.index(), word, word.in_lap(tail.lap())) {
                        crash_point!("lap_bumped");
                        tail = tail.next(self.capacity);
                    }
                }
            }
        }
        cursor.set(tail);
        self.follow(&self.tail, seen, tail, left > 0);
        if left < count { Ok(()) } else { Err(NoSlot::Full) }
    }

    /// The first free slot to which a sender comes that skips the slot at `tail`; the error is the slot that waits in front
    /// of it, or `tail` if all slots are in hands.
    fn room_ahead(&self, tail: Position) -> Result<Position, Position> {
        let mut ahead = tail.next(self.capacity);
        while ahead.index() != tail.index() {
            let word = self.word(ahead.index());
            match word.lap().compared_to(ahead.lap()) {
                // Free; or the tail has moved on meanwhile, and the caller is to look again.
                Compared::Same | Compared::Later => return Ok(ahead),
                Compared::Earlier if word.is_passed() => ahead = ahead.next(self.capacity),
                Compared::Earlier => return Err(ahead),
            }
        }
        Err(tail)
    }

    /// The slot that `owner` was filling holds an item now. False if the word is not as it should be.
    #[inline]
    pub fn publish(&self, held: Held, owner: u16) -> bool {
        let mut word = held.word;
        loop {
            if !word.is(Kind::Filling, owner) {
                return false;
            }
            let kind = if word.is_late() { Kind::Late } else { Kind::Ready };
            if self.change(held.slot, word, Word::new(kind, word.lap(), 0, 0)) {
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
        self.leave(
            held.slot,
            |word| word.is(Kind::Filling, owner),
            |word| Word::new(Kind::Free, word.lap().next(), 0, 0),
        );
    }

    /// Leases the next item to `owner`: one of the late lane if there is one, else the one at the head. What waits in
    /// the delayed lane has to be [promoted](Ring::promote) first. [`Met::Empty`] also if a run has to end here, because
    /// the next item is to be taken by itself.
    #[inline]
    pub fn lease(&self, owner: u16, take: Take, oldest: &mut Oldest, now: impl Fn() -> Instant + Copy) -> Met {
        loop {
            if self.late.may_hold()
                && let Some(met) = self.lease_late(owner, take, oldest, now, Turn::Mine)
            {
                return met;
            }
            let Some(head) = Position::read(self.head.at(0).load(Ordering::Relaxed), self.capacity) else {
                return Met::Spoilt;
            };
            let word = self.word(head.index());
            match word.lap().compared_to(head.lap()) {
                Compared::Earlier => return self.lease_last(owner, take, oldest, now),
                Compared::Later => self.step(&self.head, head),
                Compared::Same => match word.kind() {
                    Kind::Free => return self.lease_last(owner, take, oldest, now),
                    Kind::Ready => {
                        // An item that its sender finished late was sent before this one, if by the same sender: having
                        // acquired this one's word, we see the hint of that one.
                        if self.late.may_hold()
                            && let Some(met) = self.lease_late(owner, take, oldest, now, Turn::Mine)
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

    /// Nothing waits at a position of the ring: what is left stands behind it.
    fn lease_last(&self, owner: u16, take: Take, oldest: &mut Oldest, now: impl Fn() -> Instant) -> Met {
        let last = || self.lease_late(owner, take, oldest, now, Turn::Any);
        self.late.may_hold().then(last).flatten().unwrap_or(Met::Empty)
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
                break;
            }
            if word.kind() == Kind::Ready {
                let lease = Word::new(Kind::Leased, word.lap(), owner, take.of_ready());
                if !self.change(head.index(), word, lease) {
                    break;
                }
                crash_point!("leased");
                leased(Held { slot: head.index(), word: lease });
                left -= 1;
            } else if !word.is_passed() {
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
            if self.change(held.slot, word, Word::new(Kind::Free, word.lap().next(), 0, 0)) {
                return true;
            }
            word = self.word(held.slot);
        }
    }

    /// The item is done, and `owner` cleans up its slot before it [gives it away](Ring::abandon): until then nobody else
    /// writes into it, and if `owner` dies, the sweep frees it. False if `owner` does not hold it.
    pub fn ack_unfreed(&self, held: Held, owner: u16) -> bool {
        // Receivers have passed the slot; for senders it is one that is filled slowly.
        let emptied = |word: Word| Word::new(Kind::Filling, word.lap(), owner, 0).passed_over();
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
