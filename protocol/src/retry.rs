//! How long an item waits between a failed delivery and the next one. Without it an item that cannot be done just now
//! would use up all its deliveries within a millisecond.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::id::ItemId;

/// No retry waits longer: 24 h. A longer wait that is asked for is cut to this, and one that is found in shared memory
/// is nobody's wish and counts as over.
pub const LONGEST_WAIT: Duration = Duration::from_secs(24 * 3600);

/// A queue's rule for the items of it that fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RetryPolicy {
    /// The wait after the first failure; zero: none, however often it fails.
    pub delay: Duration,
    /// Doubling ends here.
    pub longest: Duration,
}

impl RetryPolicy {
    /// What failed comes back at once.
    pub const AT_ONCE: Self = Self { delay: Duration::ZERO, longest: Duration::ZERO };

    /// How long this item is to wait after its delivery number `deliveries` (from 1) has failed: `delay`, doubled with
    /// each delivery before this one, `longest` at most, give or take a fifth, and never above [`LONGEST_WAIT`].
    ///
    /// The fifth depends on the item and on the delivery alone: items that failed together do not come back together,
    /// and a story can be told twice.
    pub fn wait(&self, item: ItemId, deliveries: u16) -> Duration {
        let doublings = u32::from(deliveries.saturating_sub(1)).min(31);
        let doubled = self.delay.saturating_mul(1 << doublings).min(self.longest).min(LONGEST_WAIT);
        // The remainder is below 401, so it fits; and so does the product of a day.
        let permille = 800 + (mixed(item.0.rotate_left(16) ^ u64::from(deliveries)) % 401) as u32;
        (doubled * permille / 1000).min(LONGEST_WAIT)
    }
}

/// Spreads neighbouring numbers over all numbers (the last step of the generator splitmix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_wait_doubles_with_every_failure_up_to_the_longest_within_a_fifth() {
        let policy = RetryPolicy { delay: SECOND, longest: 60 * SECOND };
        for (deliveries, middle) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (40, 60), (u16::MAX, 60)] {
            for item in 0..200 {
                let wait = policy.wait(ItemId(item), deliveries);
                assert!(
                    wait >= middle * SECOND * 8 / 10 && wait <= middle * SECOND * 12 / 10,
                    "{deliveries}: {wait:?}"
                );
            }
        }
    }

    #[test]
    fn items_that_failed_together_come_back_one_after_the_other() {
        let policy = RetryPolicy { delay: SECOND, longest: SECOND };
        let waits: std::collections::BTreeSet<_> = (0..100).map(|item| policy.wait(ItemId(item), 1)).collect();
        assert!(waits.len() > 50, "{waits:?}");
        assert_eq!(policy.wait(ItemId(7), 3), policy.wait(ItemId(7), 3));
    }

    #[test]
    fn without_a_delay_nothing_waits_and_no_wait_is_longer_than_the_longest_of_all() {
        assert_eq!(RetryPolicy::AT_ONCE.wait(ItemId(7), 40), Duration::ZERO);
        let for_ever = RetryPolicy { delay: Duration::MAX, longest: Duration::MAX };
        assert!((0..100).all(|item| for_ever.wait(ItemId(item), 9) <= LONGEST_WAIT));
    }
}
