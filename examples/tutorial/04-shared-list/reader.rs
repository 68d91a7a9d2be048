//! Waits until both writers are done, and looks into the list.

use brigade_worker::{Context, Exit, work};

fn read(ctx: &Context) -> brigade_worker::Result {
    for writer in ctx.receiver::<String>("done")?.iter() {
        writer.ack();
    }
    let mut numbers: Vec<u32> = ctx.list("numbers").iter()?.collect();
    numbers.sort_unstable();
    println!("{} sees {numbers:?}", ctx.worker());
    Ok(())
}

fn main() -> Exit {
    work(read)
}
