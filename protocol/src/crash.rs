//! Places at which a test can make a process die, for real, by SIGKILL, or stand still. In a build without debug
//! assertions [`crash_point!`](crate::crash_point) is nothing at all.

/// Dies here by SIGKILL if the environment variable `BRIGADE_CRASH` names this point (`name`, or `name:n` for the
/// n-th time it is reached), and stops here by SIGSTOP, until SIGCONT, if `BRIGADE_PAUSE` does. Who dies here
/// appends a line `NAME PID` to the file that `BRIGADE_CRASH_TOLD` names, if it names one. Compiled in with debug assertions
/// only.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {
        #[cfg(all(debug_assertions, not(any(model_loom, model_shuttle))))]
        $crate::crash::reached($name);
    };
}

#[cfg(debug_assertions)]
mod wish {
    use std::io::Write;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU64, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    /// What is to happen at the n-th time that a point is reached.
    pub(super) struct Wish {
        variable: &'static str,
        signal: Signal,
        wanted: OnceLock<Option<(String, u64)>>,
        times: AtomicU64,
    }

    /// So that a test can tell a death at its point from any other.
    fn tell(name: &str) {
        let Some(path) = std::env::var_os("BRIGADE_CRASH_TOLD") else { return };
        let line = format!("{name} {}\n", Pid::this());
        let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
        let _ = file.and_then(|mut file| file.write_all(line.as_bytes()));
    }

    impl Wish {
        pub(super) const fn new(variable: &'static str, signal: Signal) -> Self {
            Self { variable, signal, wanted: OnceLock::new(), times: AtomicU64::new(0) }
        }

        pub(super) fn reached(&self, name: &str) {
            let wanted = self.wanted.get_or_init(|| {
                let value = std::env::var(self.variable).ok()?;
                Some(match value.split_once(':') {
                    Some((name, nth)) => (name.to_owned(), nth.parse().unwrap_or(1)),
                    None => (value, 1),
                })
            });
            if let Some((wanted, nth)) = wanted
                && wanted == name
                && self.times.fetch_add(1, Ordering::Relaxed) + 1 == *nth
            {
                if self.signal == Signal::SIGKILL {
                    tell(name);
                }
                let _ = kill(Pid::this(), self.signal);
            }
        }
    }
}

/// The slow part of [`crash_point!`](crate::crash_point).
#[cfg(debug_assertions)]
#[doc(hidden)]
pub fn reached(name: &str) {
    use nix::sys::signal::Signal;
    static PAUSE: wish::Wish = wish::Wish::new("BRIGADE_PAUSE", Signal::SIGSTOP);
    static CRASH: wish::Wish = wish::Wish::new("BRIGADE_CRASH", Signal::SIGKILL);
    PAUSE.reached(name);
    CRASH.reached(name);
}
