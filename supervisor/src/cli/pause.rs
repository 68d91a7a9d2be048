//! `brigade pause` and `brigade resume`: the workers of a stage take nothing new for a while.

use std::process::ExitCode;

use super::select::{Need, Select};
use super::{ask, say};
use crate::control::Request;

/// Have the workers of a stage finish the items in hand and take no others
#[derive(Clone, Debug, clap::Args)]
pub struct Pause {
    /// The stage
    pub stage: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Have the workers of a paused stage go on
#[derive(Clone, Debug, clap::Args)]
pub struct Resume {
    /// The stage
    pub stage: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options of `pause`.
pub const PAUSE_AFTER_HELP: &str = "\
It returns at once: an item in hand may take long. The workers stay as they are, and those that are started meanwhile take
nothing either. What is queued stays queued; a source makes nothing new. `brigade status` shows the stage as paused.
A drain or a stop of the pipeline has all stages go on first, or it would have no end. It ends with the run.

Examples:
  brigade pause upload
  brigade resume upload";

/// Shown after the options of `resume`.
pub const RESUME_AFTER_HELP: &str = "\
Examples:
  brigade resume upload
  brigade resume upload -p mirror";

impl Pause {
    /// Pauses it. 0: it is paused. 1: it cannot be, and why.
    pub fn run(&self) -> ExitCode {
        tell(&self.select, &self.stage, true)
    }
}

impl Resume {
    /// Has it go on. 0: it does. 1: there is no such stage.
    pub fn run(&self) -> ExitCode {
        tell(&self.select, &self.stage, false)
    }
}

fn tell(select: &Select, stage: &str, paused: bool) -> ExitCode {
    match select.find(Need::Running) {
        Ok(dir) => ask::done(&dir, &Request::Pause { stage: stage.to_owned(), paused }),
        Err(error) => say::error(&error),
    }
}
