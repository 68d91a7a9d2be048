//! Workers that come to wait for each other.
//!
//! `tangle split` (a source: each item goes to `left` and to `pairs`), `tangle thin` (hands on every other item), `tangle join` (takes one
//! item of `left`, then one of `right`), `tangle hoard N` (two handles at `items`, by turns, hold N items before any is
//! acknowledged).

use std::path::Path;
use std::time::Duration;

use brigade_tests::{Item, note};
use brigade_worker::{Context, Exit, Misconfigured, Output, RecvError, run, source, work};

fn main() -> Exit {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["split"] => source(split),
        ["thin"] => {
            run(
                |item: Item, out: &mut Output<Item>| {
                    if item.n.is_multiple_of(2) { Ok::<_, brigade_worker::Error>(out.send(item)?) } else { Ok(()) }
                },
            )
        }
        ["join"] => work(join),
        ["hoard", n] => {
            let n = n.parse().expect("a number");
            work(move |ctx: &Context| hoard(ctx, n))
        }
        _ => work(|_: &Context| Err::<(), _>(Misconfigured::new("see the head of tangle.rs"))),
    }
}

fn split(out: &mut Output<Item>) -> brigade_worker::Result {
    for n in 0.. {
        if out.ctx().stop_requested() {
            break;
        }
        out.to("left").send(Item::new(n, 0))?;
        out.to("pairs").send(Item::new(n, 0))?;
    }
    Ok(())
}

fn join(ctx: &Context) -> brigade_worker::Result {
    let (left, right) = (ctx.receiver::<Item>("left")?, ctx.receiver::<Item>("right")?);
    loop {
        let pair = left.recv().and_then(|one| Ok((one, right.recv()?)));
        match pair {
            Ok((one, other)) => {
                note("joined", one.n);
                one.ack();
                other.ack();
            }
            Err(RecvError::Ended | RecvError::Stopped) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn hoard(ctx: &Context, n: usize) -> brigade_worker::Result {
    let handles = [ctx.receiver::<Item>("items")?, ctx.receiver::<Item>("items")?];
    let mut held = Vec::new();
    for turn in 0..n {
        match handles[turn % 2].recv() {
            Ok(item) => held.push(item),
            Err(RecvError::Ended | RecvError::Stopped) => break,
            Err(error) => return Err(error.into()),
        }
        note("held", held.len() as u64);
    }
    while ctx.sleep(Duration::from_secs(1)) && !Path::new("enough").exists() {}
    Ok(())
}
