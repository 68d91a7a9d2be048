//! `brigade events`: every change of state, with its cause and who wanted it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::endless;

fn events(sandbox: &Sandbox) -> Vec<Value> {
    let said = sandbox.ask(&["events", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    said.out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn every_change_is_told_with_time_worker_states_cause_and_actor_also_when_nothing_runs() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("backoff = \"10ms\""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    kill(Pid::from_raw(run.pid_when("middle/0", "ready")), Signal::SIGKILL).expect("it is there");
    until("it is back", || {
        run.worker("middle/0").is_some_and(|worker| worker["state"] == "ready" && worker["incarnation"] == 2)
    });
    sandbox.stop("--now");
    run.wait();

    let events = events(&sandbox);
    for event in &events {
        let texts = ["time", "worker", "from", "to", "cause", "actor"];
        assert!(texts.iter().all(|key| event[key].is_string()) && event["incarnation"].is_u64(), "{event}");
    }
    let of = |id: &str| events.iter().filter(|event| event["worker"] == id).collect::<Vec<_>>();
    let states: Vec<&str> = of("middle/0").iter().filter_map(|event| event["to"].as_str()).collect();
    assert_eq!(states, ["starting", "ready", "backoff", "starting", "ready", "stopping", "exited"], "{events:#?}");
    for pair in of("middle/0").windows(2) {
        assert_eq!(pair[0]["to"], pair[1]["from"], "a change begins where the last one ended");
        assert!(pair[0]["time"].as_str() <= pair[1]["time"].as_str(), "{pair:?}");
    }
    let crash = of("middle/0")[2];
    assert!(crash["cause"].as_str().is_some_and(|cause| cause.starts_with("killed by SIGKILL")), "{crash}");
    assert_eq!((&crash["actor"], &crash["incarnation"]), (&"supervisor".into(), &1.into()));
    let stopping = of("middle/0")[5];
    assert_eq!((&stopping["actor"], &stopping["incarnation"]), (&"operator".into(), &2.into()));
    let whole: Vec<&str> = of("brigade").iter().filter_map(|event| event["to"].as_str()).collect();
    assert_eq!(whole, ["running", "stopping", "ended"]);

    let text = sandbox.ask(&["events"]).out;
    assert!(text.contains(" middle/0 #1 ready -> backoff: killed by SIGKILL; next start in "), "{text}");
}

#[test]
fn following_shows_changes_as_they_come_until_ctrl_c() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let mut command = sandbox.brigade(["events", "-f", "--state-dir"]);
    let mut follower = command.arg(sandbox.state()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(follower.stdout.take().expect("a pipe")).lines();
    let mut told = |wanted: &str| {
        let found = lines.by_ref().map(|line| line.expect("text")).find(|line| line.contains(wanted));
        assert!(found.is_some(), "it ended before it told of {wanted:?}");
    };
    told("source/0 #1 starting -> ready");
    run.signal(Signal::SIGTERM);
    told("brigade running -> draining: sources stop, what is queued is finished (SIGTERM)");
    told("brigade draining -> ended: drained (supervisor)");
    run.wait().with_code(0);
    kill(Pid::from_raw(i32::try_from(follower.id()).expect("small")), Signal::SIGINT).expect("it follows");
    let mut status = None;
    until("Ctrl-C ends it", || {
        status = follower.try_wait().expect("a child");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
}
