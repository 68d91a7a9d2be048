//! `status`, and how commands find the pipeline they speak to.

use std::collections::BTreeSet;
use std::process::Command;

use brigade_tests::{Run, Said, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::{endless, finite, line, task};

/// Every key of a JSON object.
fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

fn assert_has(value: &Value, wanted: &[&str]) {
    let missing: Vec<_> = wanted.iter().filter(|key| !keys(value).contains(**key)).collect();
    assert!(missing.is_empty(), "{missing:?} are missing in {value}");
}

#[test]
fn status_json_has_the_fields_of_the_contract() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 2"));
    until("items flow", || sandbox.ledger().count("kept") > 50);
    let status = run.status();
    assert_has(&status, &["pipeline", "state", "pid", "stages", "queues"]);
    assert_eq!(
        (&status["pipeline"], &status["state"], &status["pid"]),
        (&"line".into(), &"running".into(), &run.pid().into())
    );
    let names = |list: &Value| -> Vec<String> {
        list.as_array().expect("a list").iter().map(|one| one["name"].as_str().expect("a name").to_owned()).collect()
    };
    assert_eq!(names(&status["stages"]), ["source", "middle", "sink"]);
    assert_eq!(names(&status["queues"]), ["raw", "done"]);
    for stage in status["stages"].as_array().expect("a list") {
        assert_has(stage, &["name", "state", "workers"]);
        for worker in stage["workers"].as_array().expect("a list") {
            assert_has(worker, &["id", "pid", "incarnation", "state", "processed", "restarts", "last_exit"]);
        }
    }
    let ids: Vec<_> =
        status["stages"][1]["workers"].as_array().expect("a list").iter().map(|worker| worker["id"].clone()).collect();
    assert_eq!(ids, ["middle/0", "middle/1"]);
    for queue in status["queues"].as_array().expect("a list") {
        let numbers =
            ["capacity", "ready", "leased", "staged", "late", "retry", "dead", "sent", "acked", "redelivered"];
        assert_has(queue, &numbers);
        assert!(numbers.iter().all(|number| queue[number].is_u64()), "{queue}");
    }
    let processed = |status: &Value| status["stages"][2]["workers"][0]["processed"].as_u64().expect("a number");
    let before = processed(&status);
    run.until_status("progress is seen", |status| processed(status) > before);
    let pids: BTreeSet<i64> = run.processes().iter().map(|process| process.pid.into()).collect();
    let shown = status["stages"]
        .as_array()
        .expect("a list")
        .iter()
        .flat_map(|stage| stage["workers"].as_array().expect("a list"));
    assert_eq!(shown.map(|worker| worker["pid"].as_i64().expect("a pid")).collect::<BTreeSet<_>>(), pids);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn status_answers_from_the_state_folder_when_nothing_runs() {
    let sandbox = Sandbox::new();
    sandbox.run(&finite(30, &["bucket", "pass"], "")).wait().with_code(0);
    let said = sandbox.ask(&["status", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let status: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((&status["state"], &status["pid"]), (&"ended".into(), &0.into()));
    assert_eq!(status["queues"][0]["acked"], 30);
    assert_eq!(status["stages"][2]["state"], "complete");
    assert_eq!(sandbox.ask(&["status"]).code, Some(0));
}

#[test]
fn after_a_sigkill_of_the_supervisor_status_does_not_say_that_it_runs() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    until("a picture is kept", || sandbox.state().join("status.json").exists());
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    let status: Value = serde_json::from_str(&sandbox.ask(&["status", "--json"]).out).expect("JSON");
    assert_eq!((&status["state"], &status["pid"]), (&"interrupted".into(), &0.into()));
}

/// A run with its state folder at the default place of this sandbox.
fn by_name(sandbox: &Sandbox, name: &str) -> Run {
    let text = task(&["bucket", "serve"], "").replace("name = \"task\"", &format!("name = {name:?}"));
    let file = sandbox.write(&format!("{name}.toml"), text.replace("${ledger}", "/dev/null"));
    let mut command = at_home(sandbox, &["run"]);
    command.arg(file);
    Run::start(command, sandbox)
}

fn at_home(sandbox: &Sandbox, args: &[&str]) -> Command {
    let mut command = sandbox.brigade(args);
    command.env("XDG_STATE_HOME", sandbox.folder());
    command
}

#[test]
fn commands_find_the_pipeline_by_name_or_the_only_one_that_runs() {
    let sandbox = Sandbox::new();
    let ask = |args: &[&str]| -> Said { Sandbox::say(at_home(&sandbox, args)) };
    let none = ask(&["status"]);
    assert_eq!(none.code, Some(1));
    assert!(none.err.contains("no pipeline runs"), "{}", none.err);

    let mut one = by_name(&sandbox, "one");
    let pipeline = |said: &Said| serde_json::from_str::<Value>(&said.out).ok().map(|status| status["pipeline"].clone());
    until("the only one is found", || pipeline(&ask(&["status", "--json"])) == Some("one".into()));

    let mut two = by_name(&sandbox, "two");
    until("the second one is found by name", || {
        pipeline(&ask(&["status", "--json", "-p", "two"])) == Some("two".into())
    });
    let several = ask(&["status"]);
    assert_eq!(several.code, Some(1));
    assert!(several.err.contains("-p one") && several.err.contains("-p two"), "{}", several.err);
    let unknown = ask(&["status", "-p", "three"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("three") && unknown.err.contains("known: one, two"), "{}", unknown.err);

    assert_eq!(ask(&["stop", "-p", "one"]).code, Some(0));
    assert_eq!(one.wait().code, Some(0));
    assert!(two.is_running());
    assert_eq!(ask(&["stop"]).code, Some(0), "the only one that runs");
    assert_eq!(two.wait().code, Some(0));
}

#[test]
fn status_shows_what_the_manager_of_shared_state_does() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&line(&["bucket", "drip"], &["bucket", "tally"], "batch = 8"));
    let manager = |status: &Value| {
        let mut stages = status["stages"].as_array().expect("a list").iter();
        stages.find(|stage| stage["name"] == "manager").map(|stage| stage["workers"][0].clone())
    };
    let processed = |status: &Value| manager(status).and_then(|it| it["processed"].as_u64());
    let has_share = |status: &Value| {
        manager(status).is_some_and(|it| it["doing"].as_str().is_some_and(|words| words.ends_with(" % of a core")))
    };
    let status =
        run.until_status("operations and a share", |status| processed(status) > Some(100) && has_share(status));
    let shown = sandbox.ask(&["status"]).out;
    assert!(shown.contains(" % of a core"), "{shown}");
    // Those of a run that was killed still count.
    let before = processed(&status);
    let pid = manager(&status).and_then(|it| it["pid"].as_i64()).expect("a pid");
    kill(Pid::from_raw(pid.try_into().expect("a pid")), Signal::SIGKILL).expect("it lives");
    run.until_status("another manager", |status| {
        manager(status).is_some_and(|it| it["incarnation"] == 2 && it["state"] == "ready") && processed(status) > before
    });
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}
