//! Programs that do not agree about the type of what they hand to each other: the one that comes second is refused before it
//! reads or writes, and the items stay.

use std::collections::BTreeSet;

use brigade_tests::{Run, Sandbox, binary, until};
use nix::sys::signal::Signal;

use crate::pipelines::{pair, task};

/// So many items fit into the queue.
const ITEMS: u64 = 12;
const QUEUE: &str = "capacity = 16";
const ITEMS_SENT: &str = "12";

fn send(kind: &str) -> Vec<&str> {
    vec!["typed", "send", kind, ITEMS_SENT]
}

/// The source of a next run, after all were sent.
fn sent(kind: &str) -> Vec<&str> {
    vec!["typed", "send", kind, "0"]
}

/// A program that is whatever stands in the file.
fn changing() -> String {
    format!("exec {} take $(cat kind)", binary("typed").display())
}

/// The run ends because a stage can never work. What it said.
fn refused(mut run: Run) -> String {
    let ended = run.wait();
    assert!(ended.code.is_some_and(|code| code != 0), "{:?}: {}", ended.code, ended.err);
    let report = ended.report();
    assert_eq!((report.lost, report.queues["items"].dead), (0, 0), "no item is at fault: {}", ended.err);
    ended.err
}

/// All items come out of the queue with this taker.
fn finishes(sandbox: &Sandbox, source: &[&str], taker: &[&str]) {
    let report = sandbox.run(&pair(source, QUEUE, taker, "")).wait().with_code(0);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.left, items.dead), (ITEMS, ITEMS, 0, 0));
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(sandbox.ledger().count("refunded"), 0, "an item was read as something else");
}

/// A run that was killed when all items were sent and none was kept.
fn left(kind: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&send(kind), QUEUE, &["typed", "take", kind, &gate], ""));
    until("all are sent", || sandbox.ledger().count("sent") == ITEMS as usize && sandbox.ledger().count("met") > 0);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox
}

#[test]
fn a_sink_of_another_number_is_refused_before_it_takes_anything() {
    let sandbox = Sandbox::new();
    let text = pair(&send("u64"), QUEUE, &["typed", "take", "i64"], "");
    let said = refused(sandbox.run(&text));
    assert_eq!(sandbox.ledger().count("met"), 0, "nothing was taken");
    let one_way = said.contains("queue \"items\" holds items of the shape u64, and this program's are i64");
    let other_way = said.contains("queue \"items\" holds items of the shape i64, and this program's are u64");
    assert!(one_way || other_way, "{said}");
    assert!(said.contains("finish what is queued with the old program first, change the type back"), "{said}");
}

#[test]
fn a_resume_with_an_enum_that_got_a_variant_is_refused_and_the_old_program_finishes() {
    let sandbox = left("before");
    let said = refused(sandbox.run(&pair(&sent("before"), QUEUE, &["typed", "take", "after"], "")));
    assert!(said.contains("Credit(u64) | Debit(u64)"), "{said}");
    assert!(said.contains("Credit(u64) | Refund(u64) | Debit(u64)"), "{said}");
    assert!(said.contains("variant 2 is `Refund` instead of `Debit`"), "{said}");
    finishes(&sandbox, &sent("before"), &["typed", "take", "before"]);
}

#[test]
fn an_empty_queue_takes_another_type_in_the_next_run() {
    let sandbox = left("before");
    finishes(&sandbox, &sent("before"), &["typed", "take", "before"]);
    for kind in ["u64", "after"] {
        let report = sandbox.run(&pair(&send(kind), QUEUE, &["typed", "take", kind], "")).wait().with_code(0);
        assert_eq!(report.queues["items"].acked, ITEMS);
    }
}

/// A run whose taker is what stands in the file, with all items sent, one in hand, and the file changed.
fn changed_while_it_runs(sandbox: &Sandbox) -> Run {
    let gate = sandbox.path("gate").display().to_string();
    sandbox.write("kind", format!("before {gate}"));
    let run = sandbox.run(&pair(&send("before"), QUEUE, &["sh", "-c", &changing()], ""));
    until("all are sent", || sandbox.ledger().count("sent") == ITEMS as usize && sandbox.ledger().count("met") == 1);
    sandbox.write("kind", "after");
    run
}

#[test]
fn a_restart_into_a_changed_program_is_refused_and_the_old_program_finishes() {
    for rolling in [false, true] {
        let sandbox = Sandbox::new();
        let run = changed_while_it_runs(&sandbox);
        let mut words = vec!["restart", "taker"];
        words.extend(rolling.then_some("--rolling"));
        let asked = std::thread::scope(|scope| {
            let asked = scope.spawn(|| sandbox.ask(&words));
            until("it is asked to stop", || sandbox.ask(&["events"]).out.contains("-> stopping"));
            sandbox.write("gate", "");
            asked.join().expect("no panic")
        });
        let said = refused(run);
        assert_eq!(asked.code, Some(i32::from(rolling)), "{}{}", asked.out, asked.err);
        assert!(said.contains("variant 2 is `Refund` instead of `Debit`"), "{said}");
        finishes(&sandbox, &sent("before"), &["typed", "take", "before"]);
    }
}

#[test]
fn a_reload_with_a_changed_command_is_refused_and_the_old_program_finishes() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let run = sandbox.run(&pair(&send("before"), QUEUE, &["typed", "take", "before", &gate], ""));
    until("all are sent", || sandbox.ledger().count("sent") == ITEMS as usize && sandbox.ledger().count("met") == 1);
    sandbox.pipeline(&pair(&send("before"), QUEUE, &["typed", "take", "after"], ""));
    let reloaded = sandbox.ask(&["reload"]);
    assert_eq!(reloaded.code, Some(0), "{}", reloaded.err);
    until("it is asked to stop", || sandbox.ask(&["events"]).out.contains("-> stopping"));
    sandbox.write("gate", "");
    let said = refused(run);
    assert!(said.contains("variant 2 is `Refund` instead of `Debit`"), "{said}");
    finishes(&sandbox, &sent("before"), &["typed", "take", "before"]);
}

#[test]
fn a_sender_in_the_middle_of_the_line_is_refused_as_well() {
    let sandbox = Sandbox::new();
    let text = pair(&send("u64"), QUEUE, &["typed", "pass", "u64", "i64"], "outputs = [\"more\"]");
    let text = text + "[queues.more]\n[stages.end]\ncommand = [\"typed\", \"take\", \"u64\"]\ninputs = [\"more\"]\n";
    let said = refused(sandbox.run(&text));
    assert!(said.contains("queue \"more\" holds items of the shape"), "{said}");
    assert_eq!(sandbox.ledger().count("met"), 0, "it has taken nothing that it could not hand on");
}

#[test]
fn a_type_that_can_never_be_read_is_refused_by_its_first_send() {
    let sandbox = Sandbox::new();
    let said = refused(sandbox.run(&pair(&send("json"), QUEUE, &["typed", "raw"], "")));
    assert!(said.contains("items of type serde_json::value::Value cannot be sent"), "{said}");
    assert!(said.contains("send a String of JSON"), "{said}");
    assert_eq!(sandbox.ledger().count("sent") + sandbox.ledger().count("kept"), 0);

    let sandbox = Sandbox::new();
    let said = refused(sandbox.run(&pair(&send("u64"), QUEUE, &["typed", "take", "json"], "")));
    assert!(said.contains("items of type serde_json::value::Value cannot be taken from queue \"items\""), "{said}");

    let sandbox = Sandbox::new();
    let text = pair(&send("skips"), QUEUE, &["typed", "raw"], "")
        .replace("[stages.source]", "[stages.source]\nmax_restarts = 0");
    let ended = sandbox.run(&text).wait();
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.err);
    assert!(ended.err.contains("does the type use #[serde(skip_serializing_if)]"), "{}", ended.err);
    assert_eq!(sandbox.ledger().count("sent") + sandbox.ledger().count("kept"), 0);
}

#[test]
fn a_checkpoint_of_another_type_is_refused_and_the_old_program_goes_on_from_it() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let script = format!("exec {} mark $(cat kind) {gate}", binary("typed").display());
    let text = task(&["sh", "-c", &script], "");
    sandbox.write("kind", "u64");
    let mut run = sandbox.run(&text);
    until("it has a checkpoint", || sandbox.ledger().count("marked") == 1);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox.write("kind", "i64");
    let ended = sandbox.run(&text).wait();
    assert!(ended.code.is_some_and(|code| code != 0), "{}", ended.err);
    assert!(ended.err.contains("it was written as a value of another type, not as i64"), "{}", ended.err);
    assert_eq!(sandbox.ledger().count("restored"), 0, "300 would be read as 150");
    sandbox.write("kind", "u64");
    sandbox.write("gate", "");
    sandbox.run(&text).wait().with_code(0);
    assert_eq!(sandbox.ledger().times("restored")[&300], 1);
}

#[test]
fn what_a_queue_carries_is_shown_and_bytes_are_not_checked() {
    let sandbox = left("before");
    let said = sandbox.ask(&["status"]);
    assert!(said.out.contains("\nitems of items: Credit(u64) | Debit(u64)\n"), "{}", said.out);
    let json = sandbox.ask(&["status", "--json"]).out;
    let status: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(status["queues"][0]["shape"], "Credit(u64) | Debit(u64)");
    // Bytes are accepted whatever they are, and note nothing.
    let report = sandbox.run(&pair(&sent("before"), QUEUE, &["typed", "raw"], "")).wait().with_code(0);
    assert_eq!(report.queues["items"].acked, ITEMS);
}

#[test]
fn a_shared_map_of_another_value_is_refused_before_it_is_changed() {
    let sandbox = Sandbox::new();
    let counts = |name: &str, kind: &str, more: &str| {
        format!(
            "[stages.{name}]\ncommand = [\"typed\", \"count\", {kind:?}, \"4\"]\nenv.LEDGER = \"${{ledger}}\"\n{more}\n"
        )
    };
    let text = format!("name = \"counts\"\n{}{}", counts("numbers", "i64", ""), counts("words", "text", ""));
    let ended = sandbox.run(&text).wait();
    let said = ended.err;
    assert!(ended.code.is_some_and(|code| code != 0), "{said}");
    let one_way = "shared `numbers` holds i64, and this program uses it for text (text instead of i64)";
    let other_way = "shared `numbers` holds text, and this program uses it for i64 (i64 instead of text)";
    assert!(said.contains(one_way) || said.contains(other_way), "{said}");
    let changed: BTreeSet<_> = sandbox
        .ledger()
        .entries()
        .into_iter()
        .filter(|entry| entry.deed == "counted")
        .map(|entry| entry.worker)
        .collect();
    assert!(changed.len() <= 1, "only one of them has changed it: {changed:?}");
}
