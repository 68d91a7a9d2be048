//! Death of a worker at a point of a retry with a delay, in its first run: the item comes again, once.

use brigade_tests::Sandbox;

use crate::stage::{Line, failing_middle_dies_at};

const WAITS: &str = "capacity = 16\nretry_delay = \"300ms\"";

#[test]
fn retry_due_written() {
    // It dies with the item in its hands: that is no failure after which to wait.
    let (_sandbox, report) = failing_middle_dies_at("capacity = 16\nretry_delay = \"4m\"", "retry_due_written");
    assert_eq!(report.queues["raw"].redelivered, 1);
}

#[test]
fn returned_delayed() {
    failing_middle_dies_at(WAITS, "returned_delayed");
}

#[test]
fn nacked_with_a_delay() {
    failing_middle_dies_at(WAITS, "nacked");
}

#[test]
fn retry_look_won() {
    failing_middle_dies_at(WAITS, "retry_look_won");
}

#[test]
fn retry_hinted() {
    failing_middle_dies_at(WAITS, "retry_hinted");
}

#[test]
fn retry_promoted() {
    failing_middle_dies_at(WAITS, "retry_promoted");
}

#[test]
fn late_hint_claimed_after_a_delay() {
    failing_middle_dies_at(WAITS, "late_hint_claimed");
}

#[test]
fn late_leased_after_a_delay() {
    let (_sandbox, report) = failing_middle_dies_at(WAITS, "late_leased");
    assert_eq!(report.queues["raw"].redelivered, 2);
}

/// The slot of the item that waits is passed for many laps. When the item is done, the stage in the middle claims the slot.
#[test]
fn loose_slot_claimed() {
    const MANY: u64 = 5_000;
    let sandbox = Sandbox::new();
    let text = Line {
        source: &["bucket", "emit", "5000"],
        middle_env: "env.DIE_AT = \"loose_slot_claimed\"",
        queue: "capacity = 16\nretry_delay = \"20ms\"",
        ..Line::default()
    };
    let text = text.text().replace("[\"bucket\", \"keep\"]", "[\"misfit\", \"fail-once\", \"3\"]");
    let ended = sandbox.run(&text).wait();
    let report = ended.with_code(0);
    assert_eq!(report.stages["middle"].restarts, 1, "it did not die at its point:\n{}", ended.err);
    assert_eq!((report.queues["done"].sent, report.queues["done"].acked), (MANY, MANY), "{report:?}");
}
