//! What the processes of a stage may do and have: as whom they run, how much of what, and for how long. Kept apart from
//! the rest of a stage's plan, because nothing but the making of a process asks for most of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Serialize;

use crate::config::rlimit::Rlimit;

/// The limits of a stage. The default is none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Limits {
    /// As whom they run; `None`: as whoever runs the supervisor.
    pub identity: Option<Identity>,
    /// Permission bits that files made by them do not get, 0 to 0o777; `None`: the supervisor's.
    pub umask: Option<u32>,
    /// -20 (first) to 19 (last); `None`: the supervisor's.
    pub nice: Option<i32>,
    /// Cores on which they run, ascending, never empty; `None`: those of the supervisor.
    pub cpus: Option<Vec<u16>>,
    /// Limits of the kernel for each process. What is not named is the supervisor's.
    pub rlimits: BTreeMap<Rlimit, Bound>,
    /// They cannot gain rights by running a program (set-user-id bits, file capabilities).
    pub no_new_privs: bool,
    /// The only variables that they inherit; `None`: all.
    pub env_allow: Option<Vec<String>>,
    /// Bytes of memory of their own at which a worker is replaced, between two items. 1 MiB or more.
    pub max_rss: Option<u64>,
    /// Bytes of memory that a worker and all it starts may use, by a control group. 1 MiB or more.
    pub memory_max: Option<u64>,
    /// Items after which a worker is replaced. 1 or more.
    pub max_items: Option<u64>,
}

/// Soft and hard limit; `None`: unlimited. The soft one is not above the hard one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bound {
    /// What counts.
    pub soft: Option<u64>,
    /// How far a process may raise it.
    pub hard: Option<u64>,
}

/// As whom a process runs, looked up when the file was checked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// `None`: only the group changes.
    pub user: Option<User>,
    /// The group as the file names it; `None`: the user's own.
    pub group: Option<String>,
    /// Its group.
    pub gid: u32,
    /// All groups that it belongs to.
    pub groups: Vec<u32>,
}

/// A user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct User {
    /// As the file names it.
    pub typed: String,
    /// Its number.
    pub uid: u32,
    /// Name and home by the system's user database; `None`: it has no entry there.
    pub entry: Option<(String, PathBuf)>,
}

impl Limits {
    /// As which user they run, if not as the supervisor's.
    pub fn uid(&self) -> Option<u32> {
        Some(self.identity.as_ref()?.user.as_ref()?.uid)
    }
}
