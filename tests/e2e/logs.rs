//! What workers say, and `brigade logs`: nothing is lost, nothing is forged, everything is attributed.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::{endless, pair, task};

fn records(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
}

#[test]
fn every_line_is_a_record_with_time_stage_worker_incarnation_and_stream() {
    let sandbox = Sandbox::new();
    sandbox.run(&task(&["sh", "-c", "echo to stdout; echo to stderr >&2"], "")).wait().with_code(0);
    let said = sandbox.ask(&["logs", "only", "--json"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let records = records(&said.out);
    assert_eq!(records.len(), 2, "{}", said.out);
    for (stream, message) in [("stdout", "to stdout"), ("stderr", "to stderr")] {
        let record = records.iter().find(|record| record["stream"] == stream).expect(stream);
        assert_eq!(record["message"], message);
        assert_eq!(
            (&record["stage"], &record["worker"], &record["incarnation"]),
            (&"only".into(), &"only/0".into(), &1.into())
        );
        let time = record["time"].as_str().expect("a time");
        assert!(time.ends_with('Z') && time.contains('T'), "{time}");
        assert!(record["level"].is_string());
    }
}

#[test]
fn garbage_is_escaped_the_last_line_is_kept_and_nobody_speaks_for_others() {
    let sandbox = Sandbox::new();
    sandbox.run(&task(&["rogue", "garbage"], "")).wait().with_code(0);
    let shown = sandbox.ask(&["logs", "only"]);
    assert!(!shown.out.bytes().any(|byte| byte != b'\n' && (byte < 0x20 || byte == 0x7f)), "{:?}", shown.out);
    assert!(shown.out.contains("the last line has no end"), "{}", shown.out);
    let records = records(&sandbox.ask(&["logs", "only", "--json"]).out);
    assert_eq!(records.len(), 3);
    assert!(records.iter().all(|record| record["worker"] == "only/0"), "{records:?}");
}

#[test]
fn a_flood_of_50_mb_is_not_lost() {
    let sandbox = Sandbox::new();
    let lines = 500_000;
    sandbox.run(&task(&["rogue", "flood", &lines.to_string()], "")).wait().with_code(0);
    let mut command = sandbox.brigade(["logs", "only", "--state-dir"]);
    let mut child = command.arg(sandbox.state()).stdout(Stdio::piped()).spawn().expect("it starts");
    let out = BufReader::new(child.stdout.take().expect("a pipe"));
    // The oldest files are rotated away; what is kept is whole, in order, and goes to the end.
    let mut next = None;
    let mut shown = 0;
    for line in out.lines().map(|line| line.expect("text")) {
        let number = line.split_once("line ").and_then(|(_, rest)| rest.get(..8)?.parse::<u64>().ok());
        assert!(number.is_some() && (next.is_none() || number == next), "lost or out of order: {line}");
        next = number.map(|number| number + 1);
        shown += 1;
    }
    assert!(child.wait().expect("it ends").success());
    assert!(shown >= lines / 2, "only {shown} lines are kept");
    assert_eq!(next, Some(lines));
}

#[test]
fn a_worker_and_a_stage_and_a_level_are_selected() {
    let sandbox = Sandbox::new();
    let text = pair(&["bucket", "emit", "20"], "max_deliveries = 2", &["misfit", "fail", "3"], "replicas = 2");
    sandbox.run(&text).wait().with_code(5);
    let json = |args: &[&str]| records(&sandbox.ask(&[&["logs", "--json"], args].concat()).out);
    let failures = json(&["taker", "--level", "error"]);
    assert_eq!(failures.len(), 3, "two failures, and the last one makes a dead letter: {failures:?}");
    assert!(failures.iter().all(|record| record["stage"] == "taker" && record["level"] == "ERROR"));
    let own: Vec<_> = json(&[]).into_iter().filter(|record| record["stage"] == "brigade").collect();
    assert!(!own.is_empty(), "the supervisor's own log belongs to it");
    let worker = failures[0]["worker"].as_str().expect("a worker");
    let of_one = json(&[worker]);
    assert!(!of_one.is_empty() && of_one.iter().all(|record| record["worker"] == worker), "{of_one:?}");
    assert_eq!(json(&["taker", "--grep", "cannot be done"]).len(), 2);
    assert_eq!(json(&["taker", "-n", "1"]).len(), 1);
    assert_eq!(json(&["taker", "--since", "1h"]).len(), json(&["taker"]).len());
    assert!(json(&["taker", "--since", "2999-01-01T00:00:00Z"]).is_empty());
    let unknown = sandbox.ask(&["logs", "tacker"]);
    assert_eq!(unknown.code, Some(1));
    assert!(unknown.err.contains("tacker"), "{}", unknown.err);
}

#[test]
fn following_shows_lines_as_they_come_and_a_restarted_worker_too() {
    let sandbox = Sandbox::new();
    // Opened once, and for writing as well: else a writer that has not closed it yet would be there when it is opened again,
    // and its end would count as a line.
    let script =
        format!("exec 3<>{:?}; while :; do echo run $BRIGADE_INCARNATION; read line <&3; done", sandbox.path("fifo"));
    nix::unistd::mkfifo(&sandbox.path("fifo"), nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let text = endless("") + &format!("[stages.talk]\ncommand = [\"sh\", \"-c\", {script:?}]\nbackoff = \"1ms\"\n");
    let mut run = sandbox.run(&text);
    let pid = run.pid_when("talk/0", "ready");
    let mut command = sandbox.brigade(["logs", "-f", "talk", "--state-dir"]);
    let mut logs = command.arg(sandbox.state()).stdout(Stdio::piped()).spawn().expect("it starts");
    let mut lines = BufReader::new(logs.stdout.take().expect("a pipe")).lines();
    let mut next = |wanted: &str| {
        let line = lines.next().expect("it goes on").expect("text");
        assert!(line.contains(wanted), "{line}");
    };
    next("run 1");
    std::fs::write(sandbox.path("fifo"), "go on\n").expect("it reads");
    next("run 1");
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("it is there");
    next("run 2");
    kill(Pid::from_raw(i32::try_from(logs.id()).expect("small")), Signal::SIGINT).expect("it follows");
    let mut status = None;
    until("Ctrl-C ends it", || {
        status = logs.try_wait().expect("a child");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}
