//! The manager: named lists, maps and counters that all workers see, in a process of its own.
pub mod state;
