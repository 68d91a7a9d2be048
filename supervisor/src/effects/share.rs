//! What a worker's nice value means to everybody else. The scheduler's autogroups (sched(7)) share the processor out to
//! sessions, and a nice value counts only within one. A worker leads a session, which is therefore given the worker's value.
//! Where there are no autogroups, or none that matter, nice values count by themselves.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, getpriority_process};

use crate::porters::{InTurn, Porters};

/// Of all users but root the kernel hears one in so long a time, and tells the others to come again.
const PAUSE: Duration = Duration::from_millis(25);

/// A session that is to weigh what its leader does.
#[derive(Debug)]
struct Share {
    /// The leader's `autogroup` file, which is nobody else's when the process is gone.
    session: File,
    nice: i32,
    worker: String,
}

/// Gives sessions their shares, in a thread: it may take a while.
#[derive(Debug)]
pub struct Shares(InTurn<Share>);

impl Default for Shares {
    fn default() -> Self {
        Self(InTurn::new(Share::give))
    }
}

impl Shares {
    /// Has this worker's session weigh what the process does, soon.
    pub fn give(&mut self, worker: &str, pid: i32, porters: &Porters) {
        let nice = Pid::from_raw(pid).and_then(|pid| getpriority_process(Some(pid)).ok()).unwrap_or(0);
        if nice == 0 {
            return; // As a session is from the start.
        }
        let untold = match OpenOptions::new().write(true).open(format!("/proc/{pid}/autogroup")) {
            Ok(session) => self.0.give(Share { session, nice, worker: worker.to_owned() }, porters).err(),
            Err(error) => return not_given(worker, nice, &error),
        };
        if let Some(Share { worker, nice, .. }) = untold {
            not_given(&worker, nice, &io::Error::other("no thread to be had"));
        }
    }
}

impl Share {
    fn give(self) {
        let Self { mut session, nice, worker } = self;
        let value = nice.to_string();
        if let Err(error) = insist(|| session.write_all(value.as_bytes())) {
            not_given(&worker, nice, &error);
        }
    }
}

/// Tries until it is done or refused.
fn insist(mut attempt: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    loop {
        match attempt() {
            Err(error) if error.kind() == ErrorKind::WouldBlock => sleep(PAUSE),
            outcome => return outcome,
        }
    }
}

fn not_given(worker: &str, nice: i32, error: &io::Error) {
    // No autogroups in this kernel, or the worker is gone.
    if error.kind() != ErrorKind::NotFound && error.raw_os_error() != Some(libc::ESRCH) {
        tracing::warn!("{worker} has a nice value of {nice}, but its session cannot be given it: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_told_to_come_again_does_and_who_is_refused_does_not() {
        let mut answers = vec![Err(ErrorKind::WouldBlock), Err(ErrorKind::WouldBlock), Ok(()), Ok(())].into_iter();
        let mut attempt = || answers.next().expect("an answer").map_err(io::Error::from);
        insist(&mut attempt).expect("the third was heard");
        assert_eq!(answers.len(), 1);
        let mut asked = 0;
        let refused = insist(|| {
            asked += 1;
            Err(ErrorKind::PermissionDenied.into())
        });
        assert_eq!((refused.expect_err("refused").kind(), asked), (ErrorKind::PermissionDenied, 1));
    }
}
