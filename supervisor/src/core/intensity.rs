//! Restart intensity: how many crashes, for how long, are too many.
//!
//! Crashes count from the last progress on. A worker is in a *crash loop* when it has crashed more than `max_restarts` times
//! within `restart_period`, and it is given up when it has been failing for `give_up_after`. An outage that the worker
//! reports is no crash: only its length counts.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::worker::Rules;

/// The crashes of one worker since it last made progress.
#[derive(Clone, Debug, Default)]
pub(super) struct Intensity {
    crashes: VecDeque<Instant>,
    /// Since when it has been failing.
    since: Option<Instant>,
    /// It has crashed more often than it may.
    is_loop: bool,
}

/// What a worker may do before it is given up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) most: Option<u32>,
    pub(super) period: Duration,
    pub(super) give_up_after: Duration,
    pub(super) outage_timeout: Duration,
}

impl Limit {
    pub(super) fn of(rules: &Rules) -> Self {
        Self {
            most: rules.max_restarts,
            period: rules.restart_period,
            give_up_after: rules.give_up_after,
            outage_timeout: rules.outage_timeout,
        }
    }
}

/// The limit that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spent {
    /// No restart is allowed.
    First,
    /// It is in a crash loop, and has been failing long enough.
    TooOften {
        /// Crashes that are allowed.
        most: u32,
        /// How long it has been failing.
        failing: Duration,
    },
    /// What it needs has been away for too long.
    Outage {
        /// How long it has been failing.
        failing: Duration,
    },
}

impl Intensity {
    /// It has made progress: its next crash is the first.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }

    /// Counts one more crash. The limit, if it was reached by that; a `most` of `None` never is.
    pub(super) fn crash(&mut self, limit: &Limit, now: Instant) -> Option<Spent> {
        let most = limit.most?;
        let failing = self.failing(now);
        while self.crashes.front().is_some_and(|at| now.saturating_duration_since(*at) >= limit.period) {
            self.crashes.pop_front();
        }
        self.crashes.push_back(now);
        self.is_loop |= self.crashes.len() > most as usize;
        if most == 0 {
            return Some(Spent::First);
        }
        (self.is_loop && failing >= limit.give_up_after).then_some(Spent::TooOften { most, failing })
    }

    /// The worker has reported an outage. The limit, if the outage has lasted for too long.
    pub(super) fn outage(&mut self, limit: &Limit, now: Instant) -> Option<Spent> {
        limit.most?;
        let failing = self.failing(now);
        (failing >= limit.outage_timeout).then_some(Spent::Outage { failing })
    }

    fn failing(&mut self, now: Instant) -> Duration {
        now.saturating_duration_since(*self.since.get_or_insert(now))
    }
}

/// The latest crashes of all workers of a group, in a window that slides with time.
#[derive(Clone, Debug, Default)]
pub(super) struct GroupIntensity {
    crashes: VecDeque<(Instant, usize)>,
}

impl GroupIntensity {
    /// Counts one more crash, of this worker. False if that makes more than `most` within `period`; `None` is never too
    /// many. After progress, earlier crashes of this worker do not count.
    pub(super) fn allows(
        &mut self,
        worker: usize,
        progress: bool,
        most: Option<u32>,
        period: Duration,
        now: Instant,
    ) -> bool {
        let Some(most) = most else { return true };
        self.crashes.retain(|(at, of)| now.saturating_duration_since(*at) < period && !(progress && *of == worker));
        self.crashes.push_back((now, worker));
        self.crashes.len() <= most as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    fn limit(most: Option<u32>, give_up_after: Duration) -> Limit {
        Limit { most, period: 60 * S, give_up_after, outage_timeout: 600 * S }
    }

    #[test]
    fn one_more_than_allowed_within_the_period_is_too_many() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        for n in 0..5 {
            assert_eq!(intensity.crash(&limit(Some(5), Duration::ZERO), start + n * S), None);
        }
        let spent = intensity.crash(&limit(Some(5), Duration::ZERO), start + 59 * S);
        assert_eq!(spent, Some(Spent::TooOften { most: 5, failing: 59 * S }));
    }

    #[test]
    fn a_crash_loop_is_endured_for_the_time_given_however_far_apart_its_crashes_come_to_be() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        let limit = limit(Some(5), 120 * S);
        for n in (0..6).chain([30, 60, 90, 119]) {
            assert_eq!(intensity.crash(&limit, start + n * S), None, "{n} s");
        }
        assert_eq!(intensity.crash(&limit, start + 150 * S), Some(Spent::TooOften { most: 5, failing: 150 * S }));
        intensity.forget();
        assert_eq!(intensity.crash(&limit, start + 151 * S), None, "after progress it is the first again");
    }

    #[test]
    fn the_window_slides() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        let limit = limit(Some(5), Duration::ZERO);
        for n in 0..100 {
            assert_eq!(intensity.crash(&limit, start + n * 12 * S), None, "crash {n}");
        }
        assert!(intensity.crash(&limit, start + 99 * 12 * S).is_some());
    }

    #[test]
    fn none_allowed_means_that_the_first_is_too_many_at_once() {
        let spent = Intensity::default().crash(&limit(Some(0), 120 * S), Instant::now());
        assert_eq!(spent, Some(Spent::First));
    }

    #[test]
    fn without_a_limit_nothing_is_too_many_and_nothing_is_kept() {
        let (mut intensity, now) = (Intensity::default(), Instant::now());
        assert!((0..10_000).all(|_| intensity.crash(&limit(None, Duration::ZERO), now).is_none()));
        assert!(intensity.outage(&limit(None, Duration::ZERO), now + 10_000 * S).is_none());
        assert!(intensity.crashes.is_empty());
    }

    #[test]
    fn of_an_outage_only_the_length_counts() {
        let (mut intensity, start) = (Intensity::default(), Instant::now());
        let limit = limit(Some(1), Duration::ZERO);
        assert!((0..600).all(|n| intensity.outage(&limit, start + n * S).is_none()));
        assert_eq!(intensity.outage(&limit, start + 600 * S), Some(Spent::Outage { failing: 600 * S }));
        assert_eq!(intensity.crash(&limit, start + 601 * S), None, "outages are no crashes");
    }

    #[test]
    fn the_crashes_of_a_group_count_together_but_for_those_before_a_progress() {
        let (mut group, now) = (GroupIntensity::default(), Instant::now());
        let mut allows = |worker, progress| group.allows(worker, progress, Some(2), 60 * S, now);
        assert!(allows(1, false) && allows(2, false));
        assert!(allows(2, true) && allows(2, true), "the earlier one of this worker is forgotten");
        assert!(!allows(3, false));
        assert!(GroupIntensity::default().allows(1, false, None, S, now));
    }
}
