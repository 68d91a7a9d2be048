//! Signals become bytes on a socket, which the reactor reads when it is ready for them.
#![expect(unsafe_code, reason = "a signal handler of our own")]

use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};

/// The registered signals.
#[derive(Debug)]
pub struct Signals {
    reader: UnixStream,
    has_terminal: bool,
}

impl Signals {
    /// From now on SIGTERM, SIGINT, SIGHUP and SIGCHLD do not end the process, but wait to be read. A SIGHUP that this process
    /// was started to ignore stays ignored.
    ///
    /// Between fork and exec a child still has our handlers and our socket, and the terminal sends Ctrl-C to it as well:
    /// one Ctrl-C would count twice. So the handler looks whose process it is in.
    pub fn register() -> io::Result<Self> {
        let (reader, writer) = UnixStream::pair()?;
        reader.set_nonblocking(true)?;
        writer.set_nonblocking(true)?;
        let ours = std::process::id();
        for signal in [SIGTERM, SIGINT, SIGHUP, SIGCHLD] {
            if signal == SIGHUP && is_ignored(signal)? {
                continue; // `nohup` asked for that.
            }
            let writer = writer.try_clone()?;
            let note = move || {
                if std::process::id() == ours {
                    let byte = u8::try_from(signal).unwrap_or(0);
                    let _ = (&writer).write(&[byte]);
                }
            };
            // SAFETY: the handler calls only getpid and write (both async-signal-safe), neither allocates nor locks; a
            // full socket drops the byte, and a reader that has not read for so long finds enough others.
            unsafe { signal_hook::low_level::register(signal, note)? };
        }
        // A terminal of the session is a terminal that can go away, whatever our own descriptors are.
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        Ok(Self { reader, has_terminal })
    }

    /// Whether there was a terminal at the start: then a SIGHUP says that it is gone.
    pub fn has_terminal(&self) -> bool {
        self.has_terminal
    }

    /// The signals that have come since the last call.
    pub fn take(&mut self) -> Vec<i32> {
        let mut signals = Vec::new();
        let mut bytes = [0; 256];
        loop {
            match self.reader.read(&mut bytes) {
                Ok(0) | Err(_) => return signals,
                Ok(count) => signals.extend(bytes[..count].iter().map(|byte| i32::from(*byte))),
            }
        }
    }
}

/// Whether this process was started to ignore the signal.
fn is_ignored(signal: i32) -> io::Result<bool> {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::uninit();
    // SAFETY: without a new action the call only writes the present one, to where there is room for it.
    if unsafe { libc::sigaction(signal, std::ptr::null(), action.as_mut_ptr()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call has succeeded, so it has written all of it.
    Ok(unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN)
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.reader.as_raw_fd()
    }
}
