//! Death in the middle of `brigade dead retry`: of the supervisor while the pipeline runs, of the command itself when it
//! does not. The item is then done, and once.

use brigade_tests::{Run, Sandbox, until};
use serde_json::Value;

/// The source makes ten items (and then waits, or ends); the third cannot be done while the file `mended` is not there.
fn text(source: &str) -> String {
    format!(
        r#"
name = "retry"
fail_on_dead_letters = false
[queues.raw]
max_deliveries = 2
[stages.source]
command = ["bucket", "{source}", "10"]
outputs = ["raw"]
[stages.sink]
command = ["misfit", "fail-until", "3"]
inputs = ["raw"]
env = {{ LEDGER = "${{ledger}}", MENDED = "${{here}}/mended" }}
"#
    )
}

fn letters(sandbox: &Sandbox) -> usize {
    let said = sandbox.ask(&["dead", "list", "--json"]);
    serde_json::from_str::<Vec<Value>>(&said.out).map_or(0, |letters| letters.len())
}

fn retry_all(sandbox: &Sandbox) -> String {
    let said = sandbox.ask(&["dead", "retry", "--all"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out
}

fn supervisor_dies_at(point: &str, is_sent: bool) {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run_with(&text("emit-then-wait"), |command| _ = command.env("BRIGADE_CRASH", point));
    until("there is a dead letter", || letters(&sandbox) == 1);
    sandbox.write("mended", "");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(1), "nobody answers");
    assert_eq!(run.wait().signal, Some(9), "the supervisor did not die at {point}");
    run.assert_nobody_left();
    drop(run);
    let mut run: Run = sandbox.run(&text("emit-then-wait"));
    run.until_said("continues an earlier run");
    assert_eq!(letters(&sandbox), usize::from(!is_sent), "{point}");
    if !is_sent {
        assert_eq!(retry_all(&sandbox), "1 item sent again to queue raw\n");
    }
    until("it is done", || sandbox.ledger().times("kept").contains_key(&3));
    sandbox.stop("--now");
    let report = run.wait().with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.left), (11, 10, 1, 0), "{point}");
    assert_eq!(letters(&sandbox), 0);
}

fn command_dies_at(point: &str, is_sent: bool) {
    let sandbox = Sandbox::new();
    sandbox.run(&text("emit")).wait().with_code(0);
    let mut command = sandbox.brigade(["dead", "retry", "--all", "--state-dir"]);
    command.arg(sandbox.state()).env("BRIGADE_CRASH", point);
    assert_eq!(Sandbox::say(command).code, None, "the command did not die at {point}");
    assert_eq!(letters(&sandbox), 1, "it is there until it is known to be sent");
    let wanted = if is_sent { "0 items" } else { "1 item" };
    assert_eq!(retry_all(&sandbox), format!("{wanted} sent again to queue raw\n"), "{point}");
    assert_eq!(letters(&sandbox), 0);
    sandbox.write("mended", "");
    // The next run continues that one: its source has made its ten items.
    let report = sandbox.run(&text("emit")).wait().with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.kept), (11, 10, 1, 0), "{point}");
}

/// The run that continues a complete one is killed when it has taken that one's pages back: the next one does the same.
#[test]
fn complete_taken_back() {
    let sandbox = Sandbox::new();
    sandbox.run(&text("emit")).wait().with_code(0);
    sandbox.write("mended", "");
    assert_eq!(retry_all(&sandbox), "1 item sent again to queue raw\n");
    let mut run = sandbox.run_with(&text("emit"), |command| _ = command.env("BRIGADE_CRASH", "complete_taken_back"));
    assert_eq!(run.wait().signal, Some(9));
    drop(run);
    let report = sandbox.run(&text("emit")).wait().with_code(0);
    let raw = &report.queues["raw"];
    assert_eq!((raw.sent, raw.acked, raw.dead, raw.kept), (11, 10, 1, 0));
}

/// A queue is made again in a run that is resumed, and the supervisor is killed right then. Items of the new queue have the
/// ids of items of the old one, one of which is a dead letter: theirs is kept as well.
#[test]
fn queue_made_again() {
    let sandbox = Sandbox::new();
    sandbox.run(&text("emit")).wait().with_code(0);
    assert_eq!(letters(&sandbox), 1);
    // A run that is killed before its source has sent anything.
    let gate = sandbox.path("gate").display().to_string();
    let waits = |queue: &str| {
        let text = text("emit").replace("\"emit\", \"10\"", &format!("\"emit-after\", {gate:?}, \"10\""));
        text.replace("[queues.raw]", &format!("[queues.raw]\n{queue}"))
    };
    let mut run: Run = sandbox.run(&waits("capacity = 64"));
    run.until_said("source/0 is ready");
    run.signal(nix::sys::signal::Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    drop(run);
    let other = waits("capacity = 99");
    let mut run = sandbox.run_with(&other, |command| _ = command.env("BRIGADE_CRASH", "queue_made_again"));
    assert_eq!(run.wait().signal, Some(9));
    drop(run);
    sandbox.write("gate", "");
    let report = sandbox.run(&other).wait().with_code(0);
    assert_eq!((report.queues["raw"].dead, report.queues["raw"].kept), (1, 2));
    assert_eq!(letters(&sandbox), 2);
}

#[test]
fn retry_noted() {
    supervisor_dies_at("retry_noted", false);
    command_dies_at("retry_noted", false);
}

#[test]
fn retry_sent() {
    supervisor_dies_at("retry_sent", true);
    command_dies_at("retry_sent", true);
}

#[test]
fn letters_written_anew() {
    supervisor_dies_at("letters_written_anew", true);
    command_dies_at("letters_written_anew", true);
}
