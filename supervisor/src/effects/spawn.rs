//! Starts a worker's process. Only the reactor's thread does this: the signal that a worker gets when its parent dies
//! follows the *thread* that made it.
#![expect(unsafe_code, reason = "what happens between fork and exec")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use brigade_protocol::descriptors::{self, DESCRIPTORS_ENV, Use};

use super::confine::{Confine, Step};
use crate::config::plan::Limits;

/// What to start.
#[derive(Debug)]
pub struct Launch<'a> {
    /// The program.
    pub program: &'a Path,
    /// Its arguments.
    pub args: &'a [String],
    /// Its working directory.
    pub cwd: &'a Path,
    /// What the plan adds to its environment.
    pub env: &'a BTreeMap<String, String>,
    /// What Brigade adds to its environment.
    pub own_env: &'a [(&'a str, OsString)],
    /// As whom it runs, and what it may use.
    pub limits: &'a Limits,
    /// What it has beside its standard descriptors.
    pub descriptors: Vec<(Use, OwnedFd)>,
    /// Where it enters its control group, if it has one.
    pub group: Option<OwnedFd>,
    /// Where it says that it is ready, if it is to do so by a descriptor.
    pub ready: Option<OwnedFd>,
    /// The socket by which it says how it is (sd_notify), if it may not reach that by its path.
    pub notify: Option<OwnedFd>,
}

/// A process, just started: leader of a group of its own.
#[derive(Debug)]
pub struct Process {
    /// Its pid, which is also its group's.
    pub pid: i32,
    /// Reading end of its standard output.
    pub stdout: OwnedFd,
    /// Reading end of its standard error.
    pub stderr: OwnedFd,
}

/// A process could not be started.
#[derive(Debug)]
pub struct NotSpawned {
    /// Why.
    pub words: String,
    /// Trying again would not help.
    pub permanent: bool,
}

/// Variables by which other supervisors speak to us, and must not speak to a worker.
const NOT_INHERITED: [&str; 7] =
    [NOTIFY_ENV, "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID", DESCRIPTORS_ENV, READY_ENV];

/// Environment variable: the number of the descriptor on which a newline says that the worker is ready.
pub const READY_ENV: &str = "BRIGADE_READY_FD";

/// Environment variable: where a program says how it is, as by sd_notify(3).
pub const NOTIFY_ENV: &str = "NOTIFY_SOCKET";

/// Starts it. The child has no descriptors but its standard ones and those listed, an empty signal mask, and dies when we
/// die.
pub fn spawn(launch: Launch<'_>) -> Result<Process, NotSpawned> {
    let Launch { program, args, cwd, limits, .. } = launch;
    let mut command = Command::new(program);
    command.args(args).current_dir(cwd).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    give_env(&mut command, &launch);
    let keep = launch.descriptors.into_iter().map(|(_, fd)| fd).chain(launch.ready).chain(launch.notify).collect();
    let mut confine = Confine::new(limits, launch.group, keep);
    let steps = if *limits == Limits::default() { None } else { io::pipe().ok() };
    let steps = steps.map(|(reader, writer)| {
        confine.tell(writer);
        reader
    });
    let prepare = move || {
        heed_signals();
        confine.apply()?;
        // ipc-channel's accepted sockets are not close-on-exec; here everything becomes so, the standard ones excepted.
        // SAFETY: a system call without pointers.
        match unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) } {
            0 => confine.keep_listed(),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(prepare) };
    let spawned = command.spawn();
    drop(command); // And with it our end of what the child may have written to.
    let mut child = spawned.map_err(|error| {
        let step = steps.and_then(|mut steps| {
            let mut byte = [0];
            steps.read_exact(&mut byte).ok()?;
            Step::of(byte[0])
        });
        not_spawned(program, cwd, limits, step, &error)
    })?;
    let pid = i32::try_from(child.id()).expect("pids fit into 31 bits");
    let pipes = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = pipes else { unreachable!("both were asked for") };
    // `Child` does not kill or reap when it is dropped: that is the reactor's.
    Ok(Process { pid, stdout: stdout.into(), stderr: stderr.into() })
}

/// What we were told to ignore (by `nohup`, say), a worker would go on ignoring, and a shell could not even trap it. It has a
/// group of its own, which no terminal tells of its end; what it gets is meant for it.
fn heed_signals() {
    for signal in 1..=libc::SIGRTMAX() {
        let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
        // SAFETY: sigaction may be called between fork and exec; it writes one `sigaction` to the place that it is given,
        // which is one, and reads one. A `sigaction` of zeroes is the default action. Numbers that mean no signal, or one
        // that nobody can ignore, are refused by an error, which is no news.
        unsafe {
            if libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) == 0
                && action.assume_init_ref().sa_sigaction == libc::SIG_IGN
            {
                let default = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
                libc::sigaction(signal, default.as_ptr(), std::ptr::null_mut());
            }
        }
    }
}

fn give_env(command: &mut Command, launch: &Launch<'_>) {
    if let Some(names) = &launch.limits.env_allow {
        command.env_clear();
        let allowed = names.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
        command.envs(allowed);
    }
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    let user = launch.limits.identity.as_ref().and_then(|identity| identity.user.as_ref()?.entry.as_ref());
    if let Some((name, home)) = user {
        command.env("USER", name).env("LOGNAME", name).env("HOME", home);
    }
    command.envs(launch.env).envs(launch.own_env.iter().map(|(name, value)| (name, value)));
    if let Some(ready) = &launch.ready {
        // The child has it under the same number.
        command.env(READY_ENV, ready.as_raw_fd().to_string());
    }
    if let Some(notify) = &launch.notify {
        // For the kernel a path like any other, but one that leads past the folders in between.
        command.env(NOTIFY_ENV, format!("/proc/self/fd/{}", notify.as_raw_fd()));
    }
    if !launch.descriptors.is_empty() {
        command.env(DESCRIPTORS_ENV, descriptors::list(&launch.descriptors));
    }
}

fn not_spawned(program: &Path, cwd: &Path, limits: &Limits, step: Option<Step>, error: &io::Error) -> NotSpawned {
    let program = program.display();
    let user = limits.identity.as_ref().and_then(|identity| identity.user.as_ref());
    let words = match (step, user) {
        (Some(step), _) => format!("cannot start {program}: cannot {}: {error}", step.words()),
        (None, _) if !cwd.is_dir() => {
            format!("cannot start {program}: its working directory {} is not there", cwd.display())
        }
        (None, Some(user)) => format!("cannot start {program} as user {}: {error}", user.typed),
        (None, None) => format!("cannot start {program}: {error}"),
    };
    let passes = matches!(error.raw_os_error(), Some(libc::EAGAIN | libc::ENOMEM));
    NotSpawned { words, permanent: if step.is_some() { !passes } else { is_permanent(error) } }
}

/// No such program, not executable: the same tomorrow. No memory, no processes: perhaps not.
fn is_permanent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOENT
                | libc::EACCES
                | libc::EPERM
                | libc::ENOEXEC
                | libc::ENOTDIR
                | libc::EISDIR
                | libc::ELOOP
                | libc::E2BIG
        )
    )
}
