//! `brigade pause` and `resume`: a stage rests, with nothing in hand, and everything else is as it was.

use std::time::Duration;

use brigade_tests::{Run, Sandbox, holds_for_a_while, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::{endless, pair};

/// Long enough for thousands of items, if any were taken.
const A_WHILE: Duration = Duration::from_millis(300);

fn queue(run: &Run, name: &str, number: &str) -> u64 {
    let status = run.status();
    let queues = status["queues"].as_array().expect("a list").clone();
    let found = queues.into_iter().find(|queue| queue["name"] == name).expect("it is there");
    found[number].as_u64().expect("a number")
}

fn state(status: &Value, stage: &str) -> String {
    let stages = status["stages"].as_array().expect("a list");
    stages.iter().find(|one| one["name"] == stage).expect("it is there")["state"].to_string()
}

#[track_caller]
fn ask(sandbox: &Sandbox, args: &[&str]) -> String {
    let said = sandbox.ask(args);
    assert_eq!(said.code, Some(0), "{args:?}: {}", said.err);
    said.out
}

#[test]
fn a_paused_stage_puts_down_what_it_has_and_takes_nothing_until_it_goes_on() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2\nbatch = 16\nbackoff = \"10ms\""));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let said = ask(&sandbox, &["pause", "middle"]);
    assert!(said.starts_with("stage middle is paused"), "{said}");
    run.until_status("it is shown", |status| state(status, "middle") == "\"paused\"");
    until("nothing is in hand", || queue(&run, "raw", "leased") == 0);
    let acked = queue(&run, "raw", "acked");
    assert!(holds_for_a_while(A_WHILE, || queue(&run, "raw", "acked") == acked));

    // Also when it is started anew, by whatever.
    kill(Pid::from_raw(run.pid_when("middle/0", "ready")), Signal::SIGKILL).expect("it is there");
    ask(&sandbox, &["restart", "middle/1"]);
    for id in ["middle/0", "middle/1"] {
        until("it is there again", || {
            run.worker(id).is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] == 2)
        });
    }
    assert!(holds_for_a_while(A_WHILE, || queue(&run, "raw", "acked") == acked));

    assert_eq!(ask(&sandbox, &["pause", "middle"]), "stage middle is paused already\n");
    assert_eq!(ask(&sandbox, &["resume", "middle"]), "stage middle goes on\n");
    until("items flow again", || queue(&run, "raw", "acked") > acked + 100);
    run.until_status("it is shown", |status| state(status, "middle") == "\"ready\"");
    assert_eq!(ask(&sandbox, &["resume", "middle"]), "stage middle is at work already\n");
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    for queue in report.queues.values() {
        assert_eq!((queue.acked, queue.left, queue.dead), (queue.sent, 0, 0), "{queue:?}");
    }
}

#[test]
fn a_paused_source_makes_nothing_new() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    ask(&sandbox, &["pause", "source"]);
    until("all is worked off", || queue(&run, "raw", "sent") == queue(&run, "done", "acked"));
    let sent = queue(&run, "raw", "sent");
    assert!(holds_for_a_while(A_WHILE, || queue(&run, "raw", "sent") == sent));

    // Those in the middle wait at an empty queue now: what comes while they are paused is not for them, but for an item
    // that one of them was just about to take.
    ask(&sandbox, &["pause", "middle"]);
    ask(&sandbox, &["resume", "source"]);
    until("the queue is full", || queue(&run, "raw", "ready") >= 63);
    assert!(queue(&run, "raw", "acked") <= sent + 1);
    ask(&sandbox, &["resume", "middle"]);
    until("items flow again", || queue(&run, "done", "acked") > sent + 100);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn a_drain_has_all_stages_go_on_and_a_stop_ends_them_as_they_are() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    for stage in ["source", "middle", "sink"] {
        ask(&sandbox, &["pause", stage]);
    }
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.queues["raw"].left), ("drained", 0));
    let events = sandbox.ask(&["events"]).out;
    assert!(events.contains(" middle ready -> paused: asked for (operator)"), "{events}");
    assert!(events.contains(" middle paused -> ready: the pipeline is being stopped (supervisor)"), "{events}");

    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "5"], "", &["bucket", "hold", &gate], ""));
    until("an item is in hand", || sandbox.ledger().count("held") == 1);
    ask(&sandbox, &["pause", "taker"]);
    sandbox.write("gate", "");
    until("it was finished", || sandbox.ledger().count("kept") == 1);
    until("it was put down", || queue(&run, "items", "acked") == 1);
    sandbox.stop("--now");
    let report = run.wait().with_code(4);
    assert_eq!((report.queues["items"].acked, report.queues["items"].left), (1, 4));
    // The pause was of that run.
    let mut run = sandbox.run(&pair(&["bucket", "emit", "0"], "", &["bucket", "hold", &gate], ""));
    assert_eq!(run.wait().with_code(0).queues["items"].left, 0);
}

#[test]
fn what_takes_and_makes_nothing_cannot_be_paused() {
    let sandbox = Sandbox::new();
    let more = "[stages.web]\ncommand = [\"bucket\", \"serve\"]\nenv.LEDGER = \"${ledger}\"\n";
    let mut run = sandbox.run(&format!("{}{more}", endless("")));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    for (stage, words) in [
        ("web", "stage web cannot be paused: it neither takes nor makes items"),
        ("midle", "there is no stage \"midle\": did you mean \"middle\"?"),
    ] {
        for command in ["pause", "resume"] {
            let said = sandbox.ask(&[command, stage]);
            assert_eq!(said.code, Some(1), "{}", said.out);
            assert!(said.err.contains(words), "{}", said.err);
        }
    }
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}
