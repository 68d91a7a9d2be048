//! `brigade wait`: returns when a pipeline has come so far. Without it, scripts would look at `status` in a loop, and each
//! would have its own idea of what to do when that can no longer come.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::left::left;
use super::select::{Need, Select, SelectError};
use super::{say, stop};
use crate::config::{parse_duration, show_duration};
use crate::control::{self, Answer, Request};
use crate::state::StateDir;
use crate::status::Status;

/// Exit code when time is up; that of timeout(1).
const TIME_IS_UP: u8 = 124;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// Between two looks for paused stages.
const PAUSES: Duration = Duration::from_secs(1);
/// How long an answer may take.
const ANSWER: Duration = Duration::from_secs(5);

/// Wait until a pipeline is ready, drained or stopped
#[derive(Clone, Debug, clap::Args)]
pub struct Wait {
    /// What to wait for
    #[arg(long = "for", value_name = "WHAT")]
    pub goal: Goal,
    /// At most so long, such as 500ms, 30s or `1m 30s` [default: for ever]
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub timeout: Option<Duration>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// How far a pipeline is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Goal {
    /// Every worker is ready, or has done its work and ended. Waits for the pipeline to be started, too
    Ready,
    /// The run has ended, and nothing is left in its queues
    Drained,
    /// The run has ended, however
    Stopped,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Exit code 0: it is so. 1: it can no longer come, and why. 124: time is up.

To wait is not to ask for it: `brigade stop` drains or stops. For drained and stopped, a run that has ended before
counts, as long as no other one runs on its state folder.

Examples:
  brigade wait --for ready --timeout 30s
  brigade wait --for drained -p checksum
  brigade stop --no-wait; brigade wait --for stopped --timeout 1m || brigade stop --kill";

/// The run that is waited for.
#[derive(Debug)]
struct Found {
    dir: StateDir,
    /// Which process runs it; `None`: nobody does.
    holder: Option<String>,
    /// When to look next for what holds it up; `None`: that was told.
    next: Option<Instant>,
}

/// What a look has shown. `None`: not yet.
type Look = Option<Result<String, String>>;

impl Wait {
    /// Waits. The codes are those of the help.
    pub fn run(&self) -> ExitCode {
        let until = self.timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let mut found = None;
        loop {
            match self.look(&mut found) {
                Some(Ok(words)) => return say::result(&format!("{words}\n")),
                Some(Err(why)) => return say::error(&why),
                None => {}
            }
            let left = until.map_or(LOOK, |until| until.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                let within = show_duration(self.timeout.unwrap_or_default());
                say::error(&format_args!("not {} within {within}", self.goal.word()));
                return ExitCode::from(TIME_IS_UP);
            }
            std::thread::sleep(left.min(LOOK));
        }
    }

    fn look(&self, found: &mut Option<Found>) -> Look {
        let need = if self.goal == Goal::Ready { Need::Running } else { Need::Left };
        if found.is_none() {
            match self.select.find(need) {
                Ok(dir) => *found = Found::on(dir, need),
                Err(error) if need == Need::Running && may_come(&error) => {}
                Err(error) => return Some(Err(error.to_string())),
            }
        }
        let found = found.as_mut()?;
        if self.goal == Goal::Drained {
            found.tell_of_pauses();
        }
        if found.is_over() { Some(self.goal.at_the_end(&found.dir)) } else { self.goal.meanwhile(&found.dir) }
    }
}

impl Found {
    /// `None`: nobody who can be told from the next one, so another look is needed.
    fn on(dir: StateDir, need: Need) -> Option<Self> {
        let holder = dir.holder();
        let is_found = match &holder {
            // Whoever takes the folder writes its name on the lock a moment later.
            Some(holder) => stop::is_named(holder),
            // It may have gone between the two looks: then it was none that can become ready.
            None => need == Need::Left,
        };
        is_found.then_some(Self { dir, holder, next: Some(Instant::now()) })
    }

    /// Says once which stages are paused, as a pipeline does not come to its end by itself while they are.
    fn tell_of_pauses(&mut self) {
        let now = Instant::now();
        if self.holder.is_none() || self.next.is_none_or(|next| now < next) {
            return;
        }
        self.next = Some(now + PAUSES);
        if let Ok(Answer::Status(status)) = control::ask(&self.dir, &Request::Status, PAUSES)
            && let Some(words) = paused(&status)
        {
            say::note(&words);
            self.next = None;
        }
    }

    fn is_over(&self) -> bool {
        let Some(holder) = &self.holder else { return true };
        self.dir.holder().is_none_or(|now| !stop::is_same(&now, holder))
    }
}

/// Whether a pipeline that is not there may only not have been started yet.
fn may_come(error: &SelectError) -> bool {
    match error {
        SelectError::Unknown { .. }
        | SelectError::NotThere(_)
        | SelectError::NotRunning(_)
        | SelectError::NoneRuns(_)
        | SelectError::Nothing(_) => true,
        SelectError::NoBase
        | SelectError::NoName(_)
        | SelectError::Forbidden(_)
        | SelectError::SeveralRun(_)
        | SelectError::SeveralLeft(_) => false,
    }
}

impl Goal {
    fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Drained => "drained",
            Self::Stopped => "stopped",
        }
    }

    /// While it runs.
    fn meanwhile(self, dir: &StateDir) -> Look {
        match self {
            Self::Ready => match control::ask(dir, &Request::Status, ANSWER) {
                Ok(Answer::Status(status)) => is_ready(&status),
                Ok(Answer::Refused(why)) => Some(Err(why)),
                Ok(Answer::Stopping(_) | Answer::Shared(_) | Answer::Gone(_) | Answer::Done(_)) => {
                    Some(Err("the pipeline answered something else".to_owned()))
                }
                // It does not listen yet, or too many ask.
                Err(control::ControlError::NotRunning(_) | control::ControlError::Io { .. }) => None,
            },
            Self::Drained | Self::Stopped => None,
        }
    }

    /// When it has ended.
    fn at_the_end(self, dir: &StateDir) -> Result<String, String> {
        let left = left(dir);
        let report = left.as_ref().ok().and_then(|left| left.report.as_ref());
        let is_empty = report.is_some_and(|report| report.queues.values().all(|queue| queue.left == 0));
        // Dead letters are in no queue.
        let fine = [crate::verdict::FINE, crate::verdict::DEAD_LETTERS];
        let is_fine = report.is_some_and(|report| fine.contains(&report.exit_code));
        match self {
            Self::Stopped => Ok(stop::last_words(dir)),
            Self::Drained if is_fine && is_empty => Ok(stop::last_words(dir)),
            Self::Drained => Err(match report {
                Some(_) => format!("it has ended and is not drained: {}", stop::last_words(dir)),
                None => "the run was interrupted, and is not drained".to_owned(),
            }),
            Self::Ready => Err(format!("it has ended before it was ready: {}", stop::last_words(dir))),
        }
    }
}

/// Which stages are paused, and what to do about it.
fn paused(status: &Status) -> Option<String> {
    let stages = status.stages.iter().filter(|stage| stage.state == "paused");
    let names: Vec<&str> = stages.map(|stage| stage.name.as_str()).collect();
    let (first, rest) = names.split_first()?;
    let what = if rest.is_empty() { format!("stage {first} is") } else { format!("stages {} are", names.join(", ")) };
    Some(format!("{what} paused, and the queues are not drained before `brigade resume {first}` or `brigade stop`"))
}

fn is_ready(status: &Status) -> Look {
    let workers = || status.stages.iter().flat_map(|stage| &stage.workers);
    if let Some(failed) = workers().find(|worker| worker.state == "failed") {
        let why = failed.last_exit.as_deref().unwrap_or("it could not be started");
        return Some(Err(format!("{} has failed: {why}", failed.id)));
    }
    if matches!(status.state.as_str(), "draining" | "stopping") {
        return Some(Err(format!("{} is {}", status.pipeline, status.state)));
    }
    let is_up = |state: &str| matches!(state, "ready" | "exited");
    workers().all(|worker| is_up(&worker.state)).then(|| Ok(format!("{} is ready", status.pipeline)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paused_stages_are_named_with_what_to_do() {
        let mut status = crate::view::sample::running();
        assert_eq!(paused(&status), None);
        for stage in &mut status.stages[..2] {
            "paused".clone_into(&mut stage.state);
        }
        let words = paused(&status).expect("two are");
        assert!(words.starts_with("stages walk, hash are paused") && words.contains("brigade resume walk"), "{words}");
        status.stages.truncate(1);
        assert!(paused(&status).expect("one is").starts_with("stage walk is paused"));
    }

    fn wait(root: &std::path::Path, goal: Goal) -> Wait {
        let select = Select { pipeline: None, state_dir: Some(root.to_owned()) };
        Wait { goal, timeout: Some(Duration::from_millis(1)), select }
    }

    fn code(code: ExitCode) -> String {
        format!("{code:?}")
    }

    #[test]
    fn what_is_not_there_yet_may_become_ready_but_never_ends() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let root = base.path().join("one");
        assert_eq!(code(wait(&root, Goal::Ready).run()), code(ExitCode::from(TIME_IS_UP)));
        assert_eq!(code(wait(&root, Goal::Stopped).run()), code(ExitCode::FAILURE));
        let held = StateDir::at(&root).take("one").expect("taken");
        for goal in [Goal::Ready, Goal::Drained, Goal::Stopped] {
            assert_eq!(code(wait(&root, goal).run()), code(ExitCode::from(TIME_IS_UP)), "{goal:?}");
        }
        drop(held);
        assert_eq!(code(wait(&root, Goal::Stopped).run()), code(ExitCode::SUCCESS));
        assert_eq!(code(wait(&root, Goal::Drained).run()), code(ExitCode::FAILURE), "nobody knows whether it is");
    }

    #[test]
    fn a_run_that_ends_before_it_is_ready_is_not_waited_for() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        let held = dir.take("one").expect("taken");
        let wait = wait(dir.root(), Goal::Ready);
        let mut found = None;
        assert_eq!(wait.look(&mut found), None);
        drop(held);
        assert!(wait.look(&mut found).is_some_and(|said| said.is_err()));
    }

    #[test]
    fn a_run_that_has_not_said_its_name_yet_is_not_taken_for_another_one_when_it_has() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        let _held = dir.take("one").expect("taken");
        let name = std::fs::read(dir.lock()).expect("it is there");
        std::fs::write(dir.lock(), "").expect("written");
        for goal in [Goal::Ready, Goal::Drained, Goal::Stopped] {
            let (wait, mut found) = (wait(dir.root(), goal), None);
            assert_eq!(wait.look(&mut found), None);
            std::fs::write(dir.lock(), &name).expect("written");
            assert_eq!(wait.look(&mut found), None, "{goal:?}");
            assert!(found.is_some());
            std::fs::write(dir.lock(), "").expect("written");
        }
    }

    #[test]
    fn ready_is_when_every_worker_is() {
        let status = |state: &str, workers: &[&str]| -> Status {
            let workers: Vec<_> = workers
                .iter()
                .map(|state| {
                    serde_json::json!({"id": "a/0", "pid": null, "incarnation": 1, "state": state, "processed": 0,
                        "restarts": 0, "last_exit": "exit code 1", "since_s": 0.0})
                })
                .collect();
            let stage = serde_json::json!({"name": "a", "state": "ready", "workers": workers});
            serde_json::from_value(serde_json::json!({"pipeline": "p", "state": state, "pid": 1, "elapsed_s": 1.0,
                "stages": [stage], "queues": []}))
            .expect("a status")
        };
        assert_eq!(is_ready(&status("running", &["ready", "exited"])), Some(Ok("p is ready".to_owned())));
        for other in ["pending", "starting", "stopping", "backoff", "paused"] {
            assert_eq!(is_ready(&status("running", &["ready", other])), None, "{other}");
        }
        let failed = is_ready(&status("stopping", &["ready", "failed"]));
        assert_eq!(failed, Some(Err("a/0 has failed: exit code 1".to_owned())));
        assert_eq!(is_ready(&status("draining", &["ready"])), Some(Err("p is draining".to_owned())));
    }
}
