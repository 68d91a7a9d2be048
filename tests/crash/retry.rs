//! Death of a worker at a point of a retry with a delay, in its first run: the item comes again, once.

use crate::stage::failing_middle_dies_at;

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
