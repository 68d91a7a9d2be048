//! Death of the supervisor at a point of its sweep; the next run completes what is left.

use brigade_tests::{Report, Run, Sandbox};

const ITEMS: u64 = 100;

/// `middle` dies on item 3, and the supervisor then has to sweep. Its workers ignore what is meant for it.
fn text(middle: &[&str], items: u64) -> String {
    format!(
        r#"
name = "sweep"
fail_on_dead_letters = false
[queues.raw]
capacity = 16
max_deliveries = 2
[queues.done]
capacity = 16
[stages.source]
command = ["bucket", "emit", "{items}"]
outputs = ["raw"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.middle]
command = {middle:?}
inputs = ["raw"]
outputs = ["done"]
backoff = "1ms"
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

fn start(sandbox: &Sandbox, text: &str, crash: &str) -> Run {
    sandbox.run_with(text, |command| {
        command.env("BRIGADE_CRASH", crash);
    })
}

/// The supervisor dies at `point`; perhaps again in the next run, at `then`; the last run completes. No run after the
/// first one makes new items: what the source has sent is what must come out.
fn dies_at(point: &str, then: Option<&str>, middle: &[&str]) -> Report {
    let sandbox = Sandbox::new();
    let mut run = start(&sandbox, &text(middle, ITEMS), point);
    assert_eq!(run.wait().signal, Some(9), "the supervisor did not die at {point}");
    run.assert_nobody_left();
    drop(run);
    if let Some(then) = then {
        let mut run = start(&sandbox, &text(&["bucket", "pass"], 0), then);
        assert_eq!(run.wait().signal, Some(9), "the supervisor did not die at {then} in its second run");
        run.assert_nobody_left();
    }
    let mut run = start(&sandbox, &text(&["bucket", "pass"], 0), "");
    let report = run.wait().with_code(0);
    let (raw, done) = (&report.queues["raw"], &report.queues["done"]);
    assert_eq!((raw.left, raw.acked + raw.dead), (0, raw.sent));
    assert_eq!((done.left, done.acked), (0, done.sent));
    // All that was certainly sent was kept or is a dead letter, and item 3 alone can be that.
    let (sent, kept) = (sandbox.ledger().times("sent"), sandbox.ledger().times("kept"));
    let missing: Vec<u64> = sent.keys().copied().filter(|item| !kept.contains_key(item)).collect();
    assert_eq!(missing.len() as u64, raw.dead, "{missing:?} are missing");
    assert!(missing.iter().all(|item| *item == 3), "{missing:?} are missing");
    report
}

#[test]
fn sweep_counts_settled() {
    assert_eq!(dies_at("sweep_counts_settled", None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
}

#[test]
fn sweep_slot_done() {
    for nth in ["sweep_slot_done:1", "sweep_slot_done:5", "sweep_slot_done:16"] {
        assert_eq!(dies_at(nth, None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
    }
}

#[test]
fn sweep_slots_done() {
    assert_eq!(dies_at("sweep_slots_done", None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
}

#[test]
fn sweep_place_freed() {
    for nth in ["sweep_place_freed:1", "sweep_place_freed:2"] {
        assert_eq!(dies_at(nth, None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
    }
}

#[test]
fn queue_swept() {
    for nth in ["queue_swept:1", "queue_swept:2"] {
        assert_eq!(dies_at(nth, None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
    }
}

#[test]
fn worker_reaped() {
    assert_eq!(dies_at("worker_reaped", None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
}

#[test]
fn returned_late_in_a_sweep() {
    assert_eq!(dies_at("returned_late", None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
}

#[test]
fn a_second_death_in_the_sweep_at_the_start_of_the_next_run() {
    for then in ["sweep_counts_settled", "sweep_slot_done:3", "sweep_slots_done"] {
        assert_eq!(dies_at("sweep_slot_done:2", Some(then), &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
    }
}

#[test]
fn worker_spawned() {
    // Neither its roster nor its keeper knows the worker yet.
    for nth in ["worker_spawned:1", "worker_spawned:3"] {
        assert_eq!(dies_at(nth, None, &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
    }
}

#[test]
fn run_half_noted() {
    assert_eq!(dies_at("run_half_noted", None, &["misfit", "die-once", "3"]).queues["raw"].sent, 0);
    assert_eq!(dies_at("worker_spawned:3", Some("run_half_noted"), &["misfit", "die-once", "3"]).queues["raw"].dead, 0);
}

#[test]
fn dead_letter_kept() {
    let report = dies_at("dead_letter_kept", None, &["misfit", "die", "3"]);
    assert_eq!(report.queues["raw"].dead, 1, "counted once, though it was kept before the death");
}

#[test]
fn dead_letter_buried() {
    let report = dies_at("dead_letter_buried", None, &["misfit", "die", "3"]);
    assert_eq!(report.queues["raw"].dead, 1, "counted once, though its slot was freed before the death");
}
