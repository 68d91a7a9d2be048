//! The items of the primes pipeline.

use serde::{Deserialize, Serialize};

/// Numbers from one up to, and not including, another.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Range {
    /// The first.
    pub from: u64,
    /// The one after the last.
    pub to: u64,
}

/// What was found in a range.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Findings {
    /// How many numbers were looked at.
    pub numbers: u64,
    /// How many primes.
    pub primes: u64,
    /// The largest of them, or 0.
    pub largest: u64,
    /// How many prime factors all numbers have together; 12 = 2·2·3 has three.
    pub factors: u64,
}
