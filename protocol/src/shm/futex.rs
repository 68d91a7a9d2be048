//! An event count on a shared futex word: how a process sleeps until another one has done something, without a
//! system call while nobody sleeps.
//!
//! The word is `{ sequence: 31 bits, waiting: 1 bit }`. A sleeper sets the waiting bit ([`EventCount::prepare`]), looks
//! once more whether it has to sleep at all, and sleeps only if the word is still what it saw. A notifier first changes
//! what the sleeper looks at, then calls [`EventCount::notify`], which costs one load unless the bit is set. Both sides
//! are sequentially consistent (Dekker's argument): either the sleeper sees the change, or the notifier sees the bit.
//!
//! Nothing here belongs to a process: one that is killed asleep leaves at most the bit behind, which costs the next
//! notifier one spurious system call. The story that shaped the clearing of the bit: a notifier found nobody asleep; a
//! sleeper then saw the old word with its bit still set, and slept; the notifier cleared the bit; nobody woke that
//! sleeper again. Hence the bit is cleared together with a new sequence, and all are woken *after* that: who slept in
//! between wakes and sets the bit again, who comes later does not sleep on the old word.
#![expect(unsafe_code, reason = "turns a place in a mapping into an atomic")]

use std::sync::Arc;
use std::time::Duration;

use super::{Region, kernel};
use crate::sync::{AtomicU32, Ordering, fence};

const WAITING: u32 = 1;
const SEQUENCE: u32 = 2;

/// An event count in a mapping.
#[derive(Clone, Debug)]
pub struct EventCount {
    word: *const AtomicU32,
    _keep: Keep,
}

#[derive(Clone, Debug)]
enum Keep {
    Mapped(#[expect(dead_code, reason = "keeps the mapping alive")] Arc<Region>),
    #[cfg(test)]
    Heap(#[expect(dead_code, reason = "keeps the word alive")] Arc<AtomicU32>),
}

// SAFETY: the word is an atomic, and `keep` keeps it alive wherever the handle goes.
unsafe impl Send for EventCount {}
// SAFETY: as above.
unsafe impl Sync for EventCount {}

/// What a sleeper saw when it made ready to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket(u32);

impl EventCount {
    /// The event count at an address within `region`.
    ///
    /// # Safety
    /// `word` is aligned to 4 and lies within `region`.
    pub(super) unsafe fn at_address(word: *const AtomicU32, region: Arc<Region>) -> Self {
        Self { word, _keep: Keep::Mapped(region) }
    }

    /// One of this process alone: for models.
    #[cfg(test)]
    pub fn on_heap() -> Self {
        let word = Arc::new(AtomicU32::new(0));
        Self { word: Arc::as_ptr(&word), _keep: Keep::Heap(word) }
    }

    #[inline]
    fn word(&self) -> &AtomicU32 {
        // SAFETY: aligned, in bounds and alive by the contract of the constructor.
        unsafe { &*self.word }
    }

    /// Makes ready to sleep. The caller must now look again at what it waits for, and then call [`EventCount::wait`].
    pub fn prepare(&self) -> Ticket {
        // SeqCst, with the fence: pairs with `notify` (see the module's text).
        let seen = self.word().fetch_or(WAITING, Ordering::SeqCst) | WAITING;
        fence(Ordering::SeqCst);
        Ticket(seen)
    }

    /// Sleeps until a notification that comes after `ticket` was taken, or for `limit` at most. May return early.
    pub fn wait(&self, ticket: Ticket, limit: Duration) {
        kernel::wait(self.word(), ticket.0, limit);
    }

    /// Sleeps until one of the event counts is notified after its ticket was taken, or for `limit` at most. May return
    /// early. At most 128 of them.
    pub fn wait_any(tickets: &[(Self, Ticket)], limit: Duration) {
        if let [(event, ticket)] = tickets {
            return event.wait(*ticket, limit);
        }
        let words: Vec<_> = tickets.iter().map(|(event, ticket)| (event.word(), ticket.0)).collect();
        kernel::wait_any(&words, limit);
    }

    /// Something has changed that one sleeper waits for. One load if nobody sleeps.
    #[inline]
    pub fn notify(&self) {
        // SeqCst: pairs with `prepare`. The caller's change before it must be a SeqCst operation as well.
        if self.word().load(Ordering::SeqCst) & WAITING != 0 {
            self.notify_sleepers(1);
        }
    }

    /// Something has changed that all sleepers wait for.
    #[inline]
    pub fn notify_all(&self) {
        if self.word().load(Ordering::SeqCst) & WAITING != 0 {
            self.notify_sleepers(i32::MAX as u32);
        }
    }

    /// Whether somebody may be asleep.
    #[inline]
    pub fn has_sleepers(&self) -> bool {
        self.word().load(Ordering::SeqCst) & WAITING != 0
    }

    #[cold]
    fn notify_sleepers(&self, count: u32) {
        if self.wake(count) == 0 {
            self.nobody_sleeps();
        }
    }

    /// Wakes so many. Gives how many there were.
    pub(super) fn wake(&self, count: u32) -> usize {
        // Who has prepared, but does not sleep yet, must not sleep on the old word.
        self.word().fetch_add(SEQUENCE, Ordering::SeqCst);
        kernel::wake(self.word(), count)
    }

    /// None was found asleep: the bit is an old one. In this order: who sleeps on the word as it is between the two steps, or
    /// slept on it before, is woken; who comes later finds another sequence.
    pub(super) fn nobody_sleeps(&self) {
        self.word().fetch_and(!WAITING, Ordering::SeqCst);
        self.wake(i32::MAX as u32);
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn event() -> EventCount {
        let file = tempfile::tempfile().expect("a temporary file");
        file.set_len(4096).expect("room for it");
        Region::map(&file, 4096).expect("mapped").event(0)
    }

    #[test]
    fn a_notification_after_the_ticket_is_never_slept_through() {
        let event = event();
        let ticket = event.prepare();
        event.notify();
        event.wait(ticket, Duration::from_secs(3600));
    }

    #[test]
    fn nobody_asleep_costs_no_change_of_the_word() {
        let event = event();
        event.notify();
        assert_eq!(event.word().load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_stale_waiting_bit_is_cleared_by_one_notification() {
        let event = event();
        let _died_asleep = event.prepare();
        event.notify();
        assert!(!event.has_sleepers());
    }

    #[test]
    fn many_sleepers_and_many_notifiers_lose_no_wakeup() {
        let event = event();
        let tokens = AtomicU32::new(0);
        let taken = AtomicU32::new(0);
        let done = AtomicBool::new(false);
        const EACH: u32 = 20_000;
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    let take = || tokens.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1)).is_ok();
                    while !done.load(Ordering::SeqCst) {
                        let ticket = event.prepare();
                        if take() {
                            taken.fetch_add(1, Ordering::SeqCst);
                        } else if !done.load(Ordering::SeqCst) {
                            event.wait(ticket, Duration::from_secs(3600));
                        }
                    }
                });
            }
            let senders: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        for _ in 0..EACH {
                            tokens.fetch_add(1, Ordering::SeqCst);
                            event.notify();
                        }
                    })
                })
                .collect();
            for sender in senders {
                sender.join().expect("sent all");
            }
            while taken.load(Ordering::SeqCst) < 2 * EACH {
                thread::yield_now();
            }
            done.store(true, Ordering::SeqCst);
            event.notify_all();
        });
    }
}
