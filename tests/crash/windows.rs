//! Death of the supervisor between any two steps of its start, its resumption of an earlier run, its stop and its end. The
//! next run has all that was there, and its result is exact. (The windows of its sweep are in `supervisor.rs`.)

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

use crate::exact::{Exact, ITEMS, all_items, balances, completes, dies, start};

const LINE: Exact<'static> = Exact {
    middle: &["bucket", "pass"],
    source_keys: "",
    middle_keys: "",
    sink_keys: "",
    queue: "capacity = 16",
    more: "",
};

fn has_pages(sandbox: &Sandbox) -> bool {
    std::fs::read_dir(sandbox.state().join("pages")).is_ok_and(|mut pages| pages.next().is_some())
}

/// The first run dies in its start; the next one has all to do.
fn dies_in_its_start(point: &str) {
    let sandbox = Sandbox::new();
    dies(start(&sandbox, &LINE.text(), point), &sandbox, point);
    let report = completes(&sandbox, &LINE.text(), &all_items(), 0);
    assert_eq!(report.queues["done"].sent, ITEMS, "{point}");
}

/// A run that was killed when items were in both queues and in hands.
fn left() -> Sandbox {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let held = Exact { middle: &["bucket", "hold-first", &gate], middle_keys: "replicas = 2", ..LINE };
    let mut run = sandbox.run(&held.text());
    run.until_status("items are in both queues", |status| {
        // One of the two holds item 0, and nothing comes round to its slot but by skipping it.
        status["queues"][0]["sent"].as_u64() > Some(20) && status["queues"][1]["sent"].as_u64() > Some(10)
    });
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox.write("gate", "");
    sandbox
}

/// The run that goes on with an earlier one dies on its way in; the third completes. With the queues as they were, and with
/// queues of other numbers, so that the items move.
fn dies_when_it_goes_on(point: &str) {
    for queue in ["capacity = 16", "capacity = 99\nitem_bytes = \"16B\""] {
        let sandbox = left();
        let gate = sandbox.path("gate").display().to_string();
        let next = Exact { middle: &["bucket", "hold-first", &gate], middle_keys: "replicas = 2", queue, ..LINE };
        dies(start(&sandbox, &next.text(), point), &sandbox, point);
        let report = completes(&sandbox, &next.text(), &all_items(), 0);
        assert_eq!(report.queues["raw"].sent, ITEMS, "{point}: it began anew");
    }
}

#[test]
fn folder_taken() {
    dies_in_its_start("folder_taken");
    dies_when_it_goes_on("folder_taken");
}

#[test]
fn resume_swept_one() {
    for point in ["resume_swept_one", "resume_swept_one:2"] {
        dies_when_it_goes_on(point);
    }
}

#[test]
fn resume_opened_one() {
    for point in ["resume_opened_one", "resume_opened_one:2"] {
        dies_in_its_start(point);
        dies_when_it_goes_on(point);
    }
}

#[test]
fn resume_orders_kept() {
    dies_in_its_start("resume_orders_kept");
    dies_when_it_goes_on("resume_orders_kept");
}

#[test]
fn resume_disowned_one() {
    for nth in 1..=4 {
        dies_when_it_goes_on(&format!("resume_disowned_one:{nth}"));
    }
}

#[test]
fn worker_done_noted() {
    for point in ["worker_done_noted", "run_ended"] {
        let sandbox = Sandbox::new();
        let text = LINE.text().replace("\"emit-exact\", \"0\",", "\"emit\",");
        dies(start(&sandbox, &text, point), &sandbox, point);
        let report = completes(&sandbox, &text, &all_items(), 0);
        assert_eq!(report.queues["raw"].sent, ITEMS, "{point}: the source sent everything again");
    }
}

#[test]
fn page_renewed() {
    for nth in 1..=3 {
        dies_in_its_start(&format!("page_renewed:{nth}"));
        dies_when_it_goes_on(&format!("page_renewed:{nth}"));
    }
}

#[test]
fn worker_spawned() {
    for nth in 1..=3 {
        dies_in_its_start(&format!("worker_spawned:{nth}"));
        dies_when_it_goes_on(&format!("worker_spawned:{nth}"));
    }
}

/// The supervisor dies on its way through a drain, or a stop; the next run has the rest to do.
fn dies_in_its_stop(point: &str, signals: usize) {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let line = Exact { middle: &["bucket", "hold-first", &gate], ..LINE };
    let mut run = start(&sandbox, &line.text(), point);
    // Nobody can end by himself: the middle holds an item, and the source waits for room.
    run.until_status("the queue is full", |status| status["queues"][0]["sent"] == 16);
    for (nth, words) in ["ends the run", "stops now"].into_iter().enumerate().take(signals) {
        run.signal(Signal::SIGTERM);
        // It may be dead before it has said the last of them.
        if nth + 1 < signals {
            run.until_said(words);
        }
    }
    sandbox.write("gate", "");
    dies(run, &sandbox, point);
    completes(&sandbox, &line.text(), &all_items(), 0);
}

#[test]
fn stop_asked() {
    // Of a drain, the source alone is told; the second signal is for all.
    dies_in_its_stop("stop_asked:1", 1);
    dies_in_its_stop("stop_asked:2", 2);
    dies_in_its_stop("stop_asked:3", 2);
}

#[test]
fn worker_reaped_in_a_stop() {
    for nth in 1..=3 {
        dies_in_its_stop(&format!("worker_reaped:{nth}"), 2);
    }
}

#[test]
fn worker_reaped_in_a_drain() {
    for nth in 1..=3 {
        dies_in_its_stop(&format!("worker_reaped:{nth}"), 1);
    }
}

#[test]
fn queue_closed() {
    for point in ["queue_closed:1", "queue_closed:2"] {
        dies_in_its_stop(point, 1);
        dies_at_its_end(point, false);
    }
}

/// The supervisor dies when everything is done, or nearly. Whether there is a report then, and whether there is something to
/// go on with: never neither.
fn dies_at_its_end(point: &str, is_told: bool) -> Sandbox {
    let sandbox = Sandbox::new();
    let line = Exact { middle: &["bucket", "tally"], ..LINE };
    dies(start(&sandbox, &line.text(), point), &sandbox, point);
    let told = std::fs::read_to_string(sandbox.path("report.json")).ok();
    assert_eq!(told.is_some(), is_told, "a report at {point}: {told:?}");
    assert!(is_told || has_pages(&sandbox), "neither a report nor pages at {point}");
    let began_anew = !has_pages(&sandbox);
    // Who has the report need not run it again; who does it all the same gets the same.
    let report = completes(&sandbox, &line.text(), &all_items(), 0);
    assert_eq!(report.queues["raw"].sent, ITEMS, "{point}, began anew: {began_anew}");
    let said = sandbox.ask(&["shared", "sum", "--json"]);
    let sum: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(sum["value"].as_u64(), Some((0..ITEMS).sum()), "{point}: {sum}");
    sandbox
}

#[test]
fn run_ended() {
    dies_at_its_end("run_ended", false);
}

#[test]
fn report_written() {
    dies_at_its_end("report_written", true);
}

#[test]
fn changes_settled() {
    dies_at_its_end("changes_settled", true);
}

#[test]
fn complete_noted() {
    dies_at_its_end("complete_noted", true);
}

#[test]
fn pages_put_aside() {
    dies_at_its_end("pages_put_aside", true);
}

#[test]
fn pages_forgotten() {
    dies_at_its_end("pages_forgotten", true);
}

#[test]
fn the_report_is_written_before_the_pages_are_forgotten() {
    let sandbox = Sandbox::new();
    let mut run = start(&sandbox, &LINE.text(), "report_written");
    assert_eq!(run.wait().signal, Some(9));
    let report = run.wait().report();
    assert_eq!((report.verdict.as_str(), report.exit_code, report.lost), ("complete", 0, 0));
    balances(&report);
    assert!(has_pages(&sandbox), "killed here, the next run would begin anew");
    let mut run = sandbox.run(&LINE.text());
    let next = run.wait().with_code(0);
    assert!(run.said().contains("continues an earlier run"), "{}", run.said());
    assert_eq!(next.queues["raw"].sent, report.queues["raw"].sent);
    assert_eq!(next.queues["done"].acked, report.queues["done"].acked);
}

#[test]
fn shared_forgetting() {
    let sandbox = Sandbox::new();
    let line = Exact { middle: &["bucket", "tally"], ..LINE };
    completes(&sandbox, &line.text(), &all_items(), 0);
    for _ in 0..2 {
        dies(start(&sandbox, &line.text(), "shared_forgetting"), &sandbox, "shared_forgetting");
        std::fs::remove_file(sandbox.path("told")).expect("told");
    }
    completes(&sandbox, &line.text(), &all_items(), 0);
    let said = sandbox.ask(&["shared", "sum", "--json"]);
    let sum: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!(sum["value"].as_u64(), Some((0..ITEMS).sum()), "of the last run alone: {sum}");
    until("nobody is left", || brigade_tests::processes_of(&sandbox.state()).is_empty());
}
