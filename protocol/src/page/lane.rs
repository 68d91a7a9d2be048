//! A handler thread's part of its worker's page: what it holds, how far it has committed, and its checkpoint. Without it
//! the sweep could not tell a batch that happened from one that did not.

use std::sync::Arc;

use super::HEAD_WORDS;
use crate::id::ItemId;
use crate::shm::{Region, Words, is_forked_copy};
use crate::sync::Ordering;

/// Words of a lane, four cache lines: what its thread writes disturbs no other.
const LANE_WORDS: usize = 32;

pub(super) const HOLDS_QUEUE: usize = 1;
const HOLDS_ITEM: usize = 2;
pub(super) const BEGUN: usize = 3;
pub(super) const WAITING: usize = 4;
/// The only word that the supervisor writes.
pub(super) const LATE: usize = 5;
/// On a cache line of its own: the store that commits.
pub(super) const COMMITTED: usize = 8;
/// The number of the batch that ends the thread's work.
pub(super) const FINISH: usize = 9;
/// The number of the last batch that changes shared state, unless the manager has made those changes.
pub(super) const SHARED: usize = 10;
/// What the thread waits for, see [`WaitsFor`](super::WaitsFor). On a third cache line: it is written before a sleep only.
pub(super) const WAITS_FOR: usize = 16;
/// Since when it waits for that, by the machine's clock.
pub(super) const WAITS_SINCE: usize = 17;
/// When that wait ended without success, by the machine's clock; 0 if it has not, or ended with success.
pub(super) const WAITS_ENDED: usize = 18;
/// How far the thread was then, see [`Lane::step`].
pub(super) const WAITS_STEP: usize = 19;

/// Whether it is not known which checkpoint was committed last.
pub(super) const UNKNOWN: usize = 11;

/// The largest checkpoint, encoded, in bytes: 4 KiB and what the encoding adds.
pub const MAX_CHECKPOINT: usize = 4096 + 64;
/// A checkpoint: number of its batch, length, bytes. Every lane has two of them, so that one is always whole.
const CHECKPOINT_BYTES: usize = 16 + MAX_CHECKPOINT;
pub(super) const LANE_BYTES: usize = (LANE_WORDS * 8 + 2 * CHECKPOINT_BYTES).next_multiple_of(128);

/// A handler thread's part of the page.
#[derive(Clone, Debug)]
pub struct Lane {
    region: Arc<Region>,
    words: Words,
    number: usize,
}

impl Lane {
    pub(super) fn new(region: &Arc<Region>, words: &Words, number: u16) -> Self {
        Self { region: Arc::clone(region), words: words.clone(), number: number.into() }
    }

    #[inline]
    pub(super) fn word(&self, number: usize) -> &crate::sync::AtomicU64 {
        self.words.at(self.number * (LANE_BYTES / 8) + number)
    }

    /// The number of the last batch that was committed; 0 before the first.
    #[inline]
    pub fn committed(&self) -> u64 {
        self.word(COMMITTED).load(Ordering::Acquire) // Pairs with `commit`.
    }

    /// Commits batch `number`, the one after [`Lane::committed`]: all that was staged and settled under it, and the
    /// checkpoint that was written for it. If the process dies before this store, nothing of the batch has happened; if
    /// it dies after it, all of it has.
    #[inline]
    pub fn commit(&self, number: u64) {
        if is_forked_copy() {
            return; // The page is that of the process which was copied.
        }
        // SeqCst: after all of the batch, before all that rolls it forward; pairs with `committed` in the sweep.
        self.word(COMMITTED).store(number, Ordering::SeqCst);
    }

    /// Forgets what an earlier, unfinished try at the next batch has left here, for instance that of a process that died
    /// before its commit: the batch that is committed next under that number must not make it true. The first step of
    /// every batch.
    pub fn begin_batch(&self) {
        let committed = self.committed();
        for word in [FINISH, SHARED] {
            let word = self.word(word);
            if word.load(Ordering::Relaxed) > committed {
                word.store(0, Ordering::SeqCst);
            }
        }
        for tag in [0, 1].map(|half| self.checkpoint_word(half, 0)) {
            if tag.load(Ordering::Relaxed) > committed {
                tag.store(0, Ordering::SeqCst);
            }
        }
    }

    /// Batch `number`, when it is committed, changes shared state as well: the manager has been told how, and looks here
    /// whether it may.
    pub fn mark_shared(&self, number: u64) {
        self.word(SHARED).store(number, Ordering::SeqCst); // Before the commit; pairs with `has_shared`.
    }

    /// Whether batch `number` is committed, and was marked as one that changes shared state.
    pub fn has_shared(&self, number: u64) -> bool {
        self.committed() >= number && self.word(SHARED).load(Ordering::SeqCst) == number
    }

    /// Whether a batch may have changed shared state without the manager's having noticed yet.
    pub fn may_have_shared(&self) -> bool {
        self.word(SHARED).load(Ordering::SeqCst) != 0
    }

    /// The manager has noticed that batch `number` is committed. Only the manager calls this, before it takes in another
    /// batch of this lane; until then its worker leaves the word alone.
    pub fn settle_shared(&self, number: u64) {
        let _ = self.word(SHARED).compare_exchange(number, 0, Ordering::SeqCst, Ordering::Relaxed);
    }

    /// Batch `number`, when it is committed, will be the last of this thread: it has come to the end of its inputs.
    pub fn mark_finish(&self, number: u64) {
        self.word(FINISH).store(number, Ordering::SeqCst);
    }

    /// Whether the last batch that was committed was the last of all.
    pub fn has_finished(&self) -> bool {
        let finish = self.word(FINISH).load(Ordering::SeqCst);
        finish != 0 && finish == self.committed()
    }

    /// The supervisor has made this page in the place of one that could not be used: which checkpoint its worker had
    /// committed is not known.
    pub(super) fn mark_unknown(&self) {
        self.word(UNKNOWN).store(1, Ordering::SeqCst);
    }

    /// Whether it is not known which checkpoint was committed last. Then a worker without a checkpoint is not one that
    /// begins: it must not take what it finds outside of the pipeline for its own.
    pub fn is_unknown(&self) -> bool {
        self.word(UNKNOWN).load(Ordering::SeqCst) != 0
    }

    /// The worker has made sure that nothing is left of what was committed under the checkpoint that is not known.
    pub fn settle_unknown(&self) {
        self.word(UNKNOWN).store(0, Ordering::SeqCst);
    }

    /// Writes the checkpoint of batch `number` beside the one that holds now; it holds when the batch is committed.
    /// False if it is larger than [`MAX_CHECKPOINT`], or if this process is a forked copy.
    pub fn write_checkpoint(&self, number: u64, bytes: &[u8]) -> bool {
        if bytes.len() > MAX_CHECKPOINT || is_forked_copy() {
            return false;
        }
        let spare = match self.current_half() {
            Some(0) => 1,
            Some(_) | None => 0,
        };
        let tag = self.checkpoint_word(spare, 0);
        // No number first: half a checkpoint must not pass for a whole one.
        tag.store(0, Ordering::SeqCst);
        self.checkpoint_word(spare, 1).store(bytes.len() as u64, Ordering::Relaxed);
        self.region.write(self.checkpoint_offset(spare) + 16, bytes);
        tag.store(number, Ordering::SeqCst);
        true
    }

    /// The checkpoint of the last committed batch that had one.
    pub fn checkpoint(&self) -> Option<Vec<u8>> {
        let half = self.current_half()?;
        let len = usize::try_from(self.checkpoint_word(half, 1).load(Ordering::Relaxed)).ok()?;
        (len <= MAX_CHECKPOINT).then(|| self.region.bytes(self.checkpoint_offset(half) + 16, len).to_vec())
    }

    fn current_half(&self) -> Option<usize> {
        let committed = self.committed();
        let tags = [0, 1].map(|half| self.checkpoint_word(half, 0).load(Ordering::SeqCst));
        (0..2).filter(|half| tags[*half] != 0 && tags[*half] <= committed).max_by_key(|half| tags[*half])
    }

    fn checkpoint_offset(&self, half: usize) -> usize {
        HEAD_WORDS * 8 + self.number * LANE_BYTES + LANE_WORDS * 8 + half * CHECKPOINT_BYTES
    }

    pub(super) fn checkpoint_word(&self, half: usize, word: usize) -> &crate::sync::AtomicU64 {
        self.word(LANE_WORDS + half * (CHECKPOINT_BYTES / 8) + word)
    }

    /// It begins with this item of the stage's input number `queue`.
    #[inline]
    pub fn hold(&self, queue: u16, item: ItemId) {
        self.word(HOLDS_ITEM).store(item.0, Ordering::Relaxed);
        self.word(HOLDS_QUEUE).store(u64::from(queue) + 1, Ordering::Relaxed);
        // Not counted exactly, should threads share the lane: it is enough that the number changes.
        let begun = self.word(BEGUN);
        begun.store(begun.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Changes with each item that its thread begins with, and with each commit.
    pub(super) fn step(&self) -> u64 {
        self.word(BEGUN).load(Ordering::Relaxed).wrapping_add(self.committed())
    }

    /// It holds nothing.
    #[inline]
    pub fn release(&self) {
        self.word(HOLDS_QUEUE).store(0, Ordering::Relaxed);
    }

    /// It holds nothing of the stage's input number `queue`. What it shows of another input stays: it is still in hand.
    #[inline]
    pub fn release_of(&self, queue: u16) {
        if self.word(HOLDS_QUEUE).load(Ordering::Relaxed) == u64::from(queue) + 1 {
            self.release();
        }
    }

    /// What it holds: the number of the stage's input, and the item.
    pub fn holds(&self) -> Option<(u16, ItemId)> {
        let queue = self.word(HOLDS_QUEUE).load(Ordering::Relaxed);
        (queue != 0).then(|| ((queue - 1) as u16, ItemId(self.word(HOLDS_ITEM).load(Ordering::Relaxed))))
    }
}
