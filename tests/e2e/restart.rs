//! What is started again, how often, and what never is.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{endless, finite, pair, task};

#[test]
fn a_crash_loop_gives_up_with_code_3_and_says_what_the_worker_said() {
    let sandbox = Sandbox::new();
    let keys = "give_up_after = \"0s\"\nmax_restarts = 2\nbackoff = \"10ms\"";
    let ended = sandbox.run(&finite(10, &["misfit", "crash"], keys)).wait();
    let report = ended.with_code(3);
    assert!(
        report.verdict.starts_with("gave up on middle/0: restarted more than 2 times within 60s, last: exit code 1"),
        "{}",
        report.verdict
    );
    assert!(report.verdict.contains("this worker always fails"), "{}", report.verdict);
    assert_eq!(report.stages["middle"].restarts, 2);
    assert!(ended.err.contains("middle/0 said at last"), "{}", ended.err);
}

#[test]
fn a_program_without_the_sdk_that_crashes_in_a_loop_gives_up_too() {
    let sandbox = Sandbox::new();
    let ended = sandbox
        .run(&task(&["rogue", "exit", "1"], "give_up_after = \"0s\"\nmax_restarts = 3\nbackoff = \"1ms\""))
        .wait();
    let report = ended.with_code(3);
    assert_eq!(report.stages["only"].restarts, 3);
    assert!(report.verdict.contains("exit code 1"), "{}", report.verdict);
    assert!(ended.err.contains("about to leave with 1"), "its last words are shown:\n{}", ended.err);
}

#[test]
fn status_tells_what_a_worker_that_failed_said_at_last_how_it_ended_and_when_it_starts_again() {
    let sandbox = Sandbox::new();
    let script =
        r"i=0; while [ $i -lt 20 ]; do echo step $i >&2; i=$((i+1)); done; printf 'no\033 end' >&2; kill -SEGV $$";
    let shell = format!("[stages.shell]\ncommand = [\"sh\", \"-c\", {script:?}]\n")
        + "backoff = \"1h\"\nbackoff_max = \"1h\"\nmax_restarts = \"unlimited\"\n";
    let mut run = sandbox.run(&(endless("") + &shell));
    run.pid_when("middle/0", "ready");
    until("it waits for its next start", || run.worker("shell/0").is_some_and(|worker| worker["state"] == "backoff"));
    let worker = run.worker("shell/0").expect("it is listed");
    let end = worker["last_exit"].as_str().expect("words");
    assert!(end.starts_with("killed by SIGSEGV"), "{end}");
    let words: Vec<_> = (11..20).map(|step| format!("step {step}")).chain(["no\\x1b end".to_owned()]).collect();
    assert_eq!(worker["last_words"], serde_json::json!(words));
    assert!(worker["next_start_s"].as_f64().is_some_and(|wait| wait > 60.0), "{worker}");
    assert!(worker["since_s"].as_f64().is_some(), "{worker}");
    let shown = sandbox.ask(&["status"]).out;
    assert!(shown.contains("; next start in ") && shown.contains("shell/0 said at last:\n  step 11\n"), "{shown}");
    let logged = sandbox.ask(&["logs", "brigade", "--level", "warn"]).out;
    assert!(
        logged.contains("shell/0 backoff: killed by SIGSEGV") && logged.contains("said at last: step 19"),
        "{logged}"
    );
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn who_had_a_worker_killed_and_why_is_told_with_its_end() {
    let sandbox = Sandbox::new();
    let text = task(&["rogue", "deaf"], "stop_timeout = \"100ms\"");
    let mut run = sandbox.run(&text);
    run.pid_when("only/0", "ready");
    sandbox.stop("--now");
    run.wait();
    let left: serde_json::Value = serde_json::from_str(&sandbox.ask(&["status", "--json"]).out).expect("JSON");
    let end = &left["stages"][0]["workers"][0]["last_exit"];
    assert_eq!(end, "killed by SIGKILL: still there 100ms after it was asked to stop");
}

#[test]
fn a_killed_worker_is_started_again_and_counted() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("backoff = \"10ms\""));
    let first = run.pid_when("middle/0", "ready");
    kill(Pid::from_raw(first), Signal::SIGKILL).expect("it is there");
    until("another process fills the post", || {
        run.worker("middle/0").is_some_and(|worker| worker["state"] == "ready" && worker["pid"] != first)
    });
    let worker = run.worker("middle/0").expect("it is listed");
    assert_eq!(worker["incarnation"], 2);
    assert_eq!(worker["restarts"], 1);
    assert_eq!(worker["last_exit"], "killed by SIGKILL");
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!(report.stages["middle"].restarts, 1);
    sandbox.ledger().assert_each("kept", report.queues["raw"].sent);
}

#[test]
fn the_wait_before_a_restart_grows() {
    let sandbox = Sandbox::new();
    let ended = sandbox
        .run(&task(&["rogue", "exit", "1"], "give_up_after = \"0s\"\nmax_restarts = 4\nbackoff = \"20ms\""))
        .wait();
    ended.with_code(3);
    let waits = ended.err.lines().filter_map(|line| line.split_once("next start in ")).map(|(_, wait)| wait.trim());
    let waits: Vec<f64> = waits.map(|wait| wait.trim_end_matches("ms").parse().expect("milliseconds")).collect();
    assert_eq!(waits.len(), 4, "{}", ended.err);
    for (doubled, wait) in waits.iter().enumerate() {
        let base = 20.0 * f64::from(1 << doubled);
        assert!(*wait >= base * 0.5 && *wait <= base * 1.5, "wait {doubled} is {wait} ms, its base {base} ms");
    }
}

#[test]
fn a_temporary_worker_is_not_started_again() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&task(&["rogue", "exit", "1"], "restart = \"temporary\""));
    let report = run.wait().with_code(3);
    assert_eq!((report.stages["only"].restarts, report.lost), (0, 0));
    assert_eq!(report.verdict, "only/0 failed, and a temporary stage is not restarted: exit code 1");
    let warned = |line: &str| line.contains("WARN") && line.contains("only/0 has failed: exit code 1");
    assert!(run.said().lines().any(warned), "{}", run.said());
}

#[test]
fn a_task_that_ends_well_is_complete() {
    let sandbox = Sandbox::new();
    let report = sandbox.run(&task(&["rogue", "exit", "0"], "")).wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.stages["only"].restarts), ("complete", 0));
}

#[test]
fn codes_that_no_restart_can_mend_fail_at_once() {
    for code in ["78", "126", "127"] {
        let sandbox = Sandbox::new();
        let ended = sandbox.run(&task(&["rogue", "exit", code], "")).wait();
        let report = ended.with_code(1);
        assert_eq!(report.stages["only"].restarts, 0);
        assert!(report.verdict.contains(&format!("only/0 can never work: exit code {code}")), "{}", report.verdict);
    }
}

#[test]
fn a_worker_that_calls_itself_misconfigured_fails_at_once_in_its_own_words() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&finite(10, &["misfit", "misconfigured"], "")).wait();
    let report = ended.with_code(1);
    assert!(report.verdict.contains("there is no such bucket"), "{}", report.verdict);
    assert_eq!(report.stages["middle"].restarts, 0);
}

#[test]
fn a_program_that_vanishes_fails_at_its_next_start() {
    let sandbox = Sandbox::new();
    let program = sandbox.path("vanishing");
    std::fs::copy(brigade_tests::binary("rogue"), &program).expect("a copy");
    let mut run = sandbox.run(&task(&[&program.display().to_string(), "sleep"], "backoff = \"10ms\""));
    let pid = run.pid_when("only/0", "ready");
    std::fs::remove_file(&program).expect("it is there");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is there");
    let report = run.wait().with_code(1);
    assert!(report.verdict.contains("only/0 can never work: cannot start"), "{}", report.verdict);
}

#[test]
fn a_worker_that_never_says_hello_is_killed_after_its_start_timeout() {
    let sandbox = Sandbox::new();
    let keys = "start_timeout = \"200ms\"\ngive_up_after = \"0s\"\nmax_restarts = 1\nbackoff = \"10ms\"";
    let mut run = sandbox.run(&finite(10, &["rogue", "silent"], keys));
    let ended = run.wait();
    let report = ended.with_code(3);
    assert!(report.verdict.contains("not ready within 200ms"), "{}", report.verdict);
    assert_eq!(report.stages["middle"].restarts, 1);
    run.assert_nobody_left();
}

#[test]
fn a_worker_of_another_protocol_version_is_refused_in_clear_words() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&finite(10, &["rogue", "protocol"], "stop_timeout = \"300ms\""));
    let ended = run.wait();
    let report = ended.with_code(1);
    let words = "speaks protocol 999 (brigade-worker 9.9.9), this supervisor speaks protocol";
    let found = report.verdict.contains(words) || report.verdict.contains(&words.replace("speaks protocol", "speaks"));
    assert!(found || report.verdict.contains("protocol 999"), "{}", report.verdict);
    assert!(report.verdict.contains("build it with the matching brigade-worker"), "{}", report.verdict);
    assert_eq!(report.stages["middle"].restarts, 0);
    run.assert_nobody_left();
}

#[test]
fn gibberish_at_the_door_is_a_fault_of_that_worker_alone() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&finite(10, &["rogue", "gibberish"], "stop_timeout = \"300ms\""));
    let report = run.wait().with_code(1);
    assert!(report.verdict.contains("not that of a Brigade worker"), "{}", report.verdict);
    run.assert_nobody_left();
}

#[test]
fn one_that_knocks_and_never_gets_ready_is_killed_after_its_start_timeout() {
    let sandbox = Sandbox::new();
    let keys = "start_timeout = \"200ms\"\ngive_up_after = \"0s\"\nmax_restarts = 1\nbackoff = \"10ms\"";
    let report = sandbox.run(&finite(10, &["rogue", "knock"], keys)).wait().with_code(3);
    assert!(report.verdict.contains("not ready within 200ms"), "{}", report.verdict);
}

#[test]
fn a_consumer_that_leaves_with_0_abandons_its_queue_and_the_pipeline_ends() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&pair(&["bucket", "drip"], "capacity = 8", &["misfit", "leave", "5"], ""));
    let report = run.wait().with_code(4);
    assert_eq!(report.verdict, "stage taker ended and left nobody to take from its queues");
    let items = &report.queues["items"];
    assert_eq!((items.acked, items.sent), (5, 5 + items.left));
    run.assert_nobody_left();
}

#[test]
fn a_permanent_consumer_that_leaves_comes_back() {
    let sandbox = Sandbox::new();
    let keys = "restart = \"permanent\"\nmax_restarts = \"unlimited\"\nbackoff = \"1ms\"\nbackoff_max = \"1ms\"";
    let report = sandbox.run(&pair(&["bucket", "emit", "20"], "", &["misfit", "leave", "5"], keys)).wait().with_code(0);
    assert_eq!(report.queues["items"].acked, 20);
    sandbox.ledger().assert_once("kept", 20);
}
