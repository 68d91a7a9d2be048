//! Who may do what: descriptors, the control socket, the state folder, and what root believes.

use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::Signal;
use nix::unistd::geteuid;

use crate::pipelines::{endless, finite, task};

/// Tests that make things another user's need root.
const NOBODY: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("its mode is set");
}

/// `sh -c script` in place of `brigade`, which the script is to start by `exec "$@"`.
fn through_a_shell(sandbox: &Sandbox, script: &str, text: &str) -> Run {
    let inner = sandbox.run_command(text);
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args()).current_dir(sandbox.folder());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    Run::start(shell, sandbox)
}

/// Where the descriptors of a process lead.
fn descriptors(pid: i32) -> Vec<(u32, PathBuf)> {
    let folder = format!("/proc/{pid}/fd");
    let entries = std::fs::read_dir(&folder).expect("it lives").flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(|number: u32| Some((number, std::fs::read_link(format!("{folder}/{number}")).ok()?))).collect()
}

#[test]
fn a_process_has_its_three_descriptors_whatever_the_supervisor_was_started_with() {
    let sandbox = Sandbox::new();
    let plain = "[stages.plain]\ncommand = [\"sleep\", \"1000\"]\nstop_timeout = \"100ms\"\n";
    let mut run =
        through_a_shell(&sandbox, "exec 8< /dev/null 9> leaked; exec \"$@\"", &(endless("replicas = 3") + plain));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let pid = run.pid_when("plain/0", "ready");
    let numbers = |pid| {
        let mut numbers: Vec<_> = descriptors(pid).into_iter().map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers
    };
    assert!(numbers(run.pid()).contains(&9), "the supervisor has what it was started with");
    assert_eq!(numbers(pid), [0, 1, 2]);
    for worker in ["source/0", "middle/2", "sink/0"] {
        let files: Vec<_> = descriptors(run.pid_when(worker, "ready")).into_iter().map(|(_, path)| path).collect();
        assert!(!files.contains(&sandbox.path("leaked")), "{worker}: {files:?}");
        // Of the state folder a worker has its queues open, and nothing else.
        let of_state = files.iter().filter_map(|path| path.strip_prefix(sandbox.state()).ok());
        assert!(of_state.clone().all(|path| path.starts_with("queues")), "{worker}: {files:?}");
        assert!(of_state.count() > 0, "{worker}: {files:?}");
    }
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn every_descriptor_of_the_supervisor_is_close_on_exec() {
    const CLOEXEC: u32 = 0o2_000_000;
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless("replicas = 3"));
    until("items flow", || sandbox.ledger().count("kept") > 10);
    let open_to_children = |pid: i32| -> Vec<(u32, PathBuf)> {
        let mut all = descriptors(pid);
        all.retain(|(number, _)| {
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{number}")).unwrap_or_default();
            let flags = info.lines().find_map(|line| u32::from_str_radix(line.strip_prefix("flags:")?.trim(), 8).ok());
            *number > 2 && flags.is_some_and(|flags| flags & CLOEXEC == 0)
        });
        all
    };
    // What this test was started with, it has handed on.
    let ours = descriptors(i32::try_from(std::process::id()).expect("pids are small"));
    until("none is open to children", || open_to_children(run.pid()).iter().all(|open| ours.contains(open)));
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

/// What the control socket answers to these bytes.
fn answer_to(sandbox: &Sandbox, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(sandbox.state().join("control.sock")).expect("it listens");
    stream.write_all(bytes).expect("it takes them");
    let mut answer = Vec::new();
    // The end may come as a reset, since it has not read all of a frame that is too long.
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

fn frame(body: &str) -> Vec<u8> {
    let len = u32::try_from(body.len()).expect("short");
    [&len.to_le_bytes()[..], body.as_bytes()].concat()
}

#[test]
fn the_control_socket_knows_a_closed_set_of_commands_in_frames_of_bounded_length() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    for body in ["{\"exec\":\"id\"}", "\"shutdown\"", "{\"stop\":\"please\"}", "[]", "", "\u{0}\u{0}"] {
        let answer = answer_to(&sandbox, &frame(body));
        assert!(answer.contains("not a request that this version knows"), "{body:?}: {answer:?}");
    }
    for len in [(64 << 10) + 1, u32::MAX] {
        let answer = answer_to(&sandbox, &len.to_le_bytes());
        assert!(answer.contains("65536 are allowed"), "{len}: {answer:?}");
    }
    assert!(answer_to(&sandbox, &frame("\"status\"")).contains("\"running\""));
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn the_folder_and_its_sockets_are_private_under_every_umask_and_no_socket_is_abstract() {
    let sandbox = Sandbox::new();
    let mut run = through_a_shell(&sandbox, "umask 000; exec \"$@\"", &endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.state()), 0o700);
    assert_eq!(mode(&sandbox.state().join("control.sock")), 0o600);
    for folder in ["queues", "pages", "logs", "dead", "tmp"] {
        assert_eq!(mode(&sandbox.state().join(folder)), 0o700, "{folder}");
    }
    let sockets: Vec<_> = descriptors(run.pid())
        .into_iter()
        .filter_map(|(_, path)| Some(path.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()))
        .collect();
    let table = std::fs::read_to_string("/proc/net/unix").expect("a table");
    let ours = table
        .lines()
        .filter(|line| line.split_whitespace().nth(6).is_some_and(|inode| sockets.iter().any(|ours| ours == inode)));
    let paths: Vec<_> = ours.filter_map(|line| line.split_whitespace().nth(7)).collect();
    assert!(paths.iter().any(|path| path.ends_with("control.sock")), "{paths:?}");
    assert!(paths.iter().all(|path| path.starts_with('/')), "{paths:?}");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn another_user_may_not_control_a_pipeline_even_when_the_socket_can_be_reached() {
    if !geteuid().is_root() {
        return; // Needs two users.
    }
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    // A copy in a place that nobody can reach, wherever the build lies.
    let rogue = sandbox.path("rogue");
    std::fs::copy(brigade_tests::binary("rogue"), &rogue).expect("copied");
    let as_nobody = || {
        let mut ask = Command::new(&rogue);
        ask.arg("ask").arg(sandbox.state().join("control.sock")).uid(NOBODY).gid(NOBODY);
        Sandbox::say(ask)
    };
    set_mode(sandbox.folder(), 0o755);
    let said = as_nobody();
    assert!(said.code != Some(0) && said.err.contains("PermissionDenied"), "{said:?}");
    for path in [sandbox.state(), sandbox.state().join("control.sock")] {
        set_mode(&path, 0o777);
    }
    let said = as_nobody();
    assert!(said.out.contains("user 65534 may not control this pipeline"), "{said:?}");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}

#[test]
fn root_refuses_a_pipeline_that_others_can_change_unless_it_is_told_to() {
    if !geteuid().is_root() {
        return; // Only root has more rights than those others.
    }
    let sandbox = Sandbox::new();
    let check = |more: &[&str]| {
        let mut command = sandbox.brigade(["check"]);
        command.arg(sandbox.path("pipeline.toml")).args(more);
        Sandbox::say(command)
    };
    let program = sandbox.write("program", "#!/bin/sh\n");
    set_mode(&program, 0o755);
    let file = sandbox.pipeline(&task(&["./program"], ""));
    assert_eq!(check(&[]).code, Some(0), "{}", check(&[]).err);

    let refused = |words: &str, mend: &str| {
        let said = check(&[]);
        assert_eq!(said.code, Some(2), "{}", said.err);
        assert!(said.err.contains(words) && said.err.contains(mend), "{}", said.err);
        assert!(said.err.contains("--allow-writable"), "{}", said.err);
        assert_eq!(check(&["--allow-writable"]).code, Some(0));
    };
    set_mode(&file, 0o666);
    refused("the pipeline file: the file", "chmod go-w");
    set_mode(&file, 0o644);
    set_mode(&program, 0o775);
    chown(&program, None, Some(NOBODY)).expect("root may");
    refused("is writable by group 65534", "chmod g-w");
    chown(&program, Some(NOBODY), Some(0)).expect("root may");
    refused("belongs to user 65534", "chown -h root");
    set_mode(sandbox.folder(), 0o777);
    refused("is writable by everybody", "chmod go-w");
    // What runs as a user may be that user's.
    set_mode(sandbox.folder(), 0o1777);
    sandbox.pipeline(&task(&["./program"], "user = \"nobody\""));
    assert_eq!(check(&[]).code, Some(0), "{}", check(&[]).err);
}

#[test]
fn root_refuses_a_state_folder_in_a_place_that_others_can_change() {
    if !geteuid().is_root() {
        return; // Only root has more rights than those others.
    }
    let sandbox = Sandbox::new();
    let open = sandbox.path("open");
    std::fs::create_dir(&open).expect("made");
    set_mode(&open, 0o777);
    let run = |more: &[&str]| {
        let mut command = sandbox.brigade(["run"]);
        command.arg(sandbox.pipeline(&task(&["true"], ""))).arg("--state-dir").arg(open.join("state")).args(more);
        Run::start(command, &sandbox).wait()
    };
    let ended = run(&[]);
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("others could change the state folder: the folder"), "{}", ended.err);
    assert!(!open.join("state").exists(), "nothing was made");
    assert_eq!(run(&["--allow-writable"]).code, Some(0));
}

#[test]
fn a_state_folder_that_others_have_prepared_is_refused_and_left_alone() {
    if !geteuid().is_root() {
        return; // Needs two users.
    }
    let sandbox = Sandbox::new();
    let run = || {
        let mut command = sandbox.brigade(["run"]);
        command.arg(sandbox.pipeline(&task(&["true"], ""))).arg("--state-dir").arg(sandbox.state());
        command.arg("--allow-writable"); // Also then.
        Run::start(command, &sandbox).wait()
    };
    // A link that another user has made, to a folder of ours.
    let ours = sandbox.path("ours");
    std::fs::create_dir(&ours).expect("made");
    symlink(&ours, sandbox.state()).expect("made");
    lchown(sandbox.state(), Some(NOBODY), None).expect("root may");
    let ended = run();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("it is a link that user 65534 has made"), "{}", ended.err);
    assert_eq!(std::fs::read_dir(&ours).expect("a folder").count(), 0);
    // A folder that was open, and in it a link in place of one of our folders.
    std::fs::remove_file(sandbox.state()).expect("removed");
    std::fs::create_dir(sandbox.state()).expect("made");
    std::fs::write(sandbox.state().join("lock"), "").expect("written");
    symlink(&ours, sandbox.state().join("queues")).expect("made");
    lchown(sandbox.state().join("queues"), Some(NOBODY), None).expect("root may");
    let ended = run();
    assert_eq!(ended.code, Some(1), "{}", ended.err);
    assert!(ended.err.contains("queues in it belongs to user 65534"), "{}", ended.err);
    assert_eq!(std::fs::read_dir(&ours).expect("a folder").count(), 0);
    // One of our own leads where we want.
    lchown(sandbox.state().join("queues"), Some(0), None).expect("root may");
    assert_eq!(run().code, Some(0));
}

#[test]
fn a_worker_that_leaves_without_having_been_told_to_is_waited_for_and_counted_as_one_that_fails() {
    let sandbox = Sandbox::new();
    let ended =
        sandbox.run(&task(&["rogue", "leave"], "give_up_after = \"0s\"\nmax_restarts = 2\nbackoff = \"10ms\"")).wait();
    assert_eq!(ended.code, Some(3), "{}", ended.err);
    assert_eq!(ended.report().stages["only"].restarts, 2);
}

#[test]
fn a_run_inside_of_a_worker_does_not_hand_on_that_workers_descriptors() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run_with(&finite(5, &["bucket", "pass"], ""), |command| {
        command.env("BRIGADE_DESCRIPTORS", "door=77 page=78 queue:raw=79");
    });
    run.wait().with_code(0);
}
