//! Signals that may ask a worker to stop, by name. Without this list `stop_signal = "CONT"` would be believed, and
//! a stop would do nothing.

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
}
