//! Workers whose items are of the type that their arguments name, for tests of programs that changed.
//!
//! `typed send KIND N` (then ends), `typed take KIND` (notes each), `typed take KIND FILE` (each when FILE is there),
//! `typed fail KIND` (fails with each), `typed wait KIND FILE` (a source that sends nothing, until FILE is there),
//! `typed pass KIND KIND` (takes one, sends the other), `typed raw` (takes bytes), `typed count KIND N` (changes a shared
//! map whose values are of that kind, with each of N items that it makes), `typed mark KIND FILE` (restores a checkpoint of
//! that kind, sets another, and ends when FILE is there).

use std::path::Path;
use std::time::Duration;

use brigade_tests::note;
use brigade_worker::{Context, Exit, Misconfigured, Output, run, sink, source, work};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// What items are made of: a number.
trait Kind: Serialize + DeserializeOwned + Send + Sync + 'static {
    fn of(n: u64) -> Self;
    fn number(&self) -> u64;
}

macro_rules! plain {
    ($($kind:ty)*) => {
        $(impl Kind for $kind {
            fn of(n: u64) -> Self {
                n as Self
            }
            fn number(&self) -> u64 {
                *self as u64
            }
        })*
    };
}

plain! { u64 i64 }

impl Kind for String {
    fn of(n: u64) -> Self {
        n.to_string()
    }
    fn number(&self) -> u64 {
        self.parse().unwrap_or(u64::MAX)
    }
}

impl Kind for serde_json::Value {
    fn of(n: u64) -> Self {
        n.into()
    }
    fn number(&self) -> u64 {
        self.as_u64().unwrap_or(u64::MAX)
    }
}

/// A program's first version.
mod before {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub enum Booking {
        Credit(u64),
        Debit(u64),
    }
}

/// Its second: a variant in the middle, and all that was `Debit` would be read as `Refund`.
mod after {
    #[derive(serde::Serialize, serde::Deserialize)]
    pub enum Booking {
        Credit(u64),
        Refund(u64),
        Debit(u64),
    }
}

impl Kind for before::Booking {
    fn of(n: u64) -> Self {
        if n == 0 { Self::Credit(n) } else { Self::Debit(n) }
    }
    fn number(&self) -> u64 {
        let (Self::Credit(n) | Self::Debit(n)) = self;
        *n
    }
}

impl Kind for after::Booking {
    fn of(n: u64) -> Self {
        Self::Debit(n)
    }
    fn number(&self) -> u64 {
        match self {
            Self::Credit(n) | Self::Debit(n) => *n,
            Self::Refund(n) => {
                note("refunded", *n);
                *n
            }
        }
    }
}

/// Its `Serialize` leaves out what its `Deserialize` needs.
#[derive(Serialize, Deserialize)]
struct Skips {
    #[serde(skip_serializing_if = "Option::is_none")]
    words: Option<String>,
    n: u64,
}

impl Kind for Skips {
    fn of(n: u64) -> Self {
        Self { words: None, n }
    }
    fn number(&self) -> u64 {
        self.n
    }
}

fn main() -> Exit {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        [_, "u64", ..] => of::<u64>(&words),
        [_, "i64", ..] => of::<i64>(&words),
        [_, "text", ..] => of::<String>(&words),
        [_, "json", ..] => of::<serde_json::Value>(&words),
        [_, "before", ..] => of::<before::Booking>(&words),
        [_, "after", ..] => of::<after::Booking>(&words),
        [_, "skips", ..] => of::<Skips>(&words),
        ["raw"] => work(take_raw),
        _ => misused(),
    }
}

fn misused() -> Exit {
    work(|_: &Context| Err::<(), _>(Misconfigured::new("see the head of typed.rs")))
}

fn of<T: Kind>(words: &[&str]) -> Exit {
    match *words {
        ["send", _, n] => source(|out: &mut Output<T>| send(out, n)),
        ["fail", _] => sink(|item: T| fail(&item)),
        ["wait", _, file] => source(|out: &mut Output<T>| wait(out, Path::new(file))),
        ["take", _] => sink(|item: T| take(&item, None)),
        ["take", _, file] => sink(|item: T| take(&item, Some(Path::new(file)))),
        ["pass", _, "u64"] => run(pass::<T, u64>),
        ["pass", _, "i64"] => run(pass::<T, i64>),
        ["count", _, n] => source(|out: &mut Output<()>| count::<T>(out, n)),
        ["mark", _, file] => source(|out: &mut Output<()>| mark::<T>(out, Path::new(file))),
        _ => misused(),
    }
}

fn send<T: Kind>(out: &mut Output<T>, n: &str) -> brigade_worker::Result {
    for n in 0..n.parse()? {
        out.send(T::of(n))?;
        note("sent", n);
    }
    Ok(())
}

fn take<T: Kind>(item: &T, file: Option<&Path>) -> brigade_worker::Result {
    note("met", item.number());
    while file.is_some_and(|file| !file.exists()) {
        std::thread::park_timeout(Duration::from_millis(2));
    }
    note("kept", item.number());
    Ok(())
}

fn fail<T: Kind>(item: &T) -> brigade_worker::Result {
    note("failed", item.number());
    Err("it fails always".into())
}

fn wait<T: Kind>(out: &mut Output<T>, file: &Path) -> brigade_worker::Result {
    while !file.exists() && out.ctx().sleep(Duration::from_millis(2)) {}
    Ok(())
}

fn pass<T: Kind, U: Kind>(item: T, out: &mut Output<U>) -> brigade_worker::Result {
    note("met", item.number());
    Ok(out.send(U::of(item.number()))?)
}

fn count<T: Kind>(out: &mut Output<()>, n: &str) -> brigade_worker::Result {
    let map = out.ctx().map::<String, T>("numbers");
    for n in 0..n.parse()? {
        map.insert(&n.to_string(), &T::of(n))?;
        note("counted", n);
    }
    Ok(())
}

fn mark<T: Kind>(out: &mut Output<()>, file: &Path) -> brigade_worker::Result {
    match out.restore::<T>()? {
        Some(mark) => note("restored", mark.number()),
        None => note("began", 0),
    }
    out.checkpoint(&T::of(300))?;
    note("marked", 300);
    while !file.exists() && out.ctx().sleep(Duration::from_millis(2)) {}
    Ok(())
}

fn take_raw(ctx: &Context) -> brigade_worker::Result {
    for item in ctx.raw_receiver(ctx.inputs().next().expect("an input"))?.iter() {
        note("kept", item.len() as u64);
        item.ack();
    }
    Ok(())
}
