//! `brigade wait`: scripts go on when a pipeline has come so far, and are told when that cannot be any more.

use std::process::{Child, Output, Stdio};

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite, pair, task};

fn begin(sandbox: &Sandbox, args: &[&str]) -> Child {
    let mut command = sandbox.brigade(["wait", "--for"]);
    command.args(args).arg("--state-dir").arg(sandbox.state());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts")
}

#[track_caller]
fn ends_with(child: Child, code: i32, words: &str) {
    let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
    let said = format!("{}{}", String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
    assert_eq!(status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

#[test]
fn ready_is_waited_for_before_anything_runs_and_until_every_worker_is() {
    let sandbox = Sandbox::new();
    let mut waiting = begin(&sandbox, &["ready"]);
    // A program without the SDK is believed to be ready only when it has lived for a while.
    let more = "[stages.late]\ncommand = [\"sleep\", \"1000\"]\n";
    let mut run = sandbox.run(&format!("{}{more}", endless("")));
    until("it has returned", || waiting.try_wait().expect("a child").is_some());
    ends_with(waiting, 0, "line is ready");
    for stage in run.status()["stages"].as_array().expect("a list") {
        assert_eq!(stage["workers"][0]["state"], "ready", "{stage}");
    }
    ends_with(begin(&sandbox, &["ready"]), 0, "line is ready");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn what_cannot_come_any_more_is_told_at_once() {
    let sandbox = Sandbox::new();
    let text = task(&["rogue", "exit", "1"], "backoff = \"1ms\"\nmax_restarts = 0");
    let waiting = begin(&sandbox, &["drained"]);
    ends_with(waiting, 1, "no state folder");
    let mut run = sandbox.run(&text);
    run.wait().with_code(3);
    ends_with(
        begin(&sandbox, &["drained"]),
        1,
        "it has ended and is not drained: task: gave up on only/0: it crashed, and max_restarts is 0",
    );
    ends_with(begin(&sandbox, &["stopped"]), 0, "gave up on only/0");
}

#[test]
fn drained_and_stopped_are_the_end_of_the_run() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = pair(&["bucket", "emit", "5"], "", &["bucket", "hold", &gate], "");
    let mut run = sandbox.run(&text);
    until("an item is in hand", || sandbox.ledger().count("held") == 1);
    ends_with(begin(&sandbox, &["drained", "--timeout", "50ms"]), 124, "not drained within 50ms");
    let (drained, stopped) = (begin(&sandbox, &["drained"]), begin(&sandbox, &["stopped"]));
    sandbox.write("gate", "");
    ends_with(drained, 0, "pair: complete");
    ends_with(stopped, 0, "pair: complete");
    run.wait().with_code(0);
}

#[test]
fn a_wait_for_a_drain_says_which_stage_is_paused() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&pair(&["bucket", "drip"], "", &["bucket", "keep"], ""));
    run.pid_when("taker/0", "ready");
    assert_eq!(sandbox.ask(&["pause", "taker"]).code, Some(0));
    let said = sandbox.ask(&["wait", "--for", "drained", "--timeout", "3s"]);
    assert_eq!(said.code, Some(124), "{}", said.err);
    assert!(said.err.contains("stage taker is paused") && said.err.contains("brigade resume taker"), "{}", said.err);
    run.signal(Signal::SIGTERM);
    run.wait();
}

#[test]
fn a_stop_that_leaves_items_is_no_drain() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "5"], "", &["bucket", "hold", &gate], ""));
    until("an item is in hand", || sandbox.ledger().count("held") == 1);
    let waiting = begin(&sandbox, &["drained"]);
    sandbox.stop("--now");
    run.wait().with_code(4);
    ends_with(waiting, 1, "it has ended and is not drained: pair: stopped");
}

#[test]
fn a_run_that_was_killed_is_stopped_and_not_drained() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&finite(10, &["bucket", "pass"], ""));
    run.wait().with_code(0);
    let mut run = sandbox.run(&endless(""));
    ends_with(begin(&sandbox, &["ready"]), 0, "line is ready");
    let (drained, stopped) = (begin(&sandbox, &["drained"]), begin(&sandbox, &["stopped"]));
    until("a picture is kept", || {
        !std::fs::read_to_string(sandbox.state().join("status.json")).expect("it").contains("\"ended\"")
    });
    run.signal(Signal::SIGKILL);
    ends_with(stopped, 0, "stopped");
    ends_with(drained, 1, "interrupted");
    run.wait();
}
