//! Waiting for a condition under a deadline. It is the only place of all tests that sleeps.

use std::time::{Duration, Instant};

/// How long a condition is waited for: far longer than it takes on a busy machine, so that only a real fault runs into
/// it.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until `condition` holds; `what` names it in the panic if it never does.
///
/// # Panics
///
/// After [`PATIENCE`].
#[track_caller]
pub fn until(what: &str, mut condition: impl FnMut() -> bool) {
    until_some(what, || condition().then_some(()));
}

/// Waits until `find` finds something.
///
/// # Panics
///
/// After [`PATIENCE`].
#[track_caller]
pub fn until_some<T>(what: &str, mut find: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = find() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} in vain until {what}");
        nap();
    }
}

/// Whether `condition` holds at every look within `time`. For what must *not* happen: a short time can miss a fault, but
/// never see one that is not there.
pub fn holds_for_a_while(time: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < time {
        if !condition() {
            return false;
        }
        nap();
    }
    condition()
}

pub(crate) fn nap() {
    std::thread::sleep(Duration::from_millis(10));
}
