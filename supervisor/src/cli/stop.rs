//! `brigade stop`: stops a pipeline from elsewhere, and tells when it has stopped.

use std::process::ExitCode;
use std::time::Duration;

use super::ask::ask;
use super::left::left;
use super::say;
use super::select::{Need, Select};
use crate::control::{Answer, Request, StopRequest};
use crate::report;
use crate::state::StateDir;

/// Between two looks whether it has stopped.
const LOOK: Duration = Duration::from_millis(50);

/// Stop a pipeline, and wait until it has stopped
#[derive(Clone, Debug, clap::Args)]
pub struct Stop {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
    /// Finish the items in hand; the rest stays in the queues
    #[arg(long, conflicts_with = "kill")]
    pub now: bool,
    /// Kill every worker; what it had in hand goes back to the queues
    #[arg(long)]
    pub kill: bool,
    /// Do not wait until it has stopped
    #[arg(long)]
    pub no_wait: bool,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Without --now or --kill it drains: sources stop, and what is queued is worked off first, for at most drain_timeout.
In none of the three an item is lost: `brigade run` goes on with what is left.

Examples:
  brigade stop
  brigade stop -p checksum --now
  brigade stop --kill --no-wait";

impl Stop {
    /// Stops it. 0: it has stopped, or with `--no-wait` it has begun to. 1: it could not be asked, or refused.
    pub fn run(&self) -> ExitCode {
        let dir = match self.select.find(Need::Running) {
            Ok(dir) => dir,
            Err(error) => return say::error(&error),
        };
        // Before it is asked: afterwards it may be gone, and the next one may be there.
        let holder = dir.holder();
        match ask(&dir, &Request::Stop(self.level())) {
            Ok(Answer::Stopping(words)) => say::note(&words),
            Ok(Answer::Refused(why)) => return say::error(&why),
            Ok(Answer::Status(_) | Answer::Shared(_) | Answer::Gone(_) | Answer::Done(_)) => {
                return say::error(&"the pipeline answered something else");
            }
            Err(error) => return say::error(&error),
        }
        if self.no_wait {
            return ExitCode::SUCCESS;
        }
        if let Some(holder) = holder {
            wait(&dir, &holder);
        }
        say::result(&format!("{}\n", last_words(&dir)))
    }

    fn level(&self) -> StopRequest {
        match (self.now, self.kill) {
            (_, true) => StopRequest::Kill,
            (true, false) => StopRequest::Now,
            (false, false) => StopRequest::Drain,
        }
    }
}

/// Waits until this holder of the folder has given it back. The folder's lock ends with the process, however it ends.
fn wait(dir: &StateDir, holder: &str) {
    let mut told = false;
    while dir.holder().is_some_and(|now| is_same(&now, holder)) {
        if !told {
            say::note(&"waiting until it has stopped; Ctrl-C ends the waiting only");
            told = true;
        }
        std::thread::sleep(LOOK);
    }
}

/// Whoever gives the folder back takes its name off the lock a moment before.
pub(super) fn is_same(now: &str, before: &str) -> bool {
    now == before || !is_named(now)
}

/// Whether a holder of the folder has said who it is.
pub(super) fn is_named(holder: &str) -> bool {
    holder.starts_with("process ")
}

/// How it ended, if it could write that down.
pub(super) fn last_words(dir: &StateDir) -> String {
    let verdict = left(dir).ok().and_then(|left| Some((left.pipeline, left.report?)));
    match verdict {
        Some((name, report)) => format!("{name}: {}", report::verdict(&report)),
        None => "stopped".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::control::{MAX_REQUEST, read_frame, write_frame};

    fn stop(dir: &StateDir) -> Stop {
        let select = Select { pipeline: None, state_dir: Some(dir.root().to_owned()) };
        Stop { select, now: true, kill: false, no_wait: false }
    }

    fn code(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn it_returns_when_the_folder_is_free() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        let held = dir.take("checksum").expect("taken");
        let listener = UnixListener::bind(dir.socket()).expect("bound");
        let pipeline = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            let request: Request = read_frame(&mut stream, MAX_REQUEST).expect("read");
            write_frame(&mut stream, &Answer::Stopping("stopping now".to_owned())).expect("answered");
            // The lock is given back last.
            drop(held);
            request
        });
        assert_eq!(code(stop(&dir).run()), code(ExitCode::SUCCESS));
        assert_eq!(dir.holder(), None);
        assert_eq!(pipeline.join().expect("no panic"), Request::Stop(StopRequest::Now));
    }

    #[test]
    fn nothing_to_stop_is_an_error() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        assert_eq!(code(stop(&dir).run()), code(ExitCode::FAILURE));
        drop(dir.take("checksum").expect("taken"));
        assert_eq!(code(stop(&dir).run()), code(ExitCode::FAILURE));
    }

    #[test]
    fn the_next_holder_is_not_waited_for() {
        assert!(is_same("process 1 runs the pipeline x", "process 1 runs the pipeline x"));
        assert!(is_same("a process that did not say its name", "process 1 runs the pipeline x"));
        assert!(!is_same("process 2 runs the pipeline x", "process 1 runs the pipeline x"));
    }
}
