//! Fan-out: every number goes both ways.

use brigade_worker::{Exit, Output, run};

fn split(number: u32, out: &mut Output<()>) -> brigade_worker::Result {
    out.to("to_square").send(number)?;
    out.to("to_cube").send(number)?;
    Ok(())
}

fn main() -> Exit {
    run(split)
}
