//! Pushes three numbers into the list that all processes see.

use brigade_worker::{Exit, Output, source};

fn write(out: &mut Output<String>) -> brigade_worker::Result {
    let list = out.ctx().list::<u32>("numbers");
    for number in 1..=3 {
        list.push(&number)?;
    }
    out.send(out.ctx().worker())?;
    Ok(())
}

fn main() -> Exit {
    source(write)
}
