//! `brigade scale`: more or fewer workers for a stage, while it works.

use std::fmt;
use std::process::ExitCode;
use std::str::FromStr;

use super::select::{Need, Select};
use super::{ask, say};
use crate::control::Request;

/// Give stages more or fewer workers, while they work
#[derive(Clone, Debug, clap::Args)]
pub struct Scale {
    /// A stage, and how many workers it is to have
    #[arg(value_name = "STAGE=N", required = true)]
    pub sizes: Vec<Size>,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
It returns at once; `brigade wait --for ready` waits. New workers are started in the order of the pipeline. Of a stage that
gets smaller the last ones finish or give back the item in hand, end, and are shown as exited; that is no crash. If one of
the stages cannot be scaled, none is.

It holds for this run: the next `brigade run` begins with the replicas of the pipeline file. A source is not scaled while
it works, as its workers share the work by their numbers, nor is a stage made larger whose workers keep checkpoints.

Examples:
  brigade scale hash=8
  brigade scale fetch=16 parse=2";

impl Scale {
    /// Scales them. 0: begun. 1: it cannot be, and why.
    pub fn run(&self) -> ExitCode {
        let sizes = self.sizes.iter().map(|Size { stage, workers }| (stage.clone(), *workers)).collect();
        match self.select.find(Need::Running) {
            Ok(dir) => ask::done(&dir, &Request::Scale { sizes }),
            Err(error) => say::error(&error),
        }
    }
}

/// A stage, and how many workers it is to have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Size {
    stage: String,
    workers: u16,
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.stage, self.workers)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((stage, number)) = text.split_once('=') else {
            return Err(format!("how many workers is {text} to have? write {text}=4"));
        };
        match number.parse() {
            Ok(0) => Err(format!(
                "a stage has at least one worker; to have it take nothing for a while, `brigade pause {stage}`"
            )),
            Ok(workers) => Ok(Self { stage: stage.to_owned(), workers }),
            Err(_) => Err(format!("`{number}` is not a number of workers; write {stage}=4")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_size_is_a_stage_and_a_number_above_zero() {
        assert_eq!("hash=8".parse::<Size>().map(|size| size.to_string()), Ok("hash=8".to_owned()));
        let why = |text: &str| text.parse::<Size>().expect_err("it is no size");
        assert!(why("hash").contains("write hash=4"));
        assert!(why("hash=0").contains("brigade pause hash"));
        for wrong in ["hash=", "hash=x", "hash=-1", "hash=70000", "hash=1=2"] {
            assert!(why(wrong).contains("is not a number of workers"), "{wrong}");
        }
    }
}
