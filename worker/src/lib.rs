//! lib
pub mod shared;
