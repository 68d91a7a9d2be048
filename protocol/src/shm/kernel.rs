//! The kernel's part in sleeping: the futex calls. Apart, so that the models can put a kernel of their own in its place.

use std::time::Duration;

use rustix::io::Errno;
use rustix::thread::futex;

use crate::sync::AtomicU32;

/// Sleeps as long as nobody wakes the word's sleepers, for `limit` at most; not at all if the word is not `seen`.
/// May return early.
pub fn wait(word: &AtomicU32, seen: u32, limit: Duration) {
    let limit = timespec(limit);
    // Not FUTEX_PRIVATE: the word is shared between processes. EAGAIN, EINTR and ETIMEDOUT all mean "look again".
    let _ = futex::wait(word, futex::Flags::empty(), seen, Some(&limit));
}

/// The same for several words, at most 128.
pub fn wait_any(words: &[(&AtomicU32, u32)], limit: Duration) {
    let waiters: Vec<futex::Wait> = words
        .iter()
        .map(|(word, seen)| {
            let mut waiter = futex::Wait::new();
            waiter.val = u64::from(*seen);
            waiter.uaddr = futex::WaitPtr::new(std::ptr::from_ref(*word).cast_mut().cast());
            waiter.flags = futex::WaitFlags::SIZE_U32;
            waiter
        })
        .collect();
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    let until = now + timespec(limit);
    match futex::waitv(&waiters, futex::WaitvFlags::empty(), Some(&until), futex::ClockId::Monotonic) {
        Ok(_) | Err(Errno::AGAIN | Errno::INTR | Errno::TIMEDOUT) => {}
        // A kernel before 5.16, or more queues than it takes at once: look around often instead.
        Err(_) => wait(words[0].0, words[0].1, limit.min(Duration::from_millis(1))),
    }
}

/// Nanoseconds since some instant before the last start of the machine, in steps of some milliseconds, and cheap. Never 0.
pub fn recently() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse);
    (now.tv_sec as u64).wrapping_mul(1_000_000_000).wrapping_add(now.tv_nsec as u64) | 1
}

/// Wakes so many of those who sleep on the word. Gives how many there were.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    futex::wake(word, futex::Flags::empty(), count).unwrap_or(0)
}

fn timespec(span: Duration) -> futex::Timespec {
    futex::Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: i64::from(span.subsec_nanos()),
    }
}
