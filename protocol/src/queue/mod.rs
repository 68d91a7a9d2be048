//! The queue: a bounded ring of items in a mapped file, for many sending and many receiving processes, any of which may
//! be killed at any instruction.
//!
//! A [`Queue`] is a mapping of the file. A thread that wants to send or receive joins it and becomes a [`Member`]; all
//! that it holds carries the member's number, so that the supervisor can [sweep](Queue::sweep) after its death.
//!
//! What is promised: an item whose `send` returned stays until it is acked or dead; a dead or stopped process holds up
//! nothing but the items in its hands; `capacity` counts everything that is not free; first in, first out per sender,
//! and what comes back goes to the front.

mod batch;
mod claim;
mod content;
mod delayed;
mod depth;
mod draft;
mod end;
mod error;
mod file;
mod geometry;
mod hint;
mod in_hand;
mod late;
mod lease;
mod member;
mod migrate;
mod oldest;
mod place;
mod places;
mod recovery;
mod returned;
mod ring;
mod run;
mod shape;
mod slot;
mod spare;
mod spoilt;
mod sweep;
mod take;
mod turn;
mod view;
mod wait;

pub use depth::{Depth, Totals, Work};
pub use draft::Draft;
pub use error::{Nothing, QueueError, Refused};
pub use file::Queue;
pub use geometry::Geometry;
pub use in_hand::InHand;
pub use lease::Lease;
pub use member::Member;
pub use recovery::Swept;
pub use returned::Returned;
pub use shape::{Mismatch, Noted};
pub use spare::{Room, SPARES};
pub use sweep::DeadItem;
pub use take::Take;
pub use wait::{Wait, recv_any, try_recv_any};

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod batch_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod draft_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod fuzz_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod loose_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod order_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod retry_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod run_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod spare_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod sweep_tests;
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests;

#[cfg(any(all(test, model_loom), all(test, model_shuttle)))]
mod model;
