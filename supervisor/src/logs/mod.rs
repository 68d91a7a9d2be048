//! What workers and the supervisor say: taken from their pipes line by line, kept as JSON lines in one file per stage,
//! and shown again. Without it, the words of a worker would be gone with its terminal.
//!
//! The way of a line: a pipe → [`frame`] (a line) → [`record`] (who said it, and when) → [`rotate`] (a file);
//! [`capture`] is the handle to the thread that does this, `reader` is the thread; [`archive`] compresses and removes old
//! files, and [`shelf`] knows what they are called. And back: [`files`] (a file, also while it grows and rotates) →
//! [`query`] (which lines, in which order) → [`show`] and [`escape`] (what is safe to print). [`own`] is the
//! supervisor's own voice, [`change`] what it says in a form that `brigade events` reads back.

pub mod archive;
pub mod capture;
pub mod change;
pub mod escape;
pub mod files;
pub mod frame;
mod lines;
pub mod own;
pub mod query;
mod reader;
pub mod record;
pub mod rotate;
pub mod shelf;
pub mod show;
mod stage;
mod words;

pub use archive::Archive;
pub use capture::{Capture, Leak};
pub use record::{Level, Record, Source, Stream};
pub use rotate::Rotation;
