//! The command line of the binary: one file per command, and here what they have in common.

pub mod ask;
pub mod check;
pub mod completions;
pub mod dead;
pub mod events;
mod follow;
mod left;
pub mod logs;
pub mod man;
pub mod pause;
pub mod reload;
pub mod restart;
pub mod run;
pub mod say;
pub mod scale;
pub mod select;
pub mod set;
pub mod shared;
pub mod signal;
pub mod status;
pub mod stop;
pub mod trust;
pub mod wait;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use self::select::{Need, Select};
use crate::control::{Answer, ControlError, Request};

/// Run a pipeline of worker processes that loses nothing
///
/// Brigade starts the worker processes of a pipeline, joins them by bounded queues in shared memory, starts again what
/// crashes, and stops everything gracefully. Whatever is killed, and whenever: no item is lost.
#[derive(Clone, Debug, Parser)]
#[command(name = "brigade", version, after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  brigade check pipeline.toml     show every fault of a pipeline file
  brigade run pipeline.toml       run it, with a live view on a terminal
  brigade status                  in another terminal: how does it stand?
  brigade logs -f hash            what do the workers of stage hash say?
  brigade stop                    drain the queues and end
  brigade dead list               what could not be done, and why?
  brigade shared                  which lists, maps and counters do workers share?";

#[derive(Clone, Debug, Subcommand)]
enum Command {
    #[command(after_help = run::AFTER_HELP)]
    Run(run::Run),
    #[command(after_help = CHECK_AFTER_HELP)]
    Check(check::Check),
    #[command(after_help = status::AFTER_HELP)]
    Status(status::ShowStatus),
    /// Show what the workers and the supervisor said
    #[command(after_help = LOGS_AFTER_HELP)]
    Logs(ShowLogs),
    #[command(after_help = events::AFTER_HELP)]
    Events(events::Events),
    #[command(after_help = stop::AFTER_HELP)]
    Stop(stop::Stop),
    #[command(after_help = pause::PAUSE_AFTER_HELP)]
    Pause(pause::Pause),
    #[command(after_help = pause::RESUME_AFTER_HELP)]
    Resume(pause::Resume),
    #[command(after_help = restart::AFTER_HELP)]
    Restart(restart::Restart),
    #[command(after_help = scale::AFTER_HELP)]
    Scale(scale::Scale),
    #[command(after_help = reload::AFTER_HELP)]
    Reload(reload::Reload),
    #[command(after_help = signal::AFTER_HELP)]
    Signal(signal::SendSignal),
    #[command(after_help = wait::AFTER_HELP)]
    Wait(wait::Wait),
    #[command(after_help = dead::AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
    Dead(dead::Dead),
    /// Show the shared lists, maps and counters, or what is in one of them
    #[command(after_help = SHARED_AFTER_HELP)]
    Shared(ShowShared),
    #[command(after_help = completions::AFTER_HELP)]
    Completions(completions::Completions),
    /// Print the manual page
    #[command(after_help = man::AFTER_HELP)]
    Man,
    /// The process that holds the shared lists, maps and counters; started by `run`
    #[command(hide = true)]
    Manager,
    /// The process that ends what workers have started if the supervisor is killed; started by `run`
    #[command(hide = true)]
    Keeper,
}

/// `logs`, and of which pipeline.
#[derive(Clone, Debug, clap::Args)]
struct ShowLogs {
    #[command(flatten)]
    logs: logs::Logs,
    #[command(flatten)]
    select: Select,
}

/// `shared`, and of which pipeline.
#[derive(Clone, Debug, clap::Args)]
struct ShowShared {
    #[command(flatten)]
    shared: shared::Shared,
    #[command(flatten)]
    select: Select,
}

impl ShowShared {
    fn run(&self) -> ExitCode {
        let dir = match self.select.find(Need::Left) {
            Ok(dir) => dir,
            Err(error) => return say::error(&error),
        };
        let picture = match ask::ask(&dir, &Request::Shared { name: self.shared.name.clone() }) {
            Ok(Answer::Shared(picture)) => Ok(picture),
            Ok(Answer::Refused(why)) => Err(why),
            Ok(Answer::Status(_) | Answer::Stopping(_) | Answer::Gone(_) | Answer::Done(_)) => {
                Err("the pipeline answered something else".to_owned())
            }
            Err(ControlError::NotRunning(_)) => crate::shared::stored(&dir, self.shared.name.as_deref()),
            Err(error @ ControlError::Io { .. }) => Err(error.to_string()),
        };
        match picture {
            Ok(picture) => say::result(&self.shared.render(&picture)),
            Err(why) => say::error(&why),
        }
    }
}

const SHARED_AFTER_HELP: &str = "\
Also works when nothing runs: then it shows what the last run left.

Examples:
  brigade shared                  what there is: names, kinds, lengths
  brigade shared counts           what is in one of them
  brigade shared counts --json    the same for scripts";

const CHECK_AFTER_HELP: &str = "\
Finds all that `run` would refuse the file for, and starts nothing. Exit code 2 if there is a fault.

Examples:
  brigade check pipeline.toml
  brigade check pipeline.toml --set dir=/usr/share --print";

const LOGS_AFTER_HELP: &str = "\
Examples:
  brigade logs                    everything, oldest first
  brigade logs -f hash            follow one stage
  brigade logs hash/2 -n 20       the last lines of one worker
  brigade logs --since 10m --level warn
  brigade logs --since 2026-11-20T10:00 --until 2026-11-20T11:00
  brigade logs --grep 'denied|refused' --json

Old files are read as well, also compressed ones. Lines that rotation has dropped are named on standard error. A line that
is marked with … at its end goes on in the next one of the same worker.";

/// Reads the command line of this process and does what it says. Usage errors exit with 2.
pub fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => cli.command.run(),
        Err(words) => {
            // Help and version are results and go to stdout, usage errors go to stderr; nobody can be told that it fails.
            let _ = words.print();
            ExitCode::from(u8::try_from(words.exit_code()).unwrap_or(2))
        }
    }
}

impl Command {
    fn run(self) -> ExitCode {
        match self {
            Self::Run(run) => run.run(),
            Self::Check(check) => check.run(),
            Self::Status(status) => status.run(),
            Self::Logs(ShowLogs { logs, select }) => match select.find(Need::Left) {
                Ok(dir) => logs.run(dir.root()),
                Err(error) => say::error(&error),
            },
            Self::Events(events) => events.run(),
            Self::Stop(stop) => stop.run(),
            Self::Pause(pause) => pause.run(),
            Self::Resume(resume) => resume.run(),
            Self::Restart(restart) => restart.run(),
            Self::Reload(reload) => reload.run(),
            Self::Scale(scale) => scale.run(),
            Self::Signal(signal) => signal.run(),
            Self::Wait(wait) => wait.run(),
            Self::Dead(dead) => dead.run(),
            Self::Shared(shared) => shared.run(),
            Self::Completions(completions) => completions.run(),
            Self::Man => man::run(),
            Self::Manager => crate::manager::run(),
            Self::Keeper => crate::keeper::run(),
        }
    }
}

/// The definition of the whole command line, for completions and the manual.
fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests;
