//! The death of the supervisor, and what the next run makes of it; SIGSTOP, which is a death that can be undone.

use brigade_tests::{Sandbox, holds_for_a_while, is_alive, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::time::Duration;

use crate::pipelines::{endless, finite, pair, task};

#[test]
fn workers_and_their_children_do_not_outlive_a_supervisor_killed_by_sigkill() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 3"));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let workers = run.processes();
    assert_eq!(workers.len(), 5, "{workers:?}");
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().signal, Some(9));
    run.assert_nobody_left();
    assert!(workers.iter().all(|worker| !is_alive(worker.pid)));
}

#[test]
fn after_a_sigkill_of_the_supervisor_the_next_run_goes_on_with_what_is_left() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = |items: &str| pair(&["bucket", "emit", items], "", &["bucket", "hold", &gate], "replicas = 2");
    let mut run = sandbox.run(&text("50"));
    until("all are sent and two are held", || {
        sandbox.ledger().count("sent") == 50 && sandbox.ledger().count("held") == 2
    });
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();

    sandbox.write("gate", "");
    let ended = sandbox.run(&text("0")).wait();
    let report = ended.with_code(0);
    assert!(ended.err.contains("50 items were left, 2 in the hands of workers"), "{}", ended.err);
    assert_eq!((report.queues["items"].acked, report.queues["items"].left), (50, 0));
    sandbox.ledger().assert_once("kept", 50);
}

#[test]
fn fresh_puts_the_old_state_aside_and_deletes_nothing() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = pair(&["bucket", "emit", "5"], "", &["bucket", "hold", &gate], "");
    let mut run = sandbox.run(&text);
    until("all are sent", || sandbox.ledger().count("sent") == 5);
    until("one is held", || sandbox.ledger().count("held") == 1);
    sandbox.stop("--now");
    run.wait().with_code(4);

    sandbox.write("gate", "");
    let report = sandbox
        .run_with(&text, |command| {
            command.arg("--fresh");
        })
        .wait()
        .with_code(0);
    assert_eq!(report.queues["items"].sent, 5, "the old items were not to come along");
    let names = std::fs::read_dir(sandbox.folder()).expect("a folder").flatten();
    let aside: Vec<_> = names.filter(|entry| entry.file_name().to_string_lossy().starts_with("state.aside-")).collect();
    assert_eq!(aside.len(), 1);
    assert!(aside[0].path().join("queues/items.queue").exists());
}

#[test]
fn a_second_run_on_the_state_folder_is_told_who_holds_it() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let said = Sandbox::say(sandbox.run_command(&endless("")));
    assert_eq!(said.code, Some(1));
    let holder = format!("process {} runs the pipeline line", run.pid());
    assert!(said.err.contains("is in use") && said.err.contains(&holder), "{}", said.err);
    // The first one has noticed nothing.
    let before = sandbox.ledger().count("kept");
    until("items still flow", || sandbox.ledger().count("kept") > before);
    run.status();
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn a_stopped_worker_holds_up_nothing_but_its_own_item_and_is_killed_at_the_end() {
    let sandbox = Sandbox::new();
    let text = finite(500, &["bucket", "pass"], "replicas = 3\nstop_timeout = \"500ms\"");
    // Slow enough at its source to be met in the middle: the queue is small and the gate is closed.
    let gate = sandbox.path("gate").display().to_string();
    let text = text.replace("[\"bucket\", \"keep\"]", &format!("{:?}", ["bucket", "hold", &gate]));
    let mut run = sandbox.run(&text);
    until("items flow", || sandbox.ledger().count("passed") > 60);
    let victim = run.pid_when("middle/1", "ready");
    kill(Pid::from_raw(victim), Signal::SIGSTOP).expect("it is there");
    run.pid_when("middle/1", "paused");
    sandbox.write("gate", "");
    let ended = run.wait();
    let report = ended.with_code(0);
    assert_eq!(report.verdict, "complete");
    sandbox.ledger().assert_each("kept", 500);
    assert_eq!(report.queues["raw"].left + report.queues["done"].left, 0);
    assert!(ended.err.contains("middle/1 is killed: stopped by a signal"), "{}", ended.err);
    run.assert_nobody_left();
}

#[test]
fn a_stopped_worker_that_goes_on_again_is_not_killed() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2\nstop_timeout = \"100ms\""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let pid = run.pid_when("middle/1", "ready");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is there");
    run.pid_when("middle/1", "paused");
    // While there is work for the others, its pause is its own affair.
    let before = sandbox.ledger().count("kept");
    until("items flow past it", || sandbox.ledger().count("kept") > before + 200);
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    assert_eq!(run.pid_when("middle/1", "ready"), pid);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!(report.stages["middle"].restarts, 0);
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
}

#[test]
fn a_stopped_worker_hears_a_stop() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["bucket", "serve"], "stop_timeout = \"10m\""));
    until("it serves", || sandbox.ledger().count("serving") == 1);
    let pid = run.pid_when("only/0", "ready");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is there");
    run.pid_when("only/0", "paused");
    assert!(holds_for_a_while(Duration::from_millis(50), || is_alive(pid)));
    run.signal(Signal::SIGTERM);
    run.until_said("again: stop now");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    assert_eq!(sandbox.ledger().count("served"), 1, "it ended by itself");
}

#[test]
fn runs_that_are_cut_short_make_no_dead_letter_of_an_item_in_hand_unless_they_do_so_again_and_again() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = |items| pair(&["bucket", "emit", items], "max_deliveries = 2", &["bucket", "hold", &gate], "");
    let dead = || {
        let said = sandbox.ask(&["dead", "list", "--json"]);
        serde_json::from_str::<Vec<serde_json::Value>>(&said.out).expect("a list").len()
    };
    // One in four counts, so the eighth is the second.
    for cut_short in 0..8 {
        assert!(cut_short == 0 || dead() == 0, "{cut_short} runs were cut short");
        let mut run = sandbox.run(&text(if cut_short == 0 { "1" } else { "0" }));
        until("the item is held", || sandbox.ledger().count("held") == cut_short + 1);
        run.signal(Signal::SIGKILL);
        run.wait();
        run.assert_nobody_left();
    }
    let report = sandbox.run(&text("0")).wait().with_code(5);
    assert_eq!((report.queues["items"].dead, dead()), (1, 1), "{report:?}");
}
