//! crossbeam-channel between two threads: no process is in between, and nothing survives one.

use std::io;
use std::thread;

use super::{Shape, timed};

/// From one thread to another.
pub fn run(shape: Shape) -> io::Result<f64> {
    let (sender, receiver) = crossbeam_channel::bounded::<Box<[u8]>>(if shape.bytes > 4096 { 128 } else { 1024 });
    thread::scope(|scope| {
        scope.spawn(move || {
            let item = vec![7; shape.bytes];
            // As an item is made for a queue that owns its items.
            (0..shape.items).for_each(|_| sender.send(item.as_slice().into()).unwrap_or_default());
        });
        timed(shape, || {
            let item = receiver.recv().map_err(io::Error::other)?;
            std::hint::black_box(item.iter().step_by(64).fold(0u8, |sum, byte| sum.wrapping_add(*byte)));
            Ok(())
        })
    })
}
