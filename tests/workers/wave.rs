//! The workers of a storm: they make items of all sizes, hand them on whole, and keep an exact ledger. Without them a storm
//! would only meet items that all look alike.
//!
//! `wave emit SEED CHUNK PAUSE [FIRST]` (items from number FIRST until the file `ENOUGH` is there, CHUNK to a commit), `wave later SEED
//! PAUSE` (asks for most of them to come again later), `wave rash SEED PAUSE` (ends its process at some of them), `wave transact
//! SEED PAUSE` (by transactions of its own, from all of its inputs), `wave pass SEED PAUSE` (to its
//! outputs in turn), `wave tally SEED PAUSE` (the same, and adds to a shared counter), `wave nack SEED PAUSE` (the same, and
//! fails some once or twice), `wave round SEED PAUSE` (sends most of them back to its own queue, up to three times), `wave circle
//! SEED PAUSE` (sends some of them round a loop, by the output whose name begins with `l`), `wave hop SEED PAUSE` (the other stage of
//! that loop, which counts the round), `wave poison SEED PAUSE` (the same, and fails some until `MENDED` is there), `wave relay SEED
//! PAUSE` (the same with plain handles, up to 64 at a time),
//! `wave keep SEED PAUSE` (a line `NUMBER BYTES KEY` for each in the file `KEPT`), `wave hold` (with an item, until `ENOUGH`
//! is there; it writes down when it began). PAUSE is in microseconds per item.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use brigade_tests::{Dice, Item, goes_round_in_storm, hops_in_storm, monotonic_ns, size_in_storm};
use brigade_worker::{
    Context, ExactFile, Exit, Misconfigured, Output, RecvError, Result, RetryAfter, Worker, run, source, work,
};

fn main() -> Exit {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words.as_slice() {
        ["emit", seed, chunk, pause] => {
            source(|out: &mut Output<Item>| emit(out, number(seed), number(chunk), number(pause), 0))
        }
        ["emit", seed, chunk, pause, first] => {
            source(|out: &mut Output<Item>| emit(out, number(seed), number(chunk), number(pause), number(first)))
        }
        ["transact", seed, pause] => work(|ctx: &Context| transact(ctx, number(seed), number(pause))),
        [
            mode @ ("pass" | "tally" | "nack" | "poison" | "later" | "rash" | "round" | "circle" | "hop"),
            seed,
            pause,
        ] => run(|item: Item, out: &mut Output<Item>| pass(item, out, mode, number(seed), number(pause))),
        ["relay", seed, pause] => work(|ctx: &Context| relay(ctx, number(seed), number(pause))),
        ["keep", ..] => Keep::main(),
        ["hold"] => run(hold),
        _ => work(|_: &Context| Err::<(), _>(Misconfigured::new("see the head of wave.rs"))),
    }
}

fn path(variable: &str) -> PathBuf {
    std::env::var_os(variable).unwrap_or_else(|| panic!("{variable} is not set")).into()
}

fn nap(microseconds: u64) {
    if microseconds > 0 {
        std::thread::sleep(Duration::from_micros(microseconds));
    }
}

fn emit(out: &mut Output<Item>, seed: u64, chunk: u64, pause: u64, first: u64) -> Result {
    let enough = path("ENOUGH");
    let mut next: u64 = out.restore()?.unwrap_or(first);
    while !enough.exists() && !out.ctx().stop_requested() {
        for n in next..next + chunk {
            out.send(Item::new(n, size_in_storm(seed, n)))?;
        }
        next += chunk;
        out.checkpoint(&next)?;
        nap(pause * chunk);
    }
    Ok(())
}

/// An item that is not what the source made ends the process with words: the storm finds them in the log.
fn check(item: &Item, seed: u64) -> Result {
    let is_right = item.is_whole() && item.bytes.len() == size_in_storm(seed, item.n);
    assert!(is_right, "item {} has {} bytes and is not whole", item.n, item.bytes.len());
    Ok(())
}

fn pass(mut item: Item, out: &mut Output<Item>, mode: &str, seed: u64, pause: u64) -> Result {
    check(&item, seed)?;
    nap(pause);
    let is_first = out.deliveries() == Some(1);
    if mode == "later" && is_first && fate(seed, item.n, 10) > 0 {
        return Err(RetryAfter::new(Duration::from_millis(fate(seed, item.n, 40)), "not yet").into());
    }
    if mode == "rash" && is_first {
        match fate(seed, item.n, 400) {
            0 => std::process::exit(0),
            1 => std::process::abort(),
            _ => {}
        }
    }
    let fails = match mode {
        "nack" if fate(seed, item.n, 100) < 2 => u64::from(out.deliveries().unwrap_or(1)) <= 1 + fate(seed, item.n, 2),
        "poison" if item.n < POISONED && fate(seed, item.n, 100) == 0 => !path("MENDED").exists(),
        _ => false,
    };
    if fails {
        return Err(format!("item {} cannot be done yet", item.n).into());
    }
    if mode == "tally" {
        out.counter("items").add(1)?;
        out.counter("numbers").add(item.n as i64)?;
    }
    let goes_back =
        item.hops < hops_in_storm(seed, item.n) && (mode == "round" || mode == "circle" && goes_round_in_storm(item.n));
    if mode == "hop" || mode == "round" && goes_back {
        item.hops += 1;
    }
    let inputs: Vec<String> = out.ctx().inputs().map(str::to_owned).collect();
    let is_loop = |name: &String| name.starts_with('l') || inputs.contains(name);
    let outputs = out.ctx().outputs().map(str::to_owned).filter(|name| is_loop(name) == goes_back);
    let outputs: Vec<String> = outputs.collect();
    Ok(out.to(&outputs[item.n as usize % outputs.len()]).send(item)?)
}

/// Exactly once, whatever is killed: what is sent and what it came from are one transaction.
fn transact(ctx: &Context, seed: u64, pause: u64) -> Result {
    let inputs = ctx.inputs().map(|name| ctx.receiver::<Item>(name)).collect::<std::result::Result<Vec<_>, _>>()?;
    let outputs: Vec<String> = ctx.outputs().map(str::to_owned).collect();
    let mut tx = ctx.transaction()?;
    for most in [1, 5, 20].into_iter().cycle() {
        let (mut taken, mut ended) = (0, 0);
        for input in &inputs {
            // The first item of a transaction is waited for; more are taken if they are there.
            let wait = Duration::from_millis(if taken == 0 { 10 } else { 0 });
            loop {
                let delivery = match input.recv_timeout(wait) {
                    Ok(delivery) => delivery,
                    Err(RecvError::Ended) => {
                        ended += 1;
                        break;
                    }
                    // All of a small queue, or the last of a closed one, may be in hand: nothing comes before the commit.
                    Err(RecvError::Timeout | RecvError::HoldsAll { .. }) => break,
                    Err(RecvError::Stopped) => return Ok(()),
                    Err(error) => return Err(error.into()),
                };
                check(&delivery, seed)?;
                nap(pause);
                let output = &outputs[delivery.n as usize % outputs.len()];
                if let Err(refused) = tx.to(output).send(delivery.clone()) {
                    // More than the queue can hold at once: what is there goes out first.
                    tx.commit()?;
                    tx.to(output).send(refused.into_inner())?;
                }
                tx.ack(delivery);
                taken += 1;
                if taken >= most {
                    break;
                }
            }
        }
        tx.commit()?;
        if ended == inputs.len() {
            return Ok(());
        }
    }
    Ok(())
}

/// Behind this one no item is poison: thousands of dead letters would be all that is left of a long storm.
const POISONED: u64 = 20_000;

/// A number below `end` that an item has whoever asks.
fn fate(seed: u64, n: u64, end: u64) -> u64 {
    Dice::new(!seed ^ n.wrapping_mul(0x9FB2_1C65_1E98_DF25)).below(end)
}

/// Nothing is lost: acked is what was sent. But what was sent, and not acked yet, is sent again after a death.
fn relay(ctx: &Context, seed: u64, pause: u64) -> Result {
    let input = ctx.inputs().next().expect("an input").to_owned();
    let items = ctx.receiver::<Item>(&input)?;
    let outputs = ctx.outputs().map(|name| ctx.sender::<Item>(name)).collect::<std::result::Result<Vec<_>, _>>()?;
    for most in [1, 7, 64].into_iter().cycle() {
        let run = match items.recv_many(most) {
            Ok(run) => run,
            Err(RecvError::Ended | RecvError::Stopped) => break,
            Err(error) => return Err(error.into()),
        };
        for item in run.iter() {
            check(item, seed)?;
            nap(pause);
        }
        for (to, output) in outputs.iter().enumerate() {
            let its = run.iter().filter(|item| item.n as usize % outputs.len() == to);
            output.send_many(&its.cloned().collect::<Vec<Item>>())?;
        }
        run.ack();
    }
    Ok(())
}

struct Keep {
    file: ExactFile,
    seed: u64,
    pause: u64,
}

impl Worker for Keep {
    type Item = Item;
    type Output = ();

    fn build(_: &Context) -> Result<Self> {
        let number = |nth| std::env::args().nth(nth).and_then(|text| text.parse().ok()).expect("a number");
        Ok(Self { file: ExactFile::open(path("KEPT"))?, seed: number(2), pause: number(3) })
    }

    fn handle(&mut self, item: Item, out: &mut Output<()>) -> Result {
        check(&item, self.seed)?;
        nap(self.pause);
        let key = out.item_key().ok_or("no item is in hand")?;
        self.file.append(format!("{} {} {key}\n", item.n, item.bytes.len()).as_bytes(), out)
    }

    fn finish(&mut self, out: &mut Output<()>) -> Result {
        self.file.finish(out)
    }
}

fn hold(item: Item, out: &mut Output<()>) -> Result {
    let line = format!("{} {} {}\n", item.n, std::process::id(), monotonic_ns());
    let mut file = OpenOptions::new().create(true).append(true).open(path("KEPT"))?;
    file.write_all(line.as_bytes())?;
    let enough = path("ENOUGH");
    while !enough.exists() && out.ctx().sleep(Duration::from_millis(2)) {}
    Ok(())
}
