//! Dead letters of a queue whose items have another type by now: they are not sent again as something else, and stay.

use brigade_tests::Sandbox;

use crate::pipelines::pair;

const LETTERS: u64 = 3;
const ONE_DELIVERY: &str = "max_deliveries = 1";

/// A complete run whose items of the type u64 all became dead letters.
fn with_letters() -> Sandbox {
    let sandbox = Sandbox::new();
    let text = pair(&["typed", "send", "u64", "3"], ONE_DELIVERY, &["typed", "fail", "u64"], "");
    let report = sandbox.run(&text).wait().with_code(5);
    assert_eq!(report.queues["items"].kept, LETTERS);
    sandbox
}

/// A run of a program of this kind, whose source sends nothing and ends when the file `gate` is there.
fn of(sandbox: &Sandbox, kind: &str) -> String {
    let gate = sandbox.path("gate").display().to_string();
    pair(&["typed", "wait", kind, &gate], ONE_DELIVERY, &["typed", "take", kind], "")
}

fn retry_is_refused(sandbox: &Sandbox) {
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (Some(1), "0 items sent again to queue items\n"), "{}", said.err);
    let why = "3 items of queue items not: a dead letter has the shape u64, and the shape of the queue's items is now i64 \
               (in the letter: u64 instead of i64); run the pipeline with the program whose items have the shape of the \
               letter and retry then, or drop the letter";
    assert!(said.err.contains(why), "{}", said.err);
    assert!(!said.err.contains("the next run continues"), "nothing was sent: {}", said.err);
    let listed = sandbox.ask(&["dead", "list", "--json"]).out;
    let letters: Vec<serde_json::Value> = serde_json::from_str(&listed).expect("JSON");
    assert_eq!(letters.len() as u64, LETTERS, "they stay");
}

#[test]
fn letters_are_not_sent_to_a_queue_whose_items_have_another_type() {
    let sandbox = with_letters();
    let mut run = sandbox.run(&of(&sandbox, "i64"));
    run.pid_when("taker/0", "ready");
    run.pid_when("source/0", "ready");
    retry_is_refused(&sandbox);
    sandbox.write("gate", "");
    let report = run.wait().with_code(0);
    assert_eq!((report.queues["items"].sent, report.queues["items"].kept), (0, LETTERS));
    assert_eq!(sandbox.ledger().count("kept"), 0, "they were read as i64");
    // The same with no run.
    retry_is_refused(&sandbox);
    // The program of the old type takes them.
    sandbox.run(&of(&sandbox, "u64")).wait().with_code(0);
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "3 items sent again to queue items\n"), "{}", said.err);
    assert!(said.err.contains("the next run continues the last one"), "{}", said.err);
    let report = sandbox.run(&of(&sandbox, "u64")).wait().with_code(0);
    assert_eq!((report.queues["items"].acked, report.queues["items"].kept), (LETTERS, 0));
    sandbox.ledger().assert_once("kept", LETTERS);
}
