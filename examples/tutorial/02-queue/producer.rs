//! Puts ten numbers into the queue and is done. Nobody has to be told that these were all.

use brigade_worker::{Exit, Output, source};

fn produce(out: &mut Output<u32>) -> brigade_worker::Result {
    for number in 1..=10 {
        out.send(number)?;
    }
    Ok(())
}

fn main() -> Exit {
    source(produce)
}
