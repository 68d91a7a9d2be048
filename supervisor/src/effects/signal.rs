//! Signals to workers: to the whole process group, but for the one whose dump is wanted of the worker alone, and only
//! while its leader is not reaped.

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

/// Asks the group to stop. SIGCONT follows, so that one that was stopped by a signal can hear it.
pub fn stop(group: i32, signal: i32) {
    match Signal::try_from(signal) {
        Ok(signal) => send(group, signal),
        Err(_) => send(group, Signal::SIGTERM),
    }
    send(group, Signal::SIGCONT);
}

/// Ends the process by SIGABRT, so that it leaves a dump where it is allowed to.
pub fn abort(pid: i32) {
    match nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGABRT) {
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(pid, %error, "cannot abort a worker"),
    }
}

/// Ends the group.
pub fn kill(group: i32) {
    send(group, Signal::SIGKILL);
}

/// Whether nobody is left in a group whose leader has been reaped.
pub fn is_gone(group: i32) -> bool {
    killpg(Pid::from_raw(group), None) == Err(Errno::ESRCH)
}

fn send(group: i32, signal: Signal) {
    match killpg(Pid::from_raw(group), signal) {
        // Gone already: its exit is on its way.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(group, %signal, %error, "cannot signal a worker's process group"),
    }
}
