//! Death of a worker at a point of its batch: before the store that commits, nothing of the batch has happened; after it,
//! all of it has. Either way every item comes out once.

use brigade_tests::{Report, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{ITEMS, Line};

/// The stage in the middle dies at `point` for the `nth` time, with `batch` items to a commit.
fn dies_at(point: &str, nth: u32, batch: u32) -> Report {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}:{nth}\"");
    let keys = format!("batch = {batch}");
    let report = Line { middle_env: &env, keys: &keys, ..Line::default() }.run(&sandbox, "middle");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!((report.queues["raw"].sent, report.queues["done"].sent), (ITEMS, ITEMS), "{report:?}");
    report
}

/// One by one, and several to a commit. `comes_again`: the items of the batch are handled once more.
fn every_item_once(point: &str, comes_again: bool) {
    let report = dies_at(point, 50, 1);
    assert_eq!(report.queues["raw"].redelivered, u64::from(comes_again), "{report:?}");
    let report = dies_at(point, 20, 8);
    assert_eq!(report.queues["raw"].redelivered > 0, comes_again, "{report:?}");
}

#[test]
fn batch_filling() {
    every_item_once("batch_filling", true);
}

#[test]
fn batch_numbered() {
    every_item_once("batch_numbered", true);
}

#[test]
fn batch_staged_one() {
    every_item_once("batch_staged_one", true);
}

#[test]
fn batch_staged() {
    every_item_once("batch_staged", true);
}

#[test]
fn batch_settled_one() {
    every_item_once("batch_settled_one", true);
}

#[test]
fn batch_settled() {
    every_item_once("batch_settled", true);
}

#[test]
fn batch_noted() {
    every_item_once("batch_noted", true);
}

#[test]
fn batch_committed() {
    every_item_once("batch_committed", false);
}

#[test]
fn batch_published_one() {
    every_item_once("batch_published_one", false);
}

#[test]
fn batch_freed_one() {
    every_item_once("batch_freed_one", false);
}

#[test]
fn batch_rolled_forward() {
    every_item_once("batch_rolled_forward", false);
}

#[test]
fn staged_published_late() {
    // The stage in the middle stands still with an item staged; what another stage sends behind it is taken. Then it goes
    // on, and dies when it has published the item that was passed by.
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let other =
        format!("[stages.other]\ncommand = {:?}\noutputs = [\"done\"]\n", ["bucket", "emit-after", &gate, "100"]);
    let env = "env.STAND_STILL_AT = \"batch_staged:50\"\nenv.DIE_AT = \"staged_published_late\"";
    let text = Line { middle_env: env, ..Line::default() }.text() + &other;
    let mut run = sandbox.run(&text);
    let pid = run.pid_when("middle/0", "paused");
    sandbox.write("gate", "");
    until("the sink has passed it by", || {
        let status = run.status();
        status["queues"][1]["acked"] == 149
    });
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    let report = run.wait().with_code(0);
    assert_eq!(report.stages["middle"].restarts, 1);
    assert_eq!((report.queues["done"].sent, report.queues["done"].acked), (ITEMS + 100, ITEMS + 100));
    sandbox.ledger().assert_each("kept", ITEMS);
}
