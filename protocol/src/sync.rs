//! The atomics that the ring is built on: the standard library's, or a model checker's in the models' test builds.
//! Without this indirection the ring could not be explored by loom and shuttle.

#[cfg(not(any(all(test, model_loom), all(test, model_shuttle))))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(any(all(test, model_loom), all(test, model_shuttle)))]
mod mortal;
#[cfg(any(all(test, model_loom), all(test, model_shuttle)))]
pub use mortal::{AtomicU32, AtomicU64, Ordering, dies_after, fence, in_the_kernel};
