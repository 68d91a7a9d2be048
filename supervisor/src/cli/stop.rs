//! `brigade stop`: stops a pipeline from elsewhere, and tells when it has stopped.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::ask::ask;
use super::left::left;
use super::say;
use super::select::{Need, Select};
use crate::control::{self, Answer, Request, StopRequest};
use crate::figures::{counted, seconds};
use crate::report;
use crate::state::StateDir;
use crate::status::{Report, Status, WorkerStatus};

/// Between two looks whether it has stopped.
const LOOK: Duration = Duration::from_millis(50);
/// Between two words about how far it has come.
const PROGRESS: Duration = Duration::from_secs(2);
/// Workers that are named as those that are waited for.
const NAMED: usize = 3;

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
While it waits it tells every 2 s how far the pipeline has come. It exits with the code of `brigade run`: 0 when nothing is
left, 4 when items are left in the queues. With --no-wait 0.

Examples:
  brigade stop
  brigade stop -p checksum --now
  brigade stop --kill --no-wait";

impl Stop {
    /// Stops it. The exit code is the run's own; with `--no-wait` 0 when it has begun to stop. 1: it could not be asked,
    /// or refused, or has not left word how it ended.
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
        let Some((name, report)) = last_report(&dir) else {
            return say::error(&"its supervisor has ended without a word: `brigade status` shows what is left");
        };
        match say::result(&format!("{name}: {}\n", report::verdict(&report))) {
            ExitCode::SUCCESS => ExitCode::from(report.exit_code),
            failed => failed,
        }
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
    let (begun, mut told, mut next) = (Instant::now(), false, Instant::now() + PROGRESS);
    let mut outlook = None;
    while dir.holder().is_some_and(|now| is_same(&now, holder)) {
        if !told {
            say::note(&"waiting until it has stopped; Ctrl-C ends the waiting only");
            told = true;
        }
        std::thread::sleep(LOOK);
        if Instant::now() < next {
            continue;
        }
        // It may end at any moment, and then it does not answer any more.
        if let Ok(Answer::Status(status)) = control::ask(dir, &Request::Status, PROGRESS) {
            say::note(&format_args!(
                "{} for {}: {}",
                status.state,
                seconds(begun.elapsed().as_secs_f64()),
                progress(&status)
            ));
            if status.outlook.is_some() && status.outlook != outlook {
                outlook.clone_from(&status.outlook);
                say::note(&status.outlook.unwrap_or_default());
            }
        }
        next = Instant::now() + PROGRESS;
    }
}

/// What is left to do, and who is waited for.
fn progress(status: &Status) -> String {
    let left =
        status.queues.iter().map(|queue| queue.waiting().saturating_add(queue.leased).saturating_add(queue.staged));
    let left = counted(left.fold(0, u64::saturating_add), "item");
    let is_over = |worker: &WorkerStatus| matches!(worker.state.as_str(), "exited" | "failed");
    let workers = || status.stages.iter().flat_map(|stage| &stage.workers).filter(|worker| !is_over(worker));
    let name = |worker: &WorkerStatus| match worker.pid {
        Some(_) => worker.id.clone(),
        None => format!("{} ({})", worker.id, worker.state),
    };
    let mut names: Vec<String> = workers().take(NAMED).map(name).collect();
    let more = workers().count() - names.len();
    if more > 0 {
        names.push(format!("{more} more"));
    }
    let waits = if names.is_empty() { String::new() } else { format!(", waits for {}", names.join(", ")) };
    format!("{left} left{waits}")
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
    match last_report(dir) {
        Some((name, report)) => format!("{name}: {}", report::verdict(&report)),
        None => "stopped".to_owned(),
    }
}

fn last_report(dir: &StateDir) -> Option<(String, Report)> {
    left(dir).ok().and_then(|left| Some((left.pipeline, left.report?)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::control::{MAX_REQUEST, read_frame, write_frame};
    use crate::reactor::keep;
    use crate::view::sample::running;

    fn ended() -> Report {
        Report {
            pipeline: "checksum".to_owned(),
            verdict: "stopped".to_owned(),
            exit_code: 0,
            elapsed_s: 1.0,
            stages: std::collections::BTreeMap::new(),
            queues: std::collections::BTreeMap::new(),
            lost: 0,
            standstill: None,
            put_aside: Vec::new(),
        }
    }

    #[test]
    fn progress_says_what_is_left_and_who_is_waited_for() {
        assert_eq!(progress(&running()), "131 items left, waits for hash/0, hash/1, hash/2 (backoff), 2 more");
        let nobody = Status { stages: Vec::new(), queues: Vec::new(), ..running() };
        assert_eq!(progress(&nobody), "0 items left");
    }

    fn stop(dir: &StateDir) -> Stop {
        let select = Select { pipeline: None, state_dir: Some(dir.root().to_owned()) };
        Stop { select, now: true, kill: false, no_wait: false }
    }

    fn code(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn it_returns_with_the_code_of_the_run_when_the_folder_is_free() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        let held = dir.take("checksum").expect("taken");
        let listener = UnixListener::bind(dir.socket()).expect("bound");
        let left = dir.clone();
        let pipeline = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("asked");
            let request: Request = read_frame(&mut stream, MAX_REQUEST).expect("read");
            write_frame(&mut stream, &Answer::Stopping("stopping now".to_owned())).expect("answered");
            let report = Report { exit_code: 4, ..ended() };
            let picture = Status { state: "ended".to_owned(), report: Some(report), ..running() };
            keep(&left, &picture).expect("kept");
            // The lock is given back last.
            drop(held);
            request
        });
        assert_eq!(code(stop(&dir).run()), code(ExitCode::from(4)), "the run's own");
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
