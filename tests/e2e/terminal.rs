//! Terminals and streams: Ctrl-C reaches the supervisor alone, and nobody needs somebody who listens.

use std::fs::File;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::{Command, Stdio};

use brigade_tests::{Run, Sandbox, until};
use nix::sys::signal::Signal;
use rustix::pty;

use crate::pipelines::{endless, finite};
use crate::supervised::as_first_process;

/// The command with SIGHUP as `nohup` leaves it, or as a shell does: what a program was started to ignore, it hands on.
pub fn with_hangups(how: &str, run_command: &Command) -> Command {
    let mut command = Command::new("env");
    command.arg(format!("--{how}-signal=HUP")).arg(run_command.get_program()).args(run_command.get_args());
    command.stdin(Stdio::null());
    command
}

/// A run in a session of its own whose terminal is ours.
fn on_a_terminal(sandbox: &Sandbox, run_command: &Command) -> (Run, File) {
    // Close-on-exec: whoever has our end keeps the terminal there.
    let flags = pty::OpenptFlags::RDWR | pty::OpenptFlags::NOCTTY | pty::OpenptFlags::CLOEXEC;
    let master = pty::openpt(flags).expect("a terminal");
    pty::grantpt(&master).expect("granted");
    pty::unlockpt(&master).expect("unlocked");
    let name = pty::ptsname(&master, Vec::new()).expect("a name").into_string().expect("text");
    let slave = || {
        let mut options = File::options();
        options.read(true).write(true).custom_flags(rustix::fs::OFlags::NOCTTY.bits().cast_signed());
        Stdio::from(options.open(&name).expect("the terminal opens"))
    };
    let mut command = Command::new("setsid");
    command.arg("--ctty").arg(run_command.get_program()).args(run_command.get_args());
    command.current_dir(sandbox.folder()).env("TERM", "xterm");
    let child = command.stdin(slave()).stdout(slave()).stderr(slave()).spawn().expect("setsid starts");
    drop(command); // Our ends of the terminal.
    (Run::watch(child, sandbox), File::from(master))
}

/// There the process group has no number.
#[test]
fn the_first_process_of_a_container_can_have_a_terminal() {
    let sandbox = Sandbox::new();
    let contained = as_first_process(&sandbox.run_command(&finite(100, &["bucket", "pass"], "")));
    let Some(contained) = contained else { return };
    let (mut run, _master) = on_a_terminal(&sandbox, &contained);
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", 100);
}

#[test]
fn ctrl_c_on_a_terminal_drains_and_no_worker_hears_it() {
    let sandbox = Sandbox::new();
    let (mut run, mut master) = on_a_terminal(&sandbox, &sandbox.run_command(&endless("replicas = 2")));
    let mut screen = master.try_clone().expect("a second descriptor");
    let reader = std::thread::spawn(move || {
        let mut shown = Vec::new();
        let mut buffer = [0; 4096];
        // The terminal's end is an error here.
        while let Ok(len @ 1..) = screen.read(&mut buffer) {
            shown.extend_from_slice(&buffer[..len]);
        }
        String::from_utf8_lossy(&shown).into_owned()
    });
    until("items flow", || sandbox.ledger().count("kept") > 20);
    master.write_all(b"\x03").expect("Ctrl-C is typed");
    let report = run.wait().with_code(0);
    let shown = reader.join().expect("no panic");
    assert_eq!(report.verdict, "drained", "{shown}");
    let restarts: u64 = report.stages.values().map(|stage| stage.restarts).sum();
    assert_eq!(restarts, 0, "a worker heard it:\n{shown}");
    assert!(shown.contains("again: stop now"), "the next step was not printed:\n{shown}");
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
    run.assert_nobody_left();
}

#[test]
fn a_terminal_that_goes_away_drains_although_nothing_can_be_shown_on_it_any_more() {
    let sandbox = Sandbox::new();
    let run_command = with_hangups("default", &sandbox.run_command(&endless("replicas = 2")));
    let (mut run, master) = on_a_terminal(&sandbox, &run_command);
    until("items flow", || sandbox.ledger().count("kept") > 20);
    drop(master);
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained");
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
    run.assert_nobody_left();
}

#[test]
fn a_terminal_that_was_stopped_does_not_hold_up_the_end() {
    let sandbox = Sandbox::new();
    let (mut run, mut master) = on_a_terminal(&sandbox, &sandbox.run_command(&endless("")));
    until("items flow", || sandbox.ledger().count("kept") > 20);
    master.write_all(b"\x13").expect("Ctrl-S is typed");
    assert_eq!(sandbox.ask(&["stop"]).code, Some(0));
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained");
    run.assert_nobody_left();
}

#[test]
fn under_nohup_a_terminal_that_goes_away_is_nothing() {
    let sandbox = Sandbox::new();
    let run_command = with_hangups("ignore", &sandbox.run_command(&endless("")));
    let (mut run, master) = on_a_terminal(&sandbox, &run_command);
    until("items flow", || sandbox.ledger().count("kept") > 20);
    drop(master);
    let count = sandbox.ledger().count("kept");
    until("items flow on", || sandbox.ledger().count("kept") > count + 100);
    run.signal(Signal::SIGHUP);
    let count = sandbox.ledger().count("kept");
    until("items flow on", || sandbox.ledger().count("kept") > count + 100);
    sandbox.stop("--now");
    run.wait();
    run.assert_nobody_left();
}

#[test]
fn a_supervisor_with_closed_standard_streams_works() {
    let sandbox = Sandbox::new();
    let run_command = sandbox.run_command(&finite(20, &["bucket", "pass"], ""));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "exec \"$@\" <&- >&- 2>&-", "sh"]).arg(run_command.get_program()).args(run_command.get_args());
    command.current_dir(sandbox.folder());
    Run::start(command, &sandbox).wait().with_code(0);
    sandbox.ledger().assert_once("kept", 20);
}

#[test]
fn a_supervisor_whose_listener_has_gone_works() {
    let sandbox = Sandbox::new();
    let mut command = sandbox.run_command(&endless(""));
    let (out_reader, out) = std::io::pipe().expect("a pipe");
    let (err_reader, err) = std::io::pipe().expect("a pipe");
    let child = command.stdout(out).stderr(err).spawn().expect("it starts");
    drop(command);
    let mut run = Run::watch(child, &sandbox);
    until("items flow", || sandbox.ledger().count("kept") > 20);
    drop((out_reader, err_reader));
    run.signal(Signal::SIGTERM);
    let report = run.wait().with_code(0);
    assert_eq!(report.verdict, "drained");
    sandbox.ledger().assert_once("kept", report.queues["raw"].sent);
}

#[test]
fn with_quiet_nothing_is_said_but_errors() {
    let sandbox = Sandbox::new();
    let ended = sandbox
        .run_with(&finite(20, &["bucket", "pass"], ""), |command| {
            command.arg("-q");
        })
        .wait();
    ended.with_code(0);
    assert_eq!((ended.out.as_str(), ended.err.as_str()), ("", ""));
}
