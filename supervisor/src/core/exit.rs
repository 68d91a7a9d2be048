//! An exit in words. Without it every log line, verdict and status would print bare numbers, and people would have to
//! look up what 137 or signal 11 means.

use std::fmt;

use super::event::Exit;

/// Signals of Linux on the architectures that Rust calls tier 1, from 1 on. Real-time signals have no names.
const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Name of a signal, such as `SIGKILL`; `None` for one that has none.
pub fn signal_name(signal: i32) -> Option<&'static str> {
    let index = usize::try_from(signal.checked_sub(1)?).ok()?;
    NAMES.get(index).copied()
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { signal, core } => {
                match signal_name(signal) {
                    Some(name) => write!(f, "killed by {name}")?,
                    None => write!(f, "killed by signal {signal}")?,
                }
                if core { f.write_str(" (core dumped)") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exits_read_as_words() {
        assert_eq!(Exit::Code(1).to_string(), "exit code 1");
        assert_eq!(Exit::Signal { signal: 9, core: false }.to_string(), "killed by SIGKILL");
        assert_eq!(Exit::Signal { signal: 11, core: true }.to_string(), "killed by SIGSEGV (core dumped)");
        assert_eq!(Exit::Signal { signal: 34, core: false }.to_string(), "killed by signal 34");
    }

    #[test]
    fn numbers_outside_the_table_have_no_name() {
        assert_eq!(signal_name(15), Some("SIGTERM"));
        assert_eq!(signal_name(31), Some("SIGSYS"));
        for odd in [0, -1, 32, i32::MIN, i32::MAX] {
            assert_eq!(signal_name(odd), None, "{odd}");
        }
    }
}
