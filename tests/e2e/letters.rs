//! Dead letters of a pipeline that does not run: sent again, and done once.

use std::process::Stdio;

use brigade_protocol::queue::Queue;
use brigade_tests::{Run, Sandbox, is_alive, keeper_of, reboot, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A source of ten exact items and a taker, whose third item has one delivery.
fn text(taker: &str) -> String {
    format!(
        r#"
name = "letters"
[queues.raw]
max_deliveries = 1
[stages.source]
command = ["bucket", "emit-exact", "0", "10"]
outputs = ["raw"]
[stages.taker]
command = {taker}
inputs = ["raw"]
env = {{ LEDGER = "${{ledger}}", MENDED = "${{here}}/mended" }}
"#
    )
}

const FAILING: &str = r#"["misfit", "fail-until", "3"]"#;

fn is_stopped(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// The supervisor cannot start another keeper in between.
fn kill_supervisor_and_keeper(run: &mut Run) {
    let keeper = until_some("there is a keeper", || keeper_of(run.pid()));
    run.signal(Signal::SIGSTOP);
    until("the supervisor is stopped", || is_stopped(run.pid()));
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it is there");
    run.signal(Signal::SIGKILL);
    run.wait();
}

/// A run whose third item has just run out of deliveries, and whose supervisor is stopped: it has not seen that.
fn with_an_unseen_letter(sandbox: &Sandbox) -> Run {
    let text = text(FAILING).replace("\"emit-exact\", \"0\", \"10\"", "\"emit-exact\", \"0\", \"10\", \"${here}/go\"");
    let text =
        format!("{text}\n[stages.stays]\ncommand = [\"bucket\", \"emit-then-wait\", \"0\"]\noutputs = [\"raw\"]\n");
    let run = sandbox.run(&text);
    run.pid_when("source/0", "ready");
    run.signal(Signal::SIGSTOP);
    until("the supervisor is stopped", || is_stopped(run.pid()));
    sandbox.write("go", "");
    let queue = Queue::open(&sandbox.state().join("queues/raw.queue")).expect("a queue");
    until("an item is out of deliveries", || queue.depth().dead == 1);
    run
}

#[test]
fn a_letter_that_is_in_its_queue_still_is_retried_by_a_run() {
    let sandbox = Sandbox::new();
    let mut run = with_an_unseen_letter(&sandbox);
    sandbox.write("mended", "");
    let mut retry = sandbox.brigade(["dead", "retry", "--all", "--state-dir"]);
    let retry = retry.arg(sandbox.state()).stdout(Stdio::piped()).spawn().expect("it starts");
    run.signal(Signal::SIGCONT);
    let output = retry.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said, "1 item sent again to queue raw\n");
    sandbox.stop("--now");
    run.wait();
}

#[test]
fn a_letter_that_is_in_its_queue_still_is_retried_when_the_supervisor_was_killed() {
    let sandbox = Sandbox::new();
    let mut run = with_an_unseen_letter(&sandbox);
    run.signal(Signal::SIGKILL);
    run.wait();
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 item sent again to queue raw\n"), "{}", said.err);
    sandbox.write("mended", "");
    sandbox.run(&text(FAILING)).wait();
}

#[test]
fn a_retry_first_ends_a_worker_that_has_outlived_its_supervisor_and_holds_an_item() {
    let sandbox = Sandbox::new();
    sandbox.run(&text(FAILING)).wait().with_code(5);
    // A child of the worker's process, which does not die with the supervisor.
    let holding = r#"["/bin/sh", "-c", "bucket hold ${here}/gate & wait"]"#;
    let mut run = sandbox.run_with(&text(holding), |command| {
        let programs = brigade_tests::folder().display().to_string();
        command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    });
    until("an item is in hand", || sandbox.ledger().count("held") > 0);
    let survivor = sandbox.ledger().entries().iter().find(|entry| entry.deed == "held").expect("held").pid;
    kill_supervisor_and_keeper(&mut run);
    assert!(is_alive(survivor), "this test needs one that lives on");
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 item sent again to queue raw\n"), "{}", said.err);
    assert!(said.err.contains("ended 1 process that the last run had left"), "{}", said.err);
    assert!(!is_alive(survivor), "it can still finish what was given to another one");
    sandbox.write("mended", "");
    sandbox.run(&text(FAILING)).wait().with_code(0);
    let kept = sandbox.ledger().times("kept");
    assert!(kept.len() == 10 && kept.values().all(|times| *times == 2), "two runs did each item once: {kept:?}");
}

/// One line of the state folder's dead letters.
fn ids(sandbox: &Sandbox) -> Vec<String> {
    let said = sandbox.ask(&["dead", "list", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let letters: Vec<serde_json::Value> = serde_json::from_str(&said.out).expect("JSON");
    letters.iter().map(|letter| letter["id"].as_str().expect("text").to_owned()).collect()
}

/// A source that keeps no checkpoint, a middle that cannot do item 3 at first, and a sink with these keys. `env` is further
/// environment of the middle.
fn line(source: &str, max_deliveries: u32, env: &str, sink: &str) -> String {
    format!(
        r#"
name = "line"
[queues.raw]
max_deliveries = {max_deliveries}
[queues.done]
[stages.source]
command = ["bucket", "{source}", "10"]
outputs = ["raw"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.middle]
command = {FAILING}
inputs = ["raw"]
outputs = ["done"]
env = {{ LEDGER = "${{ledger}}", MENDED = "${{here}}/mended"{env} }}
[stages.sink]
inputs = ["done"]
{sink}
"#
    )
}

/// With an exact file at the end.
fn exact(source: &str) -> String {
    line(source, 1, "", "command = [\"bucket\", \"keep-exact\", \"${here}/kept\"]")
}

fn kept(sandbox: &Sandbox) -> Vec<u64> {
    let text = std::fs::read_to_string(sandbox.path("kept")).expect("a file");
    text.lines().map(|line| line.parse().expect("a number")).collect()
}

#[test]
fn a_retry_after_a_complete_run_does_just_its_items_and_the_run_after_that_is_another_one() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&exact("emit")).wait().with_code(5);
    assert_eq!((report.queues["raw"].dead, report.queues["raw"].kept), (1, 1));
    let without = [0, 1, 2, 4, 5, 6, 7, 8, 9];
    assert_eq!(kept(&sandbox), without);
    // It fails once more, and is the same letter.
    let letter = ids(&sandbox);
    for _ in 0..2 {
        let said = sandbox.ask(&["dead", "retry", &letter[0][..20]]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        assert!(said.err.contains("the next run continues the last one, which is complete"), "{}", said.err);
        let ended = sandbox.run(&exact("emit")).wait();
        let raw = &ended.with_code(5).queues["raw"];
        assert!(raw.kept == 1 && raw.dead > 1 && ended.err.contains("1 dead letter kept (raw 1)"), "{}", ended.err);
        assert_eq!(ids(&sandbox), letter);
    }
    sandbox.write("mended", "");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    let ended = sandbox.run(&exact("emit")).wait();
    let report = ended.with_code(0);
    assert_eq!(report.verdict, "complete");
    assert!(!ended.err.contains("dead letter"), "nothing is kept any more: {}", ended.err);
    let (raw, done) = (&report.queues["raw"], &report.queues["done"]);
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.kept), (13, 10, 3, 0), "ten, and three times one");
    assert_eq!((done.sent, done.acked), (10, 10));
    assert_eq!(kept(&sandbox), [&without[..], &[3]].concat());
    assert_eq!(sandbox.ledger().count("sent"), 10, "the source ran again");
    let report = sandbox.run(&exact("emit")).wait().with_code(0);
    assert_eq!((report.queues["raw"].sent, sandbox.ledger().count("sent")), (10, 20));
    assert_eq!(kept(&sandbox), (0..10).collect::<Vec<_>>(), "another run begins with an empty file");
}

#[test]
fn a_source_that_is_told_something_else_before_what_was_sent_again_is_done_is_refused() {
    let sandbox = Sandbox::new();
    sandbox.run(&exact("emit")).wait().with_code(5);
    sandbox.write("mended", "");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    let other = exact("emit").replace("\"10\"", "\"20\"");
    let ended = sandbox.run(&other).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    let words = "it was told [\"emit\", \"10\"] and not [\"emit\", \"20\"]";
    assert!(ended.err.contains(words) && ended.err.contains("--fresh"), "{}", ended.err);
    sandbox.run(&exact("emit")).wait().with_code(0);
    assert_eq!(sandbox.ledger().count("sent"), 10);
    assert_eq!(sandbox.run(&other).wait().with_code(0).queues["raw"].sent, 20);
}

#[test]
fn a_continued_run_that_is_killed_is_continued() {
    let sandbox = Sandbox::new();
    sandbox.run(&exact("emit")).wait().with_code(5);
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    let holding = exact("emit").replace(FAILING, r#"["bucket", "hold", "${here}/gate"]"#);
    let mut run = sandbox.run(&holding);
    until("the item is in hand", || sandbox.ledger().count("held") > 0);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox.write("mended", "");
    let report = sandbox.run(&exact("emit")).wait().with_code(0);
    assert_eq!((report.queues["raw"].sent, report.queues["raw"].acked, sandbox.ledger().count("sent")), (11, 10, 10));
}

#[test]
fn what_was_sent_again_before_a_restart_of_the_machine_is_said_to_be_missing() {
    let sandbox = Sandbox::new();
    sandbox.run(&exact("emit")).wait().with_code(5);
    sandbox.write("mended", "");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    reboot(&sandbox);
    let ended = sandbox.run(&exact("emit")).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("the items in it are not handed on; run again"), "{}", ended.err);
    let report = sandbox.run(&exact("emit")).wait().with_code(0);
    assert_eq!((report.put_aside.len(), report.queues["raw"].sent), (2, 10), "{report:?}");
    assert_eq!(sandbox.run(&exact("emit")).wait().with_code(0).put_aside, Vec::<String>::new());
}

#[test]
fn drop_takes_the_letter_of_one_run_and_leaves_the_same_item_of_another() {
    let sandbox = Sandbox::new();
    for _ in 0..2 {
        sandbox.run(&exact("emit")).wait().with_code(5);
    }
    let [first, second] = ids(&sandbox).try_into().expect("two letters");
    assert_eq!(first[16..], second[16..], "the runs gave their items the same ids");
    let said = sandbox.ask(&["dead", "drop", &second]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 item of queue raw dropped\n"), "{}", said.err);
    assert_eq!(ids(&sandbox), [first]);
}

/// The keys of all items that the workers have met, as `WORKER KEY` for each time.
fn keys(sandbox: &Sandbox) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(sandbox.path("keys")).expect("a file");
    text.lines()
        .map(|line| line.split_once(' ').expect("two words"))
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .collect()
}

/// With workers that note the key of each item that they meet.
fn keyed() -> String {
    let keys = ", KEYS = \"${here}/keys\"";
    let env = format!("{{ LEDGER = \"${{ledger}}\", MENDED = \"${{here}}/mended\"{keys} }}");
    line("emit", 2, keys, &format!("command = {FAILING}\nenv = {env}"))
}

#[test]
fn keys_stay_over_redelivery_and_retry_and_are_never_given_twice() {
    let sandbox = Sandbox::new();
    sandbox.run(&keyed()).wait().with_code(5);
    let met = keys(&sandbox);
    let of = |met: &[(String, String)], stage: &str| {
        let keys = met.iter().filter(|(worker, _)| worker == stage).map(|(_, key)| key.clone());
        keys.collect::<Vec<String>>()
    };
    let distinct = |keys: &[String]| keys.iter().cloned().collect::<std::collections::BTreeSet<_>>();
    let (raw, done) = (of(&met, "middle/0"), of(&met, "sink/0"));
    assert_eq!((raw.len(), distinct(&raw).len()), (11, 10), "one was delivered twice, under one key");
    assert_eq!((done.len(), distinct(&done).len()), (9, 9));
    assert!(distinct(&raw).is_disjoint(&distinct(&done)), "two queues have given the same key");
    let letter = ids(&sandbox).remove(0);
    assert!(raw.iter().filter(|key| **key == letter).count() == 2, "the letter has the key of the item");

    sandbox.write("mended", "");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    sandbox.run(&keyed()).wait().with_code(0);
    assert_eq!(of(&keys(&sandbox)[met.len()..], "middle/0"), [letter], "the retried item has its key");

    let met = keys(&sandbox);
    sandbox.run(&keyed()).wait().with_code(0);
    let all = keys(&sandbox);
    let (before, after) = all.split_at(met.len());
    let of_all = |met: &[(String, String)]| distinct(&met.iter().map(|(_, key)| key.clone()).collect::<Vec<_>>());
    assert_eq!(of_all(after).len(), 20);
    assert!(of_all(before).is_disjoint(&of_all(after)), "another run has given the same keys");
}
