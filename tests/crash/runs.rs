//! Death of a worker in the middle of a run: several items sent, taken or acked in one go. What it had done of the run is
//! done and counted, the rest is not.

use brigade_tests::{Report, Sandbox};

use crate::stage::{ITEMS, Line};

/// The stage in the middle, which takes and hands on eight at a time, dies at `point`.
fn middle_dies_at(point: &str) -> (Sandbox, Report) {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}\"");
    let report =
        Line { middle: &["bucket", "relay-runs"], middle_env: &env, ..Line::default() }.run(&sandbox, "middle");
    (sandbox, report)
}

/// The source, which sends eight at a time, dies at `point`; it then begins anew. Gives how many its first run had sent.
fn source_dies_at(point: &str) -> u64 {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}\"");
    let line = Line { source: &["bucket", "emit-runs", "200"], source_env: &env, ..Line::default() };
    let report = line.run(&sandbox, "source");
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!(report.queues["done"].acked, report.queues["raw"].sent);
    report.queues["raw"].sent - ITEMS
}

/// Nothing of the run was sent: what was claimed is free, and all that was taken comes again.
fn sends_nothing_at(point: &str) {
    assert_eq!(source_dies_at(&format!("{point}:1")), 0, "{point}");
    source_dies_at(&format!("{point}:5"));
    let (sandbox, report) = middle_dies_at(&format!("{point}:1"));
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.queues["done"].sent, ITEMS, "{point}");
    assert!((1..=8).contains(&report.queues["raw"].redelivered), "{point}: {report:?}");
}

#[test]
fn slot_claimed_in_a_run() {
    assert_eq!(source_dies_at("slot_claimed:3"), 0);
}

#[test]
fn run_claimed() {
    sends_nothing_at("run_claimed");
}

#[test]
fn run_filled() {
    sends_nothing_at("run_filled");
}

#[test]
fn run_published_one() {
    for sent in 1..=8 {
        assert_eq!(source_dies_at(&format!("run_published_one:{sent}")), sent, "counted as it was");
    }
    // What it had handed on is handed on again, for none of it was acked.
    let (sandbox, report) = middle_dies_at("run_published_one:1");
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!(report.queues["done"].sent, ITEMS + 1);
}

#[test]
fn leased_in_a_run() {
    for point in ["leased:2", "leased:20", "leased:51"] {
        let (sandbox, report) = middle_dies_at(point);
        sandbox.ledger().assert_once("kept", ITEMS);
        assert!((1..=8).contains(&report.queues["raw"].redelivered), "{point}: {report:?}");
    }
}

#[test]
fn run_acked_one() {
    for acked in [1, 2, 50] {
        let (sandbox, report) = middle_dies_at(&format!("run_acked_one:{acked}"));
        sandbox.ledger().assert_each("kept", ITEMS);
        let again = report.queues["raw"].redelivered;
        assert!(again < 8, "the one that it had acked does not come again: {report:?}");
        assert_eq!(report.queues["done"].sent, ITEMS + again, "all others of the run are handed on again");
    }
}
