//! Serving clients: a thread for each of them, so that one that sends nonsense, reads nothing or is stopped in the
//! middle of a request holds up nobody but itself. All of them meet at one [`Table`].

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use brigade_protocol::codec;
use brigade_protocol::shared::numbered::Numbered;
use brigade_protocol::shared::op::{Op, Outcome};
use brigade_protocol::shared::parts::{self, Joined};
use brigade_protocol::shared::{Connect, Reply, Request};
use ipc_channel::IpcError;
use ipc_channel::ipc::{IpcReceiver, IpcSender};

use super::table::{Seat, Table};

/// Takes new clients until nobody is left who could send one.
pub fn serve(connects: &IpcReceiver<Connect>, table: &Arc<Table>) {
    loop {
        let connect = match received(connects) {
            Received::Message(connect) => connect,
            Received::Nonsense => {
                tracing::warn!("somebody who wanted to use shared state sent nonsense and was not let in");
                continue;
            }
            Received::Over => return,
        };
        let seat = Seat::take(Arc::clone(table), connect.client);
        if let Err(error) = std::thread::Builder::new().name("client".into()).spawn(move || attend(&connect, &seat)) {
            tracing::error!("a client of the shared state was turned away: no thread for it: {error}");
        }
    }
}

/// Answers one client until it goes or sends nonsense. A request that it has not finished when it goes is forgotten.
fn attend(connect: &Connect, seat: &Seat) {
    let mut joined = Joined::default();
    loop {
        let Request(part) = match received(&connect.requests) {
            Received::Message(request) => request,
            Received::Nonsense => return turn_out("what it sent is no request"),
            Received::Over => return,
        };
        let _busy = seat.arrived();
        let message = match joined.take(part) {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(error) => return turn_out(&error.to_string()),
        };
        let Some(Numbered { number, seen, op }) = Numbered::open(&message) else {
            return turn_out("what it sent has no number");
        };
        let op: Op = match codec::decode(op) {
            Ok(op) => op,
            Err(error) => return turn_out(&error.to_string()),
        };
        let outcome = seat.table.perform(connect.client, message, (number, seen), op);
        if answer(&connect.replies, &outcome).is_err() {
            return;
        }
    }
}

fn turn_out(why: &str) {
    tracing::warn!("a client of the shared state is turned out: {why}");
}

/// Sends the outcome. Waits as long as the client does not read; fails if it is gone.
fn answer(replies: &IpcSender<Reply>, outcome: &Outcome) -> Result<(), IpcError> {
    let mut bytes = Vec::new();
    codec::encode(outcome, &mut bytes).expect("outcomes have an encoding");
    parts::split(&bytes, |part| replies.send(Reply(part)))
}

enum Received<T> {
    Message(T),
    /// Something came that is not a message of this kind.
    Nonsense,
    /// Everyone who could send is gone, or nothing can be received any more.
    Over,
}

/// Waits for a message. ipc-channel panics over a frame that it did not write itself; that must not reach further.
fn received<T: for<'de> serde::Deserialize<'de> + serde::Serialize>(from: &IpcReceiver<T>) -> Received<T> {
    loop {
        match catch_unwind(AssertUnwindSafe(|| from.recv())) {
            Ok(Ok(message)) => return Received::Message(message),
            Ok(Err(IpcError::Io(error))) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Ok(Err(IpcError::Io(error))) => {
                tracing::warn!("a channel of the shared state cannot be read: {error}");
                return Received::Over;
            }
            Ok(Err(IpcError::Disconnected)) => return Received::Over,
            Ok(Err(IpcError::SerializationError(_))) | Err(_) => return Received::Nonsense,
        }
    }
}
