//! `brigade signal`: a signal to a worker's process, by the worker's name.

use std::process::ExitCode;

use nix::sys::signal::Signal;

use super::select::{Need, Select};
use super::{ask, say};
use crate::config::nearest;
use crate::control::Request;
use crate::who::Who;

/// Send a signal to the processes of a stage, or of one worker
#[derive(Clone, Debug, clap::Args)]
pub struct SendSignal {
    /// A stage, or one worker of it
    #[arg(value_name = "STAGE[/N]")]
    pub who: Who,
    /// By name or by number: HUP, SIGHUP or 1
    #[arg(value_name = "SIGNAL", value_parser = number)]
    pub signal: i32,
    /// To the worker's whole process group: also to what it has started
    #[arg(long)]
    pub group: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
The supervisor sends it, to processes that it knows to be there: never to one that has taken the pid of a worker that has
ended. A worker that ends by it has crashed: it is started again as its stage says. To start one anew use `brigade restart`.
STOP stops a worker and CONT lets it go on. TSTP, TTIN and TTOU stop none that does nothing about them: no worker is at a
terminal.

Examples:
  brigade signal web HUP
  brigade signal hash/2 USR1 --group
  brigade signal hash/2 ABRT      for a core dump";

impl SendSignal {
    /// Sends it. 0: sent to at least one process. 1: it could not be, and why.
    pub fn run(&self) -> ExitCode {
        let request = Request::Signal { who: self.who.clone(), signal: self.signal, group: self.group };
        match self.select.find(Need::Running) {
            Ok(dir) => ask::done(&dir, &request),
            Err(error) => say::error(&error),
        }
    }
}

/// The number of a signal.
fn number(text: &str) -> Result<i32, String> {
    if let Ok(number) = text.parse::<i32>() {
        return Signal::try_from(number).map(|signal| signal as i32).map_err(|_| "there is no such signal".to_owned());
    }
    let upper = text.to_uppercase();
    let bare = upper.strip_prefix("SIG").unwrap_or(&upper);
    if let Ok(signal) = format!("SIG{bare}").parse::<Signal>() {
        return Ok(signal as i32);
    }
    let names: Vec<&str> = Signal::iterator().map(|signal| signal.as_str().trim_start_matches("SIG")).collect();
    Err(match nearest(bare, names.iter().copied()) {
        Some(near) => format!("there is no such signal; did you mean {near}?"),
        None => format!("there is no such signal; there are {}", names.join(", ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signal_goes_by_either_name_or_its_number() {
        for text in ["HUP", "SIGHUP", "hup", "1"] {
            assert_eq!(number(text), Ok(1), "{text}");
        }
        assert_eq!((number("KILL"), number("sigstop")), (Ok(9), Ok(19)));
        assert_eq!(number("UUP"), Err("there is no such signal; did you mean HUP?".to_owned()));
        for text in ["0", "-1", "32", "99", "", "SIG", "lunch"] {
            assert!(number(text).is_err(), "{text}");
        }
    }
}
