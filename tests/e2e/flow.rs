//! Items on their way: bounded, whole, to the end of the stream, round in circles.

use brigade_tests::{Sandbox, holds_for_a_while, until};
use nix::sys::signal::Signal;
use std::time::Duration;

use crate::pipelines::pair;

#[test]
fn a_sender_waits_for_a_slow_taker_and_never_exceeds_the_capacity() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "100"], "capacity = 7", &["bucket", "hold", &gate], ""));
    until("the queue is full", || sandbox.ledger().count("sent") == 7);
    let status = run.until_status("an item is taken", |status| status["queues"][0]["leased"] == 1);
    let queue = &status["queues"][0];
    assert_eq!((&queue["ready"], &queue["leased"], &queue["capacity"]), (&6.into(), &1.into(), &7.into()));
    assert!(holds_for_a_while(Duration::from_millis(300), || sandbox.ledger().count("sent") == 7), "more went in");
    sandbox.write("gate", "");
    let report = run.wait().with_code(0);
    assert_eq!(report.queues["items"].acked, 100);
    sandbox.ledger().assert_once("kept", 100);
}

#[test]
fn items_of_one_sender_come_in_order() {
    let sandbox = Sandbox::new();
    sandbox.run(&pair(&["bucket", "emit", "2000"], "capacity = 5", &["bucket", "keep"], "")).wait().with_code(0);
    let kept: Vec<u64> = sandbox.ledger().entries().iter().filter(|e| e.deed == "kept").map(|e| e.item).collect();
    assert!(kept.iter().copied().eq(0..2000), "out of order");
}

/// A stage commits 500 results at a time into a queue to which another one sends; the sink passes over many of them. Dies
/// also in the middle of what it has committed.
#[test]
fn large_batches_beside_another_sender_come_in_the_order_of_each() {
    const ITEMS: u64 = 20_000;
    const OTHERS: u64 = 1_000_000;
    let sandbox = Sandbox::new();
    let text = format!(
        r#"
name = "order"
[queues.raw]
capacity = 1024
[queues.done]
capacity = 1024
[stages.source]
command = ["bucket", "emit", "{ITEMS}"]
outputs = ["raw"]
[stages.middle]
command = ["bucket", "pass"]
inputs = ["raw"]
outputs = ["done"]
batch = 500
backoff = "1ms"
env.DIE_AT = "batch_published_one:700"
[stages.other]
command = ["bucket", "emit-exact", "{OTHERS}", "{ITEMS}"]
outputs = ["done"]
batch = 100
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    );
    let report = sandbox.run(&text).wait().with_code(0);
    // A build without crash points has no death.
    assert_eq!(report.stages["middle"].restarts, u64::from(cfg!(debug_assertions)));
    let kept: Vec<u64> = sandbox.ledger().entries().iter().filter(|e| e.deed == "kept").map(|e| e.item).collect();
    let (others, own): (Vec<u64>, Vec<u64>) = kept.into_iter().partition(|item| *item >= OTHERS);
    for (items, first) in [(own, 0), (others, OTHERS)] {
        let misplaced = items.windows(2).filter(|pair| pair[0] + 1 != pair[1]).count();
        assert!(items.len() as u64 == ITEMS && items[0] == first && misplaced == 0, "{misplaced} places out of order");
    }
}

#[test]
fn the_stream_ends_when_all_producers_have_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let mut text = pair(&["bucket", "emit", "300"], "capacity = 16", &["bucket", "keep"], "replicas = 3\nthreads = 2");
    for (name, items) in [("second", "500"), ("third", "0")] {
        text.push_str(&format!(
            "[stages.{name}]\ncommand = [\"bucket\", \"emit\", \"{items}\"]\noutputs = [\"items\"]\n"
        ));
    }
    text.push_str(
        "[stages.other]\ncommand = [\"bucket\", \"keep\"]\ninputs = [\"items\"]\nenv = { LEDGER = \"${ledger}\" }\n",
    );
    let report = sandbox.run(&text).wait().with_code(0);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.left), (800, 800, 0));
    let times = sandbox.ledger().times("kept");
    assert!((0..300).all(|item| times[&item] == 2) && (300..500).all(|item| times[&item] == 1));
    assert_eq!(report.stages["taker"].processed + report.stages["other"].processed, 800);
}

#[test]
fn large_items_come_through_whole() {
    let sandbox = Sandbox::new();
    let queue = "capacity = 4\nitem_bytes = \"64B\"\nmax_item_bytes = \"1100KiB\"";
    let report = sandbox
        .run(&pair(&["bucket", "emit", "40", "1048576"], queue, &["bucket", "keep"], "replicas = 2"))
        .wait()
        .with_code(0);
    assert_eq!((report.queues["items"].acked, report.queues["items"].dead), (40, 0));
    sandbox.ledger().assert_once("kept", 40);
}

#[test]
fn an_item_that_is_too_large_is_an_error_to_its_sender_in_words() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "1", "70000"], "", &["bucket", "keep"], "")
        .replace("outputs = [\"items\"]", "outputs = [\"items\"]\nmax_restarts = 0");
    let ended = sandbox.run(&text).wait();
    let report = ended.with_code(3);
    assert!(report.verdict.contains("raise its max_item_bytes"), "{}", report.verdict);
    assert_eq!(report.queues["items"].sent, 0);
}

#[test]
fn a_stage_that_feeds_itself_ends_when_nothing_goes_round_any_more() {
    let sandbox = Sandbox::new();
    let text = pair(
        &["bucket", "emit", "100"],
        "capacity = 256",
        &["bucket", "bounce", "5"],
        "replicas = 2\noutputs = [\"items\"]",
    );
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!((report.queues["items"].sent, report.queues["items"].acked), (500, 500));
    sandbox.ledger().assert_once("landed", 100);
}

#[test]
fn a_stage_that_feeds_itself_needs_no_free_slot_for_one_result_an_item() {
    for (queue, keys) in [("capacity = 1", ""), ("capacity = 3", "replicas = 2\nbatch = 64\n")] {
        let sandbox = Sandbox::new();
        let keys = format!("{keys}outputs = [\"items\"]");
        let text = pair(&["bucket", "emit", "50"], queue, &["bucket", "bounce", "20"], &keys);
        let report = sandbox.run(&text).wait().with_code(0);
        assert_eq!((report.queues["items"].sent, report.queues["items"].acked), (1000, 1000));
        sandbox.ledger().assert_once("landed", 50);
    }
}

#[test]
fn a_circle_of_two_stages_ends_too() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "100"], "capacity = 256", &["bucket", "bounce", "4"], "outputs = [\"back\"]")
        + "[queues.back]\n[stages.other]\ncommand = [\"bucket\", \"bounce\", \"4\"]\ninputs = [\"back\"]\noutputs = [\"items\"]\nenv = { LEDGER = \"${ledger}\" }\n";
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!(report.queues["items"].sent + report.queues["back"].sent, 400);
    sandbox.ledger().assert_once("landed", 100);
}

#[test]
fn a_drain_ends_circles_too() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "drip"], "capacity = 64", &["bucket", "pass"], "outputs = [\"out\"]")
        + "[queues.out]\ncapacity = 64\n[stages.bounce]\ncommand = [\"bucket\", \"bounce\", \"0\"]\ninputs = [\"out\", \"again\"]\noutputs = [\"again\"]\n[queues.again]\n";
    let mut run = sandbox.run(&text);
    until("items flow", || sandbox.ledger().count("passed") > 50);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained");
    assert_eq!(report.queues["out"].acked, report.queues["items"].sent);
}

/// The process that sends to the right side ends after the join, with nothing left to send.
#[test]
fn a_join_that_returns_at_the_end_of_its_first_queue_ends_the_run_well() {
    let sandbox = Sandbox::new();
    let text = r#"
name = "join"
[queues.left]
[queues.right]
[queues.done]
[stages.left]
command = ["bucket", "emit", "50"]
outputs = ["left"]
[stages.right]
command = ["bucket", "emit-beside", "${here}/joined", "50"]
outputs = ["right"]
[stages.join]
command = ["bucket", "join-left", "${here}/joined"]
inputs = ["left", "right"]
outputs = ["done"]
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = { LEDGER = "${ledger}" }
"#;
    let report = sandbox.run(text).wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.queues["right"].left), ("complete", 0));
    sandbox.ledger().assert_once("kept", 50);
}

#[test]
fn services_start_first_and_stop_last_and_hold_up_no_end() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "30"], "", &["bucket", "keep"], "")
        + "[stages.service]\ncommand = [\"bucket\", \"serve\"]\nrestart = \"permanent\"\nenv = { LEDGER = \"${ledger}\" }\n";
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!(report.verdict, "complete");
    let deeds: Vec<String> = sandbox.ledger().entries().into_iter().map(|entry| entry.deed).collect();
    let at = |deed: &str| deeds.iter().position(|found| found == deed).expect(deed);
    let last_kept = deeds.iter().rposition(|found| found == "kept").expect("kept");
    assert!(at("serving") < at("sent"), "{deeds:?}");
    assert!(at("served") > last_kept, "{deeds:?}");
}
