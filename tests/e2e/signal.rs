//! `brigade signal`: to a worker by its name, through the one who knows its process.

use brigade_tests::{Run, Said, Sandbox, until};

/// Notes each SIGHUP, and has a child in its group that does so, too.
const NOTES: &str = "trap 'echo parent >> heard' HUP; sh -c 'trap \"echo child >> heard\" HUP; echo up >> heard; while :; do sleep 0.01; done' & while :; do wait; sleep 0.01; done";

fn stage(name: &str, replicas: u16) -> String {
    format!("[stages.{name}]\ncommand = [\"sh\", \"-c\", {NOTES:?}]\nreplicas = {replicas}\ncwd = \"${{here}}\"\n")
}

fn heard(sandbox: &Sandbox, who: &str) -> usize {
    let text = std::fs::read_to_string(sandbox.path("heard")).unwrap_or_default();
    text.lines().filter(|line| *line == who).count()
}

#[track_caller]
fn refused(said: &Said, words: &str) {
    assert_eq!(said.code, Some(1), "{}{}", said.out, said.err);
    assert!(said.err.contains(words), "{}", said.err);
}

#[test]
fn a_signal_goes_to_the_process_alone_and_with_group_to_all_that_it_has_started() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&format!("name = \"web\"\n{}", stage("web", 1)));
    run.pid_when("web/0", "ready");
    until("its child listens", || heard(&sandbox, "up") == 1);
    let said = sandbox.ask(&["signal", "web", "HUP"]);
    assert_eq!((said.code, said.out.as_str()), (Some(0), "SIGHUP is sent to web/0\n"), "{}", said.err);
    until("the process has heard it", || heard(&sandbox, "parent") == 1);
    assert_eq!(sandbox.ask(&["signal", "web/0", "1", "--group"]).code, Some(0));
    until("all have heard it", || heard(&sandbox, "parent") == 2 && heard(&sandbox, "child") == 1);
    sandbox.stop("--kill");
}

#[test]
fn a_signal_to_a_stage_goes_to_each_of_its_workers() {
    let sandbox = Sandbox::new();
    let run = sandbox.run(&format!("name = \"web\"\n{}", stage("web", 3)));
    (0..3).for_each(|n| _ = run.pid_when(&format!("web/{n}"), "ready"));
    until("all listen", || heard(&sandbox, "up") == 3);
    let said = sandbox.ask(&["signal", "web", "sighup"]);
    assert_eq!(said.out, "SIGHUP is sent to web/0, web/1, web/2\n", "{}", said.err);
    until("all have heard it", || heard(&sandbox, "parent") == 3);
    sandbox.stop("--kill");
}

#[test]
fn who_is_not_there_gets_no_signal_and_the_likely_name_is_said() {
    let sandbox = Sandbox::new();
    let text = "name = \"web\"\n[stages.web]\ncommand = [\"rogue\", \"sleep\"]\nbackoff = \"10m\"\nbackoff_max = \"10m\"\nmax_restarts = \"unlimited\"\n\
                [stages.beside]\ncommand = [\"rogue\", \"sleep\"]\nreplicas = 2\n";
    let mut run = sandbox.run(text);
    run.pid_when("web/0", "ready");
    refused(&sandbox.ask(&["signal", "wbe", "HUP"]), "there is no stage \"wbe\": did you mean \"web\"?");
    refused(&sandbox.ask(&["signal", "printer", "HUP"]), "there is no stage \"printer\": there are web, beside");
    refused(&sandbox.ask(&["signal", "web/1", "HUP"]), "there is no web/1: stage web has one worker, web/0");
    refused(&sandbox.ask(&["signal", "beside/2", "HUP"]), "stage beside has 2 workers, beside/0 to beside/1");
    // One that ends by it has crashed; then there is nobody to be signalled.
    assert_eq!(sandbox.ask(&["signal", "web", "KILL"]).code, Some(0));
    until("it waits for its next start", || run.worker("web/0").is_some_and(|worker| worker["state"] == "backoff"));
    refused(&sandbox.ask(&["signal", "web/0", "HUP"]), "web/0 has no process now: it is backoff");
    sandbox.stop("--kill");
    run.wait();
    refused(&sandbox.ask(&["signal", "web", "HUP"]), "does not run");
}

#[test]
fn a_worker_hears_what_brigade_was_told_to_ignore() {
    let sandbox = Sandbox::new();
    let text = format!("name = \"web\"\n{}", stage("web", 1));
    let command = sandbox.run_command(&text);
    let mut ignoring = std::process::Command::new("sh");
    ignoring.args(["-c", "trap '' HUP USR2; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    let run = Run::start(ignoring, &sandbox);
    run.pid_when("web/0", "ready");
    until("its child listens", || heard(&sandbox, "up") == 1);
    assert_eq!(sandbox.ask(&["signal", "web", "HUP"]).code, Some(0));
    until("the process has heard it", || heard(&sandbox, "parent") == 1);
    sandbox.stop("--kill");
}
