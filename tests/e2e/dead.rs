//! Dead letters: seen, sent again and dropped, while the pipeline runs and when it does not.

use brigade_tests::{Run, Sandbox, until};
use serde_json::Value;

use crate::pipelines::{finite, line};

fn list(sandbox: &Sandbox) -> Vec<Value> {
    let said = sandbox.ask(&["dead", "list", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    serde_json::from_str(&said.out).expect("a list")
}

/// Waits until the run has put one dead letter aside.
#[track_caller]
fn until_dead(run: &Run, sandbox: &Sandbox) {
    run.status();
    until("there is a dead letter", || list(sandbox).len() == 1);
}

fn id(letter: &Value) -> String {
    letter["id"].as_str().expect("an id").to_owned()
}

#[track_caller]
fn done(sandbox: &Sandbox, args: &[&str]) -> String {
    let said = sandbox.ask(args);
    assert_eq!(said.code, Some(0), "{args:?}: {}{}", said.out, said.err);
    said.out
}

/// Ten items, of which the third cannot be done while the file `mended` is not there.
fn poisoned(sandbox: &Sandbox) {
    let text =
        finite(10, &["misfit", "fail-until", "3"], "").replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2");
    let report =
        sandbox.run(&text.replace("env.LEDGER", "env.MENDED = \"${here}/mended\"\nenv.LEDGER")).wait().with_code(5);
    assert_eq!(report.queues["raw"].dead, 1);
}

#[test]
fn a_dead_letter_tells_of_each_attempt() {
    let sandbox = Sandbox::new();
    poisoned(&sandbox);
    let letters = list(&sandbox);
    assert_eq!(letters.len(), 1, "{letters:?}");
    assert_eq!((&letters[0]["queue"], &letters[0]["deliveries"]), (&"raw".into(), &2.into()));
    let shown: Value =
        serde_json::from_str(&done(&sandbox, &["dead", "show", &id(&letters[0]), "--json"])).expect("JSON");
    let attempts = shown["attempts"].as_array().expect("a list");
    assert_eq!(attempts.len(), 2, "{shown}");
    for attempt in attempts {
        assert_eq!((&attempt["worker"], &attempt["incarnation"]), (&"middle/0".into(), &1.into()));
        assert_eq!(attempt["words"], "item 3 cannot be done yet");
    }
    let text = done(&sandbox, &["dead", "list"]);
    assert!(text.contains(&id(&letters[0])) && text.contains("item 3 cannot be done yet"), "{text}");
    let text = done(&sandbox, &["dead", "show", &format!("raw:{}", id(&letters[0]))]);
    assert!(text.contains("after 2 deliveries") && text.contains("00000000  "), "{text}");
}

#[test]
fn the_history_of_an_item_that_kills_says_how_each_worker_died_and_what_it_said() {
    let sandbox = Sandbox::new();
    let keys = "max_restarts = \"unlimited\"\nbackoff = \"10ms\"\non_panic = \"exit\"";
    let text = finite(10, &["misfit", "panic", "3"], keys).replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2");
    sandbox.run(&text).wait().with_code(5);
    let letters = list(&sandbox);
    let shown: Value =
        serde_json::from_str(&done(&sandbox, &["dead", "show", &id(&letters[0]), "--json"])).expect("JSON");
    let attempts = shown["attempts"].as_array().expect("a list");
    let runs: Vec<_> = attempts.iter().filter_map(|attempt| attempt["incarnation"].as_u64()).collect();
    assert_eq!(runs, [1, 2], "{shown}");
    for attempt in attempts {
        assert!(attempt["words"].as_str().is_some_and(|words| words.starts_with("died: ")), "{shown}");
    }
    // On a busy machine the reader of the logs may come too late for one of them.
    let mut said = attempts.iter().flat_map(|attempt| attempt["stderr"].as_array().cloned().unwrap_or_default());
    assert!(said.any(|line| line.as_str().is_some_and(|it| it.contains("item 3 is poison"))), "{shown}");
}

#[test]
fn a_letter_is_retried_after_the_run_and_done_by_the_next() {
    let sandbox = Sandbox::new();
    poisoned(&sandbox);
    sandbox.write("mended", "");
    let said = done(&sandbox, &["dead", "retry", &id(&list(&sandbox)[0])]);
    assert_eq!(said, "1 item sent again to queue raw\n");
    assert_eq!(list(&sandbox), Vec::<Value>::new());
    assert_eq!(sandbox.ask(&["dead", "list"]).out, "no dead letters\n");
    // The next run continues that one: its source has made its ten items.
    let text =
        finite(10, &["misfit", "fail-until", "3"], "").replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 2");
    let ended = sandbox.run(&text.replace("env.LEDGER", "env.MENDED = \"${here}/mended\"\nenv.LEDGER")).wait();
    let report = ended.with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.kept), (11, 10, 1, 0));
    let words = "continues the last run, which was complete, for what was sent again: 1 item; already complete: source";
    assert!(ended.err.contains(words) && !ended.err.contains("kept (raw"), "{}", ended.err);
}

#[test]
fn a_letter_is_retried_and_done_while_the_pipeline_runs() {
    let sandbox = Sandbox::new();
    let text =
        line(&["bucket", "emit-then-wait", "10"], &["misfit", "fail-until", "3"], "env.MENDED = \"${here}/mended\"");
    let mut run = sandbox.run(&text);
    until_dead(&run, &sandbox);
    sandbox.write("mended", "");
    let said = done(&sandbox, &["dead", "retry", "--all"]);
    assert_eq!(said, "1 item sent again to queue raw\n");
    until("it is done", || sandbox.ledger().times("kept").contains_key(&3));
    assert_eq!(list(&sandbox), Vec::<Value>::new());
    sandbox.stop("--now");
    let report = run.wait().with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.left), (11, 10, 1, 0));
    assert_eq!(report.lost, 0);
}

#[test]
fn dropped_letters_are_gone_whether_the_pipeline_runs_or_not() {
    let sandbox = Sandbox::new();
    let text = line(&["bucket", "emit-then-wait", "10"], &["misfit", "fail", "3"], "");
    let mut run = sandbox.run(&text);
    until_dead(&run, &sandbox);
    let said = done(&sandbox, &["dead", "drop", &id(&list(&sandbox)[0])]);
    assert_eq!(said, "1 item of queue raw dropped\n");
    assert_eq!(list(&sandbox), Vec::<Value>::new());
    sandbox.stop("--now");
    assert_eq!(run.wait().with_code(0).queues["raw"].dead, 1);

    let sandbox = Sandbox::new();
    poisoned(&sandbox);
    let letter = id(&list(&sandbox)[0]);
    done(&sandbox, &["dead", "drop", &letter]);
    let said = sandbox.ask(&["dead", "drop", &letter]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("there is no dead letter"), "{}", said.err);
}

#[test]
fn a_run_that_gives_the_same_ids_again_keeps_its_own_letters() {
    let sandbox = Sandbox::new();
    for times in 1..=2 {
        poisoned(&sandbox);
        assert_eq!(list(&sandbox).len(), times);
    }
}
