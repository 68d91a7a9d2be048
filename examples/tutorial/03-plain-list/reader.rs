//! Waits until both writers are done, and looks into the list.

use brigade_examples::plain_list::LIST;
use brigade_worker::{Context, Exit, work};

fn read(ctx: &Context) -> brigade_worker::Result {
    for writer in ctx.receiver::<String>("done")?.iter() {
        writer.ack();
    }
    println!("{} sees {:?}", ctx.worker(), LIST.lock().expect("nobody panics with the list in hand"));
    Ok(())
}

fn main() -> Exit {
    work(read)
}
