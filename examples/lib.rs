//! What the workers of the examples share: the types of the items that pass between them.

#[path = "checksum/mod.rs"]
pub mod checksum;
