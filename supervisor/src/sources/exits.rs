//! Ended children, looked at before they are reaped: as long as a dead child is not reaped, its pid and its group can
//! mean nobody else.
#![expect(unsafe_code, reason = "waitid with the pid and any signal number is not to be had otherwise")]

use std::mem::MaybeUninit;

use crate::core::event::Exit;

/// A child that has ended and is not reaped yet (our own or, as we are the subreaper, an orphan of a worker).
pub fn next_ended() -> Option<(i32, Exit)> {
    let info = wait(libc::P_ALL, 0, libc::WEXITED | libc::WNOHANG | libc::WNOWAIT)?;
    Some((info.pid, info.exit()))
}

/// Frees the pid of a child that has ended.
pub fn reap(pid: i32) {
    let _ = wait(libc::P_PID, pid.unsigned_abs(), libc::WEXITED | libc::WNOHANG);
}

/// A child that was stopped (true) or continued (false) since the last call.
pub fn next_paused() -> Option<(i32, bool)> {
    let info = wait(libc::P_ALL, 0, libc::WSTOPPED | libc::WCONTINUED | libc::WNOHANG)?;
    Some((info.pid, info.code == libc::CLD_STOPPED))
}

struct Info {
    pid: i32,
    code: i32,
    status: i32,
}

impl Info {
    fn exit(&self) -> Exit {
        match self.code {
            libc::CLD_EXITED => Exit::Code(self.status),
            code => Exit::Signal { signal: self.status, core: code == libc::CLD_DUMPED },
        }
    }
}

fn wait(kind: libc::idtype_t, id: u32, options: i32) -> Option<Info> {
    loop {
        let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
        // SAFETY: waitid writes one siginfo_t to the place that it is given, which is one.
        let result = unsafe { libc::waitid(kind, id, info.as_mut_ptr(), options) };
        if result != 0 {
            if std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted {
                continue;
            }
            return None; // There is no child at all.
        }
        // SAFETY: zeroed before, filled by waitid: a siginfo_t is plain numbers. Its pid and status are those of SIGCHLD,
        // or zeroes if there is no news.
        let info = unsafe {
            let info = info.assume_init();
            Info { pid: info.si_pid(), code: info.si_code, status: info.si_status() }
        };
        return (info.pid != 0).then_some(info);
    }
}
