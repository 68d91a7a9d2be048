//! ipc-channel: bytes, and items with a type.

use std::io;
use std::time::Duration;

use ipc_channel::ipc::{self, IpcBytesReceiver, IpcBytesSender, IpcOneShotServer, IpcReceiver, IpcSender};
use serde_bytes::ByteBuf;

use super::{Shape, ended, start, timed, trips};

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// Bytes from one process to another.
pub fn run(shape: Shape) -> io::Result<f64> {
    let (server, name) = IpcOneShotServer::<IpcBytesReceiver>::new()?;
    let sender = start("channel", shape, &name)?;
    let (_, receiver) = server.accept().map_err(failed)?;
    let rate = timed(shape, || {
        let item = receiver.recv().map_err(failed)?;
        std::hint::black_box(item[0]);
        Ok(())
    })?;
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape, name: &str) -> io::Result<()> {
    let (sender, receiver) = ipc::bytes_channel()?;
    IpcSender::connect(name.to_owned())?.send(receiver).map_err(failed)?;
    let item = vec![7; shape.bytes];
    (0..shape.items).try_for_each(|_| sender.send(&item).map_err(failed))
}

/// Items with a type.
pub fn run_typed(shape: Shape) -> io::Result<f64> {
    let (server, name) = IpcOneShotServer::<IpcReceiver<ByteBuf>>::new()?;
    let sender = start("channel-typed", shape, &name)?;
    let (_, receiver) = server.accept().map_err(failed)?;
    let rate = timed(shape, || {
        std::hint::black_box(receiver.recv().map_err(failed)?);
        Ok(())
    })?;
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run_typed`].
pub fn send_typed(shape: Shape, name: &str) -> io::Result<()> {
    let (sender, receiver) = ipc::channel::<ByteBuf>()?;
    IpcSender::connect(name.to_owned())?.send(receiver).map_err(failed)?;
    (0..shape.items).try_for_each(|_| sender.send(ByteBuf::from(vec![7; shape.bytes])).map_err(failed))
}

/// Round trips of bytes.
pub fn round_trip(shape: Shape, pause: Duration) -> io::Result<(f64, f64)> {
    let (server, name) = IpcOneShotServer::<(IpcBytesSender, IpcBytesReceiver)>::new()?;
    let other = start("channel-echo", shape, &name)?;
    let (_, (there, back)) = server.accept().map_err(failed)?;
    let item = vec![7; shape.bytes];
    let times = trips(shape, pause, || {
        there.send(&item).map_err(failed)?;
        back.recv().map(drop).map_err(failed)
    })?;
    ended(other)?;
    Ok(times)
}

/// The other side of [`round_trip`].
pub fn echo(shape: Shape, name: &str) -> io::Result<()> {
    let (there, taken) = ipc::bytes_channel()?;
    let (back, result) = ipc::bytes_channel()?;
    IpcSender::connect(name.to_owned())?.send((there, result)).map_err(failed)?;
    for _ in 0..shape.items {
        let item = taken.recv().map_err(failed)?;
        back.send(&item).map_err(failed)?;
    }
    Ok(())
}
