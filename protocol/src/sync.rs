//! The atomics that the ring is built on: the standard library's, or a model checker's in the models' test builds.
//! Without this indirection the ring could not be explored by loom and shuttle.

#[cfg(not(any(all(test, model_loom), all(test, model_shuttle))))]
pub use std::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(all(test, model_loom))]
pub use loom::sync::atomic::{AtomicU64, Ordering, fence};

#[cfg(all(test, model_shuttle))]
pub use shuttle::sync::atomic::{AtomicU64, Ordering, fence};
