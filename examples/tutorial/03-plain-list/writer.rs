//! Pushes three numbers into the list, and says what it sees there.

use brigade_examples::plain_list::LIST;
use brigade_worker::{Exit, Output, source};

fn write(out: &mut Output<String>) -> brigade_worker::Result {
    let mut list = LIST.lock().expect("nobody panics with the list in hand");
    for number in 1..=3 {
        list.push(number);
    }
    println!("{} sees {list:?}", out.ctx().worker());
    out.send(out.ctx().worker())?;
    Ok(())
}

fn main() -> Exit {
    source(write)
}
