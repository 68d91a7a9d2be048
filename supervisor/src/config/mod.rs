//! From the user's file to the plan: `raw` is the file as typed, [`plan`] is what we believe, [`check`] is the way
//! between them, which shows every fault at once. [`print`](mod@print) is the way back.

mod bounds;
pub mod check;
pub mod fault;
mod nearest;
pub mod plan;
pub mod print;
mod raw;
pub mod rlimit;
mod signals;
mod surroundings;
mod table;
mod units;
mod vars;

pub use check::load;
pub use fault::{Fault, Faults};
pub use nearest::nearest;
pub use surroundings::Surroundings;
pub use units::{parse_duration, show_duration, show_size};
