//! When a plain process is ready, by its own word.

use std::time::Duration;

use brigade_tests::{Sandbox, holds_for_a_while};
use nix::sys::signal::Signal;

use crate::pipelines::task;

/// A service of this script, and one that depends on it.
fn web(script: &str) -> String {
    format!(
        "name = \"web\"\n[stages.db]\ncommand = [\"sh\", \"-c\", {script:?}]\nready = \"fd\"\n\
         [stages.web]\ncommand = [\"bucket\", \"serve\"]\ndepends_on = [\"db\"]\n"
    )
}

#[test]
fn a_process_is_ready_when_it_writes_a_newline_and_not_by_its_age() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let script = format!(
        "printf words >/dev/fd/$BRIGADE_READY_FD; until test -e {gate}; do sleep 0.01; done; \
         echo >/dev/fd/$BRIGADE_READY_FD; echo more >/dev/fd/$BRIGADE_READY_FD; echo still there; exec sleep 1000"
    );
    let mut run = sandbox.run(&web(&script));
    run.pid_when("db/0", "starting");
    let is = |id: &str, state: &str| run.worker(id).is_some_and(|worker| worker["state"] == state);
    let waits = holds_for_a_while(Duration::from_secs(3), || is("db/0", "starting") && is("web/0", "pending"));
    assert!(waits, "{}", run.said());
    sandbox.write("gate", "");
    run.pid_when("web/0", "ready");
    assert_eq!(run.worker("db/0").expect("it is there")["incarnation"], 1);
    run.signal(Signal::SIGTERM);
    let ended = run.wait();
    ended.with_code(0);
    let place = |words: &str| ended.err.find(words).unwrap_or_else(|| panic!("nobody said {words:?}:\n{}", ended.err));
    assert!(place("db/0 is ready") < place("web/0 is ready"), "{}", ended.err);
    let said = sandbox.ask(&["logs", "db"]);
    assert!(said.out.contains("still there"), "to write more does no harm: {}", said.out);
}

#[test]
fn a_process_that_closes_its_descriptor_without_a_word_is_never_ready() {
    let sandbox = Sandbox::new();
    let keys = "ready = \"fd\"\nstart_timeout = \"1s\"\nmax_restarts = 0";
    let script = "eval \"exec $BRIGADE_READY_FD>&-\"; exec sleep 1000";
    let report = sandbox.run(&task(&["bash", "-c", script], keys)).wait().with_code(3);
    assert!(report.verdict.contains("not ready within 1s"), "{}", report.verdict);
}

#[test]
fn a_process_that_is_to_say_when_it_is_ready_has_one_descriptor_more() {
    let sandbox = Sandbox::new();
    let script = "ls /proc/$$/fd; echo $BRIGADE_READY_FD; echo >/dev/fd/$BRIGADE_READY_FD";
    sandbox.run(&task(&["sh", "-c", script], "ready = \"fd\"")).wait().with_code(0);
    let said = sandbox.ask(&["logs", "only"]).out;
    let mut words: Vec<&str> = said.lines().filter_map(|line| line.rsplit(' ').next()).collect();
    let named = words.pop().expect("a number");
    assert!(words.len() == 4 && ["0", "1", "2", named].iter().all(|word| words.contains(word)), "{said}");
}
