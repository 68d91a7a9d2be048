//! What can be seen of a ring by who does nothing to it: how much waits, where its ends are, what somebody holds.

use super::hint::Cursor;
use super::ring::Ring;
use super::slot::{Kind, Position, Word};
use super::spare::order_of;
use crate::sync::Ordering;

impl Ring {
    /// The tail, the word of the slot there, and the word of the slot at which a sender's last try has stopped. As long as
    /// all stay as they are, a queue that was full most likely is.
    #[inline]
    pub fn at_tail(&self, cursor: Cursor) -> (u64, [Option<Word>; 2]) {
        let tail = self.tail.at(0).load(Ordering::Relaxed);
        let ends = [Position::read(tail, self.capacity), cursor.stopped(self.capacity)];
        (tail, ends.map(|end| end.map(|end| self.word(end.index()))))
    }

    /// How many items wait in the ring, less than a stride more or less: leased ones and the late lane do not count. By
    /// this senders decide when to wake up, so it must come from the shared words and not from somebody's own position.
    #[inline]
    pub fn backlog(&self) -> u64 {
        let head = Position::read(self.head.at(0).load(Ordering::Relaxed), self.capacity);
        let tail = Position::read(self.tail.at(0).load(Ordering::Relaxed), self.capacity);
        match (head, tail) {
            (Some(head), Some(tail)) => tail.since(head, self.capacity),
            (None, _) | (_, None) => 0,
        }
    }

    /// The same, exactly if nobody is at work.
    pub fn waiting(&self) -> u64 {
        let ends = self.ends().map(|(head, tail)| (self.real_head(head), self.real_tail(tail)));
        ends.map_or(0, |(head, tail)| tail.since(head, self.capacity))
    }

    /// How many slots of this kind are `owner`'s. Reads all words.
    pub fn count(&self, kind: Kind, owner: u16) -> u64 {
        (0..self.slots()).filter(|slot| self.word(*slot).is(kind, owner)).count() as u64
    }

    /// Tells how old the items of slots are, as numbers that rise in the order of the slots' claims. They are counted from the
    /// tail, so that they rise also where positions wrap around.
    pub fn ages(&self) -> impl Fn(usize) -> i64 + '_ {
        let tail = order_of(self.tail.at(0).load(Ordering::Relaxed));
        move |slot| order_of(self.born_at(slot)).wrapping_sub(tail) as i64
    }

    /// See [`LateLane::recheck`].
    pub fn recheck_late(&self) {
        self.late.recheck();
        self.delayed.lane.recheck();
    }

    /// The receivers' hint and the senders', if they can be ones.
    pub fn ends(&self) -> Option<(Position, Position)> {
        // Acquire, and the head first: a tail that is read after it is not behind what receivers have taken.
        let head = Position::read(self.head.at(0).load(Ordering::Acquire), self.capacity)?;
        Some((head, Position::read(self.tail.at(0).load(Ordering::Acquire), self.capacity)?))
    }

    /// Whether items may be in the late lane.
    #[inline]
    pub fn has_late(&self) -> bool {
        self.late.may_hold()
    }
}
