//! The peers: each a small honest program. One process sends and another receives, as Brigade's do; here the receiver is
//! this process, and the sender is this same program once more.

pub mod channel;
pub mod crossbeam;
#[cfg(feature = "iceoryx2")]
pub mod iceoryx;
pub mod pipe;
pub mod python;
#[cfg(feature = "redis")]
pub mod redis;
pub mod ring;
pub mod start;
#[cfg(feature = "zmq")]
pub mod zeromq;

use std::io;
use std::process::{Child, Command, ExitCode, Stdio};

use crate::sample::now;

/// What is sent.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// How many items.
    pub items: u64,
    /// Bytes of each.
    pub bytes: usize,
    /// How many are published, or acked, at once.
    pub batch: usize,
}

/// The other side of a peer, in its own process: `peer NAME ITEMS BYTES BATCH ADDRESS`.
pub fn main(args: &[String]) -> ExitCode {
    let [name, items, bytes, batch, address] = args else { panic!("five words") };
    let number = |text: &String| text.parse::<usize>().expect("a number");
    let shape = Shape { items: number(items) as u64, bytes: number(bytes), batch: number(batch) };
    let done = match name.as_str() {
        "ring" => ring::send(shape, address),
        "ring-echo" => ring::echo(shape, address),
        "pipe" => pipe::send(shape),
        "pipe-echo" => pipe::echo(shape),
        "channel" => channel::send(shape, address),
        "channel-typed" => channel::send_typed(shape, address),
        "channel-echo" => channel::echo(shape, address),
        "hello" => start::hello(address),
        #[cfg(feature = "zmq")]
        "zeromq" => zeromq::send(shape, address),
        #[cfg(feature = "zmq")]
        "zeromq-echo" => zeromq::echo(shape, address),
        #[cfg(feature = "iceoryx2")]
        "iceoryx" => iceoryx::send(shape, address),
        #[cfg(feature = "redis")]
        "redis" => redis::send(shape, address),
        _ => panic!("no peer is named {name}"),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{name}: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Starts the other side.
fn start(name: &str, shape: Shape, address: &str) -> io::Result<Child> {
    start_with(name, shape, address, |_| {})
}

fn start_with(name: &str, shape: Shape, address: &str, with: impl FnOnce(&mut Command)) -> io::Result<Child> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["peer", name]).args([shape.items, shape.bytes as u64, shape.batch as u64].map(|n| n.to_string()));
    command.arg(address).stdin(Stdio::null());
    with(&mut command);
    command.spawn()
}

/// Items per second of a receiver that takes the first one, and then all others, by `take`.
fn timed(shape: Shape, mut take: impl FnMut() -> io::Result<()>) -> io::Result<f64> {
    take()?;
    let begun = now();
    for _ in 1..shape.items {
        take()?;
    }
    Ok((shape.items - 1) as f64 * 1e9 / (now() - begun) as f64)
}

/// How long each round trip takes, in nanoseconds: half of them, and 99 of 100, not longer.
fn trips(shape: Shape, pause: std::time::Duration, mut trip: impl FnMut() -> io::Result<()>) -> io::Result<(f64, f64)> {
    let mut times = Vec::with_capacity(shape.items as usize);
    for _ in 0..shape.items {
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
        let begun = now();
        trip()?;
        times.push(now() - begun);
    }
    crate::sample::percentiles(vec![crate::sample::Sample::Times(times)])
}

/// Waits for the other side, which must have come to a good end.
fn ended(mut child: Child) -> io::Result<()> {
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("the other side ended with {status}"))) }
}
