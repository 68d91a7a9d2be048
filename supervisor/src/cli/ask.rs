//! Asking a running pipeline, from a command that people typed. Without it, a `status` right after `run` would claim that
//! nothing runs, because the socket comes a moment later than the lock.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::say;
use crate::control::{self, Answer, ControlError, Request};
use crate::state::StateDir;

/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);
/// How long a pipeline that holds its folder may take to begin to listen.
const SOCKET: Duration = Duration::from_secs(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);

/// Asks, and waits for the answer.
///
/// # Errors
/// [`ControlError::NotRunning`] when nobody holds the folder, or whoever holds it does not listen for a while.
pub fn ask(dir: &StateDir, request: &Request) -> Result<Answer, ControlError> {
    control::understand(dir, &ask_unread(dir, request)?)
}

/// Like [`ask`], and leaves the answer as it came.
///
/// # Errors
/// Like [`ask`].
pub fn ask_unread(dir: &StateDir, request: &Request) -> Result<Vec<u8>, ControlError> {
    let until = Instant::now() + SOCKET;
    loop {
        match control::ask_unread(dir, request, ANSWER) {
            Err(ControlError::NotRunning(_)) if Instant::now() < until && dir.holder().is_some() => {
                std::thread::sleep(LOOK);
            }
            answer @ (Ok(_) | Err(ControlError::NotRunning(_) | ControlError::Io { .. })) => return answer,
        }
    }
}

/// Has something done, and shows what the pipeline says of it. 0: done. 1: it is not, and why.
pub fn done(dir: &StateDir, request: &Request) -> ExitCode {
    match ask(dir, request) {
        Ok(Answer::Done(words)) => say::result(&format!("{words}\n")),
        Ok(Answer::Refused(why)) => say::error(&why),
        Ok(Answer::Status(_) | Answer::Stopping(_) | Answer::Shared(_) | Answer::Gone(_)) => {
            say::error(&"the pipeline answered something else")
        }
        Err(error) => say::error(&error),
    }
}
