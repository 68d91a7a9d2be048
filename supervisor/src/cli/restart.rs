//! `brigade restart`: a new run of workers, all at once or one after the other.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use super::ask::{self, ask};
use super::say;
use super::select::{Need, Select};
use crate::control::{Answer, Request};
use crate::figures::seconds;
use crate::state::StateDir;
use crate::status::{Status, WorkerStatus};
use crate::who::Who;

/// Between two looks whether the new run is ready.
const LOOK: Duration = Duration::from_millis(50);
/// Between two words about what is waited for.
const PROGRESS: Duration = Duration::from_secs(5);

/// Start workers anew, after the item in hand
#[derive(Clone, Debug, clap::Args)]
pub struct Restart {
    /// A stage, or one worker of it
    #[arg(value_name = "STAGE[/N]")]
    pub who: Who,
    /// One worker after the other, each when the one before it is ready again
    #[arg(long)]
    pub rolling: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
A worker is asked to stop as by `brigade stop --now`: it finishes or gives back the item in hand, and is killed if it is
still there after its stop_timeout. Then it is started at once. That is no crash, and crashes before it are forgotten: one
that waits for its next start is started now. What has ended for good is not started again, nor anything while the
pipeline stops. The program and its arguments are those of the run: the pipeline file is not read again. A
source goes on from its checkpoint; one that keeps none begins from the beginning, as after a crash.

Without --rolling it returns at once; `brigade wait --for ready` waits. With it, a stage that takes items and hands on what
comes of them first gets one worker more, so that it never has fewer ready than it should; that one goes when all others
are new. Sources, plain processes, a single last stage and stages whose workers keep checkpoints have one less meanwhile,
as two at a time may not be meant there. It ends with exit code 1 at the first worker that does not come up; the others
stay as they are, the additional one too, until `brigade scale`. A worker whose program can never work has then failed, and
the run continues without it: correct the program, and restart it again.

Examples:
  brigade restart hash
  brigade restart hash/2
  brigade restart hash --rolling";

impl Restart {
    /// Restarts them. 0: begun, or with `--rolling` done. 1: it could not be, and why.
    pub fn run(&self) -> ExitCode {
        let dir = match self.select.find(Need::Running) {
            Ok(dir) => dir,
            Err(error) => return say::error(&error),
        };
        if !self.rolling {
            return ask::done(&dir, &Request::Restart { who: self.who.clone() });
        }
        match self.roll(&dir) {
            Ok(words) => say::result(&format!("{words}\n")),
            Err(why) => say::error(&why),
        }
    }

    fn roll(&self, dir: &StateDir) -> Result<String, String> {
        let crew = crew(&status(dir)?, &self.who);
        if crew.is_empty() {
            // It knows what to say of that.
            return restart(dir, &self.who);
        }
        let spare = Spare::lend(dir, &self.who.stage)?;
        for worker in &crew {
            let who: Who = worker.id.parse()?;
            // Anew: it may have crashed since the last look.
            let before = find(&status(dir)?, &worker.id)?.incarnation;
            restart(dir, &who)?;
            wait_until(dir, &worker.id, |status| is_up(status, &worker.id, before))?;
            if crew.len() > 1 {
                say::note(&format_args!("{} is ready", worker.id));
            }
        }
        spare.give_back(dir)?;
        Ok(format!("{} is restarted", self.who))
    }
}

/// The additional worker of a stage whose others are started anew.
enum Spare {
    /// It has one.
    Lent {
        stage: String,
        /// How many the stage has without it.
        size: u16,
    },
    /// It is not to have one.
    None,
}

impl Spare {
    /// Has it started, and waits until it is ready.
    fn lend(dir: &StateDir, stage: &str) -> Result<Self, String> {
        let size = |status: &Status| crew(status, &Who { stage: stage.to_owned(), replica: None }).len();
        let before = size(&status(dir)?);
        if let Err(why) = asked(dir, &Request::Spare { stage: stage.to_owned() }) {
            tracing::debug!("{why}");
            return Ok(Self::None);
        }
        let id = format!("{stage}/{before}");
        // A moment ago there was none of this name, or one that had gone.
        let is_there = |status: &Status| -> Result<bool, String> {
            let worker = find(status, &id)?;
            if worker.let_go {
                let why = worker.last_exit.as_deref().unwrap_or("it could not be started");
                return Err(format!("{id} did not come up, and the restart ends here: {why}"));
            }
            is_up(status, &id, 0)
        };
        wait_until(dir, &id, is_there)?;
        say::note(&format_args!("{id} is ready, for as long as the others are restarted"));
        Ok(Self::Lent { stage: stage.to_owned(), size: u16::try_from(before).expect("a stage has at most 4,096") })
    }

    fn give_back(self, dir: &StateDir) -> Result<(), String> {
        match self {
            Self::Lent { stage, size } => asked(dir, &Request::Scale { sizes: vec![(stage, size)] }).map(drop),
            Self::None => Ok(()),
        }
    }
}

/// Waits until the status shows it, and tells from time to time how the worker stands for which it waits.
fn wait_until(dir: &StateDir, id: &str, is_so: impl Fn(&Status) -> Result<bool, String>) -> Result<(), String> {
    let mut next = Instant::now() + PROGRESS;
    loop {
        let status = status(dir)?;
        if is_so(&status)? {
            return Ok(());
        }
        if Instant::now() >= next {
            next = Instant::now() + PROGRESS;
            if let Ok(worker) = find(&status, id) {
                say::note(&standing(&worker));
            }
        }
        std::thread::sleep(LOOK);
    }
}

/// How a worker stands: `waiting for web/0: stopping for 12.0 s, at item 7 of queue jobs`.
fn standing(worker: &WorkerStatus) -> String {
    let doing = worker.doing.as_ref().map_or_else(String::new, |doing| format!(", {doing}"));
    format!("waiting for {}: {} for {}{doing}", worker.id, worker.state, seconds(worker.since_s))
}

fn crew(status: &Status, who: &Who) -> Vec<WorkerStatus> {
    let workers = status.stages.iter().filter(|stage| stage.name == who.stage).flat_map(|stage| &stage.workers);
    let is_meant = |worker: &&WorkerStatus| who.worker().is_none_or(|id| id == worker.id) && !worker.let_go;
    workers.filter(is_meant).cloned().collect()
}

fn find(status: &Status, id: &str) -> Result<WorkerStatus, String> {
    let mut workers = status.stages.iter().flat_map(|stage| &stage.workers);
    workers.find(|worker| worker.id == id).cloned().ok_or_else(|| format!("there is no {id} any more"))
}

/// Whether a run after `before` has come up. An error if it will not, or not by itself.
fn is_up(status: &Status, id: &str, before: u32) -> Result<bool, String> {
    let worker = find(status, id)?;
    let is_new = worker.incarnation > before;
    if worker.state == "failed" || (is_new && worker.state == "backoff") {
        let why = worker.last_exit.as_deref().unwrap_or("it could not be started");
        return Err(format!("{id} did not come up, and the restart ends here: {why}"));
    }
    if matches!(status.state.as_str(), "stopping" | "ended") {
        return Err(format!("the pipeline is {}, and the restart ends here", status.state));
    }
    Ok(matches!(worker.state.as_str(), "ready" | "draining") && is_new || worker.state == "exited")
}

fn restart(dir: &StateDir, who: &Who) -> Result<String, String> {
    asked(dir, &Request::Restart { who: who.clone() })
}

fn asked(dir: &StateDir, request: &Request) -> Result<String, String> {
    match ask(dir, request) {
        Ok(Answer::Done(words)) => Ok(words),
        Ok(Answer::Refused(why)) => Err(why),
        Ok(Answer::Status(_) | Answer::Stopping(_) | Answer::Shared(_) | Answer::Gone(_)) => {
            Err("the pipeline answered something else".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

fn status(dir: &StateDir) -> Result<Status, String> {
    match ask(dir, &Request::Status) {
        Ok(Answer::Status(status)) => Ok(*status),
        Ok(Answer::Refused(why)) => Err(why),
        Ok(Answer::Done(_) | Answer::Stopping(_) | Answer::Shared(_) | Answer::Gone(_)) => {
            Err("the pipeline answered something else".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample::running;

    #[test]
    fn the_wait_says_how_the_worker_stands() {
        let worker = |id| standing(&find(&running(), id).expect("it is there"));
        assert_eq!(worker("hash/0"), "waiting for hash/0: ready for 3.2 s, waits for an item");
        assert_eq!(worker("hash/2"), "waiting for hash/2: backoff for 3.2 s");
    }
}
