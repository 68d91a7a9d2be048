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
    let one_by_one = Case {
        name: "64 B, acked one by one, one sender to one receiver",
        contestants: vec![
            contestant("Brigade: processes, Sender/Receiver", move || pipeline::pair("typed", items)),
            contestant("Brigade: processes, raw bytes in place", move || pipeline::pair("raw", items)),
            contestant("Brigade: threads, bare queue", move || threads::run(items)),
            contestant("Python multiprocessing.Queue", move || python::run("mp_queue.py", items / 20)),
        ],
    };
    let handed_on = Case {
        name: "64 B through a stage in the middle, three processes",
        contestants: vec![
            contestant("exactly once, batch = 64", move || pipeline::line("pass", 64, items)),
            contestant("exactly once, batch = 1", move || pipeline::line("pass", 1, items)),
            contestant("plain handles: send, then ack", move || pipeline::line("relay", 1, items)),
        ],
    };
    let pushed = Case {
        name: "numbers added to a shared list one by one, by one process",
        contestants: vec![
            contestant("Brigade: SharedList::push", move || pipeline::alone("push", items / 4)),
            contestant("Python Manager().list.append", move || {
                python::run_with("mp_manager_list.py", &[items / 40, 1])
            }),
        ],
    };
    let extended = Case {
        name: "numbers added to a shared list, a thousand at a time",
        contestants: vec![
            contestant("Brigade: SharedList::extend", move || pipeline::alone("extend", 2 * items)),
            contestant("Python Manager().list.extend", move || python::run_with("mp_manager_list.py", &[items, 1000])),
        ],
    };
    let fine = [one_by_one, handed_on, pushed, extended].map(|case| case.measure(rounds));
    if fine.iter().all(|fine| *fine) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn contestant(name: &'static str, run: impl Fn() -> std::io::Result<f64> + 'static) -> Contestant {
    Contestant { name, run: Box::new(run) }
}
