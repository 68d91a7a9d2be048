//! Every limit and every default of the file in one place. Without it a limit in a text and the one in a test of it
//! could differ.

use std::time::Duration;

use brigade_protocol::retry::LONGEST_WAIT;
use toml::Spanned;

use super::fault::Fault;
use super::plan::MOST_REPLICAS;
use super::units::{show_duration, show_size};

/// What a value may be, and what it is when nobody says.
pub(super) struct Bounds<T> {
    key: &'static str,
    low: T,
    high: T,
    default: T,
    show: fn(T) -> String,
}

const fn number(key: &'static str, low: i64, high: i64, default: i64) -> Bounds<i64> {
    Bounds { key, low, high, default, show: |number| number.to_string() }
}

const fn size(key: &'static str, low: i64, high: i64, default: i64) -> Bounds<i64> {
    Bounds { key, low, high, default, show: |bytes| show_size(bytes.unsigned_abs()) }
}

/// No time of the file is longer: an instant that far away can still be written down.
const LONGEST: Duration = Duration::from_secs(365 * 86_400);

const fn time(key: &'static str, low_ms: u64, default_ms: u64) -> Bounds<Duration> {
    let (low, default) = (Duration::from_millis(low_ms), Duration::from_millis(default_ms));
    Bounds { key, low, high: LONGEST, default, show: show_duration }
}

pub(super) const CAPACITY: Bounds<i64> = number("capacity", 1, 1 << 24, 1_024);
pub(super) const ITEM_BYTES: Bounds<i64> = size("item_bytes", 16, 1 << 20, 1 << 10);
pub(super) const MAX_ITEM_BYTES: Bounds<i64> = size("max_item_bytes", 16, 1 << 30, 64 << 10);
pub(super) const MAX_DELIVERIES: Bounds<i64> = number("max_deliveries", 1, 32_767, 5);
pub(super) const RETRY_DELAY: Bounds<Duration> = Bounds { high: LONGEST_WAIT, ..time("retry_delay", 0, 0) };
pub(super) const RETRY_DELAY_MAX: Bounds<Duration> =
    Bounds { high: LONGEST_WAIT, ..time("retry_delay_max", 0, 300_000) };
pub(super) const REPLICAS: Bounds<i64> = number("replicas", 1, MOST_REPLICAS as i64, 1);
pub(super) const THREADS: Bounds<i64> = number("threads", 1, 1_024, 1);
pub(super) const BATCH: Bounds<i64> = number("batch", 1, 4_096, 1);
pub(super) const BATCH_TIME: Bounds<Duration> = Bounds { high: Duration::from_secs(60), ..time("batch_time", 0, 20) };
pub(super) const MAX_RESTARTS: Bounds<i64> = number("max_restarts", 0, u32::MAX as i64, 5);
pub(super) const RESTART_PERIOD: Bounds<Duration> = time("restart_period", 1, 60_000);
pub(super) const GIVE_UP_AFTER: Bounds<Duration> = time("give_up_after", 0, 120_000);
pub(super) const OUTAGE_TIMEOUT: Bounds<Duration> = time("outage_timeout", 0, 600_000);
pub(super) const BACKOFF: Bounds<Duration> = time("backoff", 1, 100);
pub(super) const BACKOFF_MAX: Bounds<Duration> = time("backoff_max", 1, 5_000);
pub(super) const START_TIMEOUT: Bounds<Duration> = time("start_timeout", 1, 30_000);
pub(super) const STOP_TIMEOUT: Bounds<Duration> = time("stop_timeout", 0, 10_000);
pub(super) const PROGRESS_TIMEOUT: Bounds<Duration> = time("progress_timeout", 1_000, 0);
pub(super) const ITEM_TIMEOUT: Bounds<Duration> = time("item_timeout", 1_000, 0);
pub(super) const WATCHDOG: Bounds<Duration> = time("watchdog", 1_000, 0);
pub(super) const DRAIN_TIMEOUT: Bounds<Duration> = time("drain_timeout", 0, 30_000);
pub(super) const MAX_DEAD_LETTERS: Bounds<i64> = number("max_dead_letters", 1, i64::MAX, i64::MAX);
pub(super) const NICE: Bounds<i64> = number("nice", -20, 19, 0);
pub(super) const MAX_RSS: Bounds<i64> = size("max_rss", 1 << 20, 1 << 46, 1 << 46);
pub(super) const MEMORY_MAX: Bounds<i64> = size("memory_max", 1 << 20, 1 << 46, 1 << 46);
pub(super) const MAX_ITEMS: Bounds<i64> = number("max_items", 1, i64::MAX, i64::MAX);
pub(super) const MAX_FILE_BYTES: Bounds<i64> = size("max_file_bytes", 4 << 10, 1 << 30, 16 << 20);
pub(super) const MAX_FILE_AGE: Bounds<Duration> = time("max_file_age", 1_000, 86_400_000);
pub(super) const KEEP_FILES: Bounds<i64> = number("keep_files", 1, 100_000, 20);
pub(super) const KEEP_AGE: Bounds<Duration> = time("keep_age", 1_000, 30 * 86_400_000);
pub(super) const MAX_TOTAL_BYTES: Bounds<i64> = size("max_total_bytes", 64 << 10, 16 << 40, 1 << 30);
pub(super) const WRITE_TIMEOUT: Bounds<Duration> = time("write_timeout", 0, 10_000);

/// Bytes that one queue may come to take if every item is as large as allowed; its file has that (sparse) length.
pub(super) const MOST_QUEUE_BYTES: u64 = 1 << 40;

impl<T: Copy + PartialOrd> Bounds<T> {
    /// The value, if it is given and within bounds; otherwise the default, and a fault if it is out of bounds.
    pub(super) fn hold(&self, value: Option<&Spanned<T>>, faults: &mut Vec<Fault>) -> T {
        let Some(value) = value else { return self.default };
        let (low, high, default) = ((self.show)(self.low), (self.show)(self.high), (self.show)(self.default));
        let help = || format!("it may be {low} to {high}, and is {default} by default");
        self.checked(value, faults, help).unwrap_or(self.default)
    }

    /// The same for what has no default: the value, if it is given and within bounds.
    pub(super) fn hold_given(&self, value: Option<&Spanned<T>>, faults: &mut Vec<Fault>) -> Option<T> {
        let help = || format!("it may be {} to {}", (self.show)(self.low), (self.show)(self.high));
        self.checked(value?, faults, help)
    }

    fn checked(&self, value: &Spanned<T>, faults: &mut Vec<Fault>, help: impl FnOnce() -> String) -> Option<T> {
        let given = *value.get_ref();
        if given >= self.low && given <= self.high {
            return Some(given);
        }
        let show = self.show;
        let message = if given < self.low {
            format!("{} is less than {}", self.key, show(self.low))
        } else {
            format!("{} is more than {}", self.key, show(self.high))
        };
        faults.push(Fault::at(value.span(), message).help(help()));
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_a_fault_with_the_bounds() {
        let mut faults = Vec::new();
        assert_eq!(CAPACITY.hold(None, &mut faults), 1_024);
        assert_eq!(CAPACITY.hold(Some(&Spanned::new(0..1, 1 << 24)), &mut faults), 1 << 24);
        assert_eq!(faults, []);
        assert_eq!(CAPACITY.hold(Some(&Spanned::new(3..4, 0)), &mut faults), 1_024);
        assert_eq!(ITEM_BYTES.hold(Some(&Spanned::new(5..6, 1 << 21)), &mut faults), 1_024);
        assert_eq!(START_TIMEOUT.hold(Some(&Spanned::new(7..8, Duration::ZERO)), &mut faults).as_secs(), 30);
        let expected = [
            Fault::at(3..4, "capacity is less than 1").help("it may be 1 to 16777216, and is 1024 by default"),
            Fault::at(5..6, "item_bytes is more than 1MiB").help("it may be 16B to 1MiB, and is 1KiB by default"),
            Fault::at(7..8, "start_timeout is less than 1ms").help("it may be 1ms to 365d, and is 30s by default"),
        ];
        assert_eq!(faults, expected);
    }
}
