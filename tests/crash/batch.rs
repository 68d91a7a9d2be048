//! Death of a worker at a point of its batch: before the store that commits, nothing of the batch has happened; after it,
//! all of it has. Either way every item comes out once.

use brigade_tests::{Report, Sandbox};

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
