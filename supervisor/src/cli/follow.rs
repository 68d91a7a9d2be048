//! Showing what is in the logs, and going on with what comes. Without it, `brigade logs -f` and `brigade events -f` would end
//! in two different ways.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use signal_hook::consts::SIGINT;

use super::say;
use crate::logs::files::Note;
use crate::logs::query::Error;

/// Milliseconds between two looks for new lines.
const LOOK: u8 = 100;
/// Lines that `-f` shows of what was there before.
pub const FOLLOW_LINES: usize = 10;

/// Until when new lines are looked for: Ctrl-C, or the end of who reads our output.
#[derive(Debug, Default)]
pub struct Until {
    interrupted: Arc<AtomicBool>,
}

impl Until {
    /// From now on Ctrl-C says when.
    pub fn told() -> Self {
        let until = Self::default();
        // A second Ctrl-C ends it even if somebody who does not read our output holds us up. Without these, the first one
        // ends us hard: no reason to show nothing.
        let _ = signal_hook::flag::register_conditional_shutdown(SIGINT, 130, Arc::clone(&until.interrupted));
        let _ = signal_hook::flag::register(SIGINT, Arc::clone(&until.interrupted));
        until
    }

    /// Waits before the next look, and says whether to take it.
    pub fn waits(&self) -> bool {
        is_heard(&io::stdout()) && !self.interrupted.load(Ordering::Relaxed)
    }
}

/// The exit code. 0 also when the reader of the output has gone.
pub fn end(shown: Result<(), Error>) -> ExitCode {
    match shown {
        Ok(()) => ExitCode::SUCCESS,
        Err(Error::Write(error)) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => say::error(&error),
    }
}

/// Says what is missing from the output, beside it.
pub fn tell(notes: &[Note]) {
    for note in notes {
        // Nothing can be done if stderr is closed.
        let _ = writeln!(io::stderr(), "note: {}", words(note));
    }
}

fn words(note: &Note) -> String {
    let shown = |time: &Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
    match note {
        Note::Dropped { stage, when: Some((at, last)) } => {
            let (at, last) = (shown(at), shown(last));
            format!("older lines of stage {stage}, up to {last}, were dropped by rotation at {at}")
        }
        Note::Dropped { stage, when: None } => format!("older lines of stage {stage} were dropped by rotation"),
        Note::Damaged { path, why } => format!("{} is damaged, and cannot be read to its end: {why}", path.display()),
    }
}

/// Waits for a moment. False when the reader of this output has gone, which is seen at once.
fn is_heard(output: &impl AsFd) -> bool {
    let mut fds = [PollFd::new(output.as_fd(), PollFlags::empty())];
    match poll(&mut fds, PollTimeout::from(LOOK)) {
        // Whether the interruption was meant for us is said by the flag.
        Ok(0) | Err(Errno::EINTR) => true,
        Ok(_) | Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_has_gone_is_noticed_without_writing() {
        let (reader, writer) = io::pipe().expect("a pipe");
        assert!(is_heard(&writer));
        drop(reader);
        assert!(!is_heard(&writer));
    }
}
