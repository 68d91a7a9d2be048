//! Dead letters of a pipeline that does not run: sent again, and done once.

use brigade_tests::{Run, Sandbox, is_alive, keeper_of, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// A source of ten exact items and a taker, whose third item has one delivery.
fn text(taker: &str) -> String {
    format!(
        r#"
name = "letters"
[queues.raw]
max_deliveries = 1
[stages.source]
command = ["bucket", "emit-exact", "0", "10"]
outputs = ["raw"]
[stages.taker]
command = {taker}
inputs = ["raw"]
env = {{ LEDGER = "${{ledger}}", MENDED = "${{here}}/mended" }}
"#
    )
}

const FAILING: &str = r#"["misfit", "fail-until", "3"]"#;

fn is_stopped(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") T "))
}

/// The supervisor cannot start another keeper in between.
fn kill_supervisor_and_keeper(run: &mut Run) {
    let keeper = until_some("there is a keeper", || keeper_of(run.pid()));
    run.signal(Signal::SIGSTOP);
    until("the supervisor is stopped", || is_stopped(run.pid()));
    kill(Pid::from_raw(keeper), Signal::SIGKILL).expect("it is there");
    run.signal(Signal::SIGKILL);
    run.wait();
}

#[test]
fn a_retry_first_ends_a_worker_that_has_outlived_its_supervisor_and_holds_an_item() {
    let sandbox = Sandbox::new();
    sandbox.run(&text(FAILING)).wait().with_code(0);
    // A child of the worker's process, which does not die with the supervisor.
    let holding = r#"["/bin/sh", "-c", "bucket hold ${here}/gate & wait"]"#;
    let mut run = sandbox.run_with(&text(holding), |command| {
        let programs = brigade_tests::folder().display().to_string();
        command.env("PATH", format!("{programs}:{}", std::env::var("PATH").unwrap_or_default()));
    });
    until("an item is in hand", || sandbox.ledger().count("held") > 0);
    let survivor = sandbox.ledger().entries().iter().find(|entry| entry.deed == "held").expect("held").pid;
    kill_supervisor_and_keeper(&mut run);
    assert!(is_alive(survivor), "this test needs one that lives on");
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "1 item sent again to queue raw\n"), "{}", said.err);
    assert!(said.err.contains("ended 1 process that the last run had left"), "{}", said.err);
    assert!(!is_alive(survivor), "it can still finish what was given to another one");
    sandbox.write("mended", "");
    sandbox.run(&text(FAILING)).wait().with_code(0);
    let kept = sandbox.ledger().times("kept");
    assert!(kept.len() == 10 && kept.values().all(|times| *times == 2), "two runs did each item once: {kept:?}");
}
