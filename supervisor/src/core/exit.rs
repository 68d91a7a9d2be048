//! An exit, in words and by its meaning. Without it every log line, verdict and status would print bare numbers, and
//! people would have to look up what 137 or signal 11 means.

use std::fmt;

use super::event::Exit;
use crate::config::plan::{ExitCode, Exits};

/// What an exit means to the stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// A normal end.
    Success,
    /// Something went wrong.
    Crash,
    /// It would go wrong again.
    Fatal,
}

impl Meaning {
    /// By what the stage says of its exits.
    pub(super) fn of(exit: Exit, exits: &Exits) -> Self {
        let code = match exit {
            Exit::Code(code) => match u8::try_from(code) {
                Ok(code) => ExitCode::Code(code),
                Err(_) => return Self::Crash,
            },
            Exit::Signal { signal, core: _ } => ExitCode::Signal(signal),
        };
        if exits.fatal.contains(&code) {
            Self::Fatal
        } else if exits.success.contains(&code) {
            Self::Success
        } else {
            Self::Crash
        }
    }
}

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

/// What an exit code means by custom: those of sysexits.h, of shells and of Rust's runtime. A program may mean
/// something else by them.
fn known(code: i32) -> Option<&'static str> {
    Some(match code {
        64 => "wrong usage",
        65 => "wrong input",
        66 => "no input",
        67 => "no such user",
        68 => "no such host",
        69 => "a service is not there",
        70 => "an internal error",
        71 => "an error of the system",
        72 => "a file of the system is missing",
        73 => "cannot create a file",
        74 => "cannot read or write",
        75 => "may work later",
        76 => "a remote error",
        77 => "no permission",
        78 => "misconfigured",
        101 => "a panic, if it is a Rust program",
        126 => "a command cannot be executed",
        127 => "a command was not found",
        _ => return None,
    })
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(code) => {
                write!(f, "exit code {code}")?;
                match (known(code), signal_name(code.saturating_sub(128))) {
                    (Some(words), _) => write!(f, " ({words})"),
                    (None, Some(signal)) => write!(f, " (a shell's word for {signal})"),
                    (None, None) => Ok(()),
                }
            }
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
        assert_eq!(Exit::Code(127).to_string(), "exit code 127 (a command was not found)");
        assert_eq!(Exit::Code(137).to_string(), "exit code 137 (a shell's word for SIGKILL)");
        for plain in [0, 2, 128, 192, 255, i32::MIN + 200] {
            assert_eq!(Exit::Code(plain).to_string(), format!("exit code {plain}"));
        }
        assert_eq!(Exit::Signal { signal: 9, core: false }.to_string(), "killed by SIGKILL");
        assert_eq!(Exit::Signal { signal: 11, core: true }.to_string(), "killed by SIGSEGV (core dumped)");
        assert_eq!(Exit::Signal { signal: 34, core: false }.to_string(), "killed by signal 34");
    }

    #[test]
    fn what_an_exit_means_is_said_by_the_stage() {
        let mut exits = Exits::default();
        let killed = Exit::Signal { signal: 15, core: false };
        let meanings = |exits: &Exits| [0, 1, 3, 78, 126, 127].map(|code| Meaning::of(Exit::Code(code), exits));
        use Meaning::{Crash, Fatal, Success};
        assert_eq!(meanings(&exits), [Success, Crash, Crash, Fatal, Fatal, Fatal]);
        assert_eq!(Meaning::of(killed, &exits), Crash);
        exits.success.extend([ExitCode::Code(3), ExitCode::Signal(15)]);
        exits.fatal.insert(ExitCode::Code(1));
        assert_eq!(meanings(&exits), [Success, Fatal, Success, Fatal, Fatal, Fatal]);
        assert_eq!(Meaning::of(killed, &exits), Success);
        assert_eq!(Meaning::of(Exit::Signal { signal: 9, core: true }, &exits), Crash);
        assert_eq!(Meaning::of(Exit::Code(15), &exits), Crash, "a code is no signal");
        assert_eq!(Meaning::of(Exit::Code(256), &exits), Crash);
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
