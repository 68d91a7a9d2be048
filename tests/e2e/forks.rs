//! Workers that fork: a copy may do what it likes, and none of it touches the worker's items.

use brigade_tests::{Report, Sandbox};

use crate::pipelines::{finite, pair};

const ITEMS: u64 = 101;

/// A run with these words for the stage in the middle, in which each copy ends with this code.
#[track_caller]
fn forks(middle: &[&str], keys: &str, code: u64) -> (Sandbox, Report) {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&finite(ITEMS, middle, keys)).wait();
    let report = ended.with_code(0);
    for name in ["raw", "done"] {
        let queue = &report.queues[name];
        let counts = (queue.sent, queue.acked, queue.redelivered, queue.dead, queue.left);
        assert_eq!(counts, (ITEMS, ITEMS, 0, 0, 0), "queue {name}: {}", ended.err);
    }
    assert_eq!((report.lost, report.stages["middle"].restarts), (0, 0), "{}", ended.err);
    let copies = sandbox.ledger().times("copied");
    assert!(copies.keys().all(|end| *end == code) && copies[&code] >= 5, "{copies:?}");
    (sandbox, report)
}

#[test]
fn a_copy_that_returns_from_a_handler_changes_nothing() {
    for keys in ["", "replicas = 2", "batch = 16"] {
        let (sandbox, _) = forks(&["forker", "handle", "10"], keys, 1);
        sandbox.ledger().assert_each("handed", ITEMS);
        let refused = sandbox.ledger().times("refused");
        assert!(refused.keys().eq([&7]) && sandbox.ledger().count("taken") == 0, "{refused:?}");
        let said = sandbox.ask(&["logs", "middle"]);
        assert!(said.out.contains("a forked copy of the worker returned to the SDK"), "{}", said.out);
    }
}

#[test]
fn a_copy_that_fails_in_a_handler_fails_no_item() {
    forks(&["forker", "fail", "10"], "replicas = 2", 1);
    let (sandbox, _) = forks(&["forker", "panic", "10"], "", 1);
    let said = sandbox.ask(&["logs", "middle"]);
    assert!(said.out.contains("the copy panics"), "{}", said.out);
}

#[test]
fn a_copy_of_a_worker_with_plain_handles_is_refused_by_each() {
    for keys in ["", "replicas = 2"] {
        let (sandbox, _) = forks(&["forker", "plain", "10"], keys, 1);
        let refused = sandbox.ledger().times("refused");
        assert!(refused.keys().eq([&9]) && sandbox.ledger().count("taken") == 0, "{refused:?}");
        let said = sandbox.ask(&["logs", "middle"]);
        assert!(said.out.contains("acknowledged or gave back an item: that was ignored"), "{}", said.out);
    }
}

#[test]
fn a_copy_of_a_source_neither_sends_nor_commits() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&pair(&["forker", "source", "20"], "", &["bucket", "keep"], "")).wait();
    let report = ended.with_code(0);
    assert_eq!((report.queues["items"].sent, report.stages["source"].restarts), (20, 0), "{}", ended.err);
    sandbox.ledger().assert_once("kept", 20);
    assert_eq!(sandbox.ledger().times("copied"), [(1, 20)].into());
}

#[test]
fn a_copy_dies_of_a_signal_as_any_process_and_the_worker_hears_nothing() {
    let (sandbox, _) = forks(&["forker", "leave", "10"], "", 128 + 15);
    assert_eq!(sandbox.ledger().count("woke"), 0);
    sandbox.ledger().assert_each("handed", ITEMS);
}
