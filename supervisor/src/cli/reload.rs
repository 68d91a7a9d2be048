//! `brigade reload`: have a pipeline that runs go by its file as it is now.

use std::process::ExitCode;

use super::select::{Need, Select};
use super::{ask, say};
use crate::control::Request;

/// Read the pipeline file again, and apply what has changed
#[derive(Clone, Debug, clap::Args)]
pub struct Reload {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Stages and queues are added and removed, stages get more or fewer workers, and those whose command or settings have changed
are started again one by one, each when the others of its stage are at work and all new stages have come up. It prints what
has changed, and returns; `brigade wait --for ready` waits. A new or changed worker that does not come up is shown as failed,
and the others work on: correct it, and reload again or `brigade restart` the stage. If the file has a fault, or if a part of it cannot be had while the pipeline runs, nothing is
changed, and it says why. The values of `--set` are those of `brigade run`.

What takes a stop and a new run: another name, other numbers of a queue, other threads of a stage, other replicas of a
source, [logs]. A queue is removed when nothing is left in it and those who send to it are paused.

SIGHUP to a `brigade run` without a terminal does the same.

Examples:
  brigade reload
  brigade reload -p checksum";

impl Reload {
    /// Has it done. 0: done, or begun. 1: nothing is changed, and why.
    pub fn run(&self) -> ExitCode {
        match self.select.find(Need::Running) {
            Ok(dir) => ask::done(&dir, &Request::Reload),
            Err(error) => say::error(&error),
        }
    }
}
