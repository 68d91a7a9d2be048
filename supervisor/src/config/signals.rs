//! Signals by name: those that may ask a worker to stop, and those that may end it. Without these lists
//! `stop_signal = "CONT"` would be believed, and a stop would do nothing.

use nix::sys::signal::Signal;

/// Names without `SIG`, and their numbers.
const SIGNALS: [(&str, i32); 10] = [
    ("TERM", libc::SIGTERM),
    ("INT", libc::SIGINT),
    ("HUP", libc::SIGHUP),
    ("QUIT", libc::SIGQUIT),
    ("USR1", libc::SIGUSR1),
    ("USR2", libc::SIGUSR2),
    ("ABRT", libc::SIGABRT),
    ("ALRM", libc::SIGALRM),
    ("WINCH", libc::SIGWINCH),
    ("KILL", libc::SIGKILL),
];

/// All names, without `SIG`.
pub(super) fn names() -> Vec<&'static str> {
    SIGNALS.iter().map(|(name, _)| *name).collect()
}

/// The number of a signal that is written with or without `SIG`.
pub(super) fn number(name: &str) -> Option<i32> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    SIGNALS.iter().find(|(known, _)| *known == bare).map(|(_, number)| *number)
}

/// The name of a number, without `SIG`.
pub(super) fn name(number: i32) -> Option<&'static str> {
    SIGNALS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// Names of all signals that can end a process, without `SIG`.
pub(super) fn endings() -> Vec<&'static str> {
    let harmless = [
        Signal::SIGCHLD,
        Signal::SIGCONT,
        Signal::SIGSTOP,
        Signal::SIGTSTP,
        Signal::SIGTTIN,
        Signal::SIGTTOU,
        Signal::SIGURG,
        Signal::SIGWINCH,
    ];
    let ends = |signal: &Signal| !harmless.contains(signal);
    Signal::iterator().filter(ends).map(|signal| signal.as_str().trim_start_matches("SIG")).collect()
}

/// The number of a signal that can end a process, written with or without `SIG`.
pub(super) fn ending(name: &str) -> Option<i32> {
    let bare = name.strip_prefix("SIG").unwrap_or(name);
    let known = endings().contains(&bare);
    known.then(|| format!("SIG{bare}").parse::<Signal>().ok()).flatten().map(|signal| signal as i32)
}

/// The name of a number, without `SIG`.
pub(super) fn ending_name(number: i32) -> Option<&'static str> {
    Signal::try_from(number).ok().map(|signal| signal.as_str().trim_start_matches("SIG"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signals_go_by_either_name() {
        assert_eq!(number("TERM"), Some(15));
        assert_eq!(number("SIGTERM"), Some(15));
        assert_eq!(number("INT"), Some(2));
        assert_eq!(number("STOP"), None);
        for (name_, number_) in SIGNALS {
            assert_eq!(name(number_), Some(name_));
        }
    }

    #[test]
    fn signals_that_end_a_process_are_not_those_that_pause_it() {
        assert_eq!((ending("SIGSEGV"), ending("TERM"), ending("KILL")), (Some(11), Some(15), Some(9)));
        for not in ["STOP", "SIGCONT", "CHLD", "NONE", "15", ""] {
            assert_eq!(ending(not), None, "{not}");
        }
        for name in endings() {
            assert_eq!(ending(name).and_then(ending_name), Some(name));
        }
    }
}
