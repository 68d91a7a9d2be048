//! The supervisor's hold on its keeper: starts it, tells it which groups live, dismisses it. Without it, nobody would be
//! left after a SIGKILL of the supervisor to end the children of its workers.
#![expect(unsafe_code, reason = "what happens between fork and exec")]

use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::SigSet;
use rustix::process::{Pid, PidfdFlags, Signal, WaitId, WaitIdOptions, pidfd_open, pidfd_send_signal, waitid};

use crate::kin::cookie::{Cookie, KEEPER_ENV};

/// How long a killed keeper may take to be gone, in milliseconds.
const DISMISSAL_MS: u16 = 1_000;

/// A keeper at work. Dropped without [`Keeper::dismiss`], it takes this process for dead and ends the run's processes.
#[derive(Debug)]
pub struct Keeper {
    /// Its process, a child of ours.
    pub pid: i32,
    handle: OwnedFd,
    pipe: PipeWriter,
}

impl Keeper {
    /// Starts one and tells it of the groups that live already. It has no descriptors but the pipe, and a session of its
    /// own. If we die before it runs, it finds the end of the pipe when it does.
    ///
    /// # Errors
    /// No process, no descriptors.
    pub fn start(cookie: &Cookie, groups: impl Iterator<Item = i32>) -> io::Result<Self> {
        let (reader, mut pipe) = io::pipe()?;
        rustix::io::ioctl_fionbio(&pipe, true)?;
        pipe.write_all(cookie.as_str().as_bytes())?;
        for group in groups {
            pipe.write_all(&group.to_ne_bytes())?;
        }
        // This very program, though its file may have been replaced by now.
        let mut command = Command::new("/proc/self/exe");
        command.arg0("brigade").arg("keeper").env_clear().env(KEEPER_ENV, cookie.for_children()).current_dir("/");
        command.stdin(reader).stdout(Stdio::null()).stderr(Stdio::null());
        let prepare = || {
            nix::unistd::setsid()?;
            // It ends with us, and for nothing else.
            SigSet::all().thread_block()?;
            // SAFETY: a system call without pointers.
            match unsafe { libc::close_range(3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC as i32) } {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            }
        };
        // SAFETY: the closure makes system calls only; it neither allocates nor takes a lock.
        unsafe { command.pre_exec(prepare) };
        let mut child = command.spawn()?;
        let pid = i32::try_from(child.id()).expect("pids fit into 31 bits");
        match pidfd_open(Pid::from_child(&child), PidfdFlags::empty()) {
            Ok(handle) => Ok(Self { pid, handle, pipe }),
            Err(error) => {
                // Before the pipe is closed, which would tell it that we are dead.
                child.kill()?;
                Err(error.into())
            }
        }
    }

    /// A group lives: to be told when its leader was started.
    pub fn lives(&self, group: i32) {
        self.tell(group);
    }

    /// A group has been killed, and its leader is about to be reaped: its number may soon mean somebody else.
    pub fn is_over(&self, group: i32) {
        self.tell(-group);
    }

    /// So few bytes go into a pipe at once or not at all.
    fn tell(&self, number: i32) {
        if (&self.pipe).write(&number.to_ne_bytes()).is_err() {
            // It is dead, or has not listened for thousands of messages: another one is to take its place.
            self.kill();
        }
    }

    /// Ends it, when nobody is left whom it would have to end. Waits until it is gone.
    pub fn dismiss(self) {
        self.kill();
        let mut one = [PollFd::new(self.handle.as_fd(), PollFlags::POLLIN)];
        let _ = poll(&mut one, PollTimeout::from(DISMISSAL_MS));
        let _ = waitid(WaitId::PidFd(self.handle.as_fd()), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
    }

    fn kill(&self) {
        let _ = pidfd_send_signal(&self.handle, Signal::KILL);
    }
}
