//! Items per second, from counters that are looked at now and then. Without the smoothing, the numbers of the live view
//! would jump too much to be read.

use std::collections::BTreeMap;

use crate::status::Status;

/// After this many seconds about two thirds of a change are seen.
const SMOOTHING: f64 = 2.0;

/// How fast every stage finishes items, and every queue gives them out.
#[derive(Debug, Default)]
pub struct Rates {
    at: Option<f64>,
    stages: BTreeMap<String, Rate>,
    queues: BTreeMap<String, Rate>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Rate {
    count: u64,
    per_second: Option<f64>,
}

impl Rates {
    /// Takes the next picture. One that is not later than the one before changes nothing.
    pub fn take(&mut self, status: &Status) {
        let passed = self.at.map(|at| status.elapsed_s - at);
        if passed.is_some_and(|passed| passed.is_nan() || passed <= 0.0) {
            return;
        }
        self.at = Some(status.elapsed_s);
        for stage in &status.stages {
            let count = stage.workers.iter().map(|worker| worker.processed).sum();
            self.stages.entry(stage.name.clone()).or_default().take(count, passed);
        }
        for queue in &status.queues {
            self.queues.entry(queue.name.clone()).or_default().take(queue.acked, passed);
        }
    }

    /// Items that the stage finishes per second; 0 until it was seen twice.
    pub fn of_stage(&self, name: &str) -> f64 {
        self.stages.get(name).and_then(|rate| rate.per_second).unwrap_or(0.0)
    }

    /// Items that are acked per second; 0 until it was seen twice.
    pub fn of_queue(&self, name: &str) -> f64 {
        self.queues.get(name).and_then(|rate| rate.per_second).unwrap_or(0.0)
    }
}

impl Rate {
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    fn take(&mut self, count: u64, passed: Option<f64>) {
        if let Some(passed) = passed {
            let new = count.saturating_sub(self.count) as f64 / passed;
            let weight = 1.0 - (-passed / SMOOTHING).exp();
            self.per_second = Some(self.per_second.map_or(new, |old| old + (new - old) * weight));
        }
        self.count = count;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample::running;

    fn at(elapsed_s: f64, done: u64) -> Status {
        let mut status = running();
        status.elapsed_s = elapsed_s;
        status.stages[1].workers[0].processed = done;
        status.queues[0].acked = done;
        status
    }

    #[test]
    fn a_steady_stream_is_shown_as_it_is() {
        let mut rates = Rates::default();
        rates.take(&at(1.0, 500));
        assert_eq!((rates.of_stage("hash"), rates.of_queue("paths")), (0.0, 0.0));
        for step in 1..20u32 {
            rates.take(&at(1.0 + f64::from(step) * 0.25, 500 + u64::from(step) * 250));
            assert!((rates.of_stage("hash") - 1_000.0).abs() < 1e-6, "{rates:?}");
            assert!((rates.of_queue("paths") - 1_000.0).abs() < 1e-6, "{rates:?}");
        }
    }

    #[test]
    fn a_change_is_seen_slowly_and_wholly() {
        let mut rates = Rates::default();
        rates.take(&at(0.0, 0));
        rates.take(&at(0.25, 250));
        let mut last = rates.of_queue("paths");
        for step in 2..100u32 {
            rates.take(&at(f64::from(step) * 0.25, 250));
            let now = rates.of_queue("paths");
            assert!(now < last && now > 0.0, "{now} after {last}");
            last = now;
        }
        assert!(last < 1.0, "{last}");
    }

    #[test]
    fn pictures_that_are_not_later_and_counters_that_fall_do_no_harm() {
        let mut rates = Rates::default();
        rates.take(&at(1.0, 100));
        rates.take(&at(2.0, 200));
        rates.take(&at(2.0, 900));
        rates.take(&at(1.5, 900));
        rates.take(&at(f64::NAN, 900));
        assert!((rates.of_stage("hash") - 100.0).abs() < 1e-6, "{rates:?}");
        rates.take(&at(3.0, 0));
        assert!((0.0..100.0).contains(&rates.of_stage("hash")), "{rates:?}");
        assert!((rates.of_stage("nobody")).abs() < 1e-6);
    }
}
