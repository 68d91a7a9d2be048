//! State folders that cannot be used: said in words, before anything is started, and nothing of others is touched.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use brigade_tests::{Ended, Run, Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite, pair};

fn run_on(sandbox: &Sandbox, state: &Path) -> Ended {
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&finite(5, &["bucket", "pass"], ""))).arg("--state-dir").arg(state);
    Run::start(command, sandbox).wait()
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_alone() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("letters");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("letter.txt"), "dear").expect("a file");
    let ended = run_on(&sandbox, &folder);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("is not a state folder of brigade") && ended.err.contains("--state-dir"),
        "{}",
        ended.err
    );
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn a_path_too_long_for_sockets_is_refused_with_numbers() {
    let sandbox = Sandbox::new();
    let ended = run_on(&sandbox, &sandbox.path(&"x".repeat(100)));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("bytes long") && ended.err.contains("name a shorter one"), "{}", ended.err);
}

#[test]
fn a_file_in_place_of_the_folder_is_an_error_that_names_it() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", "content");
    for path in [file.clone(), file.join("below")] {
        let ended = run_on(&sandbox, &path);
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains(&path.display().to_string()), "{}", ended.err);
    }
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "content");
}

#[test]
fn the_state_folder_is_private() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.state()), 0o700);
    assert_eq!(mode(&sandbox.state().join("control.sock")), 0o600);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

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
