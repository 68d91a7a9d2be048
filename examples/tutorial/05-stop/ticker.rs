//! Sends a tick every 200 ms until it is told to stop. A stop wakes it; it never sleeps to the end first.

use std::time::Duration;

use brigade_worker::{Exit, Output, source};

fn tick(out: &mut Output<u64>) -> brigade_worker::Result {
    let mut tick: u64 = out.restore()?.unwrap_or(0); // After a kill: behind the last one that was committed.
    while out.ctx().sleep(Duration::from_millis(200)) {
        tick += 1;
        out.send(tick)?;
        out.checkpoint(&tick)?;
    }
    println!("told to stop after {tick} ticks");
    Ok(())
}

fn main() -> Exit {
    source(tick)
}
