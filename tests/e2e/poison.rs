//! Items that cannot be done: they end as dead letters, counted, and nobody else suffers.

use brigade_tests::Sandbox;

use crate::pipelines::{finite, pair, task};

/// Items that came through, of `all` without item 3.
fn assert_all_but_3(sandbox: &Sandbox, all: u64) {
    let times = sandbox.ledger().times("kept");
    let sunk: Vec<u64> = times.keys().copied().collect();
    let wanted: Vec<u64> = (0..all).filter(|item| *item != 3).collect();
    assert_eq!(sunk, wanted);
}

#[test]
fn an_item_that_always_fails_is_a_dead_letter_after_max_deliveries() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&finite(50, &["misfit", "fail", "3"], "")).wait();
    let report = ended.with_code(5);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.left, raw.redelivered), (50, 49, 1, 0, 4));
    assert_eq!(report.queues["done"].acked, 49);
    assert_eq!(sandbox.ledger().times("met")[&3], 5, "5 deliveries by default");
    assert_all_but_3(&sandbox, 50);
    assert!(ended.err.contains("dead letter"), "{}", ended.err);
}

#[test]
fn an_item_that_kills_its_worker_runs_out_of_deliveries_too() {
    let sandbox = Sandbox::new();
    let text = finite(50, &["misfit", "die", "3"], "max_restarts = \"unlimited\"\nbackoff = \"10ms\"\nreplicas = 2");
    let text = text.replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 3");
    let ended = sandbox.run(&text).wait();
    let report = ended.with_code(5);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.left), (50, 49, 1, 0));
    assert_eq!(sandbox.ledger().times("met")[&3], 3);
    // The last of the three is not started again if the other one has finished by then.
    assert!([2, 3].contains(&report.stages["middle"].restarts), "{}", ended.err);
    assert_all_but_3(&sandbox, 50);
    assert!(ended.err.contains("killed by SIGKILL"), "{}", ended.err);
}

#[test]
fn a_panic_is_the_failure_of_its_item_and_not_of_its_worker() {
    let sandbox = Sandbox::new();
    let text = finite(50, &["misfit", "panic", "3"], "").replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2");
    let report = sandbox.run(&text).wait().with_code(5);
    assert_eq!((report.stages["middle"].restarts, report.queues["raw"].dead), (0, 1));
    assert_eq!(sandbox.ledger().times("met")[&3], 2);
    assert_all_but_3(&sandbox, 50);
    let said = sandbox.ask(&["logs", "middle"]);
    assert!(said.out.contains("item 3 is poison"), "the panic stands in the log:\n{}", said.out);
}

#[test]
fn with_on_panic_exit_a_panic_ends_the_process() {
    let sandbox = Sandbox::new();
    let keys = "on_panic = \"exit\"\nbackoff = \"10ms\"";
    let text = finite(50, &["misfit", "panic", "3"], keys).replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2");
    let report = sandbox.run(&text).wait().with_code(5);
    assert_eq!((report.stages["middle"].restarts, report.queues["raw"].dead), (2, 1));
    assert_all_but_3(&sandbox, 50);
}

/// The message of the panic stands in the log, in the status and in the dead letter.
#[track_caller]
fn says_why(middle: &[&str], keys: &str, end: &str, words: &[&str]) {
    let sandbox = Sandbox::new();
    let text = finite(50, middle, &format!("{keys}\nbackoff = \"10ms\"\nmax_restarts = \"unlimited\""));
    let mut run = sandbox.run(&text.replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2"));
    let letters = || sandbox.ask(&["dead", "list", "--json"]).out;
    let ended = run.wait();
    let report = ended.with_code(5);
    assert_eq!((report.queues["raw"].dead, report.queues["raw"].left), (1, 0));
    assert_all_but_3(&sandbox, 50);
    let log = sandbox.ask(&["logs", "middle"]).out;
    for words in words.iter().chain(&["misfit.rs:"]) {
        assert!(letters().contains(words), "the dead letter does not say {words:?}: {}", letters());
        assert!(ended.err.contains(words), "the run does not say {words:?}: {}", ended.err);
        assert!(log.contains(words), "the log does not say {words:?}: {log}");
    }
    assert!(ended.err.contains(end), "{}", ended.err);
    let lines = log.lines().filter(|line| line.contains(words[0])).count();
    assert_eq!(lines, 2, "one line for each delivery: {log}");
}

#[test]
fn a_panic_that_aborts_says_why() {
    says_why(&["misfit", "panic-extern", "3"], "", "killed by SIGABRT", &["item 3 is poison"]);
    let both = ["item 3 is poison", "while that was unwound", "and so is its end"];
    says_why(&["misfit", "panic-twice", "3"], "threads = 2", "killed by SIGABRT", &both);
    says_why(&["misfit", "panic-twice", "3"], "on_panic = \"exit\"", "killed by SIGABRT", &both);
}

#[test]
fn a_panic_that_ends_the_process_says_why() {
    says_why(&["misfit", "panic", "3"], "on_panic = \"exit\"", "exit code 101", &["item 3 is poison"]);
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&task(&["misfit", "panic-at-work"], "restart = \"temporary\"")).wait();
    let said = format!("{}{}", ended.out, ended.err);
    assert!(
        said.contains("exit code 101") && said.contains("panicked at ") && said.contains("there is no list"),
        "{said}"
    );
}

#[test]
fn with_unlimited_deliveries_an_item_comes_until_it_is_done() {
    let sandbox = Sandbox::new();
    let text = finite(50, &["misfit", "fail-once", "3"], "")
        .replace("[queues.raw]", "[queues.raw]\nmax_deliveries = \"unlimited\"");
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!((report.queues["raw"].dead, report.queues["raw"].redelivered), (0, 1));
    sandbox.ledger().assert_each("kept", 50);
}

#[test]
fn an_item_that_cannot_be_decoded_is_named_in_the_log_and_becomes_a_dead_letter() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&pair(&["bucket", "babble", "3"], "", &["bucket", "keep"], "")).wait().with_code(5);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.dead, items.left), (3, 0, 3, 0));
    let said = sandbox.ask(&["logs", "taker"]);
    assert!(said.out.contains("the item cannot be decoded"), "{}", said.out);
    assert_eq!(report.stages["taker"].restarts, 0);
}
