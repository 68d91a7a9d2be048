//! Retries with a delay: an item that failed comes again when its time has come, and is forgotten by nobody meanwhile.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{finite, line};

/// The pipeline with this delay between the failures of its first queue.
fn delayed(text: &str, keys: &str) -> String {
    text.replace("[queues.raw]", &format!("[queues.raw]\n{keys}"))
}

/// Milliseconds between the tries of the item that fails.
fn gaps(sandbox: &Sandbox) -> Vec<u64> {
    let entries = sandbox.ledger().entries();
    let tried: Vec<u64> = entries.iter().filter(|entry| entry.deed == "tried").map(|entry| entry.item).collect();
    tried.windows(2).map(|two| two[1] - two[0]).collect()
}

#[test]
fn an_item_that_fails_comes_again_after_the_delay_and_then_after_twice_the_delay() {
    let sandbox = Sandbox::new();
    let text = delayed(&finite(50, &["misfit", "fail-twice", "3"], ""), "retry_delay = \"200ms\"");
    let ended = sandbox.run(&text).wait();
    let report = ended.with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.left, raw.redelivered), (50, 50, 0, 0, 2));
    let gaps = gaps(&sandbox);
    assert!(gaps.len() == 2 && gaps[0] >= 160 && gaps[1] >= 320, "{gaps:?}");
    // The others did not wait for it.
    let kept: Vec<u64> = sandbox.ledger().entries().iter().filter(|it| it.deed == "kept").map(|it| it.item).collect();
    assert_eq!(kept.iter().rposition(|item| *item == 3), Some(kept.len() - 1), "{kept:?}");
    let said = sandbox.ask(&["logs", "middle"]);
    assert!(said.out.contains("the item comes again in"), "{}", said.out);
}

#[test]
fn an_item_that_always_fails_waits_each_time_and_is_then_a_dead_letter() {
    let sandbox = Sandbox::new();
    let keys = "max_deliveries = 4\nretry_delay = \"100ms\"\nretry_delay_max = \"150ms\"";
    let report = sandbox.run(&delayed(&finite(20, &["misfit", "fail", "3"], ""), keys)).wait().with_code(5);
    let raw = &report.queues["raw"];
    assert_eq!((raw.acked, raw.dead, raw.left), (19, 1, 0));
    let gaps = gaps(&sandbox);
    assert!(gaps.len() == 3 && gaps[0] >= 80 && gaps[1..].iter().all(|gap| *gap >= 120), "{gaps:?}");
}

#[test]
fn a_handler_says_when_its_item_is_to_come_again() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&finite(20, &["misfit", "retry-after", "3", "300"], "")).wait().with_code(0);
    assert_eq!((report.queues["raw"].acked, report.queues["raw"].redelivered), (20, 1));
    let gaps = gaps(&sandbox);
    assert!(gaps.len() == 1 && gaps[0] >= 300, "{gaps:?}");
}

#[test]
fn an_item_of_a_worker_that_died_does_not_wait() {
    let sandbox = Sandbox::new();
    let text = finite(20, &["misfit", "die-once", "3"], "backoff = \"1ms\"");
    // It would not come in the time of this test if it did.
    let report = sandbox.run(&delayed(&text, "retry_delay = \"24h\"\nretry_delay_max = \"24h\"")).wait().with_code(0);
    assert_eq!((report.queues["raw"].acked, report.stages["middle"].restarts), (20, 1));
}

#[test]
fn what_waits_is_shown_and_left_in_the_queue_by_a_drain_that_takes_too_long() {
    let sandbox = Sandbox::new();
    let text = delayed(&finite(20, &["misfit", "fail", "3"], ""), "retry_delay = \"1h\"\nretry_delay_max = \"1h\"");
    let mut run = sandbox.run(&format!("drain_timeout = \"300ms\"\n{text}"));
    until("all but one are done", || {
        let status = run.status();
        let raw = &status["queues"][0];
        (&raw["acked"], &raw["retry"], &raw["late"]) == (&19.into(), &1.into(), &0.into())
    });
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(4);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.left, report.lost), (20, 19, 1, 0));
    let shown = sandbox.ask(&["status"]);
    let row = shown.out.lines().find(|row| row.starts_with("raw ")).expect("a row").to_owned();
    assert_eq!(row.split_whitespace().rev().nth(4), Some("1"), "retry, dead, sent, acked, redelivered:\n{}", shown.out);
}

#[test]
fn a_drain_waits_for_an_item_that_is_soon_due() {
    let sandbox = Sandbox::new();
    let source = ["bucket", "emit-then-wait", "20"];
    let text = line(&source, &["misfit", "retry-after", "3", "1000"], "");
    let mut run = sandbox.run(&text);
    until("it has failed", || sandbox.ledger().count("tried") == 1);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.acked, raw.left), (raw.sent, 0));
    let gaps = gaps(&sandbox);
    assert!(gaps.len() == 1 && gaps[0] >= 1000, "{gaps:?}");
}

#[test]
fn what_waits_survives_the_death_of_everything_and_another_delay_in_the_file_just_applies() {
    let sandbox = Sandbox::new();
    let text = |items, delay| {
        let text = finite(items, &["misfit", "fail-twice", "3"], "");
        delayed(&text, &format!("retry_delay = \"{delay}\"\nretry_delay_max = \"1h\""))
    };
    let mut run = sandbox.run(&text(20, "3s"));
    until("all but one are done", || {
        let status = run.status();
        let raw = &status["queues"][0];
        (&raw["acked"], &raw["retry"]) == (&19.into(), &1.into())
    });
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    // The next run's source makes no more, and its middle knows the new delay.
    let ended = sandbox.run(&text(0, "100ms")).wait();
    let report = ended.with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.left, raw.dead), (20, 20, 0, 0));
    assert!(!ended.err.contains("moved"), "{}", ended.err);
    let gaps = gaps(&sandbox);
    assert!(gaps.len() == 2 && gaps[0] >= 2_400 && gaps[1] >= 160, "{gaps:?}");
    sandbox.ledger().assert_each("kept", 20);
}
