//! Thinks about every tick for a while. It finishes what is queued when the pipeline is drained; only *stop now* (the
//! second signal) interrupts a thought, and then the tick goes back into the queue for the next run.

use std::time::{Duration, Instant};

use brigade_worker::{Exit, Output, Refusal, run};

fn think(tick: u64, out: &mut Output<()>) -> brigade_worker::Result {
    let since = Instant::now();
    while since.elapsed() < Duration::from_millis(400) {
        if out.ctx().stop_requested() {
            return Err(Refusal::Stopped.into());
        }
        std::hint::spin_loop(); // A long computation, in small steps.
    }
    println!("tick {tick} is thought through");
    Ok(())
}

fn main() -> Exit {
    run(think)
}
