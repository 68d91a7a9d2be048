//! Workers of the SDK that misbehave in one way each, most of them on certain items.
//!
//! `misfit MODE [N]`: `panic N` (on item N), `panic-extern N` (in a function that cannot unwind), `panic-twice N` (again while it unwinds), `panic-at-work` (outside of a handler), `fail N`, `fail-once N` (its first delivery), `fail-until N` (until the file $MENDED is there), `fail-twice N` (its
//! first two deliveries; notes when each of them is), `retry-after N MS` (its first delivery, and says when to come again), `die N` (SIGKILL to itself), `die-pair N` (at N and N + 1), `fail-all`,
//! `die-once N`, `leave N` (ends with 0 after N items), `sleep` (in the handler, deaf to all stops), `deaf N` (the same, and deaf to SIGABRT),
//! `heed N` (sleeps until it is told to stop with the item, and fails), `crash` (exits 1 once
//! it is ready), `stop-late` (a source that does not look at its stop flag), `misconfigured`, `scribble PATH SEED` (writes
//! garbage over the file, again and again, while others work), `cut PATH N` (makes it N bytes long), `grow N` (keeps N MiB of
//! memory with each item), `exit N CODE` (calls exit in the handler of item N), `exit-holding N CODE` (takes items by itself, and
//! calls exit with item N in hand), `exit-source N CODE` (sends N items and calls exit), `resend N` (sends N items and fails),
//! `drop-rest N` (ends in order with a delivery that was not dealt with), `outage N` (item N fails by an outage until the file
//! $MENDED is there), `fail-build N` (the first N runs cannot be built), `lose-exit` (hands on, and ends with 0 whatever the SDK says).

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brigade_protocol::shm::clock;
use brigade_tests::{Item, crash_only_in_the_first_run, note};
use brigade_worker::{Context, Exit, Misconfigured, Outage, Output, RetryAfter, run, source, work};
use nix::sys::signal::{SigSet, Signal, raise};

fn main() -> Exit {
    crash_only_in_the_first_run();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args.first().cloned().unwrap_or_default();
    if mode == "deaf" {
        // Before there are other threads, which inherit it.
        SigSet::from(Signal::SIGABRT).thread_block().expect("a signal can be blocked");
    }
    let number = |index| args.get(index).and_then(|n: &String| n.parse().ok()).unwrap_or(0);
    let (n, more): (u64, u64) = (number(1), number(2));
    match mode.as_str() {
        "panic-at-work" => work(|_: &Context| -> brigade_worker::Result { panic!("there is no list") }),
        "crash" => work(|_: &Context| Err::<(), _>("this worker always fails")),
        "misconfigured" => work(|_: &Context| Err::<(), _>(Misconfigured::new("there is no such bucket"))),
        "stop-late" => work(|_: &Context| {
            note("deaf", 0);
            for_ever()
        }),
        "lose-exit" => {
            let _ = run(move |item: Item, out: &mut Output<Item>| handle(&mode, n, more, item, out));
            exit(0)
        }
        "exit-holding" => work(|ctx: &Context| exit_holding(ctx, n, more)),
        "exit-source" => source(|out: &mut Output<Item>| -> brigade_worker::Result {
            (0..n).try_for_each(|n| out.send(Item::new(n, 0)))?;
            exit(more)
        }),
        "resend" => source(|out: &mut Output<Item>| {
            (0..n).try_for_each(|n| out.send(Item::new(n, 0)))?;
            Err::<(), brigade_worker::Error>("this source always fails".into())
        }),
        "drop-rest" => work(|ctx: &Context| drop_rest(ctx, n)),
        "fail-build" => work(|ctx: &Context| fail_build(ctx, n)),
        "leave" => work(|ctx: &Context| leave(ctx, n)),
        "scribble" => work(|ctx: &Context| scribble(ctx, Path::new(&args[1]), args[2].parse()?)),
        "cut" => work(|ctx: &Context| cut(ctx, Path::new(&args[1]), args[2].parse()?)),
        "grow" => run(move |item: Item, _: &mut Output<()>| {
            // Written to, or it would take no memory.
            std::mem::forget(vec![1u8; usize::try_from(n << 20)?]);
            note("kept", item.n);
            Ok::<_, brigade_worker::Error>(())
        }),
        _ => run(move |item: Item, out: &mut Output<Item>| handle(&mode, n, more, item, out)),
    }
}

fn handle(mode: &str, n: u64, more: u64, item: Item, out: &mut Output<Item>) -> brigade_worker::Result {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    let first_run = out.ctx().incarnation() == 1;
    note("met", item.n);
    if let (Some(path), Some(key)) = (std::env::var_os("KEYS"), out.item_key()) {
        let line = format!("{} {key}\n", std::env::var("BRIGADE_WORKER")?);
        OpenOptions::new().append(true).create(true).open(path)?.write_all(line.as_bytes())?;
    }
    if mode == "fail-all" {
        return Err("no item can be done".into());
    }
    if item.n == n || (mode == "die-pair" && item.n == n + 1) {
        let seen = SEEN.fetch_add(1, Ordering::Relaxed);
        if matches!(mode, "fail" | "fail-twice" | "retry-after") {
            note("tried", clock() / 1_000_000);
        }
        match mode {
            "panic" => panic!("item {n} is poison"),
            "panic-extern" => cannot_unwind(n),
            "panic-twice" => {
                let _second = Second;
                panic!("item {n} is poison")
            }
            "fail" => return Err(format!("item {n} cannot be done").into()),
            "fail-once" if seen == 0 && first_run => return Err(format!("item {n} cannot be done yet").into()),
            "fail-twice" if out.deliveries() < Some(3) => return Err(format!("item {n} cannot be done yet").into()),
            "fail-until" if !mended() => return Err(format!("item {n} cannot be done yet").into()),
            "retry-after" if out.deliveries() == Some(1) => {
                return Err(RetryAfter::new(Duration::from_millis(more), format!("item {n} is not there yet")).into());
            }
            "die" | "die-pair" => raise(Signal::SIGKILL)?,
            "die-once" if first_run => raise(Signal::SIGKILL)?,
            "exit" => exit(more),
            "outage" if !mended() => return Err(Outage::new("the database does not answer").into()),
            "sleep" | "deaf" => return for_ever(),
            "heed" => {
                while out.ctx().sleep(Duration::MAX) {}
                return Err(format!("item {n} takes too long").into());
            }
            _ => {}
        }
    }
    if out.ctx().outputs().next().is_some() {
        out.send(item.clone())?;
    }
    note("kept", item.n);
    Ok(())
}

extern "C" fn cannot_unwind(n: u64) {
    panic!("item {n} is poison");
}

/// Panics when it is dropped.
struct Second;

impl Drop for Second {
    fn drop(&mut self) {
        panic!("and so is its end");
    }
}

/// Whether the file that the variable MENDED names is there.
fn mended() -> bool {
    std::env::var_os("MENDED").is_some_and(|file| std::path::Path::new(&file).exists())
}

fn exit(code: u64) -> ! {
    std::process::exit(i32::try_from(code).expect("a code"))
}

fn exit_holding(ctx: &Context, n: u64, code: u64) -> brigade_worker::Result {
    let input = ctx.inputs().next().expect("an input").to_owned();
    let items = ctx.receiver::<Item>(&input)?;
    for item in items.iter() {
        note("met", item.n);
        if item.n == n {
            exit(code);
        }
        note("kept", item.n);
        item.ack();
    }
    Ok(())
}

/// Takes `n` items, acks all but the last, and returns with that in hand.
fn drop_rest(ctx: &Context, n: u64) -> brigade_worker::Result {
    let input = ctx.inputs().next().expect("an input").to_owned();
    let items = ctx.receiver::<Item>(&input)?;
    let mut taken = items.iter().take(usize::try_from(n)?);
    let last = taken.next();
    for item in taken {
        note("kept", item.n);
        item.ack();
    }
    drop(last);
    Ok(())
}

fn fail_build(ctx: &Context, n: u64) -> brigade_worker::Result {
    if u64::from(ctx.incarnation()) <= n {
        return Err("the database does not answer".into());
    }
    let input = ctx.inputs().next().expect("an input").to_owned();
    let items = ctx.receiver::<Item>(&input)?;
    for item in items.iter() {
        note("kept", item.n);
        item.ack();
    }
    Ok(())
}

fn leave(ctx: &Context, n: u64) -> brigade_worker::Result {
    let input = ctx.inputs().next().expect("an input").to_owned();
    let items = ctx.receiver::<Item>(&input)?;
    for item in items.iter().take(usize::try_from(n)?) {
        note("kept", item.n);
        item.ack();
    }
    Ok(())
}

/// Garbage in the words that all who use the file go by, behind its head of 512 bytes.
fn scribble(ctx: &Context, path: &Path, seed: u64) -> brigade_worker::Result {
    let file = victim(path)?;
    let mut dice = seed;
    while !ctx.stop_requested() {
        for _ in 0..64 {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            file.write_all_at(&dice.rotate_left(17).to_le_bytes(), 512 + (dice >> 33) % 8000 / 8 * 8)?;
        }
        note("scribbled", 0);
    }
    Ok(())
}

fn cut(ctx: &Context, path: &Path, len: u64) -> brigade_worker::Result {
    victim(path)?.set_len(len)?;
    note("cut", 0);
    while ctx.sleep(std::time::Duration::from_secs(1)) {}
    Ok(())
}

/// The file, once items flow.
fn victim(path: &Path) -> std::io::Result<File> {
    let ledger = std::env::var("LEDGER").expect("a ledger");
    while !std::fs::read_to_string(&ledger).is_ok_and(|text| text.contains("kept")) {
        std::thread::yield_now();
    }
    OpenOptions::new().write(true).open(path)
}

fn for_ever() -> brigade_worker::Result {
    loop {
        std::thread::park();
    }
}
