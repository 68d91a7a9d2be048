//! Serving clients: a thread for each of them, so that one that sends nonsense, reads nothing or is stopped in the
//! middle of a request holds up nobody but itself. All of them meet at one table, where operations have one order.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brigade_protocol::codec;
use brigade_protocol::shared::op::{ListOp, MapOp, Op, Outcome, Refusal};
use brigade_protocol::shared::parts::{self, Joined};
use brigade_protocol::shared::{Connect, Reply, Request};
use ipc_channel::IpcError;
use ipc_channel::ipc::{IpcReceiver, IpcSender};

use super::state::{State, apply};

/// A closing table is quiet when nothing has come in for this long.
const QUIET: Duration = Duration::from_millis(50);
/// A closing table waits for quiet no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Where all clients meet.
#[derive(Debug, Default)]
pub struct Table {
    state: Mutex<State>,
    /// Parts of requests that have come in. Relaxed, like `busy`: they only tell whether there is something to wait
    /// for; that nothing is acknowledged and lost rests on the mutex alone.
    arrived: AtomicU64,
    /// Clients whose request is being worked on or answered.
    busy: AtomicUsize,
    clients: AtomicUsize,
}

impl Table {
    /// A table with this on it.
    pub fn new(state: State) -> Self {
        Self { state: Mutex::new(state), ..Self::default() }
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Lets what has arrived be answered (for 2 s at most), then gives the state. As long as the guard lives nothing
    /// more is applied, so nothing is acknowledged that the holder has not seen: to end, keep it to the end.
    pub fn close(&self) -> MutexGuard<'_, State> {
        let begun = Instant::now();
        let mut last = (begun, self.arrived.load(Ordering::Relaxed));
        while self.clients() > 0 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
            let arrived = self.arrived.load(Ordering::Relaxed);
            if arrived != last.1 || self.busy.load(Ordering::Relaxed) > 0 {
                last = (Instant::now(), arrived);
            } else if last.0.elapsed() >= QUIET {
                break;
            }
        }
        self.lock()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        let own = Arc::clone(table);
        own.clients.fetch_add(1, Ordering::Relaxed);
        let seat = Seat { table: own };
        if let Err(error) = std::thread::Builder::new().name("client".into()).spawn(move || attend(&connect, &seat)) {
            tracing::error!("a client of the shared state was turned away: no thread for it: {error}");
        }
    }
}

/// A client's place at the table.
struct Seat {
    table: Arc<Table>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.table.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While it lives, a request is being worked on.
struct Busy<'a>(&'a AtomicUsize);

impl<'a> Busy<'a> {
    fn new(busy: &'a AtomicUsize) -> Self {
        busy.fetch_add(1, Ordering::Relaxed);
        Self(busy)
    }
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Answers one client until it goes or sends nonsense. A request that it has not finished when it goes is forgotten.
fn attend(connect: &Connect, seat: &Seat) {
    let table = &*seat.table;
    let mut joined = Joined::default();
    loop {
        let Request(part) = match received(&connect.requests) {
            Received::Message(request) => request,
            Received::Nonsense => return turn_out("what it sent is no request"),
            Received::Over => return,
        };
        let _busy = Busy::new(&table.busy);
        table.arrived.fetch_add(1, Ordering::Relaxed);
        let message = match joined.take(part) {
            Ok(Some(message)) => message,
            Ok(None) => continue,
            Err(error) => return turn_out(&error.to_string()),
        };
        let op: Op = match codec::decode(&message) {
            Ok(op) => op,
            Err(error) => return turn_out(&error.to_string()),
        };
        drop(message);
        let outcome = if is_sound(&op) { apply(&mut table.lock(), &op) } else { Outcome::Refused(Refusal::Malformed) };
        if answer(&connect.replies, &outcome).is_err() {
            return;
        }
    }
}

fn turn_out(why: &str) {
    tracing::warn!("a client of the shared state is turned out: {why}");
}

/// Whether what came packed can be unpacked.
fn is_sound(op: &Op) -> bool {
    match op {
        Op::List { op: ListOp::Extend(items), .. } | Op::Map { op: MapOp::Extend(items), .. } => items.is_sound(),
        Op::List { .. } | Op::Map { .. } | Op::Counter { .. } | Op::Create { .. } | Op::Describe | Op::Dump { .. } => {
            true
        }
    }
}

/// Sends the outcome. Waits as long as the client does not read; fails if it is gone.
fn answer(replies: &IpcSender<Reply>, outcome: &Outcome) -> Result<(), IpcError> {
    let mut bytes = Vec::new();
    codec::encode(outcome, &mut bytes).expect("outcomes have an encoding");
    parts::split(bytes, |part| replies.send(Reply(part)))
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
