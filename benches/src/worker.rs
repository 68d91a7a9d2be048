//! The workers of the measured pipelines: this same program, started by the supervisor.

use std::process::{ExitCode, Termination};
use std::time::{Duration, Instant};

use brigade_worker::{Context, Output, Result, run, sink, work};
use serde_bytes::ByteArray;

/// With the format byte and its length it makes 64 bytes in the queue.
type Item = ByteArray<62>;

/// Does one part: `typed-send`, `typed-recv`, `raw-send`, `raw-recv`, `pass` (a handler), `relay` (the same by hand), `rest`,
/// `sink`, `push` or `extend` (a shared list).
pub fn main(part: &str, items: &str) -> ExitCode {
    let items: u64 = items.parse().expect("a number of items");
    let exit = match part {
        "typed-send" => work(|ctx| typed_send(ctx, items)),
        "typed-recv" => work(|ctx| typed_recv(ctx, items)),
        "pass" => run(pass),
        "relay" => work(relay),
        "rest" => work(rest),
        "sink" => sink(|_: Item| -> Result { Ok(()) }),
        "push" => work(|ctx| push(ctx, items)),
        "extend" => work(|ctx| extend(ctx, items)),
        "raw-send" => work(|ctx| raw_send(ctx, items)),
        "raw-recv" => work(|ctx| raw_recv(ctx, items)),
        _ => panic!("no part is named {part}"),
    };
    exit.report()
}

fn typed_send(ctx: &Context, items: u64) -> Result {
    let sender = ctx.sender::<Item>("items")?;
    for _ in 0..items {
        sender.send(Item::new([7; 62]))?;
    }
    Ok(())
}

fn typed_recv(ctx: &Context, items: u64) -> Result {
    let queue = std::env::var("QUEUE").unwrap_or_else(|_| "items".to_owned());
    let receiver = ctx.receiver::<Item>(&queue)?;
    receiver.recv()?.ack();
    let start = Instant::now();
    for _ in 1..items {
        std::hint::black_box(receiver.recv()?.ack());
    }
    keep(items - 1, start)
}

fn pass(item: Item, out: &mut Output<Item>) -> Result {
    Ok(out.send(item)?)
}

fn relay(ctx: &Context) -> Result {
    let (items, passed) = (ctx.receiver::<Item>("items")?, ctx.sender::<Item>("passed")?);
    for item in items.iter() {
        passed.send(*item)?;
        item.ack();
    }
    Ok(())
}

/// Is there and does nothing, for what it costs to have workers at all.
fn rest(ctx: &Context) -> Result {
    while ctx.sleep(Duration::from_secs(3600)) {}
    Ok(())
}

/// Each number is in the manager's journal, and seen by all, before the next one is added.
fn push(ctx: &Context, items: u64) -> Result {
    let list = ctx.list::<u64>("numbers");
    list.clear()?; // Not in the time: the manager is started for it.
    let start = Instant::now();
    for number in 0..items {
        list.push(&number)?;
    }
    keep(items, start)
}

/// The same for a thousand at a time.
fn extend(ctx: &Context, items: u64) -> Result {
    let list = ctx.list::<u64>("numbers");
    list.clear()?;
    let start = Instant::now();
    for first in (0..items).step_by(1000) {
        list.extend(first..first + 1000)?;
    }
    keep(items, start)
}

fn raw_send(ctx: &Context, items: u64) -> Result {
    let sender = ctx.raw_sender("items")?;
    for _ in 0..items {
        sender.send(&[7; 64])?;
    }
    Ok(())
}

fn raw_recv(ctx: &Context, items: u64) -> Result {
    let receiver = ctx.raw_receiver("items")?;
    receiver.recv()?.ack();
    let start = Instant::now();
    for _ in 1..items {
        let delivery = receiver.recv()?;
        std::hint::black_box(delivery[0]);
        delivery.ack();
    }
    keep(items - 1, start)
}

fn keep(items: u64, start: Instant) -> Result {
    let rate = items as f64 / start.elapsed().as_secs_f64();
    std::fs::write(std::env::var("RESULT")?, rate.to_string())?;
    Ok(())
}
