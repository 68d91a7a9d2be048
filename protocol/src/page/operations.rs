//! How many operations the manager of shared state has applied in its present run, as its page shows it to the supervisor.

use super::{OPERATIONS, Page};
use crate::sync::Ordering;

impl Page {
    /// Counts operations that were applied.
    pub fn add_operations(&self, more: u64) {
        // Relaxed: a number for people, which nothing else follows from.
        self.head.at(OPERATIONS).fetch_add(more, Ordering::Relaxed);
    }

    /// How many operations this run has applied.
    pub fn operations(&self) -> u64 {
        self.head.at(OPERATIONS).load(Ordering::Relaxed)
    }
}
