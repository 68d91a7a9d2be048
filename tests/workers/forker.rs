//! Workers that fork, and whose copies do not end by themselves.
//!
//! `forker handle EVERY`: a handler whose copies return `Ok`, for each item whose number is a multiple of EVERY; `forker fail EVERY`: they
//! return an error; `forker panic EVERY`: they panic; `forker plain EVERY`: plain handles, of which the copies try each; `forker source N`: a source
//! with checkpoints that forks before each item; `forker leave EVERY`: a handler whose copies stay until they get SIGTERM.
//!
//! The worker notes `copied` with the exit code of each copy (128 and more for a signal), a copy notes `refused` with the number
//! of calls that were refused as they have to be, and `taken` for each that was not.
#![expect(unsafe_code, reason = "forks")]

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use brigade_tests::{Item, note};
use brigade_worker::{
    CheckpointError, Context, Delivery, ExactFile, Exit, Output, Receiver, RecvError, Refusal, Sender,
};
use brigade_worker::{SharedError, Transaction, run, source, work};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, fork};

fn main() -> Exit {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mode = args[0].clone();
    let number: u64 = args[1].parse().expect("a number");
    match mode.as_str() {
        "plain" => work(move |ctx: &Context| plain(ctx, number)),
        "source" => source(move |out: &mut Output<Item>| make(number, out)),
        _ => run(move |item: Item, out: &mut Output<Item>| handle(&mode, number, item, out)),
    }
}

/// Whether this is the copy. The worker waits for the end of the copy.
fn copied() -> nix::Result<bool> {
    match fork_here()? {
        None => Ok(true),
        Some(copy) => {
            wait_for(copy)?;
            Ok(false)
        }
    }
}

fn fork_here() -> nix::Result<Option<Pid>> {
    // SAFETY: these workers have one thread.
    match unsafe { fork() }? {
        ForkResult::Child => Ok(None),
        ForkResult::Parent { child } => Ok(Some(child)),
    }
}

fn wait_for(copy: Pid) -> nix::Result<()> {
    match waitpid(copy, None)? {
        WaitStatus::Exited(_, code) => note("copied", code as u64),
        WaitStatus::Signaled(_, signal, _) => note("copied", 128 + signal as u64),
        other => panic!("{other:?} is no end"),
    }
    Ok(())
}

fn handle(mode: &str, every: u64, item: Item, out: &mut Output<Item>) -> brigade_worker::Result {
    static SEEN: AtomicU64 = AtomicU64::new(0);
    SEEN.fetch_add(1, Ordering::Relaxed);
    if item.n.is_multiple_of(every) {
        if mode == "leave" {
            leave(out)?;
        } else if copied()? {
            return match mode {
                "fail" => Err("the copy fails".into()),
                "panic" => panic!("the copy panics"),
                _ => {
                    expect_refusals(out)?;
                    Ok(())
                }
            };
        }
    }
    note("handed", item.n);
    Ok(out.send(item)?)
}

/// A copy that sleeps until SIGTERM, which the worker sends it.
fn leave(out: &mut Output<Item>) -> brigade_worker::Result {
    let (mut reader, writer) = std::io::pipe()?;
    match fork_here()? {
        None => {
            drop(writer);
            note("sleeps", 0);
            while out.ctx().sleep(Duration::from_secs(3600)) {}
            note("woke", 0); // Only if the copy heard the signal as the worker would.
            std::process::exit(0);
        }
        Some(copy) => {
            drop(writer);
            // The copy has let go of its end as well, and is about to sleep.
            std::io::copy(&mut reader, &mut std::io::sink())?;
            kill(copy, Signal::SIGTERM)?;
            Ok(wait_for(copy)?)
        }
    }
}

/// All that a copy of a handler may try.
fn expect_refusals(out: &mut Output<Item>) -> brigade_worker::Result {
    let mut refused = Refused::default();
    refused.see(matches!(out.send(Item::new(0, 0)).map_err(|error| error.reason), Err(Refusal::ForkedCopy)));
    refused.see(matches!(out.checkpoint(&7), Err(CheckpointError::Refused(Refusal::ForkedCopy))));
    refused.see(matches!(out.counter("copies").add(1), Err(SharedError::ForkedCopy)));
    refused.see(matches!(out.ctx().counter("copies").add(1), Err(SharedError::ForkedCopy)));
    refused.see(matches!(out.ctx().list::<u8>("copies").push(&1), Err(SharedError::ForkedCopy)));
    refused.see(out.ctx().sender::<Item>("done").is_err());
    refused.see(ExactFile::open("copied.txt").is_err() && !std::path::Path::new("copied.txt").exists());
    refused.tell();
    Ok(())
}

#[derive(Default)]
struct Refused(u64);

impl Refused {
    fn see(&mut self, is_refused: bool) {
        if is_refused { self.0 += 1 } else { note("taken", self.0) }
    }

    fn tell(self) {
        note("refused", self.0);
    }
}

fn plain(ctx: &Context, every: u64) -> brigade_worker::Result {
    let (raw, done) = (ctx.receiver::<Item>("raw")?, ctx.sender::<Item>("done")?);
    let mut tx = ctx.transaction()?;
    while let Ok(item) = raw.recv() {
        let others = if item.n.is_multiple_of(every) { Some(raw.try_recv_many(3)) } else { None };
        if others.is_some() && copied()? {
            return refused_plain(item, &raw, &done, &mut tx, every);
        }
        for item in others.into_iter().flatten().flatten() {
            note("handed", item.n);
            done.send(item.ack())?;
        }
        note("handed", item.n);
        done.send(item.ack())?;
    }
    Ok(())
}

fn refused_plain<'r>(
    item: Delivery<'r, Item>,
    raw: &'r Receiver<Item>,
    done: &Sender<Item>,
    tx: &mut Transaction<'r>,
    every: u64,
) -> brigade_worker::Result {
    let mut refused = Refused::default();
    refused.see(matches!(raw.recv(), Err(RecvError::ForkedCopy)));
    refused.see(matches!(raw.try_recv(), Err(RecvError::ForkedCopy)));
    refused.see(matches!(raw.recv_many(3), Err(RecvError::ForkedCopy)));
    refused.see(matches!(raw.try_recv_many(3), Err(RecvError::ForkedCopy)));
    refused.see(matches!(done.send(item.clone()).map_err(|error| error.reason), Err(Refusal::ForkedCopy)));
    refused.see(matches!(done.try_send(item.clone()).map_err(|error| error.reason), Err(Refusal::ForkedCopy)));
    refused.see(matches!(
        done.send_many(std::slice::from_ref(&*item)).map_err(|error| error.reason),
        Err(Refusal::ForkedCopy)
    ));
    refused.see(matches!(tx.to("done").send(item.clone()).map_err(|error| error.reason), Err(Refusal::ForkedCopy)));
    match item.n / every % 4 {
        0 => drop(item.ack()),
        1 => item.nack(),
        2 => drop(tx.ack(item)),
        _ => drop(item),
    }
    refused.see(matches!(tx.commit(), Err(Refusal::ForkedCopy)));
    refused.tell();
    Ok(())
}

fn make(n: u64, out: &mut Output<Item>) -> brigade_worker::Result {
    let first: u64 = out.restore()?.unwrap_or(0);
    for n in first..n {
        if copied()? {
            // What a careless author's copy does: it goes on where it is.
            out.checkpoint(&(n + 1))?;
            return Ok(());
        }
        out.send(Item::new(n, 0))?;
        out.checkpoint(&(n + 1))?;
    }
    Ok(())
}
