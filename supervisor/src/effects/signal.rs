//! Signals to workers: to the whole process group, but for the one whose dump is wanted of the worker alone and for those
//! that the operator wants for it alone, and only while its leader is not reaped.

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill as kill_process, killpg};
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

/// Whom a signal of the operator is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// The worker's own process.
    Process,
    /// It, and all that it has started within its group.
    Group,
}

/// Sends any signal. False: nobody is there any more.
///
/// # Errors
/// In words: there is no such signal, or the system refuses (as to a worker that runs as another user).
pub fn send_to(pid: i32, signal: i32, to: To) -> Result<bool, String> {
    let signal = Signal::try_from(signal).map_err(|_| "there is no such signal".to_owned())?;
    let sent = match to {
        To::Process => kill_process(Pid::from_raw(pid), signal),
        To::Group => killpg(Pid::from_raw(pid), signal),
    };
    match sent {
        Ok(()) => Ok(true),
        Err(Errno::ESRCH) => Ok(false),
        Err(error) => Err(error.to_string()),
    }
}

fn send(group: i32, signal: Signal) {
    match killpg(Pid::from_raw(group), signal) {
        // Gone already: its exit is on its way.
        Ok(()) | Err(Errno::ESRCH) => {}
        Err(error) => tracing::warn!(group, %signal, %error, "cannot signal a worker's process group"),
    }
}
