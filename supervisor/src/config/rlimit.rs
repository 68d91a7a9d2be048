//! The kernel's limits for a process, by name. Without one table of them, what the file may say, what `check --print`
//! shows and what is set at a start could name different things.

use rustix::process::Resource;
use serde::Serialize;

/// A limit of the kernel that the file can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Rlimit {
    /// Address space.
    As,
    /// Core dump.
    Core,
    /// Time on a processor.
    Cpu,
    /// Heap and other private writable memory.
    Data,
    /// The largest file that can be written.
    Fsize,
    /// Memory that can be locked.
    Memlock,
    /// Bytes in POSIX message queues, of the user.
    Msgqueue,
    /// Descriptors.
    Nofile,
    /// Processes and threads, of the user.
    Nproc,
    /// Real-time priority.
    Rtprio,
    /// Signals that wait, of the user.
    Sigpending,
    /// The main thread's stack.
    Stack,
}

/// In what a limit is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Measure {
    Bytes,
    Seconds,
    Pieces,
}

use Measure::{Bytes, Pieces, Seconds};
use Rlimit::{As, Core, Cpu, Data, Fsize, Memlock, Msgqueue, Nofile, Nproc, Rtprio, Sigpending, Stack};

const TABLE: [(&str, Rlimit, Measure, Resource); 12] = [
    ("as", As, Bytes, Resource::As),
    ("core", Core, Bytes, Resource::Core),
    ("cpu", Cpu, Seconds, Resource::Cpu),
    ("data", Data, Bytes, Resource::Data),
    ("fsize", Fsize, Bytes, Resource::Fsize),
    ("memlock", Memlock, Bytes, Resource::Memlock),
    ("msgqueue", Msgqueue, Bytes, Resource::Msgqueue),
    ("nofile", Nofile, Pieces, Resource::Nofile),
    ("nproc", Nproc, Pieces, Resource::Nproc),
    ("rtprio", Rtprio, Pieces, Resource::Rtprio),
    ("sigpending", Sigpending, Pieces, Resource::Sigpending),
    ("stack", Stack, Bytes, Resource::Stack),
];

/// All names, as the file has them.
pub(super) const NAMES: [&str; TABLE.len()] = {
    let mut names = [""; TABLE.len()];
    let mut at = 0;
    while at < TABLE.len() {
        names[at] = TABLE[at].0;
        at += 1;
    }
    names
};

impl Rlimit {
    pub(super) fn named(name: &str) -> Option<Self> {
        TABLE.iter().find(|row| row.0 == name).map(|row| row.1)
    }

    fn row(self) -> &'static (&'static str, Self, Measure, Resource) {
        TABLE.iter().find(|row| row.1 == self).expect("every limit is in the table")
    }

    /// Its name, as the file has it.
    pub fn name(self) -> &'static str {
        self.row().0
    }

    pub(super) fn measure(self) -> Measure {
        self.row().2
    }

    /// What the kernel calls it.
    pub fn resource(self) -> Resource {
        self.row().3
    }
}
