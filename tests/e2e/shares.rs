//! A source that has done a part of its work: its workers keep their shares over runs, and those that are complete stay so.

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::Signal;

const ITEMS: u64 = 60;

/// A source whose workers share the items by their numbers, and a taker that waits with each item for the file `gate`.
fn text(keys: &str) -> String {
    line(&["bucket", "emit-share", "${here}/gate", "60"], keys)
}

fn line(source: &[&str], keys: &str) -> String {
    format!(
        r#"
name = "shares"
[queues.items]
capacity = 64
[stages.source]
command = {source:?}
outputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
{keys}
[stages.taker]
command = ["bucket", "hold", "${{here}}/gate"]
inputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

/// A run whose source has sent a part of its items.
fn begun(keys: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&text(keys));
    run.until_status("half of the items are sent", |status| status["queues"][0]["sent"] == ITEMS / 2);
    sandbox.stop("--now");
    run.wait();
    run.assert_nobody_left();
    sandbox
}

fn refused(sandbox: &Sandbox, text: &str, words: &[&str]) {
    let ended = sandbox.run(text).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(words.iter().all(|words| ended.err.contains(words)), "{}", ended.err);
}

fn completes(sandbox: &Sandbox, text: &str) -> Run {
    sandbox.write("gate", "");
    let mut run = sandbox.run(text);
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", ITEMS);
    run
}

#[test]
fn a_source_with_checkpoints_keeps_its_number_of_workers_until_it_is_complete() {
    let sandbox = begun("replicas = 2");
    for (keys, now) in [("", "2 workers and not 1 worker"), ("replicas = 3", "2 workers and not 3 workers")] {
        let words =
            ["stage source shares its work", "has left a checkpoint of its share", now, "run it with replicas = 2"];
        refused(&sandbox, &text(keys), &words);
    }
    completes(&sandbox, &text("replicas = 2"));
}

#[test]
fn a_source_with_checkpoints_keeps_its_number_of_threads_until_it_is_complete() {
    let sandbox = begun("");
    refused(
        &sandbox,
        &text("threads = 2"),
        &["1 worker and not 1 worker of 2 threads", "replicas = 1 and threads = 1"],
    );
    completes(&sandbox, &text(""));
}

#[test]
fn a_source_that_is_complete_stays_so_with_any_number_of_workers() {
    let sandbox = Sandbox::new();
    let text = |keys| line(&["bucket", "emit-share", "${here}/pipeline.toml", "60"], keys);
    let mut run = sandbox.run(&text("replicas = 2"));
    run.until_status("all are sent", |status| status["stages"][0]["state"] == "complete");
    run.signal(Signal::SIGKILL);
    run.wait();
    let run = completes(&sandbox, &text("replicas = 3"));
    assert!(run.said().contains("already complete: source/0, source/1, source/2"), "{}", run.said());
}

#[test]
fn a_source_without_checkpoints_that_is_complete_is_not_started_by_the_next_run() {
    let text = line(&["bucket", "emit", "60"], "");
    for end in [Some("--now"), None] {
        let sandbox = Sandbox::new();
        let mut run = sandbox.run(&text);
        run.until_status("all are sent", |status| status["stages"][0]["state"] == "complete");
        match end {
            Some(how) => sandbox.stop(how),
            None => run.signal(Signal::SIGKILL),
        }
        run.wait();
        let run = completes(&sandbox, &text);
        assert!(run.said().contains("already complete: source/0"), "{}", run.said());
        // What is complete is of that run alone.
        sandbox.run(&text).wait().with_code(0);
        assert_eq!(sandbox.ledger().count("kept"), 120);
    }
}

#[test]
fn a_source_of_which_a_part_of_the_workers_is_complete_keeps_their_number() {
    let sandbox = Sandbox::new();
    // The second worker sends its share when the file `go` is there.
    let text = |keys| line(&["bucket", "emit-half-after", "${here}/go", "60"], keys);
    let mut run = sandbox.run(&text("replicas = 2"));
    until("the first worker is complete", || run.worker("source/0").is_some_and(|it| it["state"] == "exited"));
    run.signal(Signal::SIGKILL);
    run.wait();
    refused(&sandbox, &text("replicas = 1"), &["source/0 has done its share", "run it with replicas = 2"]);
    sandbox.write("go", "");
    let run = completes(&sandbox, &text("replicas = 2"));
    assert!(run.said().contains("already complete: source/0"), "{}", run.said());
}

#[test]
fn a_source_that_is_complete_begins_again_when_it_is_told_something_else() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&line(&["bucket", "emit", "30"], ""));
    run.until_status("all are sent", |status| status["stages"][0]["state"] == "complete");
    run.signal(Signal::SIGKILL);
    run.wait();
    sandbox.write("gate", "");
    let mut run = sandbox.run(&line(&["bucket", "emit", "60"], ""));
    run.wait().with_code(0);
    assert!(run.said().contains("stage source was complete in the earlier run"), "{}", run.said());
    assert_eq!(sandbox.ledger().count("kept"), 90);
}
