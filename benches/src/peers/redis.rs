//! Redis streams with a consumer group: each item is acked, and nothing is written to a disk. The server is started for
//! it, on a socket of its own.

use std::io;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::{Shape, ended, start, timed};

fn failed(error: impl std::fmt::Display) -> io::Error {
    io::Error::other(error.to_string())
}

/// A server, ended when it is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(folder: &Path, socket: &Path) -> io::Result<Server> {
    let server = Command::new("redis-server")
        .args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"])
        .arg(socket)
        .arg("--dir")
        .arg(folder)
        .stdout(Stdio::null())
        .spawn()
        .map_err(|error| {
            failed(format!("redis-server cannot be started ({error}): on Debian, `apt-get install redis-server`"))
        })?;
    let server = Server(server);
    let begun = Instant::now();
    while !socket.exists() {
        if begun.elapsed() > Duration::from_secs(10) {
            return Err(failed("redis-server has not opened its socket in 10 s"));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Ok(server)
}

fn connect(socket: &str) -> io::Result<redis::Connection> {
    redis::Client::open(format!("redis+unix://{socket}")).and_then(|client| client.get_connection()).map_err(failed)
}

/// Items by their ids, of streams by their names.
type Read = Option<Vec<(String, Vec<(String, Vec<Vec<u8>>)>)>>;

/// From one process through the server to another, `batch` items to a command.
pub fn run(shape: Shape) -> io::Result<f64> {
    let folder = tempfile::tempdir()?;
    let socket = folder.path().join("redis");
    let _server = serve(folder.path(), &socket)?;
    let socket = socket.display().to_string();
    let mut redis = connect(&socket)?;
    let group = redis::cmd("XGROUP").arg(&["CREATE", "items", "g", "0", "MKSTREAM"]).exec(&mut redis);
    group.map_err(failed)?;
    let sender = start("redis", shape, &socket)?;
    let mut there = 0u64;
    let rate = timed(shape, || {
        while there == 0 {
            let count = shape.batch.to_string();
            let mut read = redis::cmd("XREADGROUP");
            read.arg(&["GROUP", "g", "c", "COUNT", &count, "BLOCK", "1000", "STREAMS", "items", ">"]);
            let read: Read = read.query(&mut redis).map_err(failed)?;
            let mut done = redis::cmd("XACK");
            done.arg("items").arg("g");
            for (id, item) in read.iter().flatten().flat_map(|(_, items)| items) {
                std::hint::black_box(item);
                done.arg(id);
                there += 1;
            }
            if there > 0 {
                done.exec(&mut redis).map_err(failed)?;
            }
        }
        there -= 1;
        Ok(())
    })?;
    ended(sender)?;
    Ok(rate)
}

/// The other side of [`run`].
pub fn send(shape: Shape, socket: &str) -> io::Result<()> {
    let mut redis = connect(socket)?;
    let item = vec![7u8; shape.bytes];
    let mut left = shape.items;
    while left > 0 {
        let mut batch = redis::pipe();
        for _ in 0..left.min(shape.batch as u64) {
            batch.cmd("XADD").arg(&["items", "*", "i"]).arg(&item[..]).ignore();
            left -= 1;
        }
        batch.exec(&mut redis).map_err(failed)?;
    }
    Ok(())
}
