//! Serving clients: two threads for each of them, one at its channels and one at its desk, so that one that sends
//! nonsense, reads nothing or is stopped in the middle of a request holds up nobody but itself. All of them meet at one
//! [`Table`].

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use brigade_protocol::codec;
use brigade_protocol::shared::desk::{Bell, Clerk};
use brigade_protocol::shared::numbered::Numbered;
use brigade_protocol::shared::op::{Op, Outcome, Refusal};
use brigade_protocol::shared::parts::{self, Joined};
use brigade_protocol::shared::{Connect, Reply, Request};
use brigade_protocol::shielded::shielded;
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
        if let Err(error) = let_in(connect, table) {
            tracing::error!("a client of the shared state was turned away: no thread for it: {error}");
        }
    }
}

/// Gives a client its threads. The one at the desk ends with the other, which sees the client go.
fn let_in(mut connect: Connect, table: &Arc<Table>) -> std::io::Result<()> {
    let seat = Arc::new(Seat::take(Arc::clone(table), connect.client));
    let is_over = Arc::new(AtomicBool::new(false));
    let mut end = AtDesk { is_over: Arc::clone(&is_over), bell: None };
    if let Some(clerk) = connect.desk.take().and_then(Clerk::new) {
        let (seat, replies, client) = (Arc::clone(&seat), connect.replies.clone(), connect.client);
        end.bell = Some(clerk.bell());
        begin("desk", move || attend_desk(clerk, client, &replies, &seat, &is_over))?;
    }
    begin("client", move || {
        attend(&connect, &seat);
        drop(end);
    })
}

fn begin(name: &str, work: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(work).map(drop)
}

/// Sends the thread at the desk home, when it is dropped.
struct AtDesk {
    is_over: Arc<AtomicBool>,
    bell: Option<Bell>,
}

impl Drop for AtDesk {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::SeqCst); // Before the bell, which it is looked at after.
        self.bell.iter().for_each(Bell::ring);
    }
}

/// Answers what one client asks at its desk.
fn attend_desk(mut clerk: Clerk, client: u128, replies: &IpcSender<Reply>, seat: &Seat, is_over: &AtomicBool) {
    let mut bytes = Vec::new();
    while let Some(message) = clerk.next(|| is_over.load(Ordering::SeqCst)) {
        let _busy = seat.arrived();
        let outcome = message
            .map_err(|()| "its length makes no sense".to_owned())
            .and_then(|message| perform(message, client, seat))
            .unwrap_or_else(|why| {
                tracing::warn!("a client of the shared state asked for something that is no operation: {why}");
                Outcome::Refused(Refusal::Malformed)
            });
        bytes.clear();
        codec::encode(&outcome, &mut bytes).expect("outcomes have an encoding");
        if !clerk.answer(&bytes) && parts::split(&bytes, |part| replies.send(Reply(part))).is_err() {
            return;
        }
    }
}

/// Does what a message asks for; or says why it is none.
fn perform(message: Vec<u8>, client: u128, seat: &Seat) -> Result<Outcome, String> {
    let Some(Numbered { number, seen, op }) = Numbered::open(&message) else {
        return Err("it has no number".into());
    };
    let op: Op = codec::decode(op).map_err(|error| error.to_string())?;
    Ok(seat.table.perform(client, message, (number, seen), op))
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
        let outcome = match perform(message, connect.client, seat) {
            Ok(outcome) => outcome,
            Err(why) => return turn_out(&why),
        };
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
        match shielded(|| from.recv()) {
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
