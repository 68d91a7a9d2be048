//! Spare slots: a result that a transaction sends to a queue from which it has taken an item takes the room of that item. So a
//! stage that sends its results to its own queue needs no free slot for them: one item in, one item out.
//!
//! A queue has [`SPARES`] slots behind those of the ring. They are not part of its capacity, and no receiver looks at them. A
//! transaction that finds no free slot writes its result into a spare one, *staged* as any other result. It notes there which
//! of the items that it takes gives up its room. After the commit, the owner or the sweep makes the *exchange*:
//!
//! ```text
//! copy the result from the spare slot into the item's slot      item: settled, spare: staged
//! item's slot: settled → late, and its hint                     the result is in the queue
//! spare slot: staged → free
//! ```
//!
//! The first step may be repeated as long as the item's slot is *settled*. Once it is not, the second step is done. The sweep
//! therefore leaves such a slot to the exchange. At no instant are more slots of the ring in use than before.
//!
//! The result has no position of its own in the ring, and yet it comes after all that was sent before. Beside its slot stands
//! the position that the tail had when the result was staged, and receivers take it when the head has come there. If the slot
//! at the tail is in a receiver's hands, the sender skips it, and the position is the result's alone. If not, several results
//! may have the same position, and a number that its sender counts up puts them in order.

use super::error::Refused;
use super::geometry::SPARE_SLOTS;
use super::hint::Cursor;
use super::lease::Lease;
use super::member::Member;
use super::oldest::Hinted;
use super::ring::{Held, Ring, TRIES};
use super::slot::{Compared, Kind, Position, Word};
use crate::crash_point;
use crate::sync::Ordering;

/// So many results at a time take the room of items. One in the models, which have a few slots.
pub const SPARES: usize = if cfg!(any(model_loom, model_shuttle)) { 1 } else { SPARE_SLOTS };

/// In the word that tells the position at which a slot was claimed: the bits between the index and the lap. An index has 24
/// bits. They hold 0 for a slot that was claimed at its position, and the number of a result that stands behind that position.
const NUMBER_SHIFT: u32 = 24;
const NUMBER_MASK: u64 = 0xff << NUMBER_SHIFT;

/// Results with the same position and the highest number are in no order. There are so many only if more than 254 items had
/// come back to a full queue.
const LAST_NUMBER: u64 = 0xff;

/// An item in its receiver's hands, whose room a result of the same transaction may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    slot: usize,
    owner: u16,
}

/// What a sender remembers of its last result that stands behind a position.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Behind {
    position: u64,
    number: u64,
}

impl Room {
    /// That of the item in this slot, which its receiver holds.
    pub(super) fn new(slot: usize, owner: u16) -> Self {
        Self { slot, owner }
    }

    /// The slot of the item.
    pub(super) fn slot(self) -> usize {
        self.slot
    }
}

impl Behind {
    /// The next result that stands behind this position, as a word beside its slot.
    pub(super) fn next(&mut self, position: Position) -> u64 {
        let number = if self.number > 0 && self.position == position.word() { self.number + 1 } else { 1 };
        *self = Self { position: position.word(), number: number.min(LAST_NUMBER) };
        position.word() & !NUMBER_MASK | self.number << NUMBER_SHIFT
    }
}

/// A number that rises in the order of the words beside the slots. What stands behind a position comes before the item that is
/// claimed there. An order for any values: the words are input.
pub(super) fn order_of(born: u64) -> u64 {
    const INDEX_MASK: u64 = (1 << NUMBER_SHIFT) - 1;
    let number = (born & NUMBER_MASK) >> NUMBER_SHIFT;
    born & !(u64::MAX >> 32) | (born & INDEX_MASK) << 8 | number.wrapping_sub(1) & 0xff
}

/// What a sender finds that wants to stand behind the ring.
pub(super) enum Tail {
    Behind(u64),
    /// A free slot after all.
    Free,
}

impl Ring {
    /// Whether no item waits in the ring before this one. Its hint was seen before, and with it all that its sender had sent.
    pub(super) fn is_in_turn(&self, hinted: Hinted) -> bool {
        if hinted.born & NUMBER_MASK == 0 {
            return true;
        }
        let head = Position::read(self.head.at(0).load(Ordering::Relaxed), self.capacity);
        let behind = Position::read(hinted.born & !NUMBER_MASK, self.capacity);
        match (head, behind) {
            (Some(head), Some(behind)) => behind.since(head, self.capacity) == 0 || self.is_nothing_at(head),
            (None, _) | (_, None) => true, // Garbage in shared memory is no reason to wait.
        }
    }

    /// Claims a spare slot for `owner`.
    pub(super) fn claim_spare(&self, owner: u16) -> Option<Held> {
        (self.slots()..self.slots() + SPARES).find_map(|slot| {
            let word = self.word(slot);
            let filling = Word::new(Kind::Filling, word.lap(), owner, 0);
            (word.kind() == Kind::Free && self.change(slot, word, filling)).then_some(Held { slot, word: filling })
        })
    }

    /// Finds the place in the order of a result that takes no slot of its own.
    pub(super) fn stand_behind(&self, cursor: &mut Cursor) -> Option<Tail> {
        for _ in 0..TRIES {
            let seen = Position::read(self.tail.at(0).load(Ordering::Relaxed), self.capacity)?;
            let tail = self.begin(seen, *cursor);
            let word = self.word(tail.index());
            let next = tail.next(self.capacity);
            match word.lap().compared_to(tail.lap()) {
                _ if word.is_loose_and_free() => return Some(Tail::Free),
                Compared::Same if word.is_free() => return Some(Tail::Free),
                _ if word.is_loose() => match self.end_of_loose(tail) {
                    Some(end) => self.move_on(&self.tail, seen, end),
                    None => return Some(Tail::Behind(cursor.behind.next(tail))),
                },
                Compared::Same | Compared::Later => self.move_on(&self.tail, seen, next),
                Compared::Earlier if word.is_passed() => {
                    if self.change(tail.index(), word, word.in_lap(tail.lap())) {
                        crash_point!("lap_bumped_for_a_result");
                        cursor.set(next);
                        self.move_on(&self.tail, seen, next);
                        return Some(Tail::Behind(cursor.behind.next(tail)));
                    }
                }
                Compared::Earlier => return Some(Tail::Behind(cursor.behind.next(tail))),
            }
        }
        None
    }

    /// The first position behind this one whose slot is free or not loose.
    fn end_of_loose(&self, from: Position) -> Option<Position> {
        let next = |at: &Position| Some(at.next(self.capacity)).filter(|next| next.index() != from.index());
        std::iter::successors(next(&from), next).find(|at| {
            let word = self.word(at.index());
            !word.is_loose() || word.is_loose_and_free()
        })
    }

    /// Notes beside a spare slot whose room its result takes, and where it stands in the order.
    pub(super) fn note_room(&self, spare: usize, room: Room, born: u64) {
        // Relaxed: released with the word. A spare slot has no time at which it is due.
        self.delayed.set_due(spare, (room.slot as u64) << 16 | u64::from(room.owner));
        self.born.at(spare).store(born, Ordering::Relaxed);
    }

    /// Whose room the result in a spare slot takes, if that can be.
    pub(super) fn room_of(&self, spare: usize) -> Option<Room> {
        let word = self.delayed.due(spare);
        let slot = usize::try_from(word >> 16).ok().filter(|slot| *slot < self.slots())?;
        Some(Room { slot, owner: word as u16 })
    }

    /// The result in a spare slot of a committed transaction takes the room of its item. `copy` copies from the first of two
    /// slots to the second, and may be called again after a death. Only for the owner of the spare slot, or after its death. False if
    /// the words are not as they should be.
    pub(super) fn exchange(&self, spare: Held, owner: u16, copy: impl Fn(usize, usize) -> bool) -> bool {
        if let Some(room) = self.room_of(spare.slot) {
            let is_settled = |word: Word| word.is(Kind::Settled, room.owner);
            if is_settled(self.word(room.slot)) {
                if !copy(spare.slot, room.slot) {
                    return false;
                }
                // Relaxed: released with the word.
                self.born.at(room.slot).store(self.born.at(spare.slot).load(Ordering::Relaxed), Ordering::Relaxed);
                crash_point!("exchange_copied");
                let late = |word: Word| word.turned(Kind::Late, 0, 0);
                if self.leave(room.slot, is_settled, late).is_some() {
                    crash_point!("exchanged");
                    // Not counted among the hints: it comes after all that is late.
                    self.late.hint(room.slot);
                }
            }
        }
        crash_point!("exchange_hinted");
        self.leave(spare.slot, |word| word.is(Kind::Staged, owner), Word::freed).is_some()
    }
}

impl Member {
    /// The room of an item that this member has taken.
    pub fn room_of(&self, lease: &Lease) -> Room {
        Room::new(lease.held.slot, self.index)
    }

    /// Writes a result into a spare slot, where it waits to take the room of an item of the same transaction.
    pub(super) fn try_fill_spare(&mut self, item: &[u8], ahead: u64, room: Room) -> Result<Held, Refused> {
        let (queue, id) = (self.queue.clone(), self.next_id(ahead));
        let ring = &queue.shared.ring;
        let held = ring.claim_spare(self.index).ok_or(Refused::Full)?;
        crash_point!("spare_claimed");
        // After the commit nothing may fail: the item's slot gets its memory now.
        let is_large = item.len() > queue.shared.geometry.item_bytes as usize;
        if is_large && queue.back_large(room.slot, item.len()).is_err() || !queue.write(held.slot, id, item) {
            ring.abandon(held, self.index);
            return Err(Refused::NoSpace);
        }
        match ring.stand_behind(&mut self.send_cursor) {
            Some(Tail::Behind(born)) => ring.note_room(held.slot, room, born),
            Some(Tail::Free) => {
                ring.abandon(held, self.index);
                return Err(Refused::Full); // To be tried again, now with a free slot.
            }
            None => {
                ring.abandon(held, self.index);
                return Err(Refused::Spoilt);
            }
        }
        crash_point!("spare_filled");
        Ok(held)
    }
}

impl super::file::Queue {
    /// Copies an item, with its head, from one slot into another. False if the disk has no room for it: the other slot had its
    /// memory before, unless a broken process has written over the length.
    pub(super) fn copy_item(&self, from: usize, to: usize) -> bool {
        let (id, offset, len) = self.content(from);
        let is_inline = len <= self.shared.geometry.item_bytes as usize;
        if !is_inline && self.back_large(to, len).is_err() {
            return false;
        }
        self.write_head(to, id, len as u64);
        self.shared.region.copy(offset, if is_inline { self.inline_at(to) } else { self.large_at(to) }, len);
        true
    }
}
