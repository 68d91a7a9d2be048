//! Waits for each number, as for an answer over the network. Threads of one process can wait side by side.

use std::time::Duration;

use brigade_worker::{Exit, Output, run};

fn wait(number: u32, out: &mut Output<()>) -> brigade_worker::Result {
    let ctx = out.ctx();
    ctx.sleep(Duration::from_secs(1));
    println!("{number:2} on thread {} of {}", ctx.thread(), ctx.worker());
    Ok(())
}

fn main() -> Exit {
    run(wait)
}
