//! What a handler thread waits for, and since when, as its lane shows it. The supervisor tells it to people, and finds
//! stages that wait for each other by it. It is written before a sleep only: a thread that finds what it wants writes
//! nothing.

use std::cell::Cell;

use super::Lane;
use super::lane::{WAITING, WAITS_ENDED, WAITS_FOR, WAITS_SINCE, WAITS_STEP};
use crate::shm::clock;
use crate::sync::Ordering;

/// What a thread waits for. Queues go by their number among the stage's inputs or outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitsFor {
    /// Room in an output, for so many items at once.
    Room {
        /// Which output.
        queue: u16,
        /// Slots that it needs together.
        slots: u32,
    },
    /// An item of one input.
    Item(u16),
    /// An item of any of the stage's inputs.
    AnyItem,
    /// The answer of the server that holds shared state.
    Shared,
    /// Space on the disk that holds the queues.
    Disk,
}

/// A thread that waits again for the same within this time, in nanoseconds, has done nothing else meanwhile.
const SAME_WAIT: u64 = 1_000_000_000;

const ROOM: u64 = 1;
const ITEM: u64 = 2;
const ANY_ITEM: u64 = 3;
const SHARED_STATE: u64 = 4;
const DISK: u64 = 5;
/// Threads that share the lane wait at the same time, each for something of its own.
const SEVERAL: u64 = u64::MAX;

impl WaitsFor {
    fn to_word(self) -> u64 {
        let (kind, queue, slots) = match self {
            Self::Room { queue, slots } => (ROOM, queue, slots),
            Self::Item(queue) => (ITEM, queue, 0),
            Self::AnyItem => (ANY_ITEM, 0, 0),
            Self::Shared => (SHARED_STATE, 0, 0),
            Self::Disk => (DISK, 0, 0),
        };
        u64::from(slots) << 32 | kind << 16 | u64::from(queue)
    }

    /// `None` for a word that no version of the SDK writes: what stands in a page is input.
    fn of_word(word: u64) -> Option<Self> {
        let queue = u16::try_from(word & 0xffff).ok()?;
        let slots = u32::try_from(word >> 32).ok()?;
        match word >> 16 & 0xffff {
            ROOM => Some(Self::Room { queue, slots }),
            ITEM => Some(Self::Item(queue)),
            ANY_ITEM => Some(Self::AnyItem),
            SHARED_STATE => Some(Self::Shared),
            DISK => Some(Self::Disk),
            _ => None,
        }
    }
}

/// A wait, as the lane shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// What the thread waits for.
    pub what: WaitsFor,
    /// Since when, in nanoseconds of [`clock`]. It is input, and may lie in the future.
    pub since: u64,
}

impl Lane {
    /// To be kept while it sends or takes: says, once it is told that this takes longer, that the thread waits.
    #[inline]
    pub fn waiting(&self) -> Waiting<'_> {
        Waiting { lane: self, said: Cell::new(false), without_success: Cell::new(false) }
    }

    /// What its thread waits for; `None` if it does not wait, or if several threads share the lane and wait for more than one
    /// thing.
    pub fn waits(&self) -> Option<Waits> {
        // Acquire: pairs with `Waiting::say`.
        if self.word(WAITING).load(Ordering::Acquire) == 0 {
            return None;
        }
        let what = WaitsFor::of_word(self.word(WAITS_FOR).load(Ordering::Relaxed))?;
        Some(Waits { what, since: self.word(WAITS_SINCE).load(Ordering::Relaxed) })
    }

    /// Whether its thread has waited for anything in this run of the worker.
    pub fn has_waited(&self) -> bool {
        self.word(WAITS_FOR).load(Ordering::Relaxed) != 0
    }

    /// A run of the worker begins: whatever one that was killed had waited for.
    pub(super) fn forget_waits(&self) {
        self.word(WAITING).store(0, Ordering::Relaxed);
        self.word(WAITS_FOR).store(0, Ordering::Relaxed);
        self.word(WAITS_ENDED).store(0, Ordering::Relaxed);
    }
}

/// A wait that may or may not come about. It is over when this is dropped, with success unless the thread says otherwise. If the process dies before, it is said to wait
/// until its next run begins.
#[derive(Debug)]
pub struct Waiting<'a> {
    lane: &'a Lane,
    said: Cell<bool>,
    without_success: Cell<bool>,
}

impl Waiting<'_> {
    /// It does wait, for this. To be called before a sleep, as often as one likes. The time counts from the first call
    /// with the same `what`.
    pub fn say(&self, what: WaitsFor) {
        let word = what.to_word();
        if self.said.replace(true) {
            let before = self.lane.word(WAITS_FOR).load(Ordering::Relaxed);
            if before != word && before != SEVERAL {
                self.write(word);
            }
            return;
        }
        // Threads that an author starts may share the lane: it counts how many wait. Once they wait for more than one thing,
        // nothing that could be written there is true of all of them until all have gone.
        let is_first = self.lane.word(WAITING).fetch_add(1, Ordering::Release) == 0;
        match self.lane.word(WAITS_FOR).load(Ordering::Relaxed) {
            before if before == word && (!is_first || self.continues()) => {}
            _ if is_first => self.write(word),
            _ => self.write(SEVERAL),
        }
    }

    /// The time given for it is over. If the thread waits for the same again at once, that is the same wait: a worker that
    /// waits for a short time in a loop waits as long as one that waits once.
    pub fn end_without_success(&self) {
        if self.said.get() {
            self.lane.word(WAITS_STEP).store(self.lane.step(), Ordering::Relaxed);
            self.lane.word(WAITS_ENDED).store(clock(), Ordering::Relaxed);
            self.without_success.set(true);
        }
    }

    /// Whether the wait before ended without success, and the thread has done nothing since.
    fn continues(&self) -> bool {
        let ended = self.lane.word(WAITS_ENDED).load(Ordering::Relaxed);
        let has_paused = clock().saturating_sub(ended) > SAME_WAIT;
        ended != 0 && !has_paused && self.lane.word(WAITS_STEP).load(Ordering::Relaxed) == self.lane.step()
    }

    fn write(&self, word: u64) {
        self.lane.word(WAITS_SINCE).store(clock(), Ordering::Relaxed);
        self.lane.word(WAITS_FOR).store(word, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if self.said.get() {
            if !self.without_success.get() {
                self.lane.word(WAITS_ENDED).store(0, Ordering::Relaxed);
            }
            self.lane.word(WAITING).fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, Post};
    use crate::page::Page;

    const ROOM_0: WaitsFor = WaitsFor::Room { queue: 0, slots: 1 };

    #[test]
    fn a_lane_shows_what_its_thread_waits_for_and_since_when() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let page = Page::create(&dir.path().join("1.page"), Post(1), 1).expect("created");
        let lane = page.lane(0);
        for what in [
            ROOM_0,
            WaitsFor::Room { queue: 7, slots: 64 },
            WaitsFor::Item(3),
            WaitsFor::AnyItem,
            WaitsFor::Shared,
            WaitsFor::Disk,
        ] {
            let waiting = lane.waiting();
            assert_eq!(lane.waits(), None, "not before it says so");
            let before = clock();
            waiting.say(what);
            let seen = lane.waits().expect("it waits");
            assert!(seen.what == what && (before..=clock()).contains(&seen.since), "{seen:?}");
            waiting.say(what);
            assert_eq!(lane.waits(), Some(seen), "the time counts from the first word");
        }
        assert_eq!(lane.waits(), None);
    }

    #[test]
    fn a_wait_that_ends_without_success_and_begins_again_is_one_wait() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let page = Page::create(&dir.path().join("1.page"), Post(1), 1).expect("created");
        let lane = page.lane(0);
        // Waits, and tells whether the wait begins now.
        let is_new = |what, ends_without_success: bool| {
            let now = clock();
            let waiting = lane.waiting();
            waiting.say(what);
            if ends_without_success {
                waiting.end_without_success();
            }
            lane.waits().expect("it waits").since >= now
        };
        let (item, other) = (WaitsFor::Item(0), WaitsFor::Item(1));
        assert!(is_new(item, true) && !is_new(item, true) && !is_new(item, false));
        assert!(is_new(item, true), "the wait before ended with success");
        assert!(is_new(other, true) && is_new(item, true), "it has waited for something else");
        lane.hold(0, crate::id::ItemId(7));
        assert!(is_new(item, true), "it has taken an item");
        lane.commit(1);
        assert!(is_new(item, true), "it has committed");
        lane.word(WAITS_ENDED).store(clock() - 2 * SAME_WAIT, Ordering::Relaxed);
        assert!(is_new(item, true), "it has done something else");
        page.begin(Incarnation(2));
        assert!(is_new(item, true), "it is another run of the worker");
    }

    #[test]
    fn threads_that_share_a_lane_and_wait_together_are_not_told_apart() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let page = Page::create(&dir.path().join("1.page"), Post(1), 1).expect("created");
        let lane = page.lane(0);
        let (one, other) = (lane.waiting(), lane.waiting());
        one.say(ROOM_0);
        other.say(WaitsFor::Item(0));
        drop(one);
        other.say(WaitsFor::Item(0));
        assert_eq!(lane.waits(), None);
        drop(other);
        let alone = lane.waiting();
        alone.say(WaitsFor::Item(1));
        assert_eq!(lane.waits().map(|waits| waits.what), Some(WaitsFor::Item(1)));
        std::mem::forget(alone);
        page.begin(Incarnation(2));
        assert_eq!(lane.waits(), None, "a new run of the worker waits for nothing");
    }

    #[test]
    fn a_word_that_no_version_writes_is_no_wait() {
        for word in [0, 6 << 16, 1, u64::MAX, 1 << 40] {
            assert_eq!(WaitsFor::of_word(word), None, "{word:#x}");
        }
    }
}
