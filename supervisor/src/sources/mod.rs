//! Where news comes from: signals, ended children, commands. (Reports of workers come through the door.) Nothing here
//! decides, and nothing here acts on a worker.

pub mod commands;
pub mod cpu;
pub mod exits;
pub mod memory;
pub mod signals;
