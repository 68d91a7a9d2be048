//! `brigade run`: starts a pipeline, and stays until it ends.

use std::path::PathBuf;
use std::process::ExitCode;

use super::set::Sets;
use super::trust::Trust;
use crate::launch::{Launch, launch};

/// Run a pipeline to its end
#[derive(Clone, Debug, clap::Args)]
pub struct Run {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub sets: Sets,
    /// Keep queues, logs and locks in this folder [default: one per pipeline name, under the user's state directory]
    #[arg(long, value_name = "DIR", env = super::select::STATE_DIR_ENV, hide_env_values = true)]
    pub state_dir: Option<PathBuf>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub trust: Trust,
    /// Begin anew: what an earlier run left is put aside, not deleted
    #[arg(long)]
    pub fresh: bool,
    /// At the end write the numbers to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
    /// Show errors only
    #[arg(short, long)]
    pub quiet: bool,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
A pipeline that was stopped, or killed, goes on where it was: run it again.
Ctrl-C drains the queues and ends; again stops now and leaves the rest in the queues; a third time kills.

Examples:
  brigade run pipeline.toml
  brigade run pipeline.toml --set dir=/usr/share --report numbers.json
  brigade run pipeline.toml --fresh          start over, without what is left in the queues

Exit codes:
  0 complete or drained   1 error   2 wrong usage, or a fault in the file   3 gave up on a worker
  4 stopped with items left in queues   5 items became dead letters   6 ended at a standstill
  128+n ended by signal n";

impl Run {
    /// Runs the pipeline. The exit code is the verdict.
    pub fn run(self) -> ExitCode {
        launch(&Launch {
            file: self.file,
            sets: self.sets.pairs,
            state_dir: self.state_dir.filter(|path| !path.as_os_str().is_empty()),
            allow_writable: self.trust.allow_writable,
            fresh: self.fresh,
            report: self.report,
            quiet: self.quiet,
        })
    }
}
