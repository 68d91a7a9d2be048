//! Who is who. Without these newtypes a post, an incarnation and a pid would all be integers, and mixing
//! them up is the classic way to signal or sweep the wrong process.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A post: one numbered place in a stage, filled by one process at a time. It survives restarts.
///
/// Posts are numbered from 1 through the whole pipeline; 0 means nobody. The supervisor hands them out,
/// and the shared memory of queues and pages knows workers by this number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Post(pub u16);

impl fmt::Display for Post {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "post {}", self.0)
    }
}

/// One run of a post, counted from 1. News about an earlier incarnation is stale and is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Incarnation(pub u32);

impl Incarnation {
    /// The run before the first one: the post has never been filled.
    pub const NONE: Self = Self(0);

    /// The run after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.wrapping_add(1))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The identity of an item within its queue. A redelivered item keeps it, so that effects outside the
/// pipeline (a row, a mail) can be made idempotent by remembering it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ItemId(pub u64);

impl fmt::Display for ItemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}
