//! Memory that several processes share: the unsafe floor of Brigade, and the only one. It knows files, words and
//! futexes; it has never heard of queues.

mod boot;
mod clock;
mod futex;
mod guard;
mod inherited;
#[cfg_attr(all(test, any(model_loom, model_shuttle)), path = "kernel_model.rs")]
mod kernel;
mod lookout;
mod original;
mod patience;
mod region;
mod words;

pub use boot::boot_id;
pub use clock::clock;
pub use futex::{EventCount, Ticket};
pub use guard::survive_cut_files;
pub use inherited::inherited;
pub use kernel::recently;
pub use lookout::Lookout;
pub use original::is_forked_copy;
pub use patience::Patience;
pub use region::Region;
pub use words::Words;
