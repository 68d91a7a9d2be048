//! Shared memory and files that a broken worker, a crash or somebody else has written over: the supervisor survives all
//! of it, says what it found, and writes over nothing.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use brigade_tests::{Run, Sandbox, reboot_page, reboot_queue, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite};

/// The endless line, and beside it a worker that does harm.
fn harmed(harm: &str) -> String {
    endless("stop_timeout = \"300ms\"")
        + &format!("[stages.harm]\ncommand = {harm}\nstop_timeout = \"300ms\"\nenv = {{ LEDGER = \"${{ledger}}\" }}\n")
}

/// What was put aside in the state folder.
fn aside(sandbox: &Sandbox) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(sandbox.state().join("aside")) else { return Vec::new() };
    let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// The run ends with words about the file, keeps it, and the next run completes.
fn ends_in_order(harm: &str, what: &str, file: &str) {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&harmed(harm));
    let ended = run.wait();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{}", ended.err);
    run.assert_nobody_left();
    let report = ended.report();
    assert!(report.verdict.contains(&format!("{what} is spoilt")), "{}", report.verdict);
    assert!(report.verdict.contains("run again") && report.verdict.contains(file), "{}", report.verdict);
    assert!(!report.queues.contains_key(what.trim_start_matches("queue ")), "numbers out of garbage: {report:?}");
    let kept = aside(&sandbox);
    assert!(kept.iter().any(|name| name.starts_with(&format!("{file}.spoilt-"))), "{kept:?}");
    drop(run);
    let ended = sandbox.run(&finite(5, &["bucket", "pass"], "")).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert!(kept.iter().all(|name| aside(&sandbox).contains(name)), "what was kept is gone");
}

#[test]
fn a_worker_that_scribbles_over_a_queue_ends_the_run_in_order() {
    for seed in 1..4 {
        let harm = format!("[\"misfit\", \"scribble\", \"${{here}}/state/queues/raw.queue\", \"{seed}\"]");
        ends_in_order(&harm, "queue raw", "raw.queue");
    }
}

#[test]
fn a_worker_that_cuts_a_queue_short_ends_the_run_in_order() {
    for len in ["0", "4096", "20000"] {
        let harm = format!("[\"misfit\", \"cut\", \"${{here}}/state/queues/done.queue\", \"{len}\"]");
        ends_in_order(&harm, "queue done", "done.queue");
    }
}

#[test]
fn a_worker_that_scribbles_over_the_page_of_another_ends_the_run_in_order() {
    let harm = "[\"misfit\", \"scribble\", \"${here}/state/pages/middle-0.page\", \"5\"]";
    ends_in_order(harm, "the page of middle/0", "middle-0.page");
    let harm = "[\"misfit\", \"cut\", \"${here}/state/pages/middle-0.page\", \"0\"]";
    ends_in_order(harm, "the page of middle/0", "middle-0.page");
}

/// A line whose supervisor was killed in the middle, so that items and pages are left.
fn broken_off() -> Sandbox {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&finite(50, &["bucket", "hold-first", "${here}/gate"], ""));
    until("items wait", || sandbox.ledger().count("sent") >= 50);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    sandbox
}

fn edit(sandbox: &Sandbox, file: &str, change: impl FnOnce(&std::fs::File)) -> PathBuf {
    let path = sandbox.state().join(file);
    change(&OpenOptions::new().read(true).write(true).open(&path).expect("it is there"));
    path
}

/// The next run refuses with these words, keeps the file byte for byte, and the one after it begins.
fn is_refused(sandbox: &Sandbox, path: &PathBuf, why: &str, words: &str) {
    let content = std::fs::read(path).expect("it is there");
    let text = finite(0, &["bucket", "pass"], "");
    let mut run: Run = sandbox.run(&text);
    let ended = run.wait();
    assert_eq!((ended.code, ended.signal), (Some(1), None), "{}", ended.err);
    assert!(ended.err.contains(words) && ended.err.contains("run again"), "{}", ended.err);
    let name = format!("{}.{why}-", path.file_name().expect("a name").to_string_lossy());
    let kept = aside(sandbox).into_iter().find(|kept| kept.starts_with(&name));
    let kept = sandbox.state().join("aside").join(kept.unwrap_or_else(|| panic!("{:?}", aside(sandbox))));
    assert!(ended.err.contains(&kept.display().to_string()), "{}", ended.err);
    assert_eq!(std::fs::read(&kept).expect("kept"), content, "it was changed");
    drop(run);
    let ended = sandbox.run(&text).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.err);
    assert_eq!(std::fs::read(&kept).expect("kept"), content, "it was changed");
}

#[test]
fn a_queue_that_cannot_be_used_is_kept_and_named_and_the_run_after_that_begins() {
    type Change = fn(&std::fs::File);
    let changes: [(Change, &str, &str); 5] = [
        (|file| file.set_len(100).expect("cut"), "damaged", "it is too short"),
        (|file| file.set_len(20_000).expect("cut"), "damaged", "it has 20000 bytes instead of"),
        (|file| file.write_all_at(b"GIF89a..", 0).expect("written"), "damaged", "it does not begin as one"),
        (|file| file.write_all_at(&[9], 32).expect("written"), "damaged", "wrong checksum"),
        (reboot_queue, "rebooted", "before the last start of this machine"),
    ];
    for (change, why, words) in changes {
        let sandbox = broken_off();
        let path = edit(&sandbox, "queues/raw.queue", change);
        is_refused(&sandbox, &path, why, words);
    }
}

#[test]
fn a_queue_with_garbage_in_its_words_is_kept_and_named() {
    let sandbox = broken_off();
    let path = edit(&sandbox, "queues/raw.queue", |file| file.write_all_at(&[0xAB; 64], 4096).expect("written"));
    is_refused(&sandbox, &path, "spoilt", "queue raw is spoilt: its slot 0");
}

#[test]
fn a_page_that_cannot_be_used_is_kept_and_what_is_not_known_is_said() {
    type Change = fn(&std::fs::File);
    let changes: [(Change, &str, &str); 4] = [
        (|file| file.set_len(100).expect("cut"), "damaged", "it is too short"),
        (|file| file.write_all_at(&[1; 8], 0).expect("written"), "damaged", "it does not begin as one"),
        (|file| file.write_all_at(&[0xFF; 64], 512 + 64).expect("written"), "damaged", "numbers that cannot be"),
        (reboot_page, "rebooted", "before the last start"),
    ];
    for (change, why, words) in changes {
        let sandbox = broken_off();
        let path = edit(&sandbox, "pages/middle-0.page", change);
        is_refused(&sandbox, &path, why, words);
    }
}

#[test]
fn after_a_run_that_was_complete_a_restart_of_the_machine_stops_nobody_and_the_old_queue_is_kept() {
    let sandbox = Sandbox::new();
    let text = finite(5, &["bucket", "pass"], "");
    sandbox.run(&text).wait().with_code(0);
    edit(&sandbox, "queues/raw.queue", reboot_queue);
    let mut run = sandbox.run(&text);
    run.wait().with_code(0);
    assert!(run.said().contains("no run was going on"), "{}", run.said());
    assert_eq!(aside(&sandbox).len(), 1, "{:?}", aside(&sandbox));
}

#[test]
fn damaged_dead_letters_are_kept_whole_and_named() {
    let sandbox = Sandbox::new();
    let text = finite(5, &["misfit", "fail", "3"], "").replace("capacity = 64", "capacity = 64\nmax_deliveries = 1");
    let mut run = sandbox.run(&text);
    run.wait().with_code(5);
    drop(run);
    let path = edit(&sandbox, "dead/raw.dead", |file| file.write_all_at(b"\xFF\xFF\xFF", 25).expect("written"));
    let content = std::fs::read(&path).expect("it is there");
    let ended = sandbox.run(&text).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("is damaged from byte 16 on") && ended.err.contains("run again"), "{}", ended.err);
    let folder = std::fs::read_dir(sandbox.state().join("dead")).expect("a folder");
    let kept = folder.flatten().map(|entry| entry.path());
    let kept = kept.filter(|path| path.to_string_lossy().contains("raw.dead.damaged-")).collect::<Vec<_>>();
    assert_eq!(std::fs::read(&kept[0]).expect("kept"), content);
    sandbox.run(&text).wait().with_code(5);
}
