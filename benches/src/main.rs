//! Brigade and its peers, measured in one go: `cargo run --release -p brigade-benches`.
//!
//! Each case runs its contestants in turn, round after round, so that a busy machine disturbs all of them alike, and
//! prints medians with the extremes, and the ratio of the medians. Numbers of different runs are not comparable.

mod brigade;
mod case;
mod figures;
mod peers;
mod plot;
mod sample;
mod suite;

use std::path::PathBuf;
use std::process::ExitCode;

use suite::Scale;

const USAGE: &str = "usage: brigade-benches [--quick] [--list] [--json FILE] [--plots FOLDER] [CASE…]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.first().map(String::as_str) {
        // The program is its own worker, its own supervisor and its own manager, and the other side of the peers.
        Some("worker") => brigade::worker::main(&args[1], &args[2..]),
        Some("peer") => peers::main(&args[1..]),
        Some("run" | "manager" | "wait" | "events" | "stop") => ::brigade::cli::main(),
        _ => match Wish::read(args) {
            Ok(wish) => measure(&wish),
            Err(fault) => {
                eprintln!("{fault}\n{USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

/// What is to be measured.
#[derive(Default)]
struct Wish {
    quick: bool,
    list: bool,
    json: Option<PathBuf>,
    plots: Option<PathBuf>,
    cases: Vec<String>,
}

impl Wish {
    fn read(args: Vec<String>) -> Result<Self, String> {
        let mut wish = Self::default();
        let mut args = args.into_iter();
        while let Some(arg) = args.next() {
            let mut path = || args.next().map(PathBuf::from).ok_or(format!("{arg} is not followed by a path"));
            match arg.as_str() {
                "--quick" => wish.quick = true,
                "--list" => wish.list = true,
                "--json" => wish.json = Some(path()?),
                "--plots" => wish.plots = Some(path()?),
                _ if arg.starts_with('-') => return Err(format!("there is no {arg}")),
                _ => wish.cases.push(arg),
            }
        }
        Ok(wish)
    }

    /// A case is meant by its name, or by the beginning of it.
    fn means(&self, id: &str) -> bool {
        self.cases.is_empty() || self.cases.iter().any(|case| id.starts_with(case))
    }
}

fn measure(wish: &Wish) -> ExitCode {
    let scale = if wish.quick { Scale::QUICK } else { Scale::WHOLE };
    let cases: Vec<_> = suite::cases(scale).into_iter().filter(|case| wish.means(&case.id)).collect();
    if wish.list {
        cases.iter().for_each(|case| println!("{:<18} {}", case.id, case.title));
        return ExitCode::SUCCESS;
    }
    if cases.is_empty() {
        eprintln!("no case is named so: --list shows them");
        return ExitCode::from(2);
    }
    let mut outcomes = Vec::new();
    for case in cases {
        let outcome = case.measure(scale.rounds);
        outcome.print();
        outcomes.push(outcome);
    }
    figures::print(&outcomes);
    let kept = wish.json.as_ref().map_or(Ok(()), |path| {
        std::fs::write(path, serde_json::to_vec_pretty(&outcomes)?)
            .map_err(|error| format!("{}: {error}", path.display()).into())
    });
    let drawn = kept.and_then(|()| wish.plots.as_ref().map_or(Ok(()), |folder| plot::draw(&outcomes, folder)));
    if let Err::<(), Box<dyn std::error::Error>>(error) = drawn {
        eprintln!("{error}");
        return ExitCode::FAILURE;
    }
    // A peer that is not here is no failure; Brigade always is.
    let fine = outcomes.iter().all(|outcome| outcome.rows.first().is_some_and(|row| row.median.is_some()));
    if fine { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
