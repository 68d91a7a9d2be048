//! A process as a function.

use brigade_worker::{Context, Exit, Misconfigured, work};

fn greet(ctx: &Context) -> brigade_worker::Result {
    let name = std::env::args().nth(1).ok_or_else(|| Misconfigured::new("whom shall I greet?"))?;
    println!("hello {name}, I am {} with pid {}", ctx.worker(), std::process::id());
    Ok(())
}

fn main() -> Exit {
    work(greet)
}
