//! Death of a worker whose results go to the queue from which it takes, while that queue is full: each result takes the room of
//! its item, at any point of the exchange, exactly once.

use brigade_tests::{Sandbox, until};

const ROUNDS: u64 = 40;

/// As many items as `round` has slots go round it `ROUNDS` times, when `gate` is there.
fn text(slots: u64, gate: &str, env: &str, keys: &str) -> String {
    format!(
        r#"
name = "loop"
[queues.round]
capacity = {slots}
[queues.done]
[stages.source]
command = ["bucket", "emit", "{slots}"]
outputs = ["round"]
[stages.middle]
command = ["bucket", "round", "{ROUNDS}", "{gate}"]
inputs = ["round"]
outputs = ["round", "done"]
backoff = "1ms"
env.LEDGER = "${{ledger}}"
{env}
{keys}
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

/// Each item is in its second half of rounds at most when the worker dies: until then the queue is full.
fn dies_at(point: &str) {
    for (slots, nth, keys) in [(1, 20, ""), (5, 100, ""), (5, 30, "batch = 3"), (5, 30, "replicas = 2\nbatch = 2")] {
        let sandbox = Sandbox::new();
        let env = format!("env.DIE_AT = \"{point}:{nth}\"");
        let gate = sandbox.path("gate");
        let mut run = sandbox.run(&text(slots, &gate.display().to_string(), &env, keys));
        until("the queue is full", || run.status()["queues"][0]["sent"] == slots);
        sandbox.write("gate", "");
        let ended = run.wait();
        let report = ended.with_code(0);
        assert!(report.stages["middle"].restarts >= 1, "it did not die at {point}:\n{}", ended.err);
        sandbox.ledger().assert_once("kept", slots);
        let (round, all) = (&report.queues["round"], slots * (ROUNDS + 1));
        assert_eq!((round.left, round.acked, round.sent), (0, all, all), "{report:?}");
    }
}

#[test]
fn spare_claimed() {
    dies_at("spare_claimed");
}

#[test]
fn lap_bumped_for_a_result() {
    dies_at("lap_bumped_for_a_result");
}

#[test]
fn spare_filled() {
    dies_at("spare_filled");
}

#[test]
fn exchange_copied() {
    dies_at("exchange_copied");
}

#[test]
fn exchanged() {
    dies_at("exchanged");
}

#[test]
fn exchange_hinted() {
    dies_at("exchange_hinted");
}
