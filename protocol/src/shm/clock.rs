//! The clock that all processes of a machine share. Without it one process could not say to another *when*.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some instant before the last start of the machine; the same for all processes, never set back, and
/// standing still while the machine sleeps.
pub fn clock() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.saturating_mul(1_000_000_000).saturating_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}
