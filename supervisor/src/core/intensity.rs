//! Restart intensity: how many restarts within how long are too many. Without it a worker that can never work would be
//! restarted for ever, and nobody would be told.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The latest restarts of one worker, in a window that slides with time.
#[derive(Clone, Debug, Default)]
pub(super) struct Intensity {
    restarts: VecDeque<Instant>,
}

impl Intensity {
    /// Counts one more restart. False if that makes more than `most` within `period`; `None` is never too many.
    pub(super) fn allows(&mut self, most: Option<u32>, period: Duration, now: Instant) -> bool {
        let Some(most) = most else { return true };
        while self.restarts.front().is_some_and(|at| now.saturating_duration_since(*at) >= period) {
            self.restarts.pop_front();
        }
        self.restarts.push_back(now);
        self.restarts.len() <= most as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn one_more_than_allowed_within_the_period_is_too_many() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        for n in 0..5 {
            assert!(intensity.allows(Some(5), 60 * S, start + n * S));
        }
        assert!(!intensity.allows(Some(5), 60 * S, start + 59 * S));
    }

    #[test]
    fn the_window_slides() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        for n in 0..100 {
            assert!(intensity.allows(Some(5), 60 * S, start + n * 12 * S), "restart {n}");
        }
        assert!(!intensity.allows(Some(5), 60 * S, start + 99 * 12 * S));
    }

    #[test]
    fn none_allowed_means_that_the_first_is_too_many() {
        assert!(!Intensity::default().allows(Some(0), 60 * S, Instant::now()));
    }

    #[test]
    fn without_a_limit_nothing_is_too_many_and_nothing_is_kept() {
        let (mut intensity, now) = (Intensity::default(), Instant::now());
        assert!((0..10_000).all(|_| intensity.allows(None, 60 * S, now)));
        assert!(intensity.restarts.is_empty());
    }
}
