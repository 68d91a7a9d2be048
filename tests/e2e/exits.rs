//! Exits that look like an end and are none, and what ends a run with which code.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{finite, line, pair, task};

const AT_ONCE: &str = "give_up_after = \"0s\"\nmax_restarts = 2\nbackoff = \"10ms\"";

#[test]
fn a_program_that_never_says_hello_is_no_stage_with_queues_whatever_its_exit_code_is() {
    let hello = "before it said hello to the supervisor: the program of a stage with inputs or outputs must be written \
                 with the SDK";
    for (command, exited) in [
        (&["true"][..], "exited with code 0"),
        (&["rogue", "exit", "1"], "exit code 1"),
        (&["grep", "x"], "exit code 1"),
    ] {
        let sandbox = Sandbox::new();
        let ended = sandbox.run(&finite(10, command, AT_ONCE)).wait();
        let report = ended.with_code(3);
        let words = format!("gave up on middle/0: restarted more than 2 times within 60s, last: {exited} {hello}");
        assert!(report.verdict.starts_with(&words), "{}", report.verdict);
        assert_eq!((report.stages["middle"].restarts, report.lost), (2, 0));
        assert!(ended.err.contains(hello), "the log says it too:\n{}", ended.err);
        let shown = sandbox.ask(&["status"]).out;
        assert!(shown.contains("said hello to the supervisor"), "status says it too:\n{shown}");
    }
}

#[test]
fn a_temporary_source_that_never_says_hello_is_not_a_source_that_is_complete() {
    let sandbox = Sandbox::new();
    let text = pair(&["true"], "", &["bucket", "keep"], "").replace("outputs =", "restart = \"temporary\"\noutputs =");
    let report = sandbox.run(&text).wait().with_code(3);
    assert!(
        report.verdict.starts_with("gave up on source/0: a temporary stage is not restarted"),
        "{}",
        report.verdict
    );
}

#[test]
fn a_plain_process_may_end_without_a_hello() {
    Sandbox::new().run(&task(&["true"], "")).wait().with_code(0);
}

#[test]
fn an_exit_in_a_handler_is_a_crash_with_code_0_and_with_a_success_code() {
    for (mode, code, keys) in [
        ("exit", "0", ""),
        ("exit", "7", "success_codes = [7]\n"),
        ("exit-holding", "0", ""),
        ("exit-holding", "7", "success_codes = [7]\n"),
    ] {
        let sandbox = Sandbox::new();
        let keys = format!("{keys}backoff = \"10ms\"");
        let text = pair(&["bucket", "emit", "20"], "max_deliveries = 2", &["misfit", mode, "5", code], &keys);
        let ended = sandbox.run(&text).wait();
        let report = ended.with_code(5);
        let items = &report.queues["items"];
        assert_eq!((items.acked, items.dead, items.left), (19, 1, 0), "{mode} {code}");
        assert_eq!(report.verdict, "complete with 1 dead letter");
        assert_eq!(sandbox.ledger().times("met")[&5], 2, "{mode} {code}");
        let exited = if code == "0" { "exited with code 0" } else { "exit code 7" };
        let words = format!("{exited} while it had item ");
        assert!(ended.err.contains(&words) && ended.err.contains("of queue items in hand"), "{}", ended.err);
    }
}

#[test]
fn a_source_that_calls_exit_is_not_complete() {
    let sandbox = Sandbox::new();
    let text = pair(&["misfit", "exit-source", "5", "0"], "", &["bucket", "keep"], "");
    let text = text.replace("outputs =", &format!("{AT_ONCE}\noutputs ="));
    let report = sandbox.run(&text).wait().with_code(3);
    assert!(report.verdict.contains("last: exited with code 0 before its work was done"), "{}", report.verdict);
    assert_eq!(report.stages["source"].restarts, 2);
}

#[test]
fn a_program_that_loses_the_exit_of_the_sdk_has_not_done_its_work_when_a_signal_ends_it() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&line(&["bucket", "drip"], &["misfit", "lose-exit"], "backoff = \"10ms\""));
    let first = run.pid_when("middle/0", "ready");
    kill(Pid::from_raw(first), Signal::SIGTERM).expect("it is there");
    until("it is started again", || {
        run.worker("middle/0").is_some_and(|worker| worker["state"] == "ready" && worker["pid"] != first)
    });
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.stages["middle"].restarts), ("drained", 1));
}

#[test]
fn a_taker_that_leaves_is_no_success_even_if_its_queue_is_empty() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit-then-wait", "5"], "", &["misfit", "leave", "5"], "");
    let text = text.replace("outputs =", "cwd = \"${here}\"\noutputs =");
    let report = sandbox.run(&text).wait().with_code(4);
    assert_eq!(report.verdict, "stage taker ended and left nobody to take from its queues");
    assert_eq!((report.queues["items"].acked, report.queues["items"].left), (5, 0));
}

#[test]
fn a_delivery_that_is_dropped_when_the_function_returns_is_given_back_and_its_worker_ends_well() {
    let sandbox = Sandbox::new();
    let ended = sandbox.run(&pair(&["bucket", "emit", "20"], "", &["misfit", "drop-rest", "5"], "")).wait();
    let report = ended.with_code(4);
    assert_eq!((report.stages["taker"].restarts, report.queues["items"].acked), (0, 4), "{}", ended.err);
    assert!(!ended.err.contains("in hand"), "{}", ended.err);
}

#[test]
fn two_items_that_kill_their_worker_do_not_end_the_run() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "1000"], "", &["misfit", "die-pair", "500"], "backoff = \"10ms\"");
    let ended = sandbox.run(&text).wait();
    let report = ended.with_code(5);
    let items = &report.queues["items"];
    assert_eq!((items.sent, items.acked, items.dead, items.left), (1000, 998, 2, 0));
    assert_eq!(report.stages["taker"].restarts, 10);
    assert_eq!(report.verdict, "complete with 2 dead letters");
}

#[test]
fn a_source_that_fails_after_sending_the_same_again_makes_no_progress() {
    let sandbox = Sandbox::new();
    let text = pair(&["misfit", "resend", "5"], "", &["bucket", "keep"], "");
    let report = sandbox.run(&text.replace("outputs =", &format!("{AT_ONCE}\noutputs ="))).wait().with_code(3);
    assert_eq!(report.stages["source"].restarts, 2);
    assert!(report.verdict.contains("this source always fails"), "{}", report.verdict);
}

#[test]
fn a_failure_that_lasts_longer_than_five_restarts_take_is_endured() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "20"], "", &["misfit", "fail-build", "9"], "backoff = \"10ms\"");
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!(report.stages["taker"].restarts, 9);
    sandbox.ledger().assert_each("kept", 20);
}

#[test]
fn an_outage_is_no_crash_and_ends_the_run_after_its_own_time() {
    let sandbox = Sandbox::new();
    let mended = sandbox.path("mended");
    let keys = "env.MENDED = \"${here}/mended\"\nmax_restarts = 1\ngive_up_after = \"0s\"\nbackoff = \"10ms\"\nbackoff_max = \"50ms\"";
    let text = pair(&["bucket", "emit", "20"], "", &["misfit", "outage", "5"], keys);
    let mut run = sandbox.run(&text);
    run.until_status("several outages", |status| status["stages"][1]["workers"][0]["restarts"].as_u64() >= Some(6));
    std::fs::write(mended, "").expect("written");
    run.wait().with_code(0);
    sandbox.ledger().assert_each("kept", 20);
    let sandbox = Sandbox::new();
    let text = text.replace("max_restarts = 1", "outage_timeout = \"300ms\"");
    let report = sandbox.run(&text).wait().with_code(3);
    assert!(report.verdict.starts_with("gave up on taker/0: the outage has lasted "), "{}", report.verdict);
    assert!(report.verdict.contains("the database does not answer"), "{}", report.verdict);
}

#[test]
fn dead_letters_have_an_exit_code_of_their_own_unless_the_file_says_that_they_are_fine() {
    let sandbox = Sandbox::new();
    let text = finite(10, &["misfit", "fail", "3"], "");
    let ended = sandbox.run(&text).wait();
    assert_eq!(ended.with_code(5).verdict, "complete with 1 dead letter");
    // The run was complete all the same: the next one begins anew, and does not call those of before its own.
    let report = sandbox.run(&finite(10, &["misfit", "fail", "77"], "")).wait().with_code(0);
    assert_eq!((report.queues["raw"].sent, report.queues["raw"].acked), (10, 10));
    let sandbox = Sandbox::new();
    let report = sandbox.run(&format!("fail_on_dead_letters = false\n{text}")).wait().with_code(0);
    assert_eq!((report.verdict.as_str(), report.queues["raw"].dead), ("complete", 1));
}

#[test]
fn at_so_many_dead_letters_the_run_stops() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "drip"], "max_deliveries = 1", &["misfit", "fail-all"], "");
    let ended = sandbox.run(&format!("max_dead_letters = 3\n{text}")).wait();
    let report = ended.with_code(5);
    let dead = report.queues["items"].dead;
    assert!(dead >= 3, "{report:?}");
    assert_eq!(report.verdict, format!("stopped at {dead} dead letters (max_dead_letters = 3)"), "the true number");
    assert_eq!(report.lost, 0);
}

#[test]
fn a_run_that_ends_before_its_dead_letters_are_seen_is_judged_by_their_number() {
    let sandbox = Sandbox::new();
    let text = finite(10, &["misfit", "fail-all"], "").replace("[queues.raw]", "[queues.raw]\nmax_deliveries = 1");
    let keys = "fail_on_dead_letters = false\nmax_dead_letters = 10";
    let report = sandbox.run(&format!("{keys}\n{text}")).wait().with_code(5);
    assert!(report.verdict.ends_with("10 dead letters (max_dead_letters = 10)"), "{}", report.verdict);
    let text = format!("fail_on_dead_letters = false\nmax_dead_letters = 11\n{text}");
    assert_eq!(Sandbox::new().run(&text).wait().with_code(0).verdict, "complete");
}
