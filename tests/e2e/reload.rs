//! `brigade reload`: the file is changed under a pipeline that runs.

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, line};
use crate::terminal::with_hangups;

fn reload(sandbox: &Sandbox, text: &str) -> Result<String, String> {
    sandbox.pipeline(text);
    let said = sandbox.ask(&["reload"]);
    match said.code {
        Some(0) => Ok(said.out),
        Some(1) => Err(said.err),
        code => panic!("{code:?}: {}{}", said.out, said.err),
    }
}

fn is_run(run: &Run, id: &str, incarnation: u64) -> bool {
    run.worker(id).is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] == incarnation)
}

fn flows_on(sandbox: &Sandbox) {
    let kept = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 200);
}

#[test]
fn a_changed_stage_is_started_anew_one_by_one_and_every_item_comes_out_once() {
    const ITEMS: u64 = 40_000;
    let sandbox = Sandbox::new();
    let source = ["bucket", "emit", &ITEMS.to_string()];
    let text = |keys: &str| line(&source, &["bucket", "pass"], keys);
    let mut run = sandbox.run(&text("replicas = 2"));
    until("items flow", || sandbox.ledger().count("kept") > 200);
    assert_eq!(reload(&sandbox, &text("replicas = 2")).as_deref(), Ok("nothing has changed\n"));
    let words = reload(&sandbox, &text("replicas = 3\nbatch = 8"));
    let expected = "stage middle: batch or on_panic changed\nstage middle: 3 workers instead of 2\n";
    assert_eq!(words.as_deref(), Ok(expected));
    until("all are new", || is_run(&run, "middle/0", 2) && is_run(&run, "middle/1", 2) && is_run(&run, "middle/2", 1));
    let report = run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.stages["middle"].restarts, 0);
    let events = sandbox.ask(&["events"]).out;
    let place = |words: &str| events.find(words).unwrap_or_else(|| panic!("nobody told of {words:?}:\n{events}"));
    let first_is_up = place("middle/0 #2 starting -> ready");
    assert!(
        first_is_up < place("middle/1 #1 ready -> stopping: asked to stop, to be started again (operator)"),
        "{events}"
    );
    run.assert_nobody_left();
}

#[test]
fn a_stage_and_a_queue_are_put_into_the_line_and_taken_out_of_it_while_items_flow() {
    let sandbox = Sandbox::new();
    let short = endless("");
    let mut run = sandbox.run(&short);
    until("items flow", || sandbox.ledger().count("kept") > 200);
    let long = short.replace("outputs = [\"done\"]", "outputs = [\"more\"]")
        + "[queues.more]\ncapacity = 64\n[stages.extra]\ncommand = [\"bucket\", \"pass\"]\ninputs = [\"more\"]\n\
           outputs = [\"done\"]\nenv = { LEDGER = \"${ledger}\" }\n";
    let words = reload(&sandbox, &long).expect("it can be had");
    assert_eq!(words, "queue more: new\nstage middle: outputs changed\nstage extra: new\n");
    until("it is in the line", || is_run(&run, "extra/0", 1) && is_run(&run, "middle/0", 2));
    flows_on(&sandbox);
    until("items go through it", || run.worker("extra/0").is_some_and(|it| it["processed"].as_u64() > Some(100)));

    // Out of it again: nothing may come into its queue any more, and nothing be left in it.
    let why = reload(&sandbox, &short).expect_err("items flow");
    assert!(why.contains("queue more is removed and stage middle sends to it: first `brigade pause middle`"), "{why}");
    assert_eq!(sandbox.ask(&["pause", "middle"]).code, Some(0));
    let mut words = String::new();
    until("the queue is empty", || reload(&sandbox, &short).inspect(|said| words.clone_from(said)).is_ok());
    assert_eq!(words, "queue more: removed\nstage extra: removed\nstage middle: outputs changed\n");
    until("it has gone", || run.worker("extra/0").is_none());
    assert_eq!(sandbox.ask(&["resume", "middle"]).code, Some(0));
    flows_on(&sandbox);
    assert!(!sandbox.ask(&["status"]).out.contains("more"), "{}", sandbox.ask(&["status"]).out);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    for (name, queue) in &report.queues {
        assert_eq!((queue.acked, queue.left, queue.dead), (queue.sent, 0, 0), "{name}: {queue:?}");
    }
    assert_eq!(report.lost, 0);
    run.assert_nobody_left();
    // Nothing is left that another run would stumble over.
    let mut run = sandbox.run(&short);
    flows_on(&sandbox);
    sandbox.stop("--now");
    run.wait();
}

#[test]
fn a_file_with_a_fault_changes_nothing_and_says_why() {
    let sandbox = Sandbox::new();
    let text = endless("replicas = 2");
    let mut run = sandbox.run(&text);
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let why = reload(&sandbox, &text.replace("capacity = 64", "capcity = 65")).expect_err("it has two");
    assert!(why.contains("unknown key \"capcity\"") && why.contains("did you mean \"capacity\"?"), "{why}");
    assert!(why.contains("2 faults in "), "{why}");
    let refused = [
        (text.replace("name = \"line\"", "name = \"lane\""), "its name would be \"lane\" instead of \"line\""),
        (text.replace("capacity = 64", "capacity = 65"), "queue raw: capacity, item_bytes"),
        (text.replace("replicas = 2", "replicas = 2\nthreads = 3"), "stage middle: threads stay as they are"),
        (text.replace("outputs = [\"raw\"]", "outputs = [\"raw\"]\nreplicas = 2"), "stage source: it is a source"),
        ("name = 7".to_owned(), "fault"),
    ];
    for (text, words) in refused {
        let why = reload(&sandbox, &text).expect_err("it cannot be had");
        assert!(why.contains(words), "{why}");
    }
    assert!(is_run(&run, "middle/0", 1) && is_run(&run, "source/0", 1), "{}", run.status());
    flows_on(&sandbox);
    sandbox.stop("--now");
    let ended = run.wait();
    assert!(ended.err.contains("the pipeline file is read again, and nothing is changed"), "{}", ended.err);
    assert_eq!(sandbox.ask(&["reload"]).code, Some(1), "nothing runs any more");
}

#[test]
fn a_hangup_reads_the_file_again_where_there_is_no_terminal() {
    let sandbox = Sandbox::new();
    let mut run_command = with_hangups("default", &sandbox.run_command(&endless("")));
    run_command.current_dir(sandbox.folder());
    let mut run = Run::start(run_command, &sandbox);
    until("items flow", || sandbox.ledger().count("kept") > 100);
    sandbox.pipeline(&endless("replicas = 2"));
    if std::fs::File::open("/dev/tty").is_ok() {
        eprintln!("NOT TESTED: this test has a terminal, and so has what it starts");
        return;
    }
    run.signal(Signal::SIGHUP);
    until("there are two", || is_run(&run, "middle/1", 1));
    sandbox.pipeline("name = ");
    run.signal(Signal::SIGHUP);
    run.until_said("the pipeline file is read again, and nothing is changed");
    flows_on(&sandbox);
    sandbox.stop("--now");
    run.wait();
}
