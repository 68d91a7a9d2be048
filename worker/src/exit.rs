//! How a worker's process ends, so that the supervisor sees the truth in its exit status.

use std::process::{ExitCode, Termination};

/// Exit code of a worker that no restart can help (EX_CONFIG).
pub(crate) const MISCONFIGURED: u8 = 78;

/// The end of a worker, to be returned from `main`.
///
/// Exit code 0: it came to its end, or stopped because it was asked to. 1: it failed. 78: it is misconfigured, and a
/// restart would not help. To the supervisor, code 0 means this only if the function that was given to the SDK has returned:
/// an exit from elsewhere, such as by [`std::process::exit`] in a handler, is a crash. After a signal that the supervisor did not send, the process dies of that signal.
///
/// ```no_run
/// fn main() -> brigade_worker::Exit {
///     brigade_worker::sink(|line: String| -> brigade_worker::Result {
///         println!("{line}");
///         Ok(())
///     })
/// }
/// ```
#[must_use = "return it from main, or the process ends as if all was well"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit(End);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Code(u8),
    Signal(i32),
}

impl Exit {
    pub(crate) const DONE: Self = Self(End::Code(0));
    pub(crate) const FAILED: Self = Self(End::Code(1));
    pub(crate) const MISCONFIGURED: Self = Self(End::Code(MISCONFIGURED));

    pub(crate) fn of_signal(signal: i32) -> Self {
        Self(End::Signal(signal))
    }

    /// Whether the worker came to its end, or stopped as it was asked to.
    pub fn is_success(&self) -> bool {
        *self == Self::DONE
    }
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        match self.0 {
            End::Code(code) => ExitCode::from(code),
            End::Signal(signal) => {
                // Comes back only if the signal does not end a process; then the code says it as shells do.
                let _ = signal_hook::low_level::emulate_default_handler(signal);
                ExitCode::from(u8::try_from(128 + signal).unwrap_or(1))
            }
        }
    }
}
