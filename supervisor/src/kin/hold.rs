//! One of the kin, held by its pidfd and stopped. Without it, a signal could reach whoever got the pid next.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::process::Process;

/// A process that cannot be mistaken for another one any more, and does nothing.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) process: Process,
    handle: OwnedFd,
}

impl Held {
    /// Gets hold of the process and stops it, if it is the one that was seen and `is_still` says that it is still kin.
    /// `None` if not, or if it is gone.
    pub(super) fn take(seen: Process, is_still: impl Fn(&Process) -> bool) -> io::Result<Option<Self>> {
        let Some(pid) = Pid::from_raw(seen.pid) else { return Ok(None) };
        let handle = match pidfd_open(pid, PidfdFlags::empty()) {
            Ok(handle) => handle,
            Err(rustix::io::Errno::SRCH) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        // From here on the handle means one process; only now is it certain which.
        match Process::of(seen.pid) {
            Some(now) if now.start == seen.start && now.lives && is_still(&now) => {}
            Some(_) | None => return Ok(None),
        }
        match pidfd_send_signal(&handle, Signal::STOP) {
            Ok(()) => Ok(Some(Self { process: seen, handle })),
            Err(rustix::io::Errno::SRCH) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn kill(&self) {
        // It may be gone, and who could be stopped can be killed.
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }

    /// Waits until nothing of it runs any more. False: it still did at `deadline`.
    pub(super) fn is_gone_by(&self, deadline: Instant) -> bool {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut one = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
            match poll(&mut one, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
                Ok(count) => return count > 0,
                Err(nix::errno::Errno::EINTR) => {}
                Err(_) => return false,
            }
        }
    }
}
