//! One list in the source text is a list of its own in every process.

use std::sync::Mutex;

/// Looks shared, and is: by the threads of one process.
pub static LIST: Mutex<Vec<u32>> = Mutex::new(Vec::new());
