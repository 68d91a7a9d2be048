//! Changes of shared state that belong to a batch: whoever dies, and wherever, each is made once. A change that was made
//! twice or not at all would be seen in the sums, whatever the queues say.

use brigade_tests::{Report, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::stage::{ITEMS, Line};

const TALLY: Line<'static> = Line {
    source: &["bucket", "emit", "200"],
    middle: &["bucket", "tally"],
    source_env: "",
    middle_env: "",
    queue: "capacity = 64",
    keys: "",
};

/// What `brigade shared NAME` shows.
fn shared(sandbox: &Sandbox, name: &str) -> Value {
    let said = sandbox.ask(&["shared", name, "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).expect("JSON")
}

/// Every item below `items` has changed the list, the map and the counter once.
fn assert_tallied(sandbox: &Sandbox, items: u64) {
    let list = shared(sandbox, "seen");
    let mut seen: Vec<u64> = list["items"].as_array().expect("items").iter().filter_map(Value::as_u64).collect();
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(
        (list["length"].as_u64(), seen.len() as u64),
        (Some(items), items),
        "items in the list, and different ones"
    );
    assert_eq!(shared(sandbox, "sum")["value"].as_u64(), Some((0..items).sum()));
    let map = shared(sandbox, "last digits");
    let entries = map["entries"].as_array().expect("entries");
    let numbers: Vec<u64> = entries.iter().filter_map(|entry| entry["value"].as_u64()).collect();
    assert_eq!(numbers, vec![items / 10; 10], "{map}");
}

/// A worker dies at `point`, with so many items to a commit.
fn worker_dies_at(point: &str, nth: u32, batch: u32) -> Report {
    let sandbox = Sandbox::new();
    let (env, keys) = (format!("env.DIE_AT = \"{point}:{nth}\""), format!("batch = {batch}"));
    let report = Line { middle_env: &env, keys: &keys, ..TALLY }.run(&sandbox, "middle");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_tallied(&sandbox, ITEMS);
    report
}

#[test]
fn batch_prepared() {
    // A commit may cover two batches: half of the queue.
    for (nth, batch) in [(50, 1), (3, 16)] {
        let report = worker_dies_at("batch_prepared", nth, batch);
        assert!(report.queues["raw"].redelivered > 0, "{report:?}");
    }
}

#[test]
fn a_change_is_made_once_wherever_its_worker_dies_in_the_commit() {
    for point in ["batch_staged_one", "batch_settled", "batch_noted", "batch_committed", "batch_published_one"] {
        worker_dies_at(point, 20, 1);
        worker_dies_at(point, 3, 16);
    }
}

/// The manager, started by a real supervisor, dies every so many times that it comes to `point`.
fn manager_dies_at(point: &str, nth: u32) {
    let sandbox = Sandbox::new();
    let text = Line { keys: "batch = 16", ..TALLY }.text();
    let ended = sandbox
        .run_with(&text, |command| {
            // The workers ignore it, and the supervisor does not come there.
            command.env("BRIGADE_CRASH", format!("{point}:{nth}"));
        })
        .wait();
    ended.with_code(0);
    assert!(ended.err.contains("manager/0 backoff: killed by SIGKILL"), "{}", ended.err);
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_tallied(&sandbox, ITEMS);
}

#[test]
fn manager_batch_settling() {
    manager_dies_at("manager_batch_settling", 4);
}

#[test]
fn a_manager_that_dies_beside_its_journal_makes_every_change_of_a_batch_once() {
    manager_dies_at("manager_journal_before", 7);
    manager_dies_at("manager_journal_copied", 7);
    manager_dies_at("manager_journal_written", 7);
}

#[test]
fn changes_of_batches_are_exact_while_workers_and_manager_are_killed() {
    const MANY: u64 = 10_000; // As many as `brigade shared` shows.
    let sandbox = Sandbox::new();
    let many = MANY.to_string();
    let keys = "batch = 4\nthreads = 2\nreplicas = 3\nmax_restarts = \"unlimited\"\nbackoff_max = \"5ms\"";
    let mut run = sandbox.run(&Line { source: &["bucket", "emit", &many], keys, ..TALLY }.text());
    let mut killed = 0;
    while run.is_running() {
        let kept = sandbox.ledger().count("kept");
        let victim = match killed {
            n if n % 8 == 7 && n < 40 => "manager/0".to_owned(),
            n => format!("middle/{}", n % 3),
        };
        let Some(pid) = run.worker(&victim).filter(|worker| worker["state"] == "ready").and_then(|w| w["pid"].as_i64())
        else {
            continue;
        };
        if kill(Pid::from_raw(pid as i32), Signal::SIGKILL).is_ok() {
            killed += 1;
        }
        until("it goes on", || !run.is_running() || sandbox.ledger().count("kept") > kept + 100);
    }
    run.wait().with_code(0);
    assert!(killed > 2, "{killed} kills");
    sandbox.ledger().assert_once("kept", MANY);
    assert_tallied(&sandbox, MANY);
}

#[test]
fn what_was_committed_is_shared_state_though_the_manager_never_saw_it() {
    // Everything dies right behind the commit; nobody asks for shared state afterwards.
    let sandbox = Sandbox::new();
    let env = "env.STAND_STILL_AT = \"batch_committed\"";
    let mut run = sandbox.run(&Line { source: &["bucket", "emit", "10"], middle_env: env, ..TALLY }.text());
    let pid = run.pid_when("middle/0", "paused");
    let all: Vec<i32> = run.processes().iter().map(|process| process.pid).chain([run.pid(), pid]).collect();
    for pid in all {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    assert_eq!(run.wait().signal, Some(9));
    run.assert_nobody_left();
    assert_eq!(shared(&sandbox, "seen")["items"].as_array().map(Vec::len), Some(1), "one who looks sees it");
    drop(run);
    let text = Line { source: &["bucket", "emit", "0"], middle: &["bucket", "pass"], ..TALLY }.text();
    sandbox.run(&text).wait().with_code(0);
    assert_eq!(shared(&sandbox, "seen")["items"].as_array().map(Vec::len), Some(1), "and it is kept");
}
