//! Workers that behave: they make, hand on and keep items. Without them there would be nothing to disturb.
//!
//! `bucket emit N [BYTES]`, `bucket emit-after FILE N` (when FILE is there), `bucket emit-then-wait N` (then does not end; the next run makes no more), `bucket drip` (for ever), `bucket pass`, `bucket tally` (passes, and changes shared state), `bucket keep`, `bucket hold FILE` (waits with each
//! item until FILE is there), `bucket hold-first FILE` (only with item 0, and hands on), `bucket spread N` (N results of each item), `bucket bounce TIMES` (a loop: an item goes round so often), `bucket round TIMES FILE` (the same by queue `round` and then to `done`, when FILE is there), `bucket serve` (no queues),
//! `bucket mark-at-stop WORD` (a source that makes its only checkpoint when it is told to stop),
//! `bucket join` (pairs of `left` and `right`, in transactions), `bucket join-left FILE` (the same, until the end of `left`; leaves its pid in FILE),
//! `bucket emit-beside FILE N` (then ends when the process whose pid is in FILE has ended), `bucket relay` and
//! `bucket relay-runs` (pass with plain handles, one by one and eight at a time), `bucket emit-runs N` (eight at a time), `bucket babble N` (bytes that are no items), `bucket emit-floats N`, `bucket keep-float`, `bucket names FOLDER` (the paths in it), `bucket keep-sizes`, `bucket emit-exact FIRST N [FILE]` (so many from number FIRST, of
//! $ITEM_BYTES, each with a checkpoint, when FILE is there), `bucket emit-share FILE N` (those of N that are the worker's by its number, each with a checkpoint, the second half when FILE is there),
//! `bucket emit-half-after FILE N` (half of N by each of two workers, by the second when FILE is there), `bucket keep-exact FILE` (a line with its number for each item in an exact file; %r and %t in its name are the replica and the thread).

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use brigade_tests::{Item, crash_only_in_the_first_run, note};
use brigade_worker::{
    Context, ExactFile, Exit, Misconfigured, Output, Receiver, RecvError, Worker, run, sink, source, work,
};

fn main() -> Exit {
    crash_only_in_the_first_run();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let number = |text: &str| text.parse::<u64>().expect("a number");
    match words.as_slice() {
        ["emit", n] => source(|out: &mut Output<Item>| emit(out, number(n), 0)),
        ["emit", n, bytes] => source(|out: &mut Output<Item>| emit(out, number(n), number(bytes) as usize)),
        ["emit-after", file, n] => source(|out: &mut Output<Item>| {
            while !Path::new(file).exists() && out.ctx().sleep(Duration::from_millis(5)) {}
            emit(out, number(n), 0)
        }),
        ["emit-then-wait", n] => source(|out: &mut Output<Item>| emit_then_wait(number(n), out)),
        ["emit-exact", first, n] => source(|out: &mut Output<Item>| emit_exact(out, number(first), number(n))),
        ["emit-exact", first, n, file] => source(|out: &mut Output<Item>| {
            while !Path::new(file).exists() && out.ctx().sleep(Duration::from_millis(5)) {}
            emit_exact(out, number(first), number(n))
        }),
        ["emit-share", file, n] => source(|out: &mut Output<Item>| emit_share(out, Path::new(file), number(n))),
        ["emit-half-after", file, n] => {
            source(|out: &mut Output<Item>| emit_half_after(out, Path::new(file), number(n)))
        }
        ["keep-exact", _] => KeepExact::main(),
        ["mark-at-stop", _] => source(|out: &mut Output<Item>| {
            while out.ctx().sleep(Duration::from_secs(1)) {}
            out.checkpoint(&1u64)
        }),
        ["drip"] => source(|out: &mut Output<Item>| emit(out, u64::MAX, 0)),
        ["pass"] => run(pass),
        ["tally"] => run(tally),
        ["keep"] => sink(keep),
        ["hold", file] => run(|item: Item, out: &mut Output<Item>| hold(Path::new(file), &item, out)),
        ["hold-first", file] => run(|item: Item, out: &mut Output<Item>| {
            if item.n == 0 {
                hold(Path::new(file), &item, out)?
            }
            pass(item, out)
        }),
        ["spread", n] => run(|item: Item, out: &mut Output<Item>| {
            let results = item.n * 1000..item.n * 1000 + number(n);
            results.into_iter().try_for_each(|n| Ok::<_, brigade_worker::Error>(out.send(Item::new(n, 0))?))
        }),
        ["bounce", times] => run(|item: Item, out: &mut Output<Item>| bounce(number(times), &item, out)),
        ["round", times, file] => run(|item: Item, out: &mut Output<Item>| {
            while !Path::new(file).exists() && out.ctx().sleep(Duration::from_millis(5)) {}
            round(number(times), &item, out)
        }),
        ["relay"] => work(relay),
        ["join"] => work(join),
        ["join-left", file] => work(|ctx: &Context| {
            join_left(ctx, &ctx.receiver("right")?)?;
            let own = format!("{file}.new");
            std::fs::write(&own, std::process::id().to_string())?;
            Ok::<_, brigade_worker::Error>(std::fs::rename(own, file)?)
        }),
        ["emit-beside", file, n] => source(|out: &mut Output<Item>| {
            emit(out, number(n), 0)?;
            while !has_ended(file) && out.ctx().sleep(Duration::from_millis(2)) {}
            Ok::<_, brigade_worker::Error>(())
        }),
        ["relay-runs"] => work(relay_runs),
        ["emit-runs", n] => work(|ctx: &Context| emit_runs(ctx, number(n))),
        ["emit-floats", n] => source(|out: &mut Output<f64>| {
            (0..number(n)).try_for_each(|n| Ok::<_, brigade_worker::Error>(out.send(n as f64)?))
        }),
        ["keep-float"] => sink(|mean: f64| -> brigade_worker::Result {
            note("mean", mean.to_bits());
            Ok(())
        }),
        ["names", folder] => source(|out: &mut Output<OsString>| {
            for entry in std::fs::read_dir(folder)? {
                out.send(entry?.path().into_os_string())?;
            }
            Ok::<_, brigade_worker::Error>(())
        }),
        ["keep-sizes"] => sink(|(_, bytes): (OsString, u64)| -> brigade_worker::Result {
            note("measured", bytes);
            Ok(())
        }),
        ["serve"] => work(serve),
        ["babble", n] => work(|ctx: &Context| babble(ctx, number(n))),
        _ => work(|_: &Context| Err::<(), _>(Misconfigured::new("see the head of bucket.rs"))),
    }
}

fn emit(out: &mut Output<Item>, n: u64, bytes: usize) -> brigade_worker::Result {
    for n in 0..n {
        if out.ctx().stop_requested() {
            break;
        }
        out.send(Item::new(n, bytes))?;
        note("sent", n);
    }
    Ok(())
}

/// Goes on behind what was committed, whoever was killed.
fn emit_exact(out: &mut Output<Item>, first: u64, n: u64) -> brigade_worker::Result {
    let next: u64 = out.restore()?.unwrap_or(first);
    let bytes = std::env::var("ITEM_BYTES").map_or(0, |text| text.parse().expect("a number"));
    for n in next..first + n {
        if out.ctx().stop_requested() {
            break;
        }
        out.send(Item::new(n, bytes))?;
        out.checkpoint(&(n + 1))?;
    }
    Ok(())
}

/// Those of `n` that are this worker's by its number, each with a checkpoint; the second half when the file is there.
fn emit_share(out: &mut Output<Item>, file: &Path, all: u64) -> brigade_worker::Result {
    let (replica, replicas) = (u64::from(out.ctx().replica()), u64::from(out.ctx().replicas()));
    for n in out.restore()?.unwrap_or(0)..all {
        while n >= all / 2 && !file.exists() && out.ctx().sleep(Duration::from_millis(5)) {}
        if out.ctx().stop_requested() {
            break;
        }
        if n % replicas == replica {
            out.send(Item::new(n, 0))?;
        }
        out.checkpoint(&(n + 1))?;
    }
    Ok(())
}

/// The first half of `n` by worker 0, the other one by worker 1 when the file is there.
fn emit_half_after(out: &mut Output<Item>, file: &Path, n: u64) -> brigade_worker::Result {
    let is_first = out.ctx().replica() == 0;
    while !is_first && !file.exists() {
        if !out.ctx().sleep(Duration::from_millis(5)) {
            return Ok(());
        }
    }
    let (from, to) = if is_first { (0, n / 2) } else { (n / 2, n) };
    (from..to).try_for_each(|n| Ok(out.send(Item::new(n, 0))?))
}

struct KeepExact(ExactFile);

impl Worker for KeepExact {
    type Item = Item;
    type Output = ();

    fn build(ctx: &Context) -> brigade_worker::Result<Self> {
        let file = std::env::args().nth(2).expect("a file");
        let file = file.replace("%r", &ctx.replica().to_string()).replace("%t", &ctx.thread().to_string());
        Ok(Self(ExactFile::open(file)?))
    }

    fn handle(&mut self, item: Item, out: &mut Output<()>) -> brigade_worker::Result {
        assert!(item.is_whole(), "item {} is not whole", item.n);
        self.0.append(format!("{}\n", item.n).as_bytes(), out)
    }

    fn finish(&mut self, out: &mut Output<()>) -> brigade_worker::Result {
        self.0.finish(out)
    }
}

fn emit_then_wait(n: u64, out: &mut Output<Item>) -> brigade_worker::Result {
    let emitted = Path::new("emitted");
    if !emitted.exists() {
        emit(out, n, 0)?;
        std::fs::write(emitted, "")?;
    }
    while out.ctx().sleep(Duration::from_secs(1)) {}
    Ok(())
}

fn pass(item: Item, out: &mut Output<Item>) -> brigade_worker::Result {
    let n = item.n;
    out.send(item)?;
    note("passed", n);
    Ok(())
}

/// As `pass`, with plain handles: what it hands on and what it took are two steps.
fn relay(ctx: &Context) -> brigade_worker::Result {
    let (raw, done) = (ctx.receiver::<Item>("raw")?, ctx.sender::<Item>("done")?);
    for item in raw.iter() {
        done.send(item.clone())?;
        note("passed", item.n);
        item.ack();
    }
    Ok(())
}

/// Takes one item of each side, and sends a pair that matches as its item, another pair as `u64::MAX`. Ends when the left
/// side does.
fn join_left(ctx: &Context, right: &Receiver<Item>) -> brigade_worker::Result {
    let left = ctx.receiver::<Item>("left")?;
    let mut tx = ctx.transaction()?;
    for one in left.iter() {
        let (one, other) = (tx.ack(one), tx.ack(right.recv()?));
        let n = if one.n == other.n { one.n } else { u64::MAX };
        tx.to("done").send(Item::new(n, 0))?;
        tx.counter("pairs").add(1)?;
        tx.commit()?;
    }
    Ok(())
}

/// As `join_left`, and reads the right side to its end: an item without a partner is an error.
fn join(ctx: &Context) -> brigade_worker::Result {
    let right = ctx.receiver::<Item>("right")?;
    join_left(ctx, &right)?;
    match right.recv() {
        Ok(other) => Err(format!("item {} of the right has no partner", other.n).into()),
        Err(RecvError::Ended | RecvError::Stopped) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the file is there, and the process whose pid is in it is not.
fn has_ended(file: &str) -> bool {
    std::fs::read_to_string(file).is_ok_and(|pid| !Path::new("/proc").join(pid).exists())
}

/// As `relay`, eight at a time.
fn relay_runs(ctx: &Context) -> brigade_worker::Result {
    let (raw, done) = (ctx.receiver::<Item>("raw")?, ctx.sender::<Item>("done")?);
    loop {
        match raw.recv_many(8) {
            Ok(items) => {
                done.send_many(&items)?;
                items.iter().for_each(|item| note("passed", item.n));
                items.ack();
            }
            Err(RecvError::Ended | RecvError::Stopped) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
    }
}

fn emit_runs(ctx: &Context, n: u64) -> brigade_worker::Result {
    let raw = ctx.sender::<Item>("raw")?;
    for first in (0..n).step_by(8) {
        let items: Vec<Item> = (first..n.min(first + 8)).map(|n| Item::new(n, 0)).collect();
        raw.send_many(&items)?;
    }
    Ok(())
}

/// As `pass`, and changes shared state with the item.
fn tally(item: Item, out: &mut Output<Item>) -> brigade_worker::Result {
    let n = item.n;
    out.list::<u64>("seen").push(&n)?;
    out.map::<u64, i64>("last digits").add(&(n % 10), 1)?;
    out.counter("sum").add(n as i64)?;
    out.send(item)?;
    Ok(())
}

fn keep(item: Item) -> brigade_worker::Result {
    assert!(item.is_whole(), "item {} is not whole", item.n);
    note("kept", item.n);
    Ok(())
}

fn hold(file: &Path, item: &Item, out: &mut Output<Item>) -> brigade_worker::Result {
    note("held", item.n);
    while !file.exists() {
        if !out.ctx().sleep(Duration::from_millis(5)) {
            return Err("told to stop".into());
        }
    }
    note("kept", item.n);
    Ok(())
}

fn bounce(times: u64, item: &Item, out: &mut Output<Item>) -> brigade_worker::Result {
    note("bounced", item.n);
    let next = item.n + 1000;
    if next / 1000 < times {
        out.send(Item::new(next, 0))?
    } else {
        note("landed", item.n % 1000)
    }
    Ok(())
}

/// The item goes through `round` so often, and then to `done`.
fn round(times: u64, item: &Item, out: &mut Output<Item>) -> brigade_worker::Result {
    let next = if item.n / 1000 < times { ("round", item.n + 1000) } else { ("done", item.n % 1000) };
    Ok(out.to(next.0).send(Item::new(next.1, 0))?)
}

fn serve(ctx: &Context) -> brigade_worker::Result {
    note("serving", 0);
    while ctx.sleep(Duration::from_secs(1)) {}
    note("served", 0);
    Ok(())
}

fn babble(ctx: &Context, n: u64) -> brigade_worker::Result {
    let out = ctx.raw_sender(ctx.outputs().next().expect("an output"))?;
    for n in 0..n {
        out.send(format!("no item {n}").as_bytes())?;
    }
    Ok(())
}
