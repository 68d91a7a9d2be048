//! Is called with every number, until no more can come.

use brigade_worker::{Exit, Output, run};

fn consume(number: u32, out: &mut Output<()>) -> brigade_worker::Result {
    println!("{} has got {number}", out.ctx().worker());
    Ok(())
}

fn main() -> Exit {
    run(consume)
}
