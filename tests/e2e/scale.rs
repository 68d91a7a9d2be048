//! `brigade scale`: stages that grow and shrink while items flow and workers are killed.

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::{endless, line, pair, task};

fn workers(run: &Run, stage: &str, fits: impl Fn(&Value) -> bool) -> usize {
    let status = run.status();
    let stages = status["stages"].as_array().expect("stages").iter().filter(|it| it["name"] == stage);
    stages.flat_map(|it| it["workers"].as_array().expect("workers")).filter(|worker| fits(worker)).count()
}

fn ready(run: &Run, stage: &str) -> usize {
    workers(run, stage, |worker| worker["state"] == "ready")
}

fn until_ready(run: &Run, stage: &str, count: usize) {
    until("the stage has its new size", || {
        ready(run, stage) == count && workers(run, stage, |it| it["let_go"] == false) == count
    });
}

#[test]
fn every_item_comes_out_once_while_a_stage_grows_and_shrinks_and_workers_are_killed() {
    const ITEMS: u64 = 30_000;
    let sandbox = Sandbox::new();
    let keys = "replicas = 2\nbatch = 4\nmax_restarts = \"unlimited\"\nbackoff = \"1ms\"";
    let source = ["bucket", "emit-after", "${here}/gate", &ITEMS.to_string()];
    let mut run = sandbox.run(&line(&source, &["bucket", "pass"], keys));
    until("there is somebody to talk to", || sandbox.ask(&["scale", "middle=6"]).code == Some(0));
    sandbox.write("gate", "");
    let mut kept = 0;
    for size in [4, 1, 3, 2, 6, 1, 2].into_iter().cycle() {
        until("items flow, or all is done", || sandbox.ledger().count("kept") > kept + 500 || !run.is_running());
        if !run.is_running() {
            break;
        }
        kept = sandbox.ledger().count("kept");
        let said = sandbox.ask(&["scale", &format!("middle={size}")]);
        if said.code != Some(0) {
            continue; // It came to its end meanwhile.
        }
        assert!(said.out.starts_with("stage middle is scaled from "), "{}", said.out);
        if let Some(victim) = run.worker("middle/0").and_then(|worker| worker["pid"].as_i64()) {
            let _ = kill(Pid::from_raw(victim as i32), Signal::SIGKILL);
        }
    }
    let ended = run.wait();
    let report = ended.with_code(0);
    sandbox.ledger().assert_once("kept", ITEMS);
    for queue in report.queues.values() {
        assert_eq!((queue.sent, queue.acked, queue.left, queue.dead), (ITEMS, ITEMS, 0, 0), "{queue:?}");
    }
    assert_eq!(report.stages["middle"].processed, ITEMS, "also what those did that were let go");
    run.assert_nobody_left();
}

#[test]
fn what_a_worker_gives_back_when_it_is_let_go_is_done_by_another() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate");
    let run_text = line(
        &["bucket", "emit", "2"],
        &["bucket", "hold", gate.to_str().expect("a path of letters")],
        "replicas = 2\nstop_timeout = \"60s\"",
    );
    let mut run = sandbox.run(&run_text);
    until("both have one", || run.status()["queues"][0]["leased"] == 2);
    let said = sandbox.ask(&["scale", "middle=1"]);
    let words = "stage middle is scaled from 2 to 1 worker: the last ones go after the item in hand\n";
    assert_eq!((said.code, said.out.as_str()), (Some(0), words), "{}", said.err);
    until("it has gone", || run.worker("middle/1").is_some_and(|it| it["state"] == "exited" && it["let_go"] == true));
    sandbox.write("gate", "");
    run.wait().with_code(0);
    assert_eq!(sandbox.ledger().count("held"), 3, "one of the two was held twice");
    sandbox.ledger().assert_once("kept", 2);
}

#[test]
fn a_crash_of_everything_after_a_stage_has_grown_loses_nothing_and_the_file_counts_again() {
    const ITEMS: u64 = 20_000;
    let sandbox = Sandbox::new();
    let text = line(&["bucket", "emit-exact", "0", &ITEMS.to_string()], &["bucket", "pass"], "batch = 4");
    let mut run = sandbox.run(&text);
    until("items flow", || sandbox.ledger().count("kept") > 100);
    assert_eq!(sandbox.ask(&["scale", "middle=5"]).code, Some(0));
    until_ready(&run, "middle", 5);
    let kept = sandbox.ledger().count("kept");
    until("all of them work", || sandbox.ledger().count("kept") > kept + 500);
    let mut all: Vec<i32> = run.processes().into_iter().map(|process| process.pid).collect();
    all.push(run.pid());
    all.into_iter().for_each(|pid| _ = kill(Pid::from_raw(pid), Signal::SIGKILL));
    run.wait();
    let mut run = sandbox.run(&text);
    let report = run.wait().with_code(0);
    assert_eq!(report.queues["done"].sent, ITEMS);
    assert_eq!(report.queues["done"].acked, ITEMS);
    assert!(!sandbox.ask(&["status"]).out.contains("middle/4"), "there is one worker again");
}

#[test]
fn a_new_worker_of_a_paused_stage_is_paused_and_a_drain_ends_with_all_of_them() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    assert_eq!(sandbox.ask(&["pause", "middle"]).code, Some(0));
    assert_eq!(sandbox.ask(&["scale", "middle=3"]).code, Some(0));
    until_ready(&run, "middle", 3);
    until("it stands still", || run.status()["queues"][0]["ready"] == 64);
    assert_eq!(sandbox.ask(&["scale", "middle=3"]).out, "stage middle has 3 workers already\n");
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    for queue in report.queues.values() {
        assert_eq!((queue.acked, queue.left), (queue.sent, 0), "{queue:?}");
    }
    run.assert_nobody_left();
}

#[test]
fn what_cannot_be_scaled_is_said_and_then_nothing_is() {
    let sandbox = Sandbox::new();
    let exact = sandbox.path("exact");
    let taker = ["bucket", "keep-exact", exact.to_str().expect("a path of letters")];
    let mut run = sandbox.run(&pair(&["bucket", "drip"], "capacity = 64", &taker, ""));
    until("a checkpoint is there", || std::fs::metadata(&exact).is_ok_and(|file| file.len() > 0));
    let refused = |args: &[&str], words: &str| {
        let said = sandbox.ask(&[&["scale"], args].concat());
        assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
        assert!(said.err.contains(words), "{}", said.err);
    };
    refused(&["taker=2"], "stage taker cannot have 2 workers: its workers keep checkpoints");
    refused(&["source=2"], "stage source cannot have 2 workers: it is a source, and its workers share the work");
    refused(&["takre=2"], "there is no stage \"takre\": did you mean \"taker\"?");
    refused(&["taker=1", "source=3"], "stage source cannot have 3 workers");
    refused(&["taker=5000"], "it may have at most 4096");
    assert_eq!(sandbox.ask(&["scale", "taker"]).code, Some(2));
    assert_eq!((ready(&run, "taker"), ready(&run, "source")), (1, 1));
    sandbox.stop("--now");
    run.wait();
    assert_eq!(sandbox.ask(&["scale", "taker=1"]).code, Some(1), "nothing runs any more");
}

#[test]
fn plain_processes_are_scaled_as_well() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["sleep", "1000"], "restart = \"permanent\""));
    run.pid_when("only/0", "ready");
    assert_eq!(sandbox.ask(&["scale", "only=3"]).code, Some(0));
    until_ready(&run, "only", 3);
    assert_eq!(sandbox.ask(&["scale", "only=1"]).code, Some(0));
    until("the others have gone", || run.processes().len() == 1);
    sandbox.stop("--now");
    run.wait();
    run.assert_nobody_left();
}

#[test]
fn while_a_stage_is_restarted_one_by_one_it_is_never_below_its_size() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2"));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let said = sandbox.ask(&["restart", "middle", "--rolling"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "middle is restarted\n"), "{}", said.err);
    assert!(said.err.contains("middle/2 is ready, for as long as the others are restarted"), "{}", said.err);
    until_ready(&run, "middle", 2);
    // Counted by the events: how many were ready at any time since the first two were.
    let events = sandbox.ask(&["events"]).out;
    let (mut up, mut least, mut begun) = (0i32, i32::MAX, false);
    for line in events.lines().filter(|line| line.contains(" middle/")) {
        up += i32::from(line.contains("-> ready")) - i32::from(line.contains(" ready ->"));
        begun |= up == 2;
        least = if begun { least.min(up) } else { least };
    }
    assert_eq!((up, least), (2, 2), "{events}");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}
