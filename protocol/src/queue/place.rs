//! A member's place at a queue: whose it is, and how many items it has sent and acked.
//!
//! The counts are exact although their owner may be killed between changing slots and counting that: before the changes,
//! one or many, it notes `{ number, slots }`, how many slots it holds that such a change would take from it (it fills
//! them, for sends; it has leased them, for acks). Whoever finds the note of a dead member counts how many it still
//! holds: the others were changed. Only the owner touches its place while it lives; the supervisor reads along.

use crate::sync::Ordering;

use crate::id::Post;
use crate::shm::Words;

pub(super) const OWNER: usize = 0;
pub(super) const SENT: usize = 1;
const SENDING: usize = 2;
pub(super) const ACKED: usize = 3;
const ACKING: usize = 4;
pub(super) const RETURNED: usize = 5;
/// What the counts are once a batch is committed, and the number of that batch.
const BATCH_SENT: usize = 6;
const BATCH_ACKED: usize = 7;
const BATCH: usize = 8;
/// What the counts were when its owner took the place.
const FROM_SENT: usize = 9;
const FROM_ACKED: usize = 10;

const USED: u64 = 1 << 63;

/// Whose a place is, by its first word: the post, and the number of its thread.
#[inline]
pub(super) fn owner(word: u64) -> Option<(Post, u16)> {
    (word & USED != 0).then_some((Post(word as u16), (word >> 16) as u16))
}

/// View of one place.
#[derive(Clone, Debug)]
pub struct Place {
    words: Words,
}

/// Which of the two counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Items sent.
    Sent,
    /// Items acked.
    Acked,
}

impl Count {
    const fn total(self) -> usize {
        match self {
            Self::Sent => SENT,
            Self::Acked => ACKED,
        }
    }

    const fn from(self) -> usize {
        match self {
            Self::Sent => FROM_SENT,
            Self::Acked => FROM_ACKED,
        }
    }

    const fn note(self) -> usize {
        match self {
            Self::Sent => SENDING,
            Self::Acked => ACKING,
        }
    }
}

impl Place {
    /// Over the words of one place.
    pub fn new(words: Words) -> Self {
        Self { words }
    }

    /// Takes the place for a post. From the first instant it names the post, so that the sweep can free it.
    pub fn take(&self, post: Post, lane: u16) -> bool {
        let word = USED | u64::from(post.0) | u64::from(lane) << 16;
        // AcqRel: pairs with the release of the place's former owner, whose counts we go on from.
        self.words.at(OWNER).compare_exchange(0, word, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// Frees the place of a dead member. Its counts stay, and the next owner goes on from them.
    pub fn free(&self) {
        self.mark();
        self.words.at(OWNER).store(0, Ordering::Release); // Pairs with `take`.
    }

    /// Whose place it is.
    pub fn post(&self) -> Option<Post> {
        owner(self.words.at(OWNER).load(Ordering::Acquire)).map(|(post, _)| post) // Pairs with `take`.
    }

    /// The total of a count.
    #[inline]
    pub fn total(&self, count: Count) -> u64 {
        self.words.at(count.total()).load(Ordering::Acquire) // Pairs with `done`.
    }

    /// How much of a count is its present owner's.
    pub fn own(&self, count: Count) -> u64 {
        self.total(count).saturating_sub(self.words.at(count.from()).load(Ordering::Relaxed))
    }

    /// What is counted from now on is the next owner's.
    fn mark(&self) {
        for count in [Count::Sent, Count::Acked] {
            self.words.at(count.from()).store(self.total(count), Ordering::Relaxed); // Released with the owner's word.
        }
    }

    /// Notes that changes are about to be tried which count: each takes one slot from the `held` that the member holds.
    #[inline]
    pub fn note(&self, count: Count, held: u64) {
        let next = self.words.at(count.total()).load(Ordering::Relaxed).wrapping_add(1);
        // Release: after the note, the changes. A sweep that acquires a slot's word sees the note.
        self.words.at(count.note()).store(next << 32 | held & 0xffff_ffff, Ordering::Release);
    }

    /// So many of the changes were made, at least one.
    #[inline]
    pub fn done(&self, count: Count, changes: u64) {
        let total = self.words.at(count.total());
        total.store(total.load(Ordering::Relaxed).wrapping_add(changes), Ordering::Release);
    }

    /// None of the changes was made.
    pub fn cancel(&self, count: Count) {
        self.words.at(count.note()).store(0, Ordering::Release);
    }

    /// What was noted of changes that are not counted.
    #[inline]
    pub fn open_note(&self, count: Count) -> Option<u64> {
        let note = self.words.at(count.note()).load(Ordering::Acquire);
        let next = self.total(count).wrapping_add(1);
        (note != 0 && note >> 32 == next & 0xffff_ffff).then_some(note & 0xffff_ffff)
    }

    /// Finishes the count of a dead member. `made` gets what was noted, and tells how many of the changes were made. Before
    /// its slots change hands, or that is not to be seen any more.
    pub fn settle(&self, count: Count, made: impl FnOnce(u64) -> u64) {
        let Some(noted) = self.open_note(count) else { return };
        match made(noted) {
            0 => self.cancel(count),
            changes => self.done(count, changes), // Closes the note as well: its number is not the next one any more.
        }
    }

    /// Which thread of its post has the place.
    pub fn lane(&self) -> u16 {
        (self.words.at(OWNER).load(Ordering::Acquire) >> 16) as u16 // Pairs with `take`.
    }

    /// Notes what the counts will be when batch `number`, which sends and acks so many items, is committed.
    pub fn note_batch(&self, number: u64, sent: u64, acked: u64) {
        // First no number: one that dies in the middle must not leave the number of one batch beside the counts of another.
        self.words.at(BATCH).store(0, Ordering::Release);
        self.words.at(BATCH_SENT).store(self.total(Count::Sent).wrapping_add(sent), Ordering::Release);
        self.words.at(BATCH_ACKED).store(self.total(Count::Acked).wrapping_add(acked), Ordering::Release);
        self.words.at(BATCH).store(number, Ordering::Release); // Pairs with `settle_batch`.
    }

    /// The batch that was noted is committed and rolled forward.
    pub fn count_batch(&self) {
        self.words.at(SENT).store(self.words.at(BATCH_SENT).load(Ordering::Relaxed), Ordering::Release);
        self.words.at(ACKED).store(self.words.at(BATCH_ACKED).load(Ordering::Relaxed), Ordering::Release);
        self.words.at(BATCH).store(0, Ordering::Release);
    }

    /// Finishes the counts of a dead member that had committed all batches up to `committed`.
    pub fn settle_batch(&self, committed: u64) {
        let number = self.words.at(BATCH).load(Ordering::Acquire); // Pairs with `note_batch`.
        if number != 0 && number <= committed {
            self.count_batch();
        } else {
            self.words.at(BATCH).store(0, Ordering::Release);
        }
    }

    /// Takes the counts of another queue's place over.
    pub fn copy_counts(&self, from: &Self) {
        for word in [SENT, ACKED, RETURNED] {
            self.words.at(word).store(from.words.at(word).load(Ordering::Relaxed), Ordering::Release);
        }
        self.mark();
    }

    /// One more came back.
    pub fn count_returned(&self, more: u64) {
        self.words.at(RETURNED).fetch_add(more, Ordering::Relaxed);
    }
}
