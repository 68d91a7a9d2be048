//! The stop ladder: drain, now, kill; by signals and by `brigade stop`; and nobody is left behind.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite, pair, task};

#[test]
fn a_sigterm_in_the_middle_drains_the_line_and_reports_in_numbers() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2"));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    let report = ended.with_code(0);
    assert_eq!(report.verdict, "drained");
    assert!(ended.err.contains("again: stop now"), "the next step was not printed:\n{}", ended.err);
    for queue in ["raw", "done"] {
        let numbers = &report.queues[queue];
        assert_eq!((numbers.acked, numbers.left), (numbers.sent, 0), "{queue}");
    }
    let sent = report.queues["raw"].sent;
    sandbox.ledger().assert_once("kept", sent);
    assert_eq!(report.stages["sink"].processed, sent);
    run.assert_nobody_left();
}

#[test]
fn a_second_sigterm_stops_now_and_leaves_the_rest_in_the_queues() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "20"], "capacity = 64", &["bucket", "hold", &gate], ""));
    until("the taker holds an item", || sandbox.ledger().count("held") == 1);
    run.signal(Signal::SIGTERM);
    run.until_said("again: stop now");
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(4);
    assert_eq!(report.verdict, "stopped");
    let items = &report.queues["items"];
    assert_eq!(items.sent, items.acked + items.left, "{items:?}");
    assert!(items.left > 0);
    run.assert_nobody_left();

    // The rest is done by the next run, and the item that was given back has lost no delivery.
    sandbox.write("gate", "");
    let report = sandbox
        .run(&pair(&["bucket", "emit", "0"], "capacity = 64", &["bucket", "hold", &gate], ""))
        .wait()
        .with_code(0);
    assert_eq!((report.queues["items"].acked, report.queues["items"].left), (items.sent, 0));
    sandbox.ledger().assert_each("kept", items.sent);
}

#[test]
fn a_third_sigterm_kills_and_the_supervisor_dies_of_it() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "20"], "", &["misfit", "sleep", "0"], "stop_timeout = \"10m\"");
    let mut run = sandbox.run(&text);
    until("the taker met an item", || sandbox.ledger().count("met") == 1);
    until("all are sent", || sandbox.ledger().count("sent") == 20);
    run.signal(Signal::SIGTERM);
    run.until_said("again: stop now");
    run.signal(Signal::SIGTERM);
    run.until_said("again: kill");
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    assert_eq!((ended.code, ended.signal), (None, Some(15)), "the shell is to see the truth:\n{}", ended.err);
    let report = ended.report();
    assert_eq!((report.exit_code, report.lost), (4, 0));
    assert_eq!(report.queues["items"].left, 20);
    run.assert_nobody_left();
}

#[test]
fn a_drain_that_takes_too_long_becomes_a_stop() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "20"], "", &["misfit", "sleep", "0"], "stop_timeout = \"200ms\"");
    let mut run = sandbox.run(&format!("drain_timeout = \"300ms\"\n{text}"));
    until("the taker met an item", || sandbox.ledger().count("met") == 1);
    until("all are sent", || sandbox.ledger().count("sent") == 20);
    run.signal(Signal::SIGINT);
    let report = run.wait().with_code(4);
    assert_eq!((report.verdict.as_str(), report.queues["items"].left), ("stopped", 20));
    run.assert_nobody_left();
}

#[test]
fn a_worker_that_ignores_stop_is_killed_after_grace() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["rogue", "deaf"], "stop_timeout = \"300ms\""));
    until("it is deaf", || sandbox.ledger().count("deaf") == 1);
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    ended.with_code(0);
    assert!(ended.err.contains("only/0 is killed: still there 300ms after"), "{}", ended.err);
    run.assert_nobody_left();
}

#[test]
fn a_grandchild_that_ignores_sigterm_goes_with_its_group() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["rogue", "parent"], "stop_timeout = \"10m\""));
    until("the grandchild is deaf", || sandbox.ledger().count("deaf") == 1);
    assert_eq!(run.processes().len(), 2);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    run.assert_nobody_left();
}

#[test]
fn a_source_that_is_deaf_to_its_stop_flag_is_stopped_when_the_drain_is_over() {
    let sandbox = Sandbox::new();
    let text = format!(
        "drain_timeout = \"300ms\"\n{}",
        pair(&["misfit", "stop-late"], "", &["bucket", "keep"], "")
            .replace("outputs = [\"items\"]", "outputs = [\"items\"]\nstop_timeout = \"200ms\"")
    );
    let mut run = sandbox.run(&text);
    until("the source is at work", || sandbox.ledger().count("deaf") == 1);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    run.assert_nobody_left();
}

#[test]
fn a_child_in_a_session_of_its_own_goes_with_the_run() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["rogue", "scatter"], ""));
    until("the child is deaf", || sandbox.ledger().count("deaf") == 1);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    run.assert_nobody_left();
}

#[test]
fn brigade_stop_drains() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let said = sandbox.ask(&["stop"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained");
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
}

#[test]
fn brigade_stop_now_leaves_the_rest() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "20"], "", &["bucket", "hold", &gate], ""));
    until("the taker holds an item", || sandbox.ledger().count("held") == 1);
    until("all are sent", || sandbox.ledger().count("sent") == 20);
    sandbox.stop("--now");
    let report = run.wait().with_code(4);
    assert_eq!((report.verdict.as_str(), report.queues["items"].left), ("stopped", 20));
}

#[test]
fn after_a_stop_now_the_status_does_not_call_a_source_complete_that_was_not_done() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    sandbox.stop("--now");
    run.wait();
    let said = sandbox.ask(&["status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
    let states: Vec<&str> = (0..3).filter_map(|stage| status["stages"][stage]["state"].as_str()).collect();
    assert_eq!(states, ["stopped"; 3], "{status}");
}

#[test]
fn a_drain_with_nothing_left_ends_although_its_sink_cannot_be_built() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "10"], "", &["bucket", "keep-exact", "no folder/file"], "");
    let mut run = sandbox.run(&format!("drain_timeout = \"1h\"\n{text}"));
    run.until_said("taker/0 backoff");
    let said = sandbox.ask(&["stop"]);
    assert!(said.code == Some(0) && said.out.contains("drained"), "{}{}", said.out, said.err);
    run.wait().with_code(0);
}

#[test]
fn brigade_stop_tells_how_far_it_has_come_and_ends_with_the_code_of_the_run() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = pair(&["bucket", "emit", "20"], "", &["bucket", "hold", &gate], "");
    let mut run = sandbox.run(&format!("drain_timeout = \"9s\"\n{text}"));
    until("all are sent", || sandbox.ledger().count("sent") == 20);
    run.pid_when("taker/0", "ready");
    let said = sandbox.ask(&["stop"]);
    run.wait().with_code(4);
    assert_eq!(said.code, Some(4), "{}", said.err);
    assert!(said.err.contains(": 20 items left, waits for taker/0\n"), "{}", said.err);
    let outlook = "20 items left, and none was done in the last ";
    assert!(said.err.contains(outlook) && run.said().contains(outlook), "{}\n{}", said.err, run.said());
    assert!(said.out.starts_with("pair: stopped in "), "{}", said.out);
}

#[test]
fn brigade_stop_kill_kills() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "20"], "", &["misfit", "sleep", "0"], "stop_timeout = \"10m\"");
    let mut run = sandbox.run(&text);
    until("the taker met an item", || sandbox.ledger().count("met") == 1);
    until("all are sent", || sandbox.ledger().count("sent") == 20);
    sandbox.stop("--kill");
    let report = run.wait().with_code(4);
    assert_eq!(report.queues["items"].left, 20);
    run.assert_nobody_left();
}

#[test]
fn brigade_stop_without_a_run_says_so() {
    let sandbox = Sandbox::new();
    sandbox.run(&finite(3, &["bucket", "pass"], "")).wait().with_code(0);
    let said = sandbox.ask(&["stop"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("does not run"), "{}", said.err);
}

#[test]
fn a_signal_at_any_instant_of_the_start_ends_in_order() {
    // As early as it can come: not before the handlers are there, since then it is a plain death by the signal.
    for round in 0..8 {
        let sandbox = Sandbox::new();
        let mut run = sandbox.run(&endless("replicas = 3"));
        match round % 4 {
            0 => until("the state folder is taken", || sandbox.state().join("lock").exists()),
            1 => until("there is a control socket", || sandbox.state().join("control.sock").exists()),
            2 => until("somebody starts", || !run.processes().is_empty()),
            _ => until("several start", || run.processes().len() > 2),
        }
        run.signal(Signal::SIGTERM);
        let report = run.wait().with_code(0);
        assert_eq!(report.verdict, "drained");
        run.assert_nobody_left();
    }
}

#[test]
fn brigade_stop_is_answered_by_a_run_that_ends_at_once_too() {
    for _ in 0..15 {
        let sandbox = Sandbox::new();
        let mut run = sandbox.run(&task(&["rogue", "sleep"], ""));
        until("somebody is there to be killed", || !run.processes().is_empty() && run.try_status().is_some());
        sandbox.stop("--kill");
        run.wait().with_code(0);
    }
}
