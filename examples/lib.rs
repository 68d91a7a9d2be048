//! What the workers of the examples share: the types of the items that pass between them.

#[path = "checksum/mod.rs"]
pub mod checksum;
#[path = "crawl/mod.rs"]
pub mod crawl;
#[path = "tutorial/03-plain-list/mod.rs"]
pub mod plain_list;
#[path = "primes/mod.rs"]
pub mod primes;
