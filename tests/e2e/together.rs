//! Several items in the hands of one handle: what becomes of them when they fail together, or when there are too many.

use brigade_tests::Sandbox;

use crate::pipelines::{finite, pair};

const ITEMS: u64 = 40;

/// One commit for 20 items fails because of item `poison`, by an error and by a kill: no other item is a dead letter.
#[track_caller]
fn assert_one_dead_letter(how: &str, poison: u64) {
    for deadly in ["", "env.DEADLY = \"1\""] {
        let sandbox = Sandbox::new();
        let keys = format!("env.POISON = \"{poison}\"\n{deadly}\nmax_restarts = \"unlimited\"\nbackoff = \"1ms\"");
        let text = pair(&["bucket", "emit", &ITEMS.to_string()], "", &["tangle", how, "20"], &keys);
        let report = sandbox.run(&text).wait().with_code(5);
        let items = &report.queues["items"];
        assert_eq!(
            (items.sent, items.acked, items.dead, items.left),
            (ITEMS, ITEMS - 1, 1, 0),
            "{how} {poison} {deadly}"
        );
        let kept = sandbox.ledger().times("kept");
        assert!(!kept.contains_key(&poison), "item {poison}, by {how} {deadly}: {kept:?}");
    }
}

#[test]
fn of_a_transaction_that_fails_the_first_item_alone_comes_nearer_to_its_end() {
    assert_one_dead_letter("commit", 0);
}

#[test]
fn of_a_transaction_that_fails_only_the_item_at_fault_becomes_a_dead_letter() {
    for poison in [0, 7, 19] {
        assert_one_dead_letter("commit-at", poison);
    }
}

#[test]
fn a_worker_that_holds_too_much_fails_for_good_and_its_items_are_not_to_blame() {
    for how in [&["tangle", "greedy", "20"][..], &["tangle", "collect"]] {
        let sandbox = Sandbox::new();
        let text = pair(&["bucket", "emit", "100"], "capacity = 8\nmax_deliveries = 1", how, "");
        let ended = sandbox.run(&text).wait();
        let report = ended.with_code(1);
        let items = &report.queues["items"];
        assert_eq!((items.acked, items.dead, items.left), (0, 0, items.sent), "{how:?}: {}", ended.err);
        assert_eq!(report.stages["taker"].restarts, 0, "{how:?}");
        let words = "this handle holds 8 deliveries not acknowledged yet, as many as the queue has room for";
        assert!(ended.err.contains(words), "{how:?}: {}", ended.err);
        assert!(ended.err.lines().count() < 30, "{how:?}: {}", ended.err);
        assert_eq!(sandbox.ledger().count("collected"), 0, "it was no end of the stream");
    }
}

#[test]
fn an_iterator_ends_when_all_that_is_left_is_in_its_handles_hands() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "5"], "capacity = 8", &["tangle", "collect"], "");
    sandbox.run(&text).wait().with_code(0);
    sandbox.ledger().assert_once("kept", 5);
}

#[test]
fn an_item_with_more_results_than_the_output_can_hold_is_a_dead_letter_and_none_of_them_goes_out() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&finite(3, &["bucket", "spread", "65"], "")).wait();
    let report = ended.with_code(5);
    assert_eq!((report.queues["raw"].dead, report.queues["done"].sent), (3, 0), "{}", ended.err);
    let letters = sandbox.ask(&["dead", "list"]).out;
    let words = "one commit would send more than 64 items to queue done, which is its capacity";
    assert!(letters.contains(words), "{letters}");
    let sandbox = Sandbox::new();
    sandbox.run(&finite(3, &["bucket", "spread", "64"], "")).wait().with_code(0);
    let kept: Vec<u64> =
        sandbox.ledger().times("kept").into_iter().filter(|(_, times)| *times == 1).map(|(n, _)| n).collect();
    assert_eq!(kept, (0..3).flat_map(|n| n * 1000..n * 1000 + 64).collect::<Vec<u64>>());
}
