//! Death of the supervisor while it moves the items of a queue that has new numbers; the next run has them all.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

const ITEMS: u64 = 60;

fn text(capacity: u32, source: u64, taker: &str) -> String {
    format!(
        r#"
name = "moving"
[queues.items]
capacity = {capacity}
[stages.source]
command = ["bucket", "emit", "{source}"]
outputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.taker]
command = {taker}
inputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

fn dies_at(point: &str) {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&text(64, ITEMS, r#"["bucket", "hold", "${here}/gate"]"#));
    until("all are sent", || sandbox.ledger().count("sent") as u64 == ITEMS && sandbox.ledger().count("held") > 0);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    drop(run);
    let new = text(100, 0, r#"["bucket", "keep"]"#);
    let mut run = sandbox.run_with(&new, |command| {
        command.env("BRIGADE_CRASH", point);
    });
    assert_eq!(run.wait().signal, Some(9), "the supervisor did not die at {point}");
    run.assert_nobody_left();
    drop(run);
    let report = sandbox.run(&new).wait().with_code(0);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.left), (ITEMS, ITEMS, 0), "{items:?}");
    let kept = sandbox.ledger().times("kept");
    assert!(kept.len() as u64 == ITEMS && kept.values().all(|times| *times == 1), "{kept:?}");
}

#[test]
fn queue_moving() {
    for nth in ["queue_moving:1", "queue_moving:30", "queue_moving:60"] {
        dies_at(nth);
    }
}

#[test]
fn queue_moved() {
    dies_at("queue_moved");
}
