//! A pipeline file that was changed while items were left: what can go on goes on, what cannot is said.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

const ITEMS: u64 = 60;

/// A source of 60 items, a queue, a taker.
fn text(queue: &str, source: u64, taker: &str, keys: &str) -> String {
    format!(
        r#"
name = "changed"
[queues.items]
{queue}
[stages.source]
command = ["bucket", "emit", "{source}", "100"]
outputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.taker]
command = {taker}
inputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
{keys}
"#
    )
}

const HOLD: &str = r#"["bucket", "hold", "${here}/gate"]"#;
const KEEP: &str = r#"["bucket", "keep"]"#;

/// A run that was killed when all items were sent and none was kept.
fn left() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&text("capacity = 64", ITEMS, HOLD, ""));
    until("all are sent", || sandbox.ledger().count("sent") == ITEMS as usize && sandbox.ledger().count("held") > 0);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox
}

/// The next run has this pipeline, and every item comes out of it once.
fn goes_on(sandbox: &Sandbox, text: &str) {
    let report = sandbox.run(text).wait().with_code(0);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.left), (ITEMS, ITEMS, 0), "{items:?}");
    let kept = sandbox.ledger().times("kept");
    assert!(kept.len() as u64 == ITEMS && kept.values().all(|times| *times == 1), "{kept:?}");
}

#[test]
fn another_capacity_and_other_sizes_take_all_items_along() {
    for queue in [
        "capacity = 60",
        "capacity = 1000",
        "capacity = 64\nitem_bytes = \"16B\"",
        "capacity = 64\nmax_item_bytes = \"8MiB\"",
        "capacity = 99\nitem_bytes = \"4KiB\"\nmax_item_bytes = \"4KiB\"\nmax_deliveries = 2",
    ] {
        let sandbox = left();
        goes_on(&sandbox, &text(queue, 0, KEEP, ""));
        let kept = sandbox.ledger().entries().into_iter().filter(|entry| entry.deed == "kept");
        assert!(kept.map(|entry| entry.item).eq(0..ITEMS), "they came out of their order");
    }
}

#[test]
fn a_capacity_too_small_for_what_is_left_is_a_fault_and_nothing_is_lost() {
    let sandbox = left();
    let ended = sandbox.run(&text("capacity = 59", 0, KEEP, "")).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("queue items") && ended.err.contains("60 items are in it"), "{}", ended.err);
    assert!(ended.err.contains("its capacity is 59 now") && ended.err.contains("--fresh"), "{}", ended.err);
    goes_on(&sandbox, &text("capacity = 64", 0, KEEP, ""));
}

#[test]
fn a_size_too_small_for_an_item_that_is_left_is_a_fault_and_nothing_is_lost() {
    let sandbox = left();
    let ended = sandbox.run(&text("capacity = 64\nitem_bytes = \"16B\"\nmax_item_bytes = \"64B\"", 0, KEEP, "")).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    assert!(ended.err.contains("max_item_bytes is 64 now"), "{}", ended.err);
    goes_on(&sandbox, &text("capacity = 64", 0, KEEP, ""));
}

#[test]
fn a_queue_that_was_removed_and_still_holds_items_is_a_fault_that_names_them() {
    let sandbox = left();
    let renamed = text("capacity = 64", 0, KEEP, "").replace("items]", "things]").replace("\"items\"", "\"things\"");
    let ended = sandbox.run(&renamed).wait();
    assert_eq!(ended.code, Some(2), "{}", ended.err);
    let words = ["queue items is not in the pipeline file any more", "holds 60 items", "put it back", "--fresh"];
    assert!(words.iter().all(|words| ended.err.contains(words)), "{}", ended.err);
    goes_on(&sandbox, &text("capacity = 64", 0, KEEP, ""));
    sandbox.run(&renamed).wait().with_code(0);
}

#[test]
fn another_command_and_another_number_of_replicas_just_apply() {
    goes_on(&left(), &text("capacity = 64", 0, r#"["misfit", "fail-once", "7"]"#, "replicas = 3\nthreads = 2"));
}
