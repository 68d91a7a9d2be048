//! Who goes down with whom, who waits for whom, whose end is the end of all, and which exits mean what.

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{endless, task};

/// Kills the worker in the middle of an endless line, and waits until it and these others have come back.
fn middle_is_killed(run: &Run, sandbox: &Sandbox, others: &[&str]) {
    until("items flow", || sandbox.ledger().count("kept") > 100);
    kill(Pid::from_raw(run.pid_when("middle/0", "ready")), Signal::SIGKILL).expect("it is there");
    for id in others.iter().chain(&["middle/0"]) {
        until(&format!("{id} is back"), || {
            run.worker(id).is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] == 2)
        });
    }
    let kept = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 100);
}

#[test]
fn one_for_all_restarts_the_line_and_loses_nothing() {
    let sandbox = Sandbox::new();
    let group = "[groups.line]\nstages = [\"source\", \"middle\", \"sink\"]\nstrategy = \"one-for-all\"\n";
    let mut run = sandbox.run(&format!("{}{group}", endless("backoff = \"10ms\"")));
    middle_is_killed(&run, &sandbox, &["source/0", "sink/0"]);
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    let report = ended.with_code(0);
    assert!(ended.err.contains("sink/0 stopping: goes down with middle/0"), "{}", ended.err);
    for stage in ["source", "middle", "sink"] {
        assert_eq!(report.stages[stage].restarts, 1, "{stage}");
    }
    for queue in report.queues.values() {
        assert_eq!((queue.acked, queue.left, queue.dead), (queue.sent, 0, 0), "{queue:?}");
    }
    run.assert_nobody_left();
}

#[test]
fn rest_for_one_restarts_what_comes_after_and_nothing_else() {
    let sandbox = Sandbox::new();
    let group = "[groups.line]\nstages = [\"source\", \"middle\", \"sink\"]\nstrategy = \"rest-for-one\"\n";
    let mut run = sandbox.run(&format!("{}{group}", endless("backoff = \"10ms\"")));
    middle_is_killed(&run, &sandbox, &["sink/0"]);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    let restarts = |stage: &str| report.stages[stage].restarts;
    assert_eq!((restarts("source"), restarts("middle"), restarts("sink")), (0, 1, 1));
    sandbox.ledger().assert_each("kept", report.queues["raw"].sent);
}

#[test]
fn crashes_of_a_group_count_together_against_its_limit() {
    let sandbox = Sandbox::new();
    let text = "name = \"crowd\"\n[stages.one]\ncommand = [\"rogue\", \"exit\", \"1\"]\nbackoff = \"1ms\"\n\
                [stages.two]\ncommand = [\"rogue\", \"exit\", \"1\"]\nbackoff = \"1ms\"\n\
                [groups.both]\nstages = [\"one\", \"two\"]\nmax_restarts = 3\n";
    let report = sandbox.run(text).wait().with_code(3);
    assert!(report.verdict.starts_with("gave up on "), "{}", report.verdict);
    assert!(report.stages["one"].restarts + report.stages["two"].restarts <= 3, "{:?}", report.stages);
}

#[test]
fn a_stage_starts_after_and_stops_before_what_it_depends_on() {
    let sandbox = Sandbox::new();
    let stage = |name: &str, keys: &str| format!("[stages.{name}]\ncommand = [\"bucket\", \"serve\"]\n{keys}\n");
    let text = format!("name = \"web\"\n{}{}", stage("web", "depends_on = [\"db\"]"), stage("db", ""));
    let mut run = sandbox.run(&text);
    run.until_said("web/0 is ready");
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    ended.with_code(0);
    let place = |words: &str| ended.err.find(words).unwrap_or_else(|| panic!("nobody said {words:?}:\n{}", ended.err));
    assert!(place("db/0 is ready") < place("web/0 is ready"), "{}", ended.err);
    assert!(place("web/0 exited") < place("db/0 stopping"), "{}", ended.err);
}

#[test]
fn the_end_of_a_significant_stage_is_the_end_of_all() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let main = format!(
        "[stages.main]\ncommand = [\"sh\", \"-c\", \"until test -e {gate}; do sleep 0.01; done\"]\nsignificant = true\n"
    );
    let mut run = sandbox.run(&format!("{}{main}", endless("")));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    sandbox.write("gate", "");
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained when stage main had ended");
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
    run.assert_nobody_left();
}

#[test]
fn exits_that_mean_success_are_no_crash() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&task(&["rogue", "exit", "3"], "success_codes = [3]")).wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.stages["only"].restarts), ("complete", 0));

    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["rogue", "sleep"], "success_codes = [\"SIGTERM\"]"));
    kill(Pid::from_raw(run.pid_when("only/0", "ready")), Signal::SIGTERM).expect("it is there");
    let report = run.wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.stages["only"].restarts), ("complete", 0));
}

#[test]
fn exits_that_are_fatal_end_the_run_at_once() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&task(&["rogue", "exit", "3"], "fatal_codes = [3]")).wait().with_code(1);
    assert_eq!(report.stages["only"].restarts, 0);
    assert!(report.verdict.contains("only/0 can never work: exit code 3"), "{}", report.verdict);
}
