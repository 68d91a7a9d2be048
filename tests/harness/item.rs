//! What the test workers hand to each other.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

/// A number, and bytes that follow from it, so that a mixed-up item is seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Item {
    /// Its number, from 0.
    pub n: u64,
    /// How often it went round a loop.
    pub hops: u8,
    /// As many as wanted.
    pub bytes: ByteBuf,
}

impl Item {
    /// The item of this number, with so many bytes.
    pub fn new(n: u64, len: usize) -> Self {
        Self { n, hops: 0, bytes: ByteBuf::from(content(n, len)) }
    }

    /// Whether its bytes are its own.
    pub fn is_whole(&self) -> bool {
        *self.bytes == content(self.n, self.bytes.len())
    }
}

fn content(n: u64, len: usize) -> Vec<u8> {
    (0..len as u64).map(|at| (n.wrapping_mul(31).wrapping_add(at) % 251) as u8).collect()
}
