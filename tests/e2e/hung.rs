//! Workers that live and do nothing: noticed, aborted, started again; and those that only wait.

use std::time::Duration;

use brigade_tests::{Run, Sandbox, holds_for_a_while, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{endless, finite, pair};

const KEYS: &str =
    "progress_timeout = \"1s\"\nmax_restarts = \"unlimited\"\nbackoff = \"10ms\"\nlimits = { core = \"0B\" }";

/// The same with a time for each item.
const ITEM_KEYS: &str =
    "item_timeout = \"1s\"\nmax_restarts = \"unlimited\"\nbackoff = \"10ms\"\nlimits = { core = \"0B\" }";

/// A worker hangs at item 5 twice, then that is a dead letter and the others are done. Gives what was said, and how often
/// the worker was restarted.
fn hangs_at_item_5(mode: &str, keys: &str) -> (String, u64) {
    let sandbox = Sandbox::new();
    let text = finite(20, &["misfit", mode, "5"], keys);
    let ended = sandbox.run(&text.replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2")).wait();
    let report = ended.with_code(5);
    assert_eq!((report.queues["raw"].acked, report.queues["raw"].dead), (19, 1));
    let kept = sandbox.ledger().times("kept");
    assert!((0..20).all(|item| kept.contains_key(&item) != (item == 5)), "{kept:?}");
    assert_eq!(sandbox.ledger().times("met")[&5], 2);
    assert!(ended.err.contains("an item is a dead letter now: middle/0: "), "{}", ended.err);
    (ended.err, report.stages["middle"].restarts)
}

#[test]
fn a_worker_that_hangs_at_an_item_is_aborted_and_the_item_comes_again() {
    let (said, _) = hangs_at_item_5("sleep", KEYS);
    let words = "middle/0 backoff: killed by SIGABRT: made no progress for 1s on item ";
    assert!(said.contains(words) && said.contains(" of queue raw: aborted"), "{said}");
}

#[test]
fn one_of_several_threads_that_hangs_is_noticed_while_the_others_work() {
    let (said, _) = hangs_at_item_5("sleep", &format!("{KEYS}\nthreads = 3"));
    assert!(said.contains("killed by SIGABRT: made no progress for 1s on item "), "{said}");
}

#[test]
fn a_hung_worker_that_does_not_heed_the_abort_is_killed() {
    let (said, _) = hangs_at_item_5("deaf", KEYS);
    assert!(said.contains("middle/0 is killed: still there 2s after SIGABRT"), "{said}");
    assert!(said.contains("killed by SIGKILL: made no progress for 1s on item "), "{said}");
}

#[test]
fn a_handler_that_is_told_that_its_item_takes_too_long_can_give_it_up() {
    let (said, restarts) = hangs_at_item_5("heed", &format!("{ITEM_KEYS}\nthreads = 2"));
    let words = "middle/0 has spent 1s on item ";
    assert!(said.contains(words) && said.contains("the handler is told to stop with it"), "{said}");
    assert!(said.contains("a dead letter now: middle/0: item 5 takes too long"), "{said}");
    assert_eq!(restarts, 0, "{said}");
}

#[test]
fn a_handler_that_does_not_give_up_an_item_in_twice_its_time_is_aborted() {
    let (said, _) = hangs_at_item_5("sleep", ITEM_KEYS);
    let words = "killed by SIGABRT: spent 2s, twice the item_timeout, on item ";
    assert!(said.contains(words) && said.contains("the handler is told to stop with it"), "{said}");
}

/// For longer than its timeout, it is not touched.
fn is_left_alone(run: &Run, id: &str, pid: i32) {
    let stays = holds_for_a_while(Duration::from_secs(4), || {
        run.worker(id).is_some_and(|worker| worker["pid"] == pid && worker["incarnation"] == 1)
    });
    assert!(stays, "{}", run.said());
}

#[test]
fn a_worker_that_waits_for_room_does_not_hang() {
    let sandbox = Sandbox::new();
    let text = endless(KEYS).replace("[\"bucket\", \"keep\"]", "[\"misfit\", \"sleep\", \"0\"]");
    let mut run = sandbox.run(&text);
    run.until_status("the queue is full", |status| {
        let queues = status["queues"].as_array().expect("queues");
        queues.iter().any(|queue| queue["name"] == "done" && queue["ready"] == 63)
    });
    is_left_alone(&run, "middle/0", run.pid_when("middle/0", "ready"));
    sandbox.stop("--kill");
    run.wait();
}

#[test]
fn a_paused_worker_does_not_hang_until_it_is_continued() {
    let sandbox = Sandbox::new();
    let keys = KEYS.replace("\"1s\"", "\"2s\"");
    let mut run = sandbox.run(&pair(&["bucket", "emit-then-wait", "5"], "", &["misfit", "sleep", "3"], &keys));
    until("it is at the item", || sandbox.ledger().times("met").contains_key(&3));
    let pid = run.pid_when("taker/0", "ready");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("it is there");
    is_left_alone(&run, "taker/0", pid);
    assert!(!run.said().contains("aborted"), "{}", run.said());
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    run.until_said("made no progress for 2s on item ");
    sandbox.stop("--kill");
    run.wait();
}
