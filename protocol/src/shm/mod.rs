//! Memory that several processes share: the unsafe floor of Brigade, and the only one. It knows files, words and
//! futexes; it has never heard of queues.

mod futex;
mod region;
mod words;

pub use futex::{EventCount, Ticket};
pub use region::Region;
pub use words::Words;
