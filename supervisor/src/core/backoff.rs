//! How long to wait before the next start. Without it a worker that dies at once would be started thousands of times
//! a second, and all workers that died of one cause would come back at the same instant.

use std::time::{Duration, Instant};

/// A worker that was ready for this long has proved itself: its next wait is the shortest again.
pub(super) const PROVED: Duration = Duration::from_secs(30);

/// A small random generator (xorshift): the same seed gives the same waits, so that a story can be told twice.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// Any seed will do.
    pub(super) fn new(seed: u64) -> Self {
        // Xorshift stands still at zero.
        Self(if seed == 0 { 0x9e37_79b9_7f4a_7c15 } else { seed })
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The wait after `failures` failures in a row (0 for the first): `shortest` × 2^failures, ± 20 %, never above
/// `longest`.
pub(super) fn wait(shortest: Duration, longest: Duration, failures: u32, random: &mut Random) -> Duration {
    let doubled = shortest.saturating_mul(1 << failures.min(30)).min(longest);
    // The remainder is below 401, so it fits.
    let permille = 800 + (random.next() % 401) as u32;
    doubled.checked_mul(permille).map_or(longest, |thousandfold| thousandfold / 1000).min(longest)
}

/// `now + wait`; a wait beyond what the clock can express ends in about a hundred years.
pub(super) fn after(now: Instant, wait: Duration) -> Instant {
    const FAR: Duration = Duration::from_secs(100 * 365 * 24 * 3600);
    now.checked_add(wait).or_else(|| now.checked_add(FAR)).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_wait_doubles_with_every_failure_within_a_fifth() {
        let mut random = Random::new(7);
        for failures in 0..8 {
            let middle = 100 * MS * (1 << failures);
            for _ in 0..100 {
                let wait = wait(100 * MS, 3600 * 1000 * MS, failures, &mut random);
                assert!(wait >= middle * 8 / 10 && wait <= middle * 12 / 10, "{failures}: {wait:?}");
            }
        }
    }

    #[test]
    fn the_wait_has_jitter() {
        let mut random = Random::new(0);
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| wait(100 * MS, 1000 * MS, 0, &mut random)).collect();
        assert!(waits.len() > 25, "{waits:?}");
    }

    #[test]
    fn the_wait_never_exceeds_the_longest_however_many_failures() {
        let mut random = Random::new(7);
        for failures in [9, 31, 32, u32::MAX] {
            for _ in 0..100 {
                let wait = wait(100 * MS, 30_000 * MS, failures, &mut random);
                assert!(wait <= 30_000 * MS && wait >= 24_000 * MS, "{wait:?}");
            }
        }
        assert_eq!(wait(Duration::MAX, Duration::MAX, 1, &mut random), Duration::MAX);
    }

    #[test]
    fn an_endless_wait_is_a_far_instant() {
        let now = Instant::now();
        assert!(after(now, Duration::MAX) > now);
        assert_eq!(after(now, MS), now + MS);
    }
}
