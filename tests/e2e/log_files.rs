//! The files of the logs: rotated, compressed, cut off at their old end, removed by somebody, and followed through all
//! of it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::sys::stat::Mode;
use nix::unistd::Pid;

use crate::pipelines::{endless, task};

fn number(line: &str) -> Option<u64> {
    line.split_once("line ").and_then(|(_, rest)| rest.get(..8)?.parse().ok())
}

#[test]
fn a_flood_is_followed_through_rotation_and_compression_each_line_once_and_in_order() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate");
    nix::unistd::mkfifo(&gate, Mode::S_IRWXU).expect("a fifo");
    let (rogue, lines) = (brigade_tests::binary("rogue"), 50_000);
    let script = format!("read line < {gate:?}; {rogue:?} flood {lines}; exec sleep 1000");
    let keep = "[logs]\nmax_file_bytes = \"64KiB\"\nkeep_files = 100000\n";
    let mut run = sandbox.run(&(task(&["sh", "-c", &script], "stop_timeout = \"0s\"") + keep));
    run.pid_when("only/0", "ready");
    let mut command = sandbox.brigade(["logs", "-f", "only", "--since", "1h", "--state-dir"]);
    let mut logs =
        command.arg(sandbox.state()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    std::fs::write(gate, "go\n").expect("it waits");
    let mut heard = BufReader::new(logs.stdout.take().expect("a pipe")).lines().map(|line| line.expect("text"));
    for expected in 0..lines {
        let line = heard.next().expect("it goes on");
        assert_eq!(number(&line), Some(expected), "lost, shown twice or out of order: {line}");
    }
    kill(Pid::from_raw(i32::try_from(logs.id()).expect("small")), Signal::SIGINT).expect("it follows");
    let output = logs.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
    let names = || -> Vec<String> {
        let all = std::fs::read_dir(sandbox.state().join("logs")).expect("it is there");
        all.map(|entry| entry.expect("it is there").file_name().into_string().expect("text")).collect()
    };
    until("all old files are compressed", || {
        names().iter().all(|name| name.ends_with(".log") || name.ends_with(".gz"))
    });
    assert!(names().len() > 100, "{:?}", names());
    let said = sandbox.ask(&["logs", "only"]);
    assert!(said.out.lines().map(number).eq((0..lines).map(Some)), "{}", said.err);
    sandbox.stop("--now");
    run.wait();
}

#[test]
fn what_rotation_has_dropped_is_said_to_who_asks_for_it_and_to_nobody_else() {
    let sandbox = Sandbox::new();
    let (lines, limits) = (50_000, "[logs]\nmax_file_bytes = \"64KiB\"\nkeep_files = 3\n");
    sandbox.run(&(task(&["rogue", "flood", &lines.to_string()], "") + limits)).wait().with_code(0);
    let said = sandbox.ask(&["logs", "only"]);
    let shown: Vec<_> = said.out.lines().map(|line| number(line).expect("a line of the flood")).collect();
    assert!(shown[0] > 0 && shown.iter().copied().eq(shown[0]..lines), "{} lines from {}", shown.len(), shown[0]);
    assert!(said.err.starts_with("note: older lines of stage only, up to "), "{}", said.err);
    assert!(said.err.contains("were dropped by rotation at "), "{}", said.err);
    let old = std::fs::read_dir(sandbox.state().join("logs")).expect("it is there");
    let names = old.map(|entry| entry.expect("it is there").file_name().into_string().expect("text"));
    assert_eq!(names.filter(|name| name.starts_with("only.log.")).count(), 3);
    for few in [&["logs", "only", "-n", "5"][..], &["logs", "only", "--since", "2999-01-01T00:00:00Z"]] {
        assert_eq!(sandbox.ask(few).err, "", "{few:?}");
    }
}

#[test]
fn all_logs_together_stay_within_their_limit_and_the_flood_drives_out_nobody_else() {
    let sandbox = Sandbox::new();
    let limits = "[logs]\nmax_file_bytes = \"64KiB\"\nmax_total_bytes = \"512KiB\"\ncompress = false\n";
    let text = task(&["rogue", "flood", "50000"], "") + "[stages.quiet]\ncommand = [\"echo\", \"hear me\"]\n" + limits;
    sandbox.run(&text).wait().with_code(0);
    let sizes = std::fs::read_dir(sandbox.state().join("logs")).expect("it is there");
    let bytes: u64 = sizes.map(|entry| entry.expect("it is there").metadata().expect("it is there").len()).sum();
    // What tells of what was dropped does not count.
    assert!(bytes > 256 << 10 && bytes < (512 << 10) + 1024, "{bytes}");
    assert!(sandbox.ask(&["logs", "quiet"]).out.contains("hear me"));
}

#[test]
fn after_the_folder_of_the_logs_was_removed_it_is_made_again_and_nobody_is_held_up() {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate");
    nix::unistd::mkfifo(&gate, Mode::S_IRWXU).expect("a fifo");
    let script = format!("while read line < {gate:?}; do echo $line; done");
    let text = endless("") + &format!("[stages.talk]\ncommand = [\"sh\", \"-c\", {script:?}]\n");
    let mut run = sandbox.run(&text);
    run.pid_when("talk/0", "ready");
    let say = |word: &str| {
        std::fs::write(&gate, format!("{word}\n")).expect("it reads");
        until(word, || sandbox.ask(&["logs", "talk"]).out.contains(word));
    };
    say("before");
    std::fs::remove_dir_all(sandbox.state().join("logs")).expect("it goes");
    let kept = sandbox.ledger().count("kept");
    say("after");
    run.until_said("logs of stage talk: somebody has removed the file; a new one is begun");
    until("items flow", || sandbox.ledger().count("kept") > kept);
    sandbox.stop("--now");
    run.wait();
}
