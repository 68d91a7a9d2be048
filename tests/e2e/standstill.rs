//! Workers that wait for each other: they are named, and the run continues or ends as the file says.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{line, pair};

/// `join` pairs the items of two branches, one of which leaves out every other item: `left` fills.
fn zip(keys: &str) -> String {
    format!(
        r#"
name = "zip"
{keys}
[queues.left]
capacity = 4
[queues.pairs]
capacity = 4
[queues.right]
capacity = 4
[stages.split]
command = ["tangle", "split"]
outputs = ["left", "pairs"]
[stages.thin]
command = ["tangle", "thin"]
inputs = ["pairs"]
outputs = ["right"]
[stages.join]
command = ["tangle", "join"]
inputs = ["left", "right"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

const CIRCLE: &str = "split/0 waits for room in queue left, thin/0 waits for an item of queue pairs, join/0 waits for an \
                      item of queue right";

#[test]
fn a_standstill_is_named_and_the_run_continues() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&zip(""));
    run.until_said(&format!("standstill: {CIRCLE}; none of them can continue"));
    assert_eq!(run.status()["standstill"], CIRCLE);
    let shown = sandbox.ask(&["status"]).out;
    assert!(shown.contains(&format!("standstill: {CIRCLE}\n")), "{shown}");
    for words in ["waits for room in queue left for", "waits for an item of queue right for"] {
        assert!(shown.contains(words), "{words}: {shown}");
    }
    assert!(run.is_running());
    sandbox.ask(&["stop", "--now"]);
    let report = run.wait().with_code(4);
    assert_eq!(report.standstill.as_deref(), Some(CIRCLE));
    assert_eq!(report.verdict, format!("stopped at a standstill: {CIRCLE}"));
    assert_eq!(run.said().matches("standstill: ").count(), 2, "once in the log and once at the end:\n{}", run.said());
}

#[test]
fn a_standstill_ends_the_run_if_the_file_says_so() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&zip("on_standstill = \"end\"")).wait().with_code(6);
    assert_eq!(report.verdict, format!("ended at a standstill: {CIRCLE}"));
    assert_eq!(report.queues["left"].left, 4, "items stay in the queues");
}

#[test]
fn a_worker_that_holds_every_item_of_a_queue_stands_still() {
    stands_still_with_all("hoard");
}

#[test]
fn a_worker_that_waits_for_a_short_time_again_and_again_stands_still_too() {
    stands_still_with_all("poll");
}

#[track_caller]
fn stands_still_with_all(how: &str) {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "100"], "capacity = 8", &["tangle", how, "20"], "");
    let mut run = sandbox.run(&text);
    let circle = "source/0 waits for room in queue items, taker/0 waits for an item of queue items (8 items of it are in \
                  workers' hands)";
    run.until_said(&format!("standstill: {circle}"));
    sandbox.ask(&["stop", "--now"]);
    run.wait().with_code(4);
}

#[test]
fn status_shows_what_a_source_waits_for_and_how_long() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "100"], "capacity = 7", &["bucket", "hold", &gate], ""));
    until("the source waits", || {
        let doing = run.worker("source/0").and_then(|worker| Some(worker["doing"].as_str()?.to_owned()));
        doing.is_some_and(|words| words.starts_with("waits for room in queue items for "))
    });
    sandbox.write("gate", "");
    run.wait().with_code(0);
}

#[test]
fn status_shows_that_a_worker_waits_for_the_server_of_shared_state() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&line(&["bucket", "drip"], &["bucket", "tally"], "progress_timeout = \"2s\""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let server = Pid::from_raw(run.pid_when("manager/0", "ready"));
    kill(server, Signal::SIGSTOP).expect("it lives");
    until("the worker waits, longer than it may be stuck", || {
        let doing = run.worker("middle/0").and_then(|worker| Some(worker["doing"].as_str()?.to_owned()));
        doing.is_some_and(|words| words.starts_with("waits for shared state for 4."))
    });
    kill(server, Signal::SIGCONT).expect("it lives");
    let before = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > before);
    sandbox.ask(&["stop", "--now"]);
    let report = run.wait().report();
    assert_eq!(report.stages["middle"].restarts, 0, "it is not to blame for that");
}
