//! A lookout: an event count that wakes nobody while one of those who would be woken is awake and looks around anyway.
//!
//! Without it, each of many things that come in a moment wakes another sleeper, and most of them find that somebody else
//! has taken what they were woken for. So one at a time is *out*: the one that has just been woken, or one that looks for a
//! while before it sleeps. Who comes in, because it has found something or goes to sleep, looks once more for what may have
//! come meanwhile, and has the next one called if there is any. (Go's scheduler keeps its spinning threads in this way.)
//!
//! Nothing here belongs to a process. Who dies while it is out leaves the word set until the sweep, and one that is
//! stopped, or gets no turn of a processor, until [`PATIENCE`] is over: then the next notifier wakes another one.

use super::{EventCount, Words, kernel};
use crate::crash_point;
use crate::sync::{Ordering, fence};

/// How long one may be out before others are woken as if it was not, in nanoseconds. (The clock's tick is up to 10 ms.)
const PATIENCE: u64 = 10_000_000;

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Lookout {
    sleepers: EventCount,
    /// Since when one is out, on the clock of [`kernel::recently`]; 0 if none is.
    out: Words,
}

impl Lookout {
    /// Of an event count and one word.
    pub fn new(sleepers: EventCount, out: Words) -> Self {
        Self { sleepers, out }
    }

    /// Where to sleep.
    pub fn sleepers(&self) -> &EventCount {
        &self.sleepers
    }

    /// Something has come that one of them can take. One load if nobody sleeps. The caller's change before it must be a
    /// SeqCst operation.
    #[inline]
    pub fn call(&self) {
        if self.sleepers.has_sleepers() {
            self.call_one();
        }
    }

    /// Something has come that all of them have to see.
    #[inline]
    pub fn call_all(&self) {
        self.sleepers.notify_all();
    }

    #[cold]
    fn call_one(&self) {
        // SeqCst: either this sees that nobody is out, or who comes in sees the change.
        let since = self.out.at(0).load(Ordering::SeqCst);
        let now = kernel::recently();
        let is_out = since != 0 && now.wrapping_sub(since) < PATIENCE;
        if is_out || self.out.at(0).compare_exchange(since, now, Ordering::SeqCst, Ordering::Relaxed).is_err() {
            return;
        }
        crash_point!("calling");
        if self.sleepers.wake(1) == 0 {
            // First: others may have relied on the one that is not there.
            self.out.at(0).store(0, Ordering::SeqCst);
            self.sleepers.nobody_sleeps();
        }
    }

    /// The caller is going to look for a while. Whether it is out now, and has to [come in](Lookout::come_in): not if another
    /// one is, and not if nobody sleeps, for whom it would be.
    pub fn go_out(&self) -> bool {
        let out = self.out.at(0);
        self.sleepers.has_sleepers()
            && out.load(Ordering::Relaxed) == 0
            && out.compare_exchange(0, kernel::recently(), Ordering::SeqCst, Ordering::Relaxed).is_ok()
    }

    /// The caller was out, or may have been called, and is so no more. It must now look whether anything has come.
    pub fn come_in(&self) {
        self.out.at(0).store(0, Ordering::Relaxed);
        fence(Ordering::SeqCst); // Pairs with `call_one`.
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;

    fn lookout() -> Lookout {
        Lookout::new(EventCount::on_heap(), Words::on_heap(1))
    }

    /// Whether a call now would wake one who sleeps.
    fn wakes(lookout: &Lookout) -> bool {
        let ticket = lookout.sleepers.prepare();
        lookout.call();
        lookout.sleepers.prepare() != ticket
    }

    #[test]
    fn nobody_is_woken_while_one_is_out() {
        let lookout = lookout();
        let _asleep = lookout.sleepers.prepare();
        assert!(lookout.go_out());
        assert!(!lookout.go_out(), "one at a time");
        assert!(!wakes(&lookout));
        lookout.come_in();
        assert!(wakes(&lookout));
    }

    #[test]
    fn nobody_goes_out_for_nobody() {
        assert!(!lookout().go_out());
    }

    #[test]
    fn a_call_that_finds_nobody_asleep_leaves_nobody_out() {
        let lookout = lookout();
        assert!(wakes(&lookout) && wakes(&lookout));
    }

    #[test]
    fn one_that_is_out_for_too_long_is_waited_for_no_more() {
        let lookout = lookout();
        let now = kernel::recently();
        lookout.out.at(0).store(now, Ordering::Relaxed);
        assert!(!wakes(&lookout));
        for since in [now - PATIENCE, 1, now + 3600 * 1_000_000_000, u64::MAX] {
            lookout.out.at(0).store(since, Ordering::Relaxed);
            assert!(wakes(&lookout), "out since {since}, and now it is {now}");
        }
    }
}
