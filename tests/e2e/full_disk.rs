//! Disks without room: an error to who asked, never a death by a signal, and the pipeline goes on when there is room
//! again. And the largest items.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use brigade_protocol::queue::Geometry;
use brigade_tests::{Entry, Run, Sandbox, until};

use crate::pipelines::{finite, pair, task};

/// A small file system of its own, or the reason why there is none.
struct SmallDisk<'a>(&'a Path);

impl<'a> SmallDisk<'a> {
    fn mount(at: &'a Path, size: &str) -> Result<Self, String> {
        std::fs::create_dir(at).map_err(|error| error.to_string())?;
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}"), "tmpfs"]).arg(at);
        let output = mount.output().map_err(|error| error.to_string())?;
        if output.status.success() { Ok(Self(at)) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }
}

impl Drop for SmallDisk<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Says so past the capture of the test runner, which shows nothing of a test that passes.
fn not_tested(why: &str) {
    let words = format!("NOT TESTED: no file system can be mounted here: {why}\n");
    std::io::stderr().write_all(words.as_bytes()).expect("somebody listens");
}

#[test]
fn a_disk_too_small_for_the_queues_is_an_error_in_words() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "1m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let text = pair(&["bucket", "emit", "5"], "capacity = 65536", &["bucket", "keep"], "");
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(at.join("state"));
    let ended = Run::start(command, &sandbox).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("items.queue") && ended.err.contains("No space left"), "{}", ended.err);
}

#[test]
fn when_the_disk_is_full_large_items_are_an_error_to_their_sender_and_nobody_dies_of_a_signal() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "8m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let gate = sandbox.path("gate").display().to_string();
    let queue = "capacity = 64\nmax_item_bytes = \"1100KiB\"";
    let text = pair(&["bucket", "emit", "40", "1048576"], queue, &["bucket", "hold", &gate], "")
        .replace("outputs = [\"items\"]", "outputs = [\"items\"]\nmax_restarts = 0");
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(at.join("state"));
    command.arg("--report").arg(sandbox.path("report.json"));
    let mut run = Run::start(command, &sandbox);
    let report = run.wait().with_code(3);
    assert!(report.verdict.contains("no space left"), "{}", report.verdict);
    let items = &report.queues["items"];
    assert!(items.sent > 0 && items.left == items.sent, "{items:?}");
    run.assert_nobody_left();
}

/// Takes all the room that is left on a disk, but for so many bytes.
fn fill(disk: &Path, but: u64) -> PathBuf {
    let path = disk.join("filler");
    let mut file = File::create(&path).expect("a file");
    for step in [64 << 10, 4096, 1] {
        while file.write_all(&vec![1; step]).is_ok() {}
    }
    let size = file.metadata().expect("it is there").len();
    file.set_len(size.saturating_sub(but)).expect("shorter");
    path
}

#[test]
fn a_worker_waits_for_the_disk_and_the_supervisor_lives_through_it() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "24m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let (gate, state) = (sandbox.path("gate"), at.join("state"));
    let text = finite(6, &["bucket", "hold-first", &gate.display().to_string()], "")
        .replace("\"emit\", \"6\"", "\"emit\", \"6\", \"1048576\"")
        .replace("capacity = 64", "capacity = 64\nmax_item_bytes = \"1100KiB\"");
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(&state);
    command.arg("--report").arg(sandbox.path("report.json"));
    let mut run = Run::start(command, &sandbox);
    until("all items are in the first queue", || sandbox.ledger().count("sent") == 6);
    let filler = fill(&at, 0);
    std::fs::write(gate, "").expect("opened");
    until("the first item is on its way", || sandbox.ledger().count("passed") > 0);
    run.until_said("cannot write"); // The picture of the pipeline, in the state folder.
    let kept = |entry: &Entry| entry.worker == "sink/0" && entry.deed == "kept";
    assert!(!sandbox.ledger().entries().iter().any(kept), "there was room");
    let mut status = sandbox.brigade(["status", "--json", "--state-dir"]);
    assert_eq!(
        Sandbox::say({
            status.arg(&state);
            status
        })
        .code,
        Some(0),
        "it does not answer on a full disk"
    );
    std::fs::remove_file(filler).expect("removed");
    let report = run.wait().with_code(0);
    assert_eq!((report.queues["raw"].acked, report.queues["done"].acked), (6, 6));
    sandbox.ledger().assert_each("kept", 6);
}

#[test]
fn logs_that_find_no_room_hold_up_workers_for_their_time_and_the_lines_that_are_lost_are_counted() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "24m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let (gate, state) = (sandbox.path("gate"), at.join("state"));
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).expect("a fifo");
    let rogue = brigade_tests::binary("rogue");
    let script =
        format!("read line < {gate:?}; {rogue:?} flood 20000; echo done > {:?}; exec sleep 1000", sandbox.path("done"));
    let text = task(&["sh", "-c", &script], "stop_timeout = \"0s\"") + "[logs]\nwrite_timeout = \"300ms\"\n";
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(&state);
    let mut run = Run::start(command, &sandbox);
    until("it is ready", || run.said().contains("only/0 is ready"));
    let filler = fill(&at, 0);
    std::fs::write(gate, "go\n").expect("it waits");
    until("the worker goes on", || sandbox.path("done").exists());
    assert!(run.said().contains("its workers wait until there is room, 300ms at most"), "{}", run.said());
    assert_eq!(run.said().matches("lines of its workers are dropped and counted").count(), 1, "{}", run.said());
    std::fs::remove_file(filler).expect("removed");
    run.until_said("they can be written again");
    let mut logs = sandbox.brigade(["logs", "only", "--state-dir"]);
    logs.arg(&state);
    let said = Sandbox::say(logs);
    let kept = said.out.lines().filter(|line| line.contains("line 0")).count();
    let counted = said.out.lines().find(|line| line.contains("lines could not be written and are lost"));
    let lost = counted.and_then(|line| line.split_whitespace().nth(3)?.parse::<usize>().ok());
    assert_eq!(lost.map(|lost| lost + kept), Some(20_000), "{counted:?}");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.wait();
}

#[test]
fn a_worker_whose_page_has_no_room_is_started_when_there_is() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "16m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let keys = "threads = 64\nmax_restarts = \"unlimited\"\nbackoff = \"10ms\"\nbackoff_max = \"10ms\"";
    let text = pair(&["bucket", "emit", "5"], "capacity = 64", &["bucket", "keep"], keys);
    let geometry = Geometry { capacity: 64, item_bytes: 1024, max_item_bytes: 65_536, max_deliveries: None };
    let filler = fill(&at, geometry.layout().large as u64 + (300 << 10));
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(at.join("state"));
    command.arg("--report").arg(sandbox.path("report.json"));
    let mut run = Run::start(command, &sandbox);
    run.until_said("No space left");
    assert!(run.said().contains("taker-0.page"), "{}", run.said());
    std::fs::remove_file(filler).expect("removed");
    run.wait().with_code(0);
    sandbox.ledger().assert_each("kept", 5);
}

#[test]
fn a_worker_that_is_added_on_a_full_disk_is_dropped_and_the_others_work_on() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "16m") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    let keys = "threads = 64\ngive_up_after = \"0s\"\nmax_restarts = 2\nbackoff = \"10ms\"";
    let text = pair(&["bucket", "drip"], "capacity = 64", &["bucket", "keep"], keys);
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&text)).arg("--state-dir").arg(at.join("state"));
    command.arg("--report").arg(sandbox.path("report.json"));
    let mut run = Run::start(command, &sandbox);
    run.until_said("source/0 is ready");
    fill(&at, 0);
    let scale = |replicas: &str| {
        let mut scale = sandbox.brigade(["scale", &format!("taker={replicas}"), "--state-dir"]);
        scale.arg(at.join("state"));
        Sandbox::say(scale)
    };
    scale("3");
    run.until_said("taker/1: it could not be added (restarted more than 2 times within 60s, last: ");
    run.until_said("taker/2: it could not be added (");
    run.until_said("; the stage works on with 1");
    // And again, as there is room now.
    std::fs::remove_file(at.join("filler")).expect("removed");
    assert!(scale("2").out.contains("from 1 to 2 workers"), "the stage has the size that it has");
    run.until_said("taker/1 is ready");
    run.signal(nix::sys::signal::Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn a_report_for_which_there_is_no_room_is_an_error_after_a_run_that_was_complete() {
    let sandbox = Sandbox::new();
    let at = sandbox.path("disk");
    let _disk = match SmallDisk::mount(&at, "64k") {
        Ok(disk) => disk,
        Err(why) => return not_tested(&why),
    };
    fill(&at, 0);
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&finite(5, &["bucket", "pass"], ""))).arg("--state-dir").arg(sandbox.state());
    command.arg("--report").arg(at.join("report.json"));
    let ended = Run::start(command, &sandbox).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("cannot write the report") && ended.err.contains("complete"), "{}", ended.err);
    assert!(!at.join("report.json").exists(), "half a report is left");
    sandbox.ledger().assert_each("kept", 5);
}

#[test]
#[ignore = "slow: cargo test -p brigade-tests --test e2e -- --ignored items_of_64_mib"]
fn items_of_64_mib_go_through_a_pipeline_whole_while_it_is_disturbed() {
    let sandbox = Sandbox::new();
    let text = finite(3, &["misfit", "die-once", "1"], "")
        .replace("\"emit\", \"3\"", "\"emit\", \"3\", \"67108000\"")
        .replace("capacity = 64", "capacity = 3\nmax_item_bytes = \"64MiB\"");
    let report = sandbox.run(&text).wait().with_code(0);
    assert_eq!((report.queues["raw"].acked, report.queues["done"].acked), (3, 3));
    let stage = &report.stages["middle"];
    assert_eq!((stage.restarts, stage.processed), (1, 3));
    assert!(sandbox.ledger().times("kept").len() == 3);
}
