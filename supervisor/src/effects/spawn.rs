//! Starts a worker's process. Only the reactor's thread does this: the signal that a worker gets when its parent dies
//! follows the *thread* that made it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use brigade_protocol::descriptors::{self, DESCRIPTORS_ENV, Use};

use super::child::{self, Failed, Image};
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

/// A process, just started: leader of a session and a group of its own.
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
    /// The reason, in words.
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
    let Launch { program, cwd, limits, .. } = launch;
    let env = environment(&launch);
    let keep = launch.descriptors.into_iter().map(|(_, fd)| fd).chain(launch.ready).chain(launch.notify).collect();
    let confine = Confine::new(limits, launch.group, keep);
    start(program, launch.args, env, cwd, &confine)
        .map_err(|Failed { step, error }| not_spawned(program, cwd, limits, step, &error))
}

fn start(
    program: &Path,
    args: &[String],
    env: BTreeMap<OsString, OsString>,
    cwd: &Path,
    confine: &Confine,
) -> Result<Process, Failed> {
    let failed = |error| Failed { step: None, error };
    let image = Image::new(program, args, env, cwd).map_err(failed)?;
    let stdin = File::open("/dev/null").map_err(failed)?;
    let (stdout, its_stdout) = io::pipe().map_err(failed)?;
    let (stderr, its_stderr) = io::pipe().map_err(failed)?;
    let pid = child::start(&image, [stdin.as_fd(), its_stdout.as_fd(), its_stderr.as_fd()], confine)?;
    Ok(Process { pid, stdout: stdout.into(), stderr: stderr.into() })
}

fn environment(launch: &Launch<'_>) -> BTreeMap<OsString, OsString> {
    let allowed = |name: &OsString| {
        launch.limits.env_allow.as_ref().is_none_or(|names| names.iter().any(|allowed| name == allowed.as_str()))
    };
    let inherited = std::env::vars_os().filter(|(name, _)| allowed(name));
    let mut env: BTreeMap<OsString, OsString> = inherited.collect();
    for name in NOT_INHERITED {
        env.remove(std::ffi::OsStr::new(name));
    }
    let mut set = |name: &str, value: OsString| _ = env.insert(name.into(), value);
    let user = launch.limits.identity.as_ref().and_then(|identity| identity.user.as_ref()?.entry.as_ref());
    if let Some((name, home)) = user {
        set("USER", name.into());
        set("LOGNAME", name.into());
        set("HOME", home.into());
    }
    launch.env.iter().for_each(|(name, value)| set(name, value.into()));
    launch.own_env.iter().for_each(|(name, value)| set(name, value.clone()));
    if let Some(ready) = &launch.ready {
        // The child has it under the same number.
        set(READY_ENV, ready.as_raw_fd().to_string().into());
    }
    if let Some(notify) = &launch.notify {
        // For the kernel a path like any other, but one that leads past the folders in between.
        set(NOTIFY_ENV, format!("/proc/self/fd/{}", notify.as_raw_fd()).into());
    }
    if !launch.descriptors.is_empty() {
        set(DESCRIPTORS_ENV, descriptors::list(&launch.descriptors));
    }
    env
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
    let passes = matches!(
        error.raw_os_error(),
        Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE | libc::ENOSPC | libc::EBUSY | libc::EINTR)
    );
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
