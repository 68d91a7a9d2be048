//! The wish to stop, seen from everywhere: by a loop between two items, by a thread that sleeps, by one that waits
//! at a queue. Without one place for it, each of them would miss some way in which it is said.

use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use brigade_protocol::page::{Page, StopWord, Waiting};
use brigade_protocol::queue::Queue;

use crate::copies::is_copy;

/// `own` value: nobody in this process wants it to stop.
const GO_ON: i32 = 0;
/// `own` value: a thread of this worker cannot go on. Positive values are numbers of signals.
const GAVE_UP: i32 = -1;
/// `own` value: this run has done what it may; the next one goes on.
const RETIRED: i32 = -2;

/// All sources of a stop: the supervisor's word in the page, a signal that it did not send, a thread that gave up.
pub(crate) struct Stop {
    page: Page,
    own: AtomicI32,
    queues: Vec<Queue>,
}

impl Stop {
    /// `queues` are those at which threads of this process may wait.
    pub(crate) fn new(page: Page, queues: Vec<Queue>) -> Self {
        Self { page, own: AtomicI32::new(GO_ON), queues }
    }

    /// The worker's page.
    #[inline]
    pub(crate) fn page(&self) -> &Page {
        &self.page
    }

    /// Take nothing new; finish or give back the item in hand.
    #[inline]
    pub(crate) fn now(&self) -> bool {
        // Relaxed: nothing is read on the strength of it, and who makes ready to sleep has a fence before it.
        self.own.load(Ordering::Relaxed) != GO_ON || self.page.stop() == StopWord::Now
    }

    /// The same, asked by one who is about to wait at a queue, and shows that.
    pub(crate) fn now_or_wait(&self, waiting: &Waiting<'_>) -> bool {
        waiting.say();
        self.now()
    }

    /// Whether to leave a queue at which nothing has come yet, asked by one who is about to wait there, and shows that.
    pub(crate) fn halts_or_waits(&self, waiting: &Waiting<'_>) -> bool {
        waiting.say();
        self.halts()
    }

    /// Make nothing new; this is what a source asks, and is true for a drain as well.
    #[inline]
    pub(crate) fn asked(&self) -> bool {
        self.now() || self.page.stop() == StopWord::Drain
    }

    /// Take nothing new for now: the stage is paused, and nobody wants it to stop.
    #[inline]
    pub(crate) fn is_held(&self) -> bool {
        self.page.is_paused() && !self.asked() && !is_copy()
    }

    /// Whether to leave a queue at which nothing has come yet.
    #[inline]
    pub(crate) fn halts(&self) -> bool {
        self.now() || self.is_held()
    }

    /// Waits while the stage is paused. False: the deadline has passed, and it still is.
    #[inline]
    pub(crate) fn while_held(&self, deadline: Option<Instant>) -> bool {
        while self.is_held() {
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            self.sleep(left, |stop| !stop.is_held());
        }
        true
    }

    /// Whether the supervisor said anything.
    fn supervisor_asked(&self) -> bool {
        match self.page.stop() {
            StopWord::None => false,
            StopWord::Drain | StopWord::Now => true,
        }
    }

    /// A signal came. Returns whether it is one that must end the process at once: the second that nobody asked for, and any
    /// in a forked copy of the worker, which has nothing to finish.
    ///
    /// Called by a signal handler, in the middle of anything: it only reads and changes atomics, and wakes sleepers.
    pub(crate) fn on_signal(&self, signal: i32) -> bool {
        if is_copy() {
            return true;
        }
        // SeqCst, here and in the other two that change it: comes before the wake-up, in the order that sleepers rely on.
        let before = self.own.swap(signal, Ordering::SeqCst);
        self.wake();
        before > GO_ON && !self.supervisor_asked()
    }

    /// This worker cannot go on: its other threads finish what they hold and end.
    pub(crate) fn give_up(&self) {
        self.own.store(GAVE_UP, Ordering::SeqCst);
        self.wake();
    }

    /// This run has done what it may: all threads finish what they hold and end. Any other reason to stop weighs more.
    pub(crate) fn retire(&self) {
        // Only the first to say so wakes the others.
        if self.own.compare_exchange(GO_ON, RETIRED, Ordering::SeqCst, Ordering::Relaxed).is_ok() {
            self.wake();
        }
    }

    /// Whether it ends for that reason alone.
    pub(crate) fn is_retired(&self) -> bool {
        self.own.load(Ordering::Relaxed) == RETIRED && !self.supervisor_asked()
    }

    /// The signal by which the process has to end, so that the supervisor sees the truth: one that it did not send.
    pub(crate) fn deadly_signal(&self) -> Option<i32> {
        match self.own.load(Ordering::Relaxed) {
            signal if signal > GO_ON && !self.supervisor_asked() => Some(signal),
            _other_value => None,
        }
    }

    /// Whoever waits has a look at what has changed.
    pub(crate) fn wake(&self) {
        if is_copy() {
            return; // The page and the queues are the worker's.
        }
        self.page.bell().notify_all();
        for queue in &self.queues {
            queue.wake_all();
        }
    }

    /// Sleeps until `time` has passed (true) or `wanted` says stop (false).
    pub(crate) fn sleep(&self, time: Duration, wanted: impl Fn(&Self) -> bool) -> bool {
        // A sleep too long for the clock is one without an end.
        let deadline = Instant::now().checked_add(time);
        let bell = self.page.bell();
        loop {
            let ticket = bell.prepare();
            if wanted(self) {
                return false;
            }
            let left = deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return true;
            }
            bell.wait(ticket, left);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::{RecvError, Refusal, SendError};
    use crate::sandbox::sandbox;

    #[test]
    fn a_signal_that_nobody_asked_for_is_deadly_and_its_second_at_once() {
        let sandbox = sandbox(&["numbers"], &[]);
        let stop = &sandbox.ctx.station().stop;
        assert!(!stop.now() && stop.deadly_signal().is_none());
        assert!(!stop.on_signal(15));
        assert!(stop.now());
        assert_eq!(stop.deadly_signal(), Some(15));
        assert!(stop.on_signal(15));
    }

    #[test]
    fn a_signal_that_the_supervisor_sent_with_its_word_is_no_more_than_the_word() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.stop_now();
        let stop = &sandbox.ctx.station().stop;
        assert!(!stop.on_signal(15) && !stop.on_signal(15));
        assert!(stop.now());
        assert_eq!(stop.deadly_signal(), None);
    }

    #[test]
    fn a_run_that_has_done_what_it_may_stops_and_any_other_reason_weighs_more() {
        let sandbox = sandbox(&["numbers"], &[]);
        let stop = &sandbox.ctx.station().stop;
        stop.retire();
        assert!(stop.now() && stop.is_retired() && stop.deadly_signal().is_none());
        assert!(!stop.on_signal(15), "the first signal does not end it at once");
        assert_eq!((stop.is_retired(), stop.deadly_signal()), (false, Some(15)));
        stop.retire();
        assert_eq!(stop.deadly_signal(), Some(15));
        let asked = crate::sandbox::sandbox(&["numbers"], &[]);
        asked.ctx.station().stop.retire();
        asked.stop_now();
        assert!(!asked.ctx.station().stop.is_retired(), "who is asked to stop does not come back");
    }

    #[test]
    fn a_drain_is_meant_for_sources_alone() {
        let (source, consumer) = (sandbox(&[], &["numbers"]), sandbox(&["numbers"], &[]));
        source.page.ask_stop(StopWord::Drain);
        consumer.page.ask_stop(StopWord::Drain);
        assert!(source.ctx.stop_requested());
        assert!(!consumer.ctx.stop_requested());
        assert!(!source.ctx.sleep(Duration::MAX));
        assert!(consumer.ctx.sleep(Duration::from_millis(1)));
    }

    #[test]
    fn a_stop_ends_a_sleep() {
        let sandbox = sandbox(&["numbers"], &[]);
        std::thread::scope(|scope| {
            let sleeper = scope.spawn(|| sandbox.ctx.sleep(Duration::MAX));
            sandbox.stop_now();
            assert!(!sleeper.join().expect("no panic"));
        });
    }

    #[test]
    fn a_paused_stage_takes_nothing_until_it_goes_on() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [7_u64]);
        sandbox.page.set_paused(true);
        let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("it is an input");
        assert!(matches!(numbers.try_recv(), Err(RecvError::Empty)));
        assert!(matches!(numbers.recv_timeout(Duration::from_millis(1)), Err(RecvError::Timeout)));
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("it is an input");
                numbers.recv().map(|item| *item)
            });
            sandbox.page.set_paused(false);
            assert_eq!(taker.join().expect("no panic").ok(), Some(7));
        });
    }

    #[test]
    fn a_stop_ends_a_pause() {
        let sandbox = sandbox(&["numbers"], &[]);
        sandbox.feed("numbers", [7_u64]);
        sandbox.page.set_paused(true);
        std::thread::scope(|scope| {
            let taker = scope.spawn(|| {
                let numbers = sandbox.ctx.receiver::<u64>("numbers").expect("it is an input");
                numbers.recv().map(|item| *item)
            });
            sandbox.stop_now();
            assert!(matches!(taker.join().expect("no panic"), Err(RecvError::Stopped)));
        });
        assert_eq!(sandbox.take::<u64>("numbers"), [(1, 7)], "it was never taken");
    }

    #[test]
    fn a_paused_source_makes_nothing_and_a_drain_ends_its_pause() {
        let sandbox = sandbox(&[], &["numbers"]);
        sandbox.page.set_paused(true);
        let numbers = sandbox.ctx.sender::<u64>("numbers").expect("it is an output");
        assert!(matches!(numbers.try_send(7), Err(SendError { reason: Refusal::Full, .. })));
        let late = numbers.send_timeout(7, Duration::from_millis(1));
        assert!(matches!(late, Err(SendError { reason: Refusal::Timeout, .. })));
        sandbox.page.ask_stop(StopWord::Drain);
        assert!(numbers.send(8).is_ok());
        assert_eq!(sandbox.take::<u64>("numbers"), [(1, 8)]);
    }
}
