//! How many items one commit of a handler thread covers.

use std::time::Duration;

/// A commit covers at most this many batches, while their items change shared state. Telling the manager costs a round
/// trip, for many changes as much as for few, because additions to the same number are combined.
const BATCHES: usize = 16;
/// Only batches that are handled within this time are committed together. A round trip is short beside a batch that takes
/// longer, and its results would wait for little gain.
const TOGETHER: Duration = Duration::from_millis(5);

/// When a handler thread commits the items that it has handled.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quota {
    /// The stage's `batch`: the most items of one commit that does not change shared state.
    batch: usize,
    /// The most items of one that does.
    batches: usize,
    /// How long a handled item waits for others at most.
    batch_time: Duration,
}

impl Quota {
    /// By the stage's `batch` and `batch_time`, and the capacity of its smallest input. A thread holds no more than half of
    /// a queue for this, so that the senders have room meanwhile. `batch = 1` stays one commit for each item.
    pub(super) fn new(batch: usize, batch_time: Duration, capacity: usize) -> Self {
        let batch = batch.max(1);
        let batches = if batch == 1 { 1 } else { batch.max(batch.saturating_mul(BATCHES).min(capacity / 2)) };
        Self { batch, batches, batch_time }
    }

    /// Whether an item may wait for others at all.
    pub(super) fn is_one(&self) -> bool {
        self.batch == 1
    }

    /// Whether to commit so many items now, of which the first has waited for so long.
    pub(super) fn is_reached(&self, items: usize, changes_shared: bool, waited: impl FnOnce() -> Duration) -> bool {
        if items >= if changes_shared { self.batches } else { self.batch } {
            return true;
        }
        let waited = waited();
        waited >= self.batch_time || items >= self.batch && waited >= TOGETHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(1);
    const LATE: Duration = Duration::from_millis(6);
    const BATCH_TIME: Duration = Duration::from_millis(20);

    /// How many items are committed, when they come in this time.
    fn items(quota: &Quota, changes_shared: bool, time: Duration) -> usize {
        (1..).find(|items| quota.is_reached(*items, changes_shared, || time)).expect("it has a limit")
    }

    #[test]
    fn batches_that_change_shared_state_are_committed_together_if_they_come_soon() {
        let quota = Quota::new(64, BATCH_TIME, 1 << 20);
        assert_eq!([false, true].map(|shared| items(&quota, shared, SOON)), [64, 16 * 64]);
        assert_eq!([false, true].map(|shared| items(&quota, shared, LATE)), [64, 64]);
        assert_eq!([false, true].map(|shared| items(&quota, shared, BATCH_TIME)), [1, 1]);
    }

    #[test]
    fn a_thread_holds_no_more_than_half_of_a_queue_unless_its_batch_does() {
        assert_eq!(items(&Quota::new(64, BATCH_TIME, 1024), true, SOON), 512);
        assert_eq!(items(&Quota::new(64, BATCH_TIME, 100), true, SOON), 64);
    }

    #[test]
    fn what_is_committed_one_by_one_stays_so() {
        for quota in [Quota::new(1, BATCH_TIME, 1024), Quota::new(0, BATCH_TIME, 1024)] {
            assert_eq!((items(&quota, true, SOON), quota.is_one()), (1, true));
        }
        assert_eq!(items(&Quota::new(usize::MAX, BATCH_TIME, 1024), true, BATCH_TIME), 1);
    }
}
