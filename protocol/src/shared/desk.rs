//! A desk: memory that one client shares with the manager, where it lays one small operation and finds its outcome.
//! Without it every operation would cost four system calls and two changes of the processor's hands.
//!
//! ```text
//!     0  asked: number, length; the operation     the client's
//!  4224  answered: number, length; the outcome    the manager's
//!  8448  the manager sleeps on this
//!  8512  the client sleeps on this
//! ```
//!
//! What is small stands in the same cache line as its number, so that one line goes over and one comes back.
//! The client writes the operation and then its number, one more than before; the manager takes a copy of it, and answers
//! under the same number. Each side looks for a moment before it goes to sleep, longer if it would have paid the last time.
//! What stands here is input to both: lengths are read once and checked, bytes are copied before they are believed.
//! If either side dies, its channels end, and so the other one learns of it; what was asked is asked again elsewhere.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ipc_channel::ipc::IpcSharedMemory;

use crate::shielded::shielded;
use crate::shm::{EventCount, Patience, Region, Words};
use crate::sync::Ordering;

/// Neither an operation nor an outcome on a desk is larger than this many bytes.
pub const ROOM: usize = 4 << 10;

/// Bytes of a number and a length.
const HEAD: usize = 16;
/// What one side writes, in whole pairs of cache lines: they are fetched two at a time.
const SIDE: usize = (HEAD + ROOM).next_multiple_of(128);
const BYTES: usize = 2 * SIDE + 128;

/// A client asks its channel this often whether the manager is still there: nobody wakes the clients of one that was
/// killed.
const LOOK_AROUND: Duration = Duration::from_millis(20);
/// The manager has a thread at the channel that rings the bell.
const FOR_EVER: Duration = Duration::from_secs(3600);

/// As the length of an outcome: it was too large, and comes through the channel.
const ELSEWHERE: u64 = u64::MAX;

/// Memory for a desk, empty; `None` if the system has none to give.
pub fn memory() -> Option<IpcSharedMemory> {
    shielded(|| IpcSharedMemory::from_byte(0, BYTES)).ok()
}

/// Which of a side's words is which.
const NUMBER: usize = 0;
const LENGTH: usize = 1;

#[derive(Debug)]
struct Desk {
    region: Arc<Region>,
    question: Words,
    answer: Words,
    asked: EventCount,
    answered: EventCount,
}

impl Desk {
    /// `None` if the memory is no desk's.
    fn over(memory: IpcSharedMemory) -> Option<Self> {
        let region = Region::of(memory).filter(|region| region.len() >= BYTES)?;
        let (question, answer) = (region.words(0, 2), region.words(SIDE, 2));
        let (asked, answered) = (region.event(2 * SIDE), region.event(2 * SIDE + 64));
        Some(Self { region, question, answer, asked, answered })
    }

    /// The bytes that stand behind these words of one side, if their length can be one.
    fn copied(&self, words: &Words, side: usize) -> Option<Vec<u8>> {
        let length = usize::try_from(words.at(LENGTH).load(Ordering::Relaxed)).ok()?;
        (length <= ROOM).then(|| self.region.bytes(side + HEAD, length).to_vec())
    }
}

/// The client's side of a desk.
#[derive(Debug)]
pub struct Asker {
    desk: Desk,
    number: u64,
    patience: Patience,
}

/// What the manager laid on the desk.
#[derive(Debug, PartialEq, Eq)]
pub enum Answer {
    /// The outcome.
    Here(Vec<u8>),
    /// Word that the outcome comes through the channel.
    Elsewhere,
    /// Nothing: it is gone.
    Gone,
}

impl Asker {
    /// Takes a seat at a desk that nobody has used.
    pub fn new(memory: IpcSharedMemory) -> Option<Self> {
        Some(Self { desk: Desk::over(memory)?, number: 0, patience: Patience::with_room(1) })
    }

    /// Asks; the answer to the last question must have been read. `false`: it is too large for a desk.
    pub fn ask(&mut self, message: &[u8]) -> bool {
        if message.len() > ROOM {
            return false;
        }
        let Desk { region, question, asked, .. } = &self.desk;
        region.write(HEAD, message);
        question.at(LENGTH).store(message.len() as u64, Ordering::Relaxed);
        self.number += 1;
        // SeqCst: releases the message to `Clerk::next`, and comes before the look at who sleeps.
        question.at(NUMBER).store(self.number, Ordering::SeqCst);
        asked.notify();
        true
    }

    /// Waits for the answer. `is_gone` is asked when that takes long, and not before the first nap: it costs system calls.
    pub fn answer(&mut self, mut is_gone: impl FnMut() -> bool) -> Answer {
        let mut has_slept = false;
        let is_gone = || std::mem::replace(&mut has_slept, true) && is_gone();
        let Desk { answer, answered, .. } = &self.desk;
        let number = self.number;
        // SeqCst: acquires the outcome from `Clerk::answer`, and is ordered with the making ready to sleep.
        let is_there = || answer.at(NUMBER).load(Ordering::SeqCst) == number;
        if !wait(&mut self.patience, answered, LOOK_AROUND, is_there, is_gone) {
            return Answer::Gone;
        }
        match answer.at(LENGTH).load(Ordering::Relaxed) {
            ELSEWHERE => Answer::Elsewhere,
            _ => self.desk.copied(answer, SIDE).map_or(Answer::Gone, Answer::Here),
        }
    }
}

/// The manager's side of a desk.
#[derive(Debug)]
pub struct Clerk {
    desk: Desk,
    number: u64,
    patience: Patience,
}

impl Clerk {
    /// Takes a seat at the desk of a client; `None` if what it sent is none.
    pub fn new(memory: IpcSharedMemory) -> Option<Self> {
        Some(Self { desk: Desk::over(memory)?, number: 0, patience: Patience::with_room(1) })
    }

    /// By this others call it from its sleep.
    pub fn bell(&self) -> Bell {
        Bell(self.desk.asked.clone())
    }

    /// Waits for the next operation; `None` when it `is_over`, which is looked at whenever the bell has rung.
    ///
    /// # Errors
    /// A message whose length makes no sense; it is to be answered all the same.
    pub fn next(&mut self, is_over: impl FnMut() -> bool) -> Option<Result<Vec<u8>, ()>> {
        let Desk { question, asked, .. } = &self.desk;
        let last = self.number;
        // SeqCst: acquires the message from `Asker::ask`, and is ordered with the making ready to sleep.
        let is_there = || question.at(NUMBER).load(Ordering::SeqCst) != last;
        if !wait(&mut self.patience, asked, FOR_EVER, is_there, is_over) {
            return None;
        }
        self.number = question.at(NUMBER).load(Ordering::SeqCst);
        Some(self.desk.copied(question, 0).ok_or(()))
    }

    /// Answers what was asked last; `false`: the answer is too large for a desk, and must go through the channel next.
    pub fn answer(&self, outcome: &[u8]) -> bool {
        let Desk { region, answer, answered, .. } = &self.desk;
        let fits = outcome.len() <= ROOM;
        if fits {
            region.write(SIDE + HEAD, outcome);
        }
        let length = if fits { outcome.len() as u64 } else { ELSEWHERE };
        answer.at(LENGTH).store(length, Ordering::Relaxed);
        // SeqCst: releases the outcome to `Asker::answer`, and comes before the look at who sleeps.
        answer.at(NUMBER).store(self.number, Ordering::SeqCst);
        answered.notify();
        fits
    }
}

/// See [`Clerk::bell`].
#[derive(Clone, Debug)]
pub struct Bell(EventCount);

impl Bell {
    /// Has the clerk look whether it is over.
    pub fn ring(&self) {
        self.0.notify_all();
    }
}

/// Waits until something is there; looks around by itself after each `nap`. `false`: it is over first.
fn wait(
    patience: &mut Patience,
    event: &EventCount,
    nap: Duration,
    is_there: impl Fn() -> bool,
    mut is_over: impl FnMut() -> bool,
) -> bool {
    for _ in 0..patience.looks() {
        if is_there() {
            return true;
        }
        std::hint::spin_loop();
    }
    let begun = Instant::now();
    loop {
        let ticket = event.prepare();
        if is_there() {
            break;
        }
        if is_over() {
            return false;
        }
        event.wait(ticket, nap);
    }
    patience.slept(begun.elapsed());
    true
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    fn both() -> (Asker, Clerk) {
        let memory = memory().expect("there is memory");
        (Asker::new(memory.clone()).expect("a desk"), Clerk::new(memory).expect("a desk"))
    }

    fn here(answer: Answer) -> Vec<u8> {
        let Answer::Here(bytes) = answer else { panic!("{answer:?}") };
        bytes
    }

    #[test]
    fn every_question_is_answered_once_and_in_turn_whoever_sleeps() {
        let (mut asker, mut clerk) = both();
        let is_over = AtomicBool::new(false);
        let bell = clerk.bell();
        thread::scope(|scope| {
            scope.spawn(|| {
                while let Some(message) = clerk.next(|| is_over.load(Ordering::SeqCst)) {
                    let mut message = message.expect("its length can be one");
                    if message.len() % 97 == 0 {
                        // As long as it takes the other one to fall asleep.
                        (0..1_000).for_each(|_| thread::yield_now());
                    }
                    message.reverse();
                    assert!(clerk.answer(&message));
                }
            });
            for n in 0..3_000u32 {
                let message: Vec<u8> = n.to_le_bytes().into_iter().cycle().take(n as usize).collect();
                assert!(asker.ask(&message));
                let mut answer = here(asker.answer(|| false));
                answer.reverse();
                assert_eq!(answer, message);
            }
            is_over.store(true, Ordering::SeqCst);
            bell.ring();
        });
    }

    #[test]
    fn what_is_too_large_goes_elsewhere() {
        let (mut asker, mut clerk) = both();
        assert!(!asker.ask(&[1; ROOM + 1]), "nothing is asked");
        assert!(asker.ask(&[1; ROOM]));
        assert_eq!(clerk.next(|| true), Some(Ok(vec![1; ROOM])));
        assert!(!clerk.answer(&[2; ROOM + 1]));
        assert_eq!(asker.answer(|| true), Answer::Elsewhere);
    }

    #[test]
    fn who_is_left_alone_is_told() {
        let (mut asker, mut clerk) = both();
        assert_eq!(clerk.next(|| true), None);
        assert!(asker.ask(b"anybody there?"));
        assert_eq!(asker.answer(|| true), Answer::Gone);
    }

    #[test]
    fn lengths_and_numbers_that_make_no_sense_mislead_nobody() {
        let (mut asker, mut clerk) = both();
        assert!(asker.ask(b"good day"));
        for length in [ROOM as u64 + 1, u64::MAX, 1 << 63] {
            asker.desk.question.at(LENGTH).store(length, Ordering::Relaxed);
            asker.desk.question.at(NUMBER).store(length ^ 77, Ordering::SeqCst);
            assert_eq!(clerk.next(|| true), Some(Err(())));
        }
        assert!(clerk.answer(b"pardon?"));
        clerk.desk.answer.at(LENGTH).store(ROOM as u64 + 1, Ordering::Relaxed);
        clerk.desk.answer.at(NUMBER).store(asker.number, Ordering::SeqCst);
        assert_eq!(asker.answer(|| true), Answer::Gone);
    }

    #[test]
    fn memory_that_is_too_small_is_no_desk() {
        for bytes in [1, BYTES - 4097] {
            assert!(Clerk::new(IpcSharedMemory::from_byte(0, bytes)).is_none());
        }
    }
}
