//! What Brigade's supervisor and its workers agree on, and the only place where they meet.
//!
//! Two planes: the *control plane* ([`control`]) carries few and small messages over ipc-channel; the
//! *data plane* ([`queue`]) carries items through shared memory. [`page`] is the small shared file in
//! which a worker shows how it is doing and in which it finds its stop flag.

#[cfg(not(target_os = "linux"))]
compile_error!("Brigade runs on Linux only: it is built on futexes, process groups and parent-death signals.");

pub mod codec;
pub mod control;
pub mod crash;
pub mod descriptors;
pub mod id;
pub mod page;
pub mod queue;
pub mod retry;
pub mod shape;
pub mod shared;
pub mod shielded;
pub mod shm;
pub mod sync;
pub mod transaction;
