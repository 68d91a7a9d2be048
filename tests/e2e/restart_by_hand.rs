//! `brigade restart`: new runs because the operator wants them, without a loss and without a crash.

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{endless, pair, task};

fn is_run(run: &Run, id: &str, incarnation: u64) -> bool {
    run.worker(id).is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] == incarnation)
}

#[test]
fn workers_are_started_anew_without_a_crash_and_nothing_is_lost() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2\nmax_restarts = 0"));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    for round in 2..=5 {
        let said = sandbox.ask(&["restart", "middle"]);
        let words = "middle/0, middle/1 restart after the item in hand\n";
        assert_eq!((said.code, said.out.as_str()), (Some(0), words), "{}", said.err);
        until("both are new", || is_run(&run, "middle/0", round) && is_run(&run, "middle/1", round));
    }
    let said = sandbox.ask(&["restart", "source/0"]);
    let repeats = "stage source is a source without a checkpoint: it begins from the start";
    assert!(said.code == Some(0) && said.out.contains(repeats), "{}{}", said.out, said.err);
    let warned = |line: &str| line.contains("WARN") && line.contains(repeats);
    until("it is in the log", || run.said().lines().any(warned));
    until("the source is new", || is_run(&run, "source/0", 2));
    let kept = sandbox.ledger().count("kept");
    until("items flow again", || sandbox.ledger().count("kept") > kept + 100);
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    let report = ended.with_code(0);
    assert_eq!((report.stages["middle"].restarts, report.stages["source"].restarts), (0, 0));
    for queue in report.queues.values() {
        assert_eq!((queue.acked, queue.left, queue.dead), (queue.sent, 0, 0), "{queue:?}");
    }
    let events = sandbox.ask(&["events"]).out;
    assert!(
        events.contains("middle/0 #1 ready -> stopping: asked to stop, to be started again (operator)"),
        "{events}"
    );
    run.assert_nobody_left();
}

#[test]
fn rolling_takes_one_after_the_other() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 3"));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    let said = sandbox.ask(&["restart", "middle", "--rolling"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "middle is restarted\n"), "{}", said.err);
    assert!((0..3).all(|n| is_run(&run, &format!("middle/{n}"), 2)), "{}", run.status());
    let events = sandbox.ask(&["events"]).out;
    let place = |words: &str| events.find(words).unwrap_or_else(|| panic!("nobody told of {words:?}:\n{events}"));
    for (one, next) in [(0, 1), (1, 2)] {
        let up = place(&format!("middle/{one} #2 starting -> ready"));
        assert!(up < place(&format!("middle/{next} #1 ready -> stopping")), "{events}");
    }
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn rolling_ends_at_the_first_that_does_not_come_up() {
    let sandbox = Sandbox::new();
    let script = format!("test -e {} && exit 7; exec sleep 1000", sandbox.path("broken").display());
    let text = task(&["sh", "-c", &script], "replicas = 2\nbackoff = \"10s\"\nmax_restarts = \"unlimited\"");
    let mut run = sandbox.run(&text);
    (0..2).for_each(|n| _ = run.pid_when(&format!("only/{n}"), "ready"));
    sandbox.write("broken", "");
    let said = sandbox.ask(&["restart", "only", "--rolling"]);
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains("only/0 did not come up, and the restart ends here: exit code 7"), "{}", said.err);
    assert!(is_run(&run, "only/1", 1), "the other one is as it was");

    // One that waits after a crash is started now.
    std::fs::remove_file(sandbox.path("broken")).expect("it is there");
    assert_eq!(sandbox.ask(&["restart", "only/0"]).code, Some(0));
    until("it is up", || is_run(&run, "only/0", 3));
    sandbox.stop("--now");
    run.wait().with_code(0);
}

#[test]
fn a_worker_that_does_not_stop_is_killed_and_its_item_comes_back() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "3"], "", &["misfit", "sleep", "0"], "stop_timeout = \"300ms\"");
    let mut run = sandbox.run(&text);
    until("the taker met an item", || sandbox.ledger().count("met") == 1);
    assert_eq!(sandbox.ask(&["restart", "taker"]).code, Some(0));
    until("the next run has met it again", || sandbox.ledger().count("met") == 2);
    assert!(is_run(&run, "taker/0", 2));
    sandbox.stop("--kill");
    let report = run.wait().with_code(4);
    assert_eq!((report.queues["items"].left, report.stages["taker"].restarts), (3, 0));
}

#[test]
fn what_cannot_be_started_anew_is_refused_with_the_reason() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let mut run = sandbox.run(&pair(&["bucket", "emit", "5"], "", &["bucket", "hold", &gate], ""));
    until("an item is in hand", || sandbox.ledger().count("held") == 1);
    until("the source has ended", || run.worker("source/0").is_some_and(|worker| worker["state"] == "exited"));
    for (args, words) in [
        (&["restart", "source"][..], "source/0 is not restarted: it has ended for good"),
        (&["restart", "takr"], "there is no stage \"takr\": did you mean \"taker\"?"),
        (&["restart", "takr", "--rolling"], "did you mean \"taker\"?"),
        (&["restart", "taker/1", "--rolling"], "there is no taker/1"),
    ] {
        let said = sandbox.ask(args);
        assert_eq!(said.code, Some(1), "{}", said.out);
        assert!(said.err.contains(words), "{}", said.err);
    }
    sandbox.write("gate", "");
    run.wait().with_code(0);
    assert_eq!(sandbox.ask(&["restart", "taker"]).code, Some(1));
}

#[test]
fn commands_at_the_same_time_do_not_disturb_each_other() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2\nbackoff = \"1ms\"\nmax_restarts = \"unlimited\""));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    std::thread::scope(|scope| {
        for worker in 0..2 {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let code = sandbox.ask(&["restart", "middle"]).code;
                        assert_eq!(code, Some(0));
                    }
                });
            }
            let (sandbox, run) = (&sandbox, &run);
            scope.spawn(move || {
                for _ in 0..5 {
                    // It may have no process just then.
                    let id = format!("middle/{worker}");
                    let _ = sandbox.ask(&["signal", &id, "KILL"]);
                    let pid = run.pid_when(&id, "ready");
                    let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
                }
            });
        }
    });
    until("both are up", || (0..2).all(|n| run.worker(&format!("middle/{n}")).is_some_and(|w| w["state"] == "ready")));
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    for queue in report.queues.values() {
        assert_eq!((queue.acked + queue.dead, queue.left), (queue.sent, 0), "{queue:?}");
    }
    run.assert_nobody_left();
}
