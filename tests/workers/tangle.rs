//! Workers that come to wait for each other.
//!
//! `tangle split` (a source: each item goes to `left` and to `pairs`), `tangle thin` (hands on every other item), `tangle join` (takes one
//! item of `left`, then one of `right`), `tangle hoard N` (two handles at `items`, by turns, hold N items before any is
//! acknowledged), `tangle poll N` (the same, and waits for 300 ms at a time), `tangle greedy N` (one handle at `items` holds N before any is acknowledged), `tangle collect` (takes all of `items`
//! before any is acknowledged, by an iterator), `tangle commit N` and `tangle commit-at N` (one commit for N items; a commit
//! with item $POISON fails, or kills the process if $DEADLY is set).

use std::path::Path;
use std::time::Duration;

use brigade_tests::{Item, note};
use brigade_worker::{Context, Delivery, Exit, Misconfigured, Output, RecvError, run, source, work};
use nix::sys::signal::{Signal, raise};

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
            work(move |ctx: &Context| hoard(ctx, n, Duration::MAX))
        }
        ["poll", n] => {
            let n = n.parse().expect("a number");
            work(move |ctx: &Context| hoard(ctx, n, Duration::from_millis(300)))
        }
        ["greedy", n] => {
            let n = n.parse().expect("a number");
            work(move |ctx: &Context| greedy(ctx, n))
        }
        ["collect"] => work(collect),
        [how @ ("commit" | "commit-at"), n] => {
            let (at, n) = (*how == "commit-at", n.parse().expect("a number"));
            work(move |ctx: &Context| commit(ctx, at, n))
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

fn hoard(ctx: &Context, n: usize, time: Duration) -> brigade_worker::Result {
    let handles = [ctx.receiver::<Item>("items")?, ctx.receiver::<Item>("items")?];
    let mut held = Vec::new();
    while held.len() < n {
        match handles[held.len() % 2].recv_timeout(time) {
            Ok(item) => held.push(item),
            Err(RecvError::Timeout) => continue,
            Err(RecvError::Ended | RecvError::Stopped) => break,
            Err(error) => return Err(error.into()),
        }
        note("held", held.len() as u64);
    }
    while ctx.sleep(Duration::from_secs(1)) && !Path::new("enough").exists() {}
    Ok(())
}

fn greedy(ctx: &Context, n: usize) -> brigade_worker::Result {
    let items = ctx.receiver::<Item>("items")?;
    let mut held = Vec::new();
    while held.len() < n {
        held.push(items.recv()?);
    }
    keep(held);
    Ok(())
}

fn collect(ctx: &Context) -> brigade_worker::Result {
    let items = ctx.receiver::<Item>("items")?;
    let all = items.iter().collect();
    note("collected", 0);
    keep(all);
    Ok(())
}

fn keep(items: Vec<Delivery<'_, Item>>) {
    for item in items {
        note("kept", item.n);
        item.ack();
    }
}

fn commit(ctx: &Context, at: bool, n: usize) -> brigade_worker::Result {
    let poison: u64 = std::env::var("POISON")?.parse()?;
    let items = ctx.receiver::<Item>("items")?;
    let mut tx = ctx.transaction()?;
    let mut held = Vec::new();
    for item in items.iter() {
        let comes_again = item.deliveries() > 1;
        held.push(tx.ack(item).n);
        let is_due = held.len() == n || at && comes_again;
        if is_due && held.contains(&poison) {
            if std::env::var_os("DEADLY").is_some() {
                raise(Signal::SIGKILL)?;
            }
            return Err(format!("item {poison} cannot be done").into());
        }
        let is_committed = if at { tx.commit_at(n)? } else { is_due && tx.commit().map(|()| true)? };
        if is_committed {
            held.drain(..).for_each(|n| note("kept", n));
        }
    }
    tx.commit()?;
    held.drain(..).for_each(|n| note("kept", n));
    Ok(())
}
