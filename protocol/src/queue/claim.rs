//! Claims: how a sender comes to a free slot, and what it does with those on its way that are not free.

use super::hint::Cursor;
use super::ring::{Held, NoSlot, Ring};
use super::slot::{Compared, Kind, Position, Word};
use crate::crash_point;
use crate::sync::Ordering;

/// A loose slot that is claimed is put so many laps ahead of the tail.
pub(super) const LOOSE_LAPS: u32 = 3;

/// What a sender finds that looks ahead for a free slot.
#[derive(Clone, Copy, Debug)]
struct Ahead {
    /// The first position with a free slot.
    room: Position,
    /// The first position whose slot is not loose, or is free.
    first: Position,
}

impl Ring {
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
                Compared::Same if word.is_free() => {
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
                _ if word.is_loose_and_free() => {
                    if let Some(held) = self.claim_loose(word, tail, owner, cursor)? {
                        claimed(held);
                        left -= 1;
                        tail = tail.next(self.capacity);
                    }
                }
                Compared::Same if !word.is_loose() => tail = tail.next(self.capacity),
                Compared::Later if !word.is_loose() => {
                    // Others are more than a lap ahead of what we have read.
                    self.move_on(&self.tail, seen, tail.next(self.capacity));
                    seen = read()?;
                    tail = seen;
                }
                Compared::Earlier | Compared::Same | Compared::Later => {
                    // Still taken from an earlier lap. One that receivers have passed is skipped, but only towards a
                    // free slot: else a waiting sender and a waiting receiver would chase each other round the ring.
                    if !word.is_loose() && !word.is_passed() {
                        cursor.stopped_at(tail);
                        break;
                    }
                    // What was found once holds for all slots up to there: a lap never goes back.
                    if room.is_none_or(|Ahead { room, .. }| room.since(tail, self.capacity) == 0) {
                        match self.room_ahead(tail) {
                            Ok(found) => room = Some(found),
                            Err(full) => {
                                cursor.stopped_at(full);
                                break;
                            }
                        }
                    }
                    if word.is_loose() {
                        let next = tail.next(self.capacity);
                        // The slots up to `first` need no mark either.
                        tail = room
                            .map(|ahead| ahead.first)
                            .filter(|first| first.since(next, self.capacity) > 0)
                            .unwrap_or(next);
                    } else if self.change(tail.index(), word, self.skipped(tail, word)) {
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

    /// The word of a slot that a sender skips at this position. A slot whose item waits for its time becomes loose: it may wait
    /// for many laps, and one mark for all of them is enough.
    fn skipped(&self, position: Position, word: Word) -> Word {
        let skipped = word.in_lap(position.lap());
        let waits = word.kind() == Kind::Late && self.delayed.due(position.index()) != 0;
        if waits { skipped.loosened() } else { skipped }
    }

    /// Claims a loose slot that is free. Others may have passed this position long ago, so its item is to stand behind it. The
    /// slot is put into a lap to which no sender or receiver has come. A sender that has passed the slot saw
    /// it in hands, and began at a hint that is not ahead of the one read here: it passed the slot once, less than a lap and a
    /// stride ahead of that hint. While the slot is loose and free no sender passes it, and receivers stay within a lap of the hint.
    #[cold]
    fn claim_loose(
        &self,
        word: Word,
        position: Position,
        owner: u16,
        cursor: &mut Cursor,
    ) -> Result<Option<Held>, NoSlot> {
        // A change, though of nothing: it reads the latest value, and not one from before the slot was free.
        let hint = self.tail.at(0).fetch_add(0, Ordering::SeqCst);
        let hint = Position::read(hint, self.capacity).ok_or(NoSlot::Spoilt)?;
        let last = if hint.since(position, self.capacity) > 0 { hint } else { position };
        let lap = last.lap().after(LOOSE_LAPS);
        let filling = Word::new(Kind::Filling, lap, owner, 0).passed_over();
        if !self.change(position.index(), word, filling) {
            return Ok(None);
        }
        crash_point!("loose_slot_claimed");
        // Relaxed: released with the word when the slot is published.
        self.born.at(position.index()).store(cursor.behind.next(position), Ordering::Relaxed);
        Ok(Some(Held { slot: position.index(), word: filling }))
    }

    /// The first free slot to which a sender comes that skips the slot at `tail`; the error is the slot that waits in front
    /// of it, or `tail` if all slots are in hands.
    fn room_ahead(&self, tail: Position) -> Result<Ahead, Position> {
        let (mut ahead, mut first) = (tail.next(self.capacity), None);
        while ahead.index() != tail.index() {
            let word = self.word(ahead.index());
            if !word.is_loose() {
                let first = *first.get_or_insert(ahead);
                match word.lap().compared_to(ahead.lap()) {
                    // Free; or the tail has moved on meanwhile, and the caller is to look again.
                    Compared::Same | Compared::Later => return Ok(Ahead { room: ahead, first }),
                    Compared::Earlier if word.is_passed() => {}
                    Compared::Earlier => return Err(ahead),
                }
            } else if word.is_loose_and_free() {
                return Ok(Ahead { room: ahead, first: first.unwrap_or(ahead) });
            }
            ahead = ahead.next(self.capacity);
        }
        Err(tail)
    }
}
