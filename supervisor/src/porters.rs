//! Threads that wait behind doors, one for each worker that is there. One whose worker is gone waits for the next: when a
//! thousand workers die at once, a thousand threads that end, and as many new ones, would hold up every other thread of this
//! process, for each gives back a stack or asks for one.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// What one of them has to do.
type Job = Box<dyn FnOnce() + Send>;

/// Room for a thread's stack: it holds one message at a time, on the heap.
const STACK: usize = 256 << 10;

/// All of them. They end with the process.
#[derive(Clone, Default)]
pub struct Porters(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    more: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// How many wait for a job, apart from those for whom there is one already.
    idle: usize,
}

impl Porters {
    /// Has a thread do this: one that waits, or else a new one.
    ///
    /// # Errors
    /// There can be no new one. The job is dropped.
    pub fn give(&self, job: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.idle > 0 {
            state.idle -= 1;
            state.jobs.push_back(Box::new(job));
            self.0.more.notify_one();
            return Ok(());
        }
        drop(state);
        let shared = Arc::clone(&self.0);
        let work = move || {
            job();
            loop {
                shared.next()();
            }
        };
        thread::Builder::new().name("door".to_owned()).stack_size(STACK).spawn(work)?;
        Ok(())
    }
}

/// One of them who does things one after the other, in the order in which they were given.
#[derive(Debug)]
pub struct InTurn<T> {
    things: Option<Sender<T>>,
    does: fn(T),
}

impl<T: Send + 'static> InTurn<T> {
    /// Nobody yet: the first thing that is given asks for a thread.
    pub fn new(does: fn(T)) -> Self {
        Self { things: None, does }
    }

    /// Has it done when its turn comes.
    ///
    /// # Errors
    /// There is no thread to be had, and the thing comes back. The next one that is given asks again.
    pub fn give(&mut self, thing: T, porters: &Porters) -> Result<(), T> {
        if self.things.is_none() {
            let ((sender, things), does) = (channel(), self.does);
            if porters.give(move || things.into_iter().for_each(does)).is_err() {
                return Err(thing);
            }
            self.things = Some(sender);
        }
        let things = self.things.as_ref().expect("there is somebody");
        things.send(thing).map_err(|SendError(thing)| thing)
    }
}

impl Shared {
    fn next(&self) -> Job {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.idle += 1;
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return job;
            }
            state = self.more.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::mpsc::channel;
    use std::thread::ThreadId;

    use super::*;

    #[test]
    fn those_who_are_done_are_given_the_next_jobs_and_nobody_waits_for_another() {
        let porters = Porters::default();
        let mut all = HashSet::new();
        for _ in 0..20 {
            // Three at a time, each of which is over only when all have begun.
            let (here, ids) = channel::<ThreadId>();
            let gates: Vec<_> = (0..3)
                .map(|_| {
                    let (here, (gate, open)) = (here.clone(), channel::<()>());
                    let wait = move || {
                        here.send(thread::current().id()).expect("somebody listens");
                        let _ = open.recv();
                    };
                    porters.give(wait).expect("a thread");
                    gate
                })
                .collect();
            all.extend((0..3).map(|_| ids.recv().expect("all of them begin")));
            drop(gates);
            while porters.0.state.lock().expect("no panic").idle < 3 {
                thread::yield_now();
            }
        }
        assert_eq!(all.len(), 3);
    }
}
