//! State folders that cannot be used: said in words, before anything is started, and nothing of others is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use brigade_tests::{Ended, Run, Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite};

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

#[test]
fn a_folder_that_is_removed_under_a_run_is_told_and_a_drain_still_ends_it_with_nothing_lost() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    std::fs::remove_dir_all(sandbox.state()).expect("it can be removed");
    run.until_said("was removed: workers that end cannot be started again");
    let kept = sandbox.ledger().count("kept");
    until("items flow on", || sandbox.ledger().count("kept") > kept + 100);
    let said = sandbox.ask(&["status"]);
    assert_eq!(said.code, Some(1));
    assert!(said.err.contains("is no state folder"), "{}", said.err);
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
    run.assert_nobody_left();
}

#[test]
fn what_is_left_when_the_folder_was_removed_is_not_called_kept() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    std::fs::remove_dir_all(sandbox.state()).expect("it can be removed");
    let stop = |run: &Run| run.signal(Signal::SIGTERM);
    stop(&run);
    stop(&run);
    let ended = run.wait();
    if ended.code != Some(0) {
        // Unless it was drained before the second signal came.
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        assert!(ended.err.contains("the state folder was removed while it ran"), "{}", ended.err);
        assert!(!ended.err.contains("nothing lost"), "{}", ended.err);
    }
    run.assert_nobody_left();
}

/// Nothing can be made or removed in a folder; for root that takes more than a mode.
fn seal(folder: &Path, sealed: bool) -> bool {
    if nix::unistd::geteuid().is_root() {
        let flag = if sealed { "+i" } else { "-i" };
        let status =
            std::process::Command::new("chattr").arg(flag).arg(folder).stderr(std::process::Stdio::null()).status();
        return status.is_ok_and(|status| status.success());
    }
    let mode = std::fs::Permissions::from_mode(if sealed { 0o500 } else { 0o700 });
    std::fs::set_permissions(folder, mode).is_ok()
}

#[test]
fn while_the_folder_is_read_only_workers_wait_for_their_start_and_then_all_goes_on() {
    const ITEMS: u64 = 40_000;
    let sandbox = Sandbox::new();
    let keys = "max_restarts = \"unlimited\"\nbackoff = \"10ms\"\nbackoff_max = \"50ms\"";
    let mut run = sandbox.run(&finite(ITEMS, &["bucket", "pass"], keys));
    until("items flow", || sandbox.ledger().count("kept") > 50);
    let folders = ["", "tmp", "queues", "pages"].map(|name| sandbox.state().join(name));
    if !folders.iter().all(|folder| seal(folder, true)) {
        folders.iter().for_each(|folder| _ = seal(folder, false));
        eprintln!("NOT TESTED: this file system keeps no folder read-only for root");
        return;
    }
    let sealed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        // The next one may find a door that was opened before.
        until("the supervisor says that there is no door", || {
            let victim = run.worker("middle/0").and_then(|worker| worker["pid"].as_i64());
            if let Some(pid) = victim {
                let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid as i32), Signal::SIGKILL);
            }
            assert!(run.is_running(), "it ended and never said so:\n{}", run.said());
            run.said().contains("middle/0 backoff: cannot open a door for it")
        });
        assert_eq!(sandbox.ask(&["status"]).code, Some(0), "it answers");
    }));
    folders.iter().for_each(|folder| _ = seal(folder, false));
    sealed.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", ITEMS);
    run.assert_nobody_left();
}

/// A run that format 7 began and did not complete: with items, dead letters, checkpoints and shared state.
#[test]
fn a_run_of_another_version_is_refused_and_nothing_of_it_is_touched() {
    let sandbox = Sandbox::new();
    let archive = brigade_tests::workspace().join("tests/state-folders/7.tar.gz");
    std::fs::create_dir(sandbox.state()).expect("made");
    let unpacked = std::process::Command::new("tar").arg("-xzf").arg(archive).arg("-C").arg(sandbox.state()).status();
    assert!(unpacked.expect("tar").success());
    let content = || {
        let mut files = Vec::new();
        for part in ["queues", "pages", "dead", "shared"] {
            for entry in std::fs::read_dir(sandbox.state().join(part)).expect("a folder") {
                let path = entry.expect("an entry").path();
                files.push((path.clone(), std::fs::read(&path).expect("readable")));
            }
        }
        for name in ["run.json", "orders.json"] {
            let path = sandbox.state().join(name);
            files.push((path.clone(), std::fs::read(&path).expect("readable")));
        }
        files.sort();
        files
    };
    let before = content();
    assert!(before.len() > 10, "the folder of format 7 is whole");
    let text = "name = \"line\"\n[queues.raw]\n[stages.make]\ncommand = [\"bucket\", \"emit\", \"3\"]\noutputs = [\"raw\"]\n\
                [stages.end]\ncommand = [\"bucket\", \"keep\"]\ninputs = [\"raw\"]\n";
    for _ in 0..2 {
        let end = sandbox.run(text).wait();
        assert_eq!(end.code, Some(1), "{}", end.err);
        assert!(end.err.contains("has format 7, and this version of Brigade knows format 8"), "{}", end.err);
        assert!(end.err.contains("--fresh"), "{}", end.err);
        assert!(content() == before, "something was changed");
    }
}
