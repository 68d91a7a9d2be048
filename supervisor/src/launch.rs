//! A stub, in place of the way from the command line to the reactor.

use std::path::PathBuf;
use std::process::ExitCode;

/// What `brigade run` was asked to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// The pipeline file.
    pub file: PathBuf,
    /// Values of `${…}`, in the order of the command line.
    pub sets: Vec<(String, String)>,
    /// Where the state is kept; `None`: the default place of the pipeline's name.
    pub state_dir: Option<PathBuf>,
    /// Put what an earlier run left aside, and begin anew.
    pub fresh: bool,
    /// Where to write the numbers at the end as JSON.
    pub report: Option<PathBuf>,
    /// Show nothing but errors, and the end.
    pub quiet: bool,
}

/// Runs a pipeline to its end.
pub fn launch(options: Launch) -> ExitCode {
    drop(options);
    eprintln!("error: not written yet");
    ExitCode::FAILURE
}
