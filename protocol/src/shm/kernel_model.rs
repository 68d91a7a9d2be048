//! The kernel's part in sleeping, for the models: the same calls as `kernel.rs`, but a sleep has no limit. Who is not
//! woken sleeps for ever, which the model checkers report as a deadlock.

use std::time::Duration;

#[cfg(model_loom)]
use loom::{lazy_static, sync::Condvar, sync::Mutex};
#[cfg(model_shuttle)]
use shuttle::{lazy_static, sync::Condvar, sync::Mutex};

use crate::sync::{AtomicU32, Ordering, in_the_kernel};

#[derive(Default)]
struct Asleep {
    /// The word's address, and the number of the sleep.
    queue: Vec<(usize, u64)>,
    sleeps: u64,
}

lazy_static! {
    static ref ASLEEP: Mutex<Asleep> = Mutex::new(Asleep::default());
    static ref CHANGED: Condvar = Condvar::new();
}

fn address(word: &AtomicU32) -> usize {
    std::ptr::from_ref(word) as usize
}

/// Sleeps until it is woken; not at all if the word is not `seen`.
pub fn wait(word: &AtomicU32, seen: u32, limit: Duration) {
    wait_any(&[(word, seen)], limit);
}

/// The same for several words: who is woken through one stays in the queues of the others until it runs, and may take
/// their wake-ups with it. So does the kernel.
pub fn wait_any(words: &[(&AtomicU32, u32)], _limit: Duration) {
    let mut asleep = ASLEEP.lock().expect("no sleeper panics");
    if in_the_kernel(|| words.iter().any(|(word, seen)| word.load(Ordering::SeqCst) != *seen)) {
        return;
    }
    asleep.sleeps += 1;
    let number = asleep.sleeps;
    asleep.queue.extend(words.iter().map(|(word, _)| (address(word), number)));
    while asleep.queue.iter().filter(|(_, sleep)| *sleep == number).count() == words.len() {
        asleep = CHANGED.wait(asleep).expect("no sleeper panics");
    }
    asleep.queue.retain(|(_, sleep)| *sleep != number);
}

/// Time stands still: who waits for it to pass would wait for ever.
pub fn recently() -> u64 {
    1
}

/// Wakes so many of those who sleep on the word. Gives how many there were.
pub fn wake(word: &AtomicU32, count: u32) -> usize {
    let mut asleep = ASLEEP.lock().expect("no sleeper panics");
    let mut woken = 0;
    asleep.queue.retain(|(place, _)| {
        let wakes = *place == address(word) && woken < count as usize;
        woken += usize::from(wakes);
        !wakes
    });
    CHANGED.notify_all();
    woken
}
