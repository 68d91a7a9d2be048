//! ZeroMQ, push to pull over its ipc transport.

use std::io::{self, Read};
use std::process::Stdio;
use std::time::Duration;

use super::{Shape, ended, start, start_with, timed, trips};

fn socket(kind: zmq::SocketType, watermark: i32) -> io::Result<zmq::Socket> {
    let socket = zmq::Context::new().socket(kind)?;
    socket.set_sndhwm(watermark)?;
    socket.set_rcvhwm(watermark)?;
    socket.set_rcvtimeo(20_000)?; // What it has lost does not come.
    Ok(socket)
}

fn watermark(shape: Shape) -> i32 {
    if shape.bytes > 4096 { 128 } else { 1024 }
}

/// From one process to another.
pub fn run(shape: Shape) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let address = format!("ipc://{}", folder.path().join("zmq").display());
    let receiver = socket(zmq::PULL, watermark(shape))?;
    receiver.bind(&address)?;
    let mut sender = start_with("zeromq", shape, &address, |command| _ = command.stdin(Stdio::piped()))?;
    let mut item = zmq::Message::new();
    let rate = timed(shape, || {
        receiver.recv(&mut item, 0)?;
        std::hint::black_box(item[0]);
        Ok(())
    })?;
    drop(sender.stdin.take());
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape, address: &str) -> io::Result<()> {
    let sender = socket(zmq::PUSH, watermark(shape))?;
    sender.connect(address)?;
    let item = vec![7; shape.bytes];
    (0..shape.items).try_for_each(|_| sender.send(&item[..], 0))?;
    // What is still under way may go with its sender: it stays until the receiver has all.
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

/// Round trips between two paired sockets.
pub fn round_trip(shape: Shape, pause: Duration) -> io::Result<(f64, f64)> {
    let folder = tempfile::tempdir()?;
    let address = format!("ipc://{}", folder.path().join("zmq").display());
    let there = socket(zmq::PAIR, 0)?;
    there.bind(&address)?;
    let other = start("zeromq-echo", shape, &address)?;
    let (item, mut answer) = (vec![7; shape.bytes], zmq::Message::new());
    let times = trips(shape, pause, || {
        there.send(&item[..], 0)?;
        Ok(there.recv(&mut answer, 0)?)
    })?;
    ended(other)?;
    Ok(times)
}

/// The other side of [`round_trip`].
pub fn echo(shape: Shape, address: &str) -> io::Result<()> {
    let socket = socket(zmq::PAIR, 0)?;
    socket.connect(address)?;
    for _ in 0..shape.items {
        let item = socket.recv_msg(0)?;
        socket.send(item, 0)?;
    }
    Ok(())
}
