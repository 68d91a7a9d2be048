//! A process that says hello over ipc-channel: the least that it takes to have a worker.

use std::io;

use ipc_channel::ipc::{IpcOneShotServer, IpcSender};

use super::{Shape, ended, start};
use crate::sample::now;

/// From fork to hello, in nanoseconds.
pub fn run() -> io::Result<f64> {
    let begun = now();
    let (server, name) = IpcOneShotServer::<u64>::new()?;
    let other = start("hello", Shape { items: 0, bytes: 0, batch: 0 }, &name)?;
    let (_, said) = server.accept().map_err(|error| io::Error::other(error.to_string()))?;
    ended(other)?;
    Ok((said - begun) as f64)
}

/// The other side of [`run`].
pub fn hello(name: &str) -> io::Result<()> {
    let sender = IpcSender::connect(name.to_owned())?;
    sender.send(now()).map_err(|error| io::Error::other(error.to_string()))
}
