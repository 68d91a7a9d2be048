//! Brigade under somebody else's supervision: what it tells him, and how it is as the first process of a container.

use std::ffi::OsStr;
use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::Duration;

use brigade_tests::{Sandbox, until, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::pipelines::{endless, task};

/// What came, until something that fits has come.
fn heard_until(socket: &UnixDatagram, fits: impl Fn(&str) -> bool) -> Vec<String> {
    let mut all = Vec::new();
    until("it was told", || {
        let mut buffer = [0; 1024];
        while let Ok(length) = socket.recv(&mut buffer) {
            all.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        all.iter().any(|told| fits(told))
    });
    all
}

#[test]
fn who_supervises_us_hears_when_we_are_ready_that_we_live_and_when_we_stop() {
    let sandbox = Sandbox::new();
    let socket = UnixDatagram::bind(sandbox.path("notify")).expect("bound");
    socket.set_read_timeout(Some(Duration::from_millis(1))).expect("it is a socket");
    let notify = sandbox.path("notify");
    let mut run = sandbox.run_with(&endless("start_timeout = \"10s\""), |command| {
        command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "100000");
    });
    let before = heard_until(&socket, |told| told == "READY=1");
    run.until_status("all are ready", |status| {
        status["stages"].as_array().is_some_and(|stages| stages.iter().all(|stage| stage["state"] == "ready"))
    });
    assert!(before.iter().all(|told| !told.contains("STOPPING")), "{before:?}");
    heard_until(&socket, |told| told == "WATCHDOG=1");
    heard_until(&socket, |told| told.starts_with("STATUS=3 of 3 workers at work"));
    run.signal(Signal::SIGTERM);
    heard_until(&socket, |told| told.starts_with("STOPPING=1\nEXTEND_TIMEOUT_USEC=45000000"));
    run.wait().with_code(0);
}

#[test]
fn workers_do_not_get_at_the_socket_of_who_supervises_us() {
    let sandbox = Sandbox::new();
    let (notify, out) = (sandbox.path("notify"), sandbox.path("out").display().to_string());
    let text = task(&["sh", "-c", "env > $0", &out], "");
    let mut run = sandbox.run_with(&text, |command| {
        command.env("NOTIFY_SOCKET", &notify).env("WATCHDOG_USEC", "1").env("WATCHDOG_PID", "1");
    });
    run.wait().with_code(0);
    let env = std::fs::read_to_string(&out).expect("it wrote");
    assert!(env.contains("BRIGADE_WORKER") && !env.contains("NOTIFY_SOCKET") && !env.contains("WATCHDOG"), "{env}");
}

/// A command that runs in a container of its own, as its first process; `None` where that is not allowed.
pub fn as_first_process(command: &Command) -> Option<Command> {
    let contain = |program: &OsStr| {
        let mut contained = Command::new("unshare");
        contained.args(["--user", "--map-root-user", "--pid", "--fork", "--mount-proc"]).arg(program);
        contained
    };
    if !contain(OsStr::new("true")).status().is_ok_and(|status| status.success()) {
        eprintln!("not tested: this system does not let us make a pid namespace");
        return None;
    }
    let mut contained = contain(command.get_program());
    contained.args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => contained.env(name, value),
            None => contained.env_remove(name),
        };
    }
    if let Some(folder) = command.get_current_dir() {
        contained.current_dir(folder);
    }
    Some(contained)
}

#[test]
fn as_the_first_process_of_a_container_it_reaps_strangers_and_ends_with_the_right_code() {
    let sandbox = Sandbox::new();
    // Two orphans that end at once, and a worker that is deaf to everything but SIGKILL.
    let orphans = "(sh -c 'exit 3' &); (sh -c 'exit 4' &); trap '' TERM; echo deaf; while :; do sleep 0.1; done";
    let text = task(&["sh", "-c", orphans], "stop_timeout = \"60s\"");
    let Some(mut command) = as_first_process(&sandbox.run_command(&text)) else { return };
    command.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
    let mut unshare = command.spawn().expect("it starts");
    let children = |pid: u32| {
        let all = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
        all.split_whitespace().filter_map(|pid| pid.parse::<u32>().ok()).collect::<Vec<_>>()
    };
    let brigade = until_some("brigade is the first process", || children(unshare.id()).first().copied());
    let state = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        stat.rsplit_once(')').and_then(|(_, rest)| rest.trim().chars().next())
    };
    until("the worker says so", || sandbox.ask(&["status"]).out.contains("ready"));
    until("nobody is left unreaped", || {
        let all = children(brigade);
        !all.is_empty() && all.iter().all(|pid| state(*pid) != Some('Z'))
    });
    // SIGTERM three times: drain, stop now, kill.
    for rung in ["sources stop", "stops now", "kills every worker"] {
        kill(Pid::from_raw(brigade as i32), Signal::SIGTERM).expect("it lives");
        let log = sandbox.state().join("logs/brigade.log");
        until("the rung is reached", || std::fs::read_to_string(&log).is_ok_and(|log| log.contains(rung)));
    }
    assert_eq!(unshare.wait().expect("it ends").code(), Some(128 + 15));
}
