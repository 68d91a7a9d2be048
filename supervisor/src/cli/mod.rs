//! The commands of the binary, one file each.

pub mod check;
pub mod logs;
pub mod set;
pub mod shared;
