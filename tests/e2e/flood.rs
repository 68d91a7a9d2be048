//! Workers that say more than anybody can read: nothing is lost, the supervisor does not grow, and nobody else notices.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::Stdio;

use brigade_tests::{Run, Sandbox, until};
use nix::sys::stat::Mode;
use serde_json::Value;

use crate::pipelines::{endless, task};

/// Room for all that a test says.
const KEEP_ALL: &str = "[logs]\nmax_file_bytes = \"1MiB\"\nkeep_files = 100000\nmax_total_bytes = \"1TiB\"\n";
/// So much may a supervisor grow while it reads a flood, in KiB. What is gathered before it is written comes to some
/// hundred KiB, and the compressor takes as much.
const GROWTH: u64 = 8 << 10;

/// The most memory that the supervisor has ever used, in KiB.
fn peak(run: &Run) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid())).expect("it lives");
    let line = status.lines().find(|line| line.starts_with("VmHWM")).expect("the kernel counts it");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).expect("a number")
}

/// Hands each record of a stage to `each`, as it is in the files, without ever holding them all.
fn each_line(sandbox: &Sandbox, stage: &str, mut each: impl FnMut(&str)) {
    let mut command = sandbox.brigade(["logs", stage, "--json", "--state-dir"]);
    let mut child = command.arg(sandbox.state()).stdout(Stdio::piped()).spawn().expect("it starts");
    for line in BufReader::new(child.stdout.take().expect("a pipe")).lines() {
        each(&line.expect("text"));
    }
    assert!(child.wait().expect("it ends").success());
}

/// The same, read.
fn each_record(sandbox: &Sandbox, stage: &str, mut each: impl FnMut(Value)) {
    each_line(sandbox, stage, |line| each(serde_json::from_str(line).expect("a record")));
}

/// When a line was heard, which stands at the begin of its record, and its number, without reading all of it: there are
/// millions.
fn time_and_number(line: &str) -> Option<(&str, u64)> {
    let time = line.strip_prefix("{\"time\":\"")?.get(..27)?;
    let number = line.split_once("\"message\":\"line ")?.1.get(..8)?.parse().ok()?;
    Some((time, number))
}

fn fifo(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path(name);
    nix::unistd::mkfifo(&path, Mode::S_IRWXU).expect("a fifo");
    path
}

/// A pipeline at work, one worker that floods, and one that says something now and then.
fn flood_beside_others(lines: u64) {
    let sandbox = Sandbox::new();
    let gate = fifo(&sandbox, "gate");
    let rogue = brigade_tests::binary("rogue");
    let flood = format!("read line < {gate:?}; exec {rogue:?} flood {lines}");
    let talk = "while :; do echo tick; sleep 0.02; done";
    let text = endless("")
        + KEEP_ALL
        + &format!(
            "[stages.flood]\ncommand = [\"sh\", \"-c\", {flood:?}]\n[stages.talk]\ncommand = [\"sh\", \"-c\", {talk:?}]\n"
        );
    let mut run = sandbox.run(&text);
    run.pid_when("talk/0", "ready");
    until("items flow", || sandbox.ledger().count("kept") > 0);
    let (calm, kept) = (peak(&run), sandbox.ledger().count("kept"));
    std::fs::write(gate, "go\n").expect("it waits");
    until("the flood is over", || run.worker("flood/0").is_some_and(|worker| worker["state"] == "exited"));
    let grown = peak(&run).saturating_sub(calm);
    assert!(sandbox.ledger().count("kept") > kept, "the pipeline stood still");
    sandbox.stop("--now");
    run.wait();

    let (mut next, mut times) = (0, Vec::new());
    each_line(&sandbox, "flood", |line| {
        let (time, number) = time_and_number(line).expect("a line of the flood");
        assert_eq!(number, next, "lost, said twice or out of order: {line}");
        if next == 0 || next == lines - 1 {
            times.push(time.to_owned());
        }
        next += 1;
    });
    assert_eq!(next, lines);
    let mut ticks = 0;
    each_record(&sandbox, "talk", |record| {
        let time = record["time"].as_str().expect("a time");
        ticks += u32::from(time > times[0].as_str() && time < times[1].as_str());
    });
    assert!(ticks > 0, "nothing was heard of others between {times:?}");
    println!(
        "{lines} lines from {} to {}, {ticks} ticks, grown by {grown} KiB to {} KiB",
        times[0],
        times[1],
        calm + grown
    );
    assert!(grown < GROWTH, "the supervisor grew from {calm} KiB by {grown} KiB");
}

#[test]
fn a_flood_is_kept_whole_while_others_go_on_and_the_supervisor_does_not_grow() {
    flood_beside_others(100_000);
}

#[test]
#[ignore = "slow: cargo test -p brigade-tests --release --test e2e -- --ignored a_flood_of_1_gb"]
fn a_flood_of_1_gb_is_kept_whole_while_others_go_on_and_the_supervisor_does_not_grow() {
    flood_beside_others(10_600_000);
}

#[test]
fn all_of_200_000_lines_and_the_unterminated_last_one_of_a_worker_that_is_killed_at_once_are_kept() {
    let sandbox = Sandbox::new();
    let lines = 200_000;
    let text = task(&["rogue", "burst", &lines.to_string()], "restart = \"temporary\"") + KEEP_ALL;
    sandbox.run(&text).wait();
    let mut said = 0;
    let mut last = Value::Null;
    each_record(&sandbox, "only", |record| {
        if said < lines {
            assert_eq!(record["message"], format!("line {said:08}"));
        }
        said += 1;
        last = record;
    });
    assert_eq!(said, lines + 1);
    assert_eq!((&last["message"], &last["partial"]), (&"the last line has no end".into(), &true.into()));
}

fn unending(bytes: u64) {
    let sandbox = Sandbox::new();
    let gate = fifo(&sandbox, "gate");
    let rogue = brigade_tests::binary("rogue");
    let over = sandbox.path("over");
    let script = format!("read line < {gate:?}; {rogue:?} unending {bytes}; echo > {over:?}; exec sleep 1000");
    let mut run = sandbox.run(&(task(&["sh", "-c", &script], "stop_timeout = \"0s\"") + KEEP_ALL));
    run.pid_when("only/0", "ready");
    let calm = peak(&run);
    std::fs::write(gate, "go\n").expect("it waits");
    until("all of it is said", || over.exists());
    let grown = peak(&run).saturating_sub(calm);
    sandbox.stop("--now");
    run.wait();
    let (mut number, mut rest, mut pieces) = (0, String::new(), 0_u64);
    each_record(&sandbox, "only", |record| {
        assert_eq!((record["continued"] == true, record["partial"] == true), (pieces > 0, true), "{record}");
        pieces += 1;
        rest.push_str(record["message"].as_str().expect("text"));
        for eight in rest.as_bytes().chunks_exact(8) {
            assert_eq!(eight, format!("{number:08}").as_bytes());
            number += 1;
        }
        rest.drain(..rest.len() / 8 * 8);
    });
    assert_eq!((number, pieces), (bytes / 8, bytes.div_ceil(64 << 10)));
    println!("a line of {bytes} bytes: grown by {grown} KiB to {} KiB", calm + grown);
    assert!(grown < GROWTH, "the supervisor grew from {calm} KiB by {grown} KiB");
}

#[test]
fn a_line_without_end_comes_in_pieces_that_say_so_and_takes_no_memory() {
    unending(16 << 20);
}

#[test]
#[ignore = "slow: cargo test -p brigade-tests --release --test e2e -- --ignored a_line_of_100_mib"]
fn a_line_of_100_mib_without_end_comes_in_pieces_that_say_so_and_takes_no_memory() {
    unending(100 << 20);
}
