//! `brigade check`: shows all that `run` would refuse a pipeline file for, without starting anything.

use std::path::PathBuf;
use std::process::ExitCode;

use super::say;
use super::set::Sets;
use super::trust::Trust;
use crate::config::plan::Plan;
use crate::config::{Surroundings, load, print};

/// Check a pipeline file and show every fault in it
#[derive(Clone, Debug, clap::Args)]
pub struct Check {
    /// The pipeline file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub sets: Sets,
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub trust: Trust,
    /// Print the plan with all defaults, as a pipeline file
    #[arg(long)]
    pub print: bool,
}

impl Check {
    /// Runs the command. 0: no fault; one line about the plan (or all of it) went to stdout. 2: faults, which went to
    /// stderr. 1: stdout could not be written.
    pub fn run(&self) -> ExitCode {
        let here = Surroundings::of_this_process().allow_writable(self.trust.allow_writable);
        let plan = match load(&self.file, &self.sets.pairs, &here) {
            Ok(plan) => plan,
            Err(faults) => {
                faults.show();
                return ExitCode::from(2);
            }
        };
        for note in notes(&plan) {
            say::note(&format_args!("note: {note}"));
        }
        let text = if self.print { print::print(&plan) } else { format!("{}: no fault\n", summary(&plan)) };
        say::result(&text)
    }
}

/// What is no fault, but will not be as the file says when it runs as this check does.
fn notes(plan: &Plan) -> Vec<String> {
    let bounded = plan.stages.iter().filter(|stage| stage.limits.memory_max.is_some());
    let names: Vec<&str> = bounded.map(|stage| stage.name.as_str()).collect();
    let obstacle = if names.is_empty() { None } else { crate::effects::group::obstacle() };
    obstacle.map(|why| format!("memory_max of {} would not be kept: {why}", names.join(", "))).into_iter().collect()
}

/// The plan in numbers, such as `checksum: 3 stages, 6 workers, 2 queues, 2.1 MiB of shared memory`.
fn summary(plan: &Plan) -> String {
    let workers: usize = plan.stages.iter().map(|stage| usize::from(stage.replicas)).sum();
    let (stages, queues) = (plan.stages.len(), plan.queues.len());
    format!(
        "{}: {}, {}, {}, {} of shared memory",
        plan.name,
        counted(stages, "stage"),
        counted(workers, "worker"),
        counted(queues, "queue"),
        rounded(plan.inline_bytes())
    )
}

fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

/// Bytes for people, with one decimal.
#[expect(clippy::cast_precision_loss, reason = "one decimal is shown")]
fn rounded(bytes: u64) -> String {
    let units = ["KiB", "MiB", "GiB", "TiB"];
    let mut value = bytes as f64 / 1024.0;
    let mut unit = 0;
    while value >= 1024.0 && unit + 1 < units.len() {
        value /= 1024.0;
        unit += 1;
    }
    format!("{value:.1} {}", units[unit])
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Alone {
        #[command(flatten)]
        check: Check,
    }

    #[test]
    fn the_command_is_described_by_its_own_words() {
        let help = Alone::try_parse_from(["check", "--help"]).err().unwrap().to_string();
        assert!(help.starts_with("Check a pipeline file and show every fault in it\n"), "{help}");
        let check = Alone::try_parse_from(["check", "p.toml", "--set", "a=b", "--print"]).unwrap().check;
        assert_eq!((check.file.to_str(), check.sets.pairs.len(), check.print), (Some("p.toml"), 1, true));
    }

    fn check(text: &str) -> Result<Plan, crate::config::Faults> {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        std::fs::write(&file, text).unwrap();
        load(&file, &[], &Surroundings::of_this_process())
    }

    #[test]
    fn a_plan_is_summed_up_in_one_line() {
        let plan = check(
            "name = 'p'\n[queues.q]\n[stages.a]\ncommand = ['sh']\noutputs = ['q']\n\
             [stages.b]\ncommand = ['sh']\nreplicas = 4\ninputs = ['q']\n",
        );
        let summary = summary(&plan.unwrap());
        assert_eq!(summary, "p: 2 stages, 5 workers, 1 queue, 1.7 MiB of shared memory");
    }

    #[test]
    fn sizes_are_rounded_for_people() {
        assert_eq!(rounded(0), "0.0 KiB");
        assert_eq!(rounded(1 << 20), "1.0 MiB");
        assert_eq!(rounded(5 << 29), "2.5 GiB");
        assert_eq!(rounded(1 << 54), "16384.0 TiB");
    }

    #[test]
    fn the_exit_code_tells_whether_there_are_faults() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("p.toml");
        let run = || {
            format!(
                "{:?}",
                Check { file: file.clone(), sets: Sets::default(), trust: Trust::default(), print: false }.run()
            )
        };
        std::fs::write(&file, "name = 'p'\n[stages.a]\ncommand = ['sh']\n").unwrap();
        assert_eq!(run(), format!("{:?}", ExitCode::SUCCESS));
        std::fs::write(&file, "name = 'p'\n").unwrap();
        assert_eq!(run(), format!("{:?}", ExitCode::from(2)));
    }
}
