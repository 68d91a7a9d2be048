//! A pipe: one write and one read for each item.

use std::io::{self, Read, Write};
use std::process::Stdio;
use std::time::Duration;

use super::{Shape, ended, start_with, timed, trips};

/// From one process to another.
pub fn run(shape: Shape) -> io::Result<f64> {
    let mut sender = start_with("pipe", shape, "-", |command| _ = command.stdout(Stdio::piped()))?;
    let mut pipe = sender.stdout.take().ok_or_else(|| io::Error::other("no pipe"))?;
    let mut item = vec![0; shape.bytes];
    let rate = timed(shape, || pipe.read_exact(&mut item))?;
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape) -> io::Result<()> {
    let item = vec![7; shape.bytes];
    // Not `stdout()`, which collects lines.
    let mut pipe = std::fs::File::options().write(true).open("/proc/self/fd/1")?;
    (0..shape.items).try_for_each(|_| pipe.write_all(&item))
}

/// Round trips through two pipes.
pub fn round_trip(shape: Shape, pause: Duration) -> io::Result<(f64, f64)> {
    let piped = |command: &mut std::process::Command| _ = command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut other = start_with("pipe-echo", shape, "-", piped)?;
    let (there, back) = (other.stdin.take(), other.stdout.take());
    let (mut there, mut back) = there.zip(back).ok_or_else(|| io::Error::other("no pipes"))?;
    let (item, mut copy) = (vec![7; shape.bytes], vec![0; shape.bytes]);
    let times = trips(shape, pause, || there.write_all(&item).and_then(|()| back.read_exact(&mut copy)))?;
    ended(other)?;
    Ok(times)
}

/// The other side of [`round_trip`].
pub fn echo(shape: Shape) -> io::Result<()> {
    let mut there = std::fs::File::open("/proc/self/fd/0")?;
    let mut back = std::fs::File::options().write(true).open("/proc/self/fd/1")?;
    let mut item = vec![0; shape.bytes];
    (0..shape.items).try_for_each(|_| there.read_exact(&mut item).and_then(|()| back.write_all(&item)))
}
