//! Changes of a running pipeline that fail: the rest works as before, and the change can be corrected.

use brigade_tests::{Run, Sandbox, binary, until};

use crate::pipelines::{endless, pair};

fn is_in(run: &Run, id: &str, state: &str) -> bool {
    run.worker(id).is_some_and(|worker| worker["state"] == state)
}

fn flows_on(sandbox: &Sandbox) {
    let kept = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 200);
}

#[test]
fn a_new_stage_that_never_comes_up_is_named_and_the_others_work_on() {
    for is_corrected in [false, true] {
        let sandbox = Sandbox::new();
        let mut run = sandbox.run(&endless(""));
        until("items flow", || sandbox.ledger().count("kept") > 100);
        let extra = "[stages.extra]\ncommand = [\"sh\", \"-c\", \"test -e ${here}/correct || exit 127; while :; do sleep 1; done\"]\n";
        sandbox.pipeline(&(endless("") + extra));
        let reloaded = sandbox.ask(&["reload"]);
        assert_eq!((reloaded.code, reloaded.out.as_str()), (Some(0), "stage extra: new\n"), "{}", reloaded.err);
        until("the new stage has failed", || is_in(&run, "extra/0", "failed"));
        flows_on(&sandbox);
        let words = "exit code 127 (a command was not found); the run continues without it: correct the program and \
                     `brigade restart extra`, or the pipeline file and `brigade reload`";
        run.until_said(&format!("extra/0 failed: {words}"));
        let events = sandbox.ask(&["events"]).out;
        assert!(events.lines().any(|line| line.contains("extra/0") && line.contains(words)), "{events}");
        if is_corrected {
            sandbox.write("correct", "");
            let restarted = sandbox.ask(&["restart", "extra"]);
            assert_eq!(restarted.code, Some(0), "{}", restarted.err);
            until("it is there", || is_in(&run, "extra/0", "ready"));
            run.signal(nix::sys::signal::Signal::SIGTERM);
            assert_eq!(run.wait().with_code(0).verdict, "drained");
        } else {
            run.signal(nix::sys::signal::Signal::SIGTERM);
            let report = run.wait().with_code(1);
            assert_eq!(report.verdict, "extra/0 can never work: exit code 127 (a command was not found)");
        }
    }
}

/// A source and takers whose kind of items stands in a file, which changes when so many items are in hand.
fn changed(sandbox: &Sandbox, queue: &str, takers: usize) -> Run {
    let gate = sandbox.path("gate").display().to_string();
    let script = format!("exec {} take $(cat kind)", binary("typed").display());
    sandbox.write("kind", format!("before {gate}"));
    let source = ["typed", "send", "before", "12"];
    let run = sandbox.run(&pair(&source, queue, &["sh", "-c", &script], &format!("replicas = {takers}")));
    until("items are in hand", || sandbox.ledger().count("met") == takers);
    sandbox.write("kind", "after");
    run
}

/// Asks for something that takes until the item in hand is done.
fn ask_and_open_the_gate(sandbox: &Sandbox, words: &[&str]) -> Option<i32> {
    std::thread::scope(|scope| {
        let asked = scope.spawn(|| sandbox.ask(words));
        until("it is asked to stop", || sandbox.ask(&["events"]).out.contains("-> stopping"));
        sandbox.write("gate", "");
        asked.join().expect("no panic").code
    })
}

const OTHER_SHAPE: &str = "variant 2 is `Refund` instead of `Debit`";

#[test]
fn a_worker_whose_new_program_has_another_type_is_refused_and_the_others_of_its_stage_finish() {
    let sandbox = Sandbox::new();
    let mut run = changed(&sandbox, "capacity = 16", 2);
    assert_eq!(ask_and_open_the_gate(&sandbox, &["restart", "taker/0"]), Some(0));
    let ended = run.wait();
    assert_eq!(ended.with_code(0).queues["items"].acked, 12);
    assert!(ended.err.contains(OTHER_SHAPE) && ended.err.contains("the run continues without it"), "{}", ended.err);
    sandbox.ledger().assert_once("kept", 12);
}

#[test]
fn a_rolling_restart_ends_at_the_first_worker_whose_program_has_another_type() {
    let sandbox = Sandbox::new();
    let mut run = changed(&sandbox, "capacity = 16", 2);
    let asked = sandbox.ask(&["restart", "taker", "--rolling"]);
    assert_eq!(asked.code, Some(1), "{}", asked.out);
    assert!(asked.err.contains("taker/2 did not come up") && asked.err.contains(OTHER_SHAPE), "{}", asked.err);
    assert!(is_in(&run, "taker/0", "ready") && is_in(&run, "taker/1", "ready"), "{}", run.status());
    sandbox.write("gate", "");
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", 12);
}

#[test]
fn a_stage_whose_only_worker_has_another_type_now_waits_for_its_old_program() {
    let sandbox = Sandbox::new();
    // The source has more items than the queue has room for: it waits, and the run continues.
    let mut run = changed(&sandbox, "capacity = 4", 1);
    let code = ask_and_open_the_gate(&sandbox, &["restart", "taker", "--rolling"]);
    assert_eq!(code, Some(1));
    until("it is refused", || is_in(&run, "taker/0", "failed"));
    run.until_said(OTHER_SHAPE);
    until("the queue is full", || run.status()["queues"][0]["ready"] == 4);
    sandbox.write("kind", "before");
    let restarted = sandbox.ask(&["restart", "taker"]);
    assert_eq!(restarted.code, Some(0), "{}", restarted.err);
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", 12);
}
