//! Brigade and its peers, measured in one go: `cargo run --release -p brigade-benches`.
//!
//! Each case runs its contestants in turn, round after round, so that a busy machine disturbs all of them alike, and
//! prints medians with the extremes, and the ratio of the medians. Numbers of different runs are not comparable.

mod case;
mod pipeline;
mod python;
mod threads;
mod worker;

use std::process::ExitCode;

use case::{Case, Contestant};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The program is its own worker, its own supervisor and its own manager.
        ["worker", part, items] => worker::main(part, items),
        ["run", ..] | ["manager"] => brigade::cli::main(),
        [] => measure(7, 2_000_000),
        ["--quick"] => measure(3, 200_000),
        _ => {
            eprintln!("usage: brigade-benches [--quick]");
            ExitCode::from(2)
        }
    }
}

fn measure(rounds: usize, items: u64) -> ExitCode {
    let case = Case {
        name: "64 B, acked one by one, one sender to one receiver",
        contestants: vec![
            Contestant {
                name: "Brigade: processes, Sender/Receiver",
                run: Box::new(move || pipeline::run("typed", items)),
            },
            Contestant {
                name: "Brigade: processes, raw bytes in place",
                run: Box::new(move || pipeline::run("raw", items)),
            },
            Contestant { name: "Brigade: threads, bare queue", run: Box::new(move || threads::run(items)) },
            Contestant {
                name: "Python multiprocessing.Queue",
                run: Box::new(move || python::run("mp_queue.py", items / 20)),
            },
        ],
    };
    if case.measure(rounds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
