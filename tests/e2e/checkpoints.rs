//! Checkpoints are used under the orders that made them, and under no others: over reloads and over runs.

use brigade_tests::{Run, Sandbox, until, until_some};
use nix::sys::signal::Signal;

use crate::pipelines::pair;

/// A source of exact items, another one that makes none, and a taker. An empty `source` leaves the first one out.
fn text(name: &str, source: &[&str]) -> String {
    let first = format!("[stages.{name}]\ncommand = {source:?}\noutputs = [\"items\"]\n");
    format!(
        r#"
name = "checkpoints"
[queues.items]
capacity = 64
{}
[stages.idle]
command = ["bucket", "emit-then-wait", "0"]
outputs = ["items"]
[stages.taker]
command = ["bucket", "keep"]
inputs = ["items"]
env.LEDGER = "${{ledger}}"
"#,
        if source.is_empty() { "" } else { &first }
    )
}

const MANY: &[&str] = &["bucket", "emit-exact", "0", "1000000"];

/// Starts a run, and waits until its source has checkpoints.
fn at_work(sandbox: &Sandbox) -> Run {
    let run = sandbox.run(&text("walk", MANY));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    run
}

fn reload(sandbox: &Sandbox, text: &str) -> Result<String, String> {
    sandbox.pipeline(text);
    let said = sandbox.ask(&["reload"]);
    if said.code == Some(0) { Ok(said.out) } else { Err(said.err) }
}

/// The run ends with something left.
fn stops(sandbox: &Sandbox, mut run: Run) {
    sandbox.stop("--now");
    run.wait();
    run.assert_nobody_left();
}

fn refused(sandbox: &Sandbox, text: &str, words: &[&str]) {
    let ended = sandbox.run(text).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(words.iter().all(|words| ended.err.contains(words)), "{}", ended.err);
}

/// The source is at work again, and what came out so far came once, and in order.
fn continues(sandbox: &Sandbox) {
    let kept = sandbox.ledger().count("kept");
    let run = sandbox.run(&text("walk", MANY));
    until("items flow again", || sandbox.ledger().count("kept") > kept + 100);
    stops(sandbox, run);
    assert_in_order(sandbox);
}

fn assert_in_order(sandbox: &Sandbox) {
    let kept: Vec<u64> = sandbox.ledger().entries().iter().map(|entry| entry.item).collect();
    assert!(kept.iter().copied().eq(0..kept.len() as u64), "not each item once: {kept:?}");
}

#[test]
fn a_source_that_is_back_after_a_run_without_it_keeps_to_its_old_arguments() {
    let sandbox = Sandbox::new();
    let run = at_work(&sandbox);
    stops(&sandbox, run);
    let mut run = sandbox.run(&text("", &[]));
    run.until_said("stage walk of the earlier run is not in this plan");
    until_some("the taker is at work", || run.worker("taker/0").filter(|it| it["state"] == "ready"));
    stops(&sandbox, run);
    let others = text("walk", &["bucket", "emit-exact", "5000000", "1000000"]);
    for _ in 0..2 {
        refused(
            &sandbox,
            &others,
            &["stage walk would continue from the checkpoint", "not [\"emit-exact\", \"5000000\""],
        );
    }
    refused(
        &sandbox,
        &text("walk", &["misfit", "emit-exact", "0", "1000000"]),
        &["told to run bucket and not to run misfit"],
    );
    continues(&sandbox);
}

#[test]
fn a_source_that_is_back_after_two_reloads_keeps_to_its_old_arguments() {
    let sandbox = Sandbox::new();
    let run = at_work(&sandbox);
    reload(&sandbox, &text("", &[])).expect("it can go");
    until("it has gone", || run.worker("walk/0").is_none());
    let others = text("walk", &["bucket", "emit-exact", "5000000", "1000000"]);
    let why = reload(&sandbox, &others).expect_err("it would begin in the middle");
    assert!(why.contains("stage walk would continue from its checkpoint") && why.contains("5000000"), "{why}");
    let why = reload(&sandbox, &text("walker", MANY)).expect_err("it would begin again");
    assert!(why.contains("what stage walk has done"), "{why}");
    let kept = sandbox.ledger().count("kept");
    reload(&sandbox, &text("walk", MANY)).expect("as before");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 100);
    stops(&sandbox, run);
    assert_in_order(&sandbox);
}

#[test]
fn a_source_keeps_its_name_under_a_reload_and_over_a_run() {
    let sandbox = Sandbox::new();
    let run = at_work(&sandbox);
    let why = reload(&sandbox, &text("walker", MANY)).expect_err("its items would come twice");
    assert!(why.contains("stage walker would do again from the beginning what stage walk has done"), "{why}");
    assert!(why.contains("call it walk"), "{why}");
    stops(&sandbox, run);
    let words = ["stage walker would do again from the beginning what stage walk did", "call it walk again"];
    refused(&sandbox, &text("walker", MANY), &words);
    continues(&sandbox);
}

#[test]
fn another_environment_of_a_source_with_a_checkpoint_is_named_without_its_values() {
    let sandbox = Sandbox::new();
    let with = |env: &str| {
        text("walk", MANY).replacen("outputs = [\"items\"]\n", &format!("outputs = [\"items\"]\nenv = {env}\n"), 1)
    };
    let run = sandbox.run(&with("{ BASE = \"one\", LEVEL = \"info\" }"));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let words = "stage walk continues from its checkpoint although its env has changed: BASE, MORE;";
    let said = reload(&sandbox, &with("{ BASE = \"secret\", LEVEL = \"info\", MORE = \"secret\" }"))
        .expect("it is not refused");
    assert!(said.contains(words) && !said.contains("secret"), "{said}");
    stops(&sandbox, run);
    let mut run = sandbox.run(&with("{ BASE = \"one\", LEVEL = \"info\" }"));
    run.until_said(words);
    let noted = std::fs::read_to_string(sandbox.state().join("orders.json")).expect("orders");
    assert!(noted.contains("BASE") && !noted.contains("\"one\""), "{noted}");
    stops(&sandbox, run);
}

#[test]
fn a_source_without_checkpoints_begins_again_under_a_reload_and_that_is_told() {
    let sandbox = Sandbox::new();
    let text = text("walk", &["bucket", "drip"]);
    let run = sandbox.run(&text);
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let other = text.replacen("outputs = [\"items\"]\n", "outputs = [\"items\"]\nenv.LEVEL = \"debug\"\n", 1);
    let said = reload(&sandbox, &other).expect("it is not refused");
    assert!(said.contains("stage walk is a source without a checkpoint: it begins from the start"), "{said}");
    stops(&sandbox, run);
}

#[test]
fn a_source_without_checkpoints_keeps_its_name_under_a_reload() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&text("walk", &["bucket", "emit", "64"]));
    until("all are kept", || sandbox.ledger().count("kept") == 64);
    let why = reload(&sandbox, &text("walker", &["bucket", "emit", "64"])).expect_err("64 items would come twice");
    assert!(why.contains("what stage walk has done"), "{why}");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", 64);
}

/// The old process makes its first checkpoint after the reload has looked for one.
#[test]
fn a_checkpoint_that_is_made_while_a_reload_is_under_way_is_not_used_under_the_new_orders() {
    let sandbox = Sandbox::new();
    let text = |word: &str| pair(&["bucket", "mark-at-stop", word], "", &["bucket", "keep"], "");
    let mut run = sandbox.run(&text("old"));
    run.pid_when("source/0", "ready");
    sandbox.pipeline(&text("new"));
    let reloaded = sandbox.ask(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.err);
    let report = run.wait().with_code(1);
    let why = "it would continue from its checkpoint, which was made when it was told [\"mark-at-stop\", \"old\"] and not \
               [\"mark-at-stop\", \"new\"]";
    assert!(report.verdict.contains(why), "{}", report.verdict);
    // Nor by the next run.
    let ended = sandbox.run(&text("new")).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("would continue from the checkpoint of an earlier run"), "{}", ended.err);
    let mut run = sandbox.run(&text("old"));
    run.pid_when("source/0", "ready");
    sandbox.stop("--now");
    run.wait().with_code(0);
}
