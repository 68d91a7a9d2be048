//! Signs of life of a handler thread, as its lane shows them. Without them nobody could tell a thread that is stuck at an
//! item from one that waits for others.

use super::lane::{BEGUN, HOLDS_QUEUE, LANE_BYTES, LATE, WAITING};
use super::{Lane, Page};
use crate::sync::Ordering;

/// What can be seen of a handler thread at one moment. What stands in a page is input: the numbers are there to be
/// compared with those of an earlier look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Life {
    /// Changes with each item that it begins with.
    pub begun: u64,
    /// Items that it has finished.
    pub done: u64,
    /// It waits at a queue, for room or for another item.
    pub waits: bool,
}

impl Lane {
    /// How it is doing. `done`: see there; its places at the queues say it.
    pub fn life(&self, done: u64) -> Life {
        Life {
            begun: self.word(BEGUN).load(Ordering::Relaxed),
            done,
            waits: self.word(WAITING).load(Ordering::Relaxed) != 0,
        }
    }

    /// The item that it began with when `life` was seen takes too long. Says nothing about the next one. Whoever may be
    /// asleep must be woken after it.
    pub fn mark_late(&self, life: Life) {
        // SeqCst: comes before the wake-up that follows, in the order that sleepers rely on.
        self.word(LATE).store(life.begun, Ordering::SeqCst);
    }
}

impl Page {
    /// Whether the item that thread `lane` holds takes too long, as the supervisor says.
    #[inline]
    pub fn is_late(&self, lane: u16) -> bool {
        let word = |word| self.lanes.at(usize::from(lane) * (LANE_BYTES / 8) + word).load(Ordering::SeqCst);
        // 0 as well before anything was begun with; the usual case costs one load.
        let late = word(LATE);
        late != 0 && late == word(BEGUN) && word(HOLDS_QUEUE) != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, ItemId, Post};
    use crate::page::{Page, WaitsFor};

    #[test]
    fn whoever_begins_finishes_or_waits_shows_it() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let page = Page::create(&dir.path().join("1.page"), Post(1), 2).expect("created");
        let lane = page.lane(1);
        let first = lane.life(0);
        assert_eq!(first, Life::default());
        lane.hold(0, ItemId(7));
        let second = lane.life(0);
        lane.hold(0, ItemId(7));
        assert!(first.begun != second.begun && second.begun != lane.life(0).begun, "also with the same item again");
        assert_eq!((lane.life(1).done, page.lane(0).life(0)), (1, Life::default()));
        let (one, other) = (lane.waiting(), lane.waiting());
        assert!(!lane.life(0).waits);
        one.say(WaitsFor::Room { queue: 0, slots: 1 });
        one.say(WaitsFor::Room { queue: 0, slots: 1 });
        other.say(WaitsFor::Room { queue: 0, slots: 1 });
        drop(one);
        assert!(lane.life(0).waits);
        drop(other);
        assert!(!lane.life(0).waits);
        let killed = lane.waiting();
        killed.say(WaitsFor::AnyItem);
        std::mem::forget(killed);
        page.begin(Incarnation(2));
        assert!(!lane.life(0).waits);
    }

    #[test]
    fn an_item_that_takes_too_long_is_late_and_the_next_one_is_not() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let page = Page::create(&dir.path().join("1.page"), Post(1), 2).expect("created");
        let lane = page.lane(1);
        assert!(!page.is_late(1));
        lane.hold(0, ItemId(7));
        let seen = lane.life(0);
        lane.mark_late(seen);
        assert!(page.is_late(1) && !page.is_late(0));
        lane.release();
        assert!(!page.is_late(1));
        lane.hold(0, ItemId(7));
        assert!(!page.is_late(1));
        lane.mark_late(seen);
        assert!(!page.is_late(1), "what is said too late is not said of another item");
    }
}
