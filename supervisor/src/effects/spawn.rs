//! Starts a worker's process. Only the reactor's thread does this: the signal that a worker gets when its parent dies
//! follows the *thread* that made it.
#![expect(unsafe_code, reason = "what happens between fork and exec")]

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::sys::prctl;
use nix::sys::signal::Signal;

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
const NOT_INHERITED: [&str; 5] = ["NOTIFY_SOCKET", "LISTEN_FDS", "LISTEN_PID", "WATCHDOG_USEC", "WATCHDOG_PID"];

/// Starts it. The child has no descriptors but its standard ones, an empty signal mask, and dies when we die.
pub fn spawn(launch: &Launch<'_>) -> Result<Process, NotSpawned> {
    let mut command = Command::new(launch.program);
    command.args(launch.args).current_dir(launch.cwd).process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    for name in NOT_INHERITED {
        command.env_remove(name);
    }
    command.envs(launch.env).envs(launch.own_env.iter().map(|(name, value)| (name, value)));
    let parent = nix::unistd::getpid();
    let prepare = move || {
        prctl::set_pdeathsig(Signal::SIGKILL)?;
        // We may have died before the line above; then nobody would ever tell the child.
        if nix::unistd::getppid() != parent {
            return Err(io::Error::from(nix::errno::Errno::ESRCH));
        }
        // ipc-channel's accepted sockets are not close-on-exec; here everything becomes so, the standard ones excepted.
        // SAFETY: a system call without pointers.
        match unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    };
    // SAFETY: the closure makes system calls only; it neither allocates nor takes a lock.
    unsafe { command.pre_exec(prepare) };
    let mut child = command.spawn().map_err(|error| NotSpawned {
        words: if launch.cwd.is_dir() {
            format!("cannot start {}: {error}", launch.program.display())
        } else {
            format!(
                "cannot start {}: its working directory {} is not there",
                launch.program.display(),
                launch.cwd.display()
            )
        },
        permanent: is_permanent(&error),
    })?;
    let pid = i32::try_from(child.id()).expect("pids fit into 31 bits");
    let pipes = (child.stdout.take(), child.stderr.take());
    let (Some(stdout), Some(stderr)) = pipes else { unreachable!("both were asked for") };
    // `Child` does not kill or reap when it is dropped: that is the reactor's.
    Ok(Process { pid, stdout: stdout.into(), stderr: stderr.into() })
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
