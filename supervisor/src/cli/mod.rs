//! The command line of the binary: one file per command, and here what they have in common.

pub mod shared;
