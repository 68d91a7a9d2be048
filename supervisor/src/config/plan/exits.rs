//! What the exits of a stage mean. Without it only 0 could be a good end, and programs that were not written for us
//! have other habits.

use std::collections::BTreeSet;

use serde::Serialize;

/// How a process may end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ExitCode {
    /// By `exit(code)`.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

/// The exits of a stage that are no crashes. No exit is in both sets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Exits {
    /// A normal end. Holds 0.
    pub success: BTreeSet<ExitCode>,
    /// No restart can mend it: the run ends. Holds 78, 126 and 127.
    pub fatal: BTreeSet<ExitCode>,
}

impl Default for Exits {
    fn default() -> Self {
        Self {
            success: BTreeSet::from([ExitCode::Code(0)]),
            // Misconfigured (sysexits.h), not executable, not found (the shells).
            fatal: BTreeSet::from([78, 126, 127].map(ExitCode::Code)),
        }
    }
}
