//! Asking a running pipeline, from a command that people typed. Without it, a `status` right after `run` would claim that
//! nothing runs, because the socket comes a moment later than the lock.

use std::time::{Duration, Instant};

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
    let until = Instant::now() + SOCKET;
    loop {
        match control::ask(dir, request, ANSWER) {
            Err(ControlError::NotRunning(_)) if Instant::now() < until && dir.holder().is_some() => {
                std::thread::sleep(LOOK);
            }
            answer @ (Ok(_) | Err(ControlError::NotRunning(_) | ControlError::Io { .. })) => return answer,
        }
    }
}
