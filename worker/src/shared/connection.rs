//! One connection to the manager: operations go out, outcomes come back in their order. Whoever holds it is alone with
//! it, so no lock is held while it waits. If the manager dies, it goes to the next one and sends again what it has no
//! outcome of; operations have numbers, so that none is applied twice.

use std::collections::VecDeque;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::Instant;

use brigade_protocol::codec;
use brigade_protocol::shared::desk::{self, Answer, Asker};
use brigade_protocol::shared::numbered::{HEAD_BYTES, put_number};
use brigade_protocol::shared::op::{Op, Outcome};
use brigade_protocol::shared::parts::{self, Joined, MESSAGE_BYTES};
use brigade_protocol::shared::{Connect, Reply, Request, WINDOW};
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};
use ipc_channel::{IpcError, TryRecvError};

use super::SharedError;
use super::client::ManagerDoor;
use crate::copies::is_copy;

/// An operation in its encoding, behind room for its number.
#[derive(Clone, Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    /// Encodes an operation, if it fits in a message.
    pub(super) fn new(name: &str, op: &Op) -> Result<Self, SharedError> {
        // As much as most of them take: it grows at most once for those.
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 112);
        bytes.resize(HEAD_BYTES, 0);
        codec::encode(op, &mut bytes)?;
        if bytes.len() > MESSAGE_BYTES {
            let (bytes, limit) = (bytes.len() as u64, MESSAGE_BYTES as u64);
            return Err(SharedError::TooLarge { name: name.to_owned(), bytes, limit });
        }
        Ok(Self(bytes))
    }
}

#[derive(Debug)]
pub(super) struct Connection {
    door: Arc<ManagerDoor>,
    /// Who we are to every manager.
    client: u128,
    channels: Channels,
    /// Operations whose outcomes have not been read, with their numbers in them.
    open: VecDeque<Vec<u8>>,
    /// Number of the next operation.
    next: u64,
    /// Which manager, by the door's count.
    pub(super) generation: u64,
}

#[derive(Debug)]
struct Channels {
    requests: IpcSender<Request>,
    replies: IpcReceiver<Reply>,
    /// `None` if there was no memory for one.
    desk: Option<Asker>,
    /// What was in the channel when it was asked whether it has ended.
    early: Option<Reply>,
}

impl Connection {
    /// Connects to the manager, when there is one.
    pub(super) fn new(door: &Arc<ManagerDoor>) -> Result<Self, SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy);
        }
        let client = u128::from(RandomState::new().hash_one(1)) << 64 | u128::from(RandomState::new().hash_one(2));
        let (channels, generation) = connect(door, client, Instant::now() + door.patience())?;
        Ok(Self { door: Arc::clone(door), client, channels, open: VecDeque::new(), next: 1, generation })
    }

    /// Whether as many operations are open as may be: an outcome must be read before another one is sent.
    pub(super) fn is_full(&self) -> bool {
        self.open.len() >= WINDOW
    }

    /// Operations whose outcomes have not been read.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    /// Sends an operation. Only if its outcome and those of all open ones are small may another one follow before this
    /// one's outcome has been read (see [`WINDOW`]).
    pub(super) fn send(&mut self, Encoded(mut message): Encoded) -> Result<(), SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy);
        }
        debug_assert!(!self.is_full(), "more open operations than the window allows");
        let number = self.next;
        put_number(&mut message, number, number - self.open.len() as u64);
        self.next += 1;
        let sent = self.channels.send(&message);
        self.open.push_back(message);
        // A manager that is gone may have left outcomes to read, but they would come again: no need to look.
        if sent { Ok(()) } else { self.go_on() }
    }

    /// Does one operation, when none is open, and waits for its outcome.
    pub(super) fn call(&mut self, Encoded(mut message): Encoded) -> Result<Outcome, SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy);
        }
        debug_assert!(self.open.is_empty(), "outcomes come in the order of the operations");
        let is_asked = self.channels.desk.as_mut().is_some_and(|desk| {
            put_number(&mut message, self.next, self.next);
            desk.ask(&message)
        });
        if !is_asked {
            self.send(Encoded(message))?;
            return self.receive();
        }
        self.next += 1;
        self.open.push_back(message);
        match self.channels.answer() {
            Answer::Here(message) => {
                self.open.pop_front();
                outcome(&message)
            }
            Answer::Elsewhere => self.receive(),
            Answer::Gone => {
                self.go_on()?;
                self.receive()
            }
        }
    }

    /// Waits for the outcome of the oldest open operation.
    pub(super) fn receive(&mut self) -> Result<Outcome, SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy); // The answer is the worker's.
        }
        debug_assert!(!self.open.is_empty(), "no operation is open");
        loop {
            if let Some(message) = self.channels.receive()? {
                self.open.pop_front();
                return outcome(&message);
            }
            self.go_on()?;
        }
    }

    /// The manager is gone: goes to the next one, and sends it what has no outcome.
    fn go_on(&mut self) -> Result<(), SharedError> {
        let deadline = Instant::now() + self.door.patience();
        loop {
            self.door.lost(self.generation);
            match connect(&self.door, self.client, deadline) {
                Ok((channels, generation)) => (self.channels, self.generation) = (channels, generation),
                Err(SharedError::NoManager { .. }) => return Err(SharedError::ManagerGone),
                Err(error) => return Err(error),
            }
            if self.open.iter().all(|message| self.channels.send(message)) {
                return Ok(());
            }
        }
    }
}

impl Channels {
    /// Sends a message; `false`: the manager is gone.
    fn send(&self, message: &[u8]) -> bool {
        parts::split(message, |part| self.requests.send(Request(part))).is_ok()
    }

    /// Waits for the answer to what was asked at the desk.
    fn answer(&mut self) -> Answer {
        let Self { replies, desk, early, .. } = self;
        let is_gone = || match replies.try_recv() {
            Ok(reply) => early.replace(reply).is_some(),
            Err(TryRecvError::Empty) => false,
            Err(TryRecvError::IpcError(IpcError::Io(error))) => error.kind() != std::io::ErrorKind::Interrupted,
            Err(TryRecvError::IpcError(IpcError::Disconnected | IpcError::SerializationError(_))) => true,
        };
        desk.as_mut().map_or(Answer::Gone, |desk| desk.answer(is_gone))
    }

    /// Waits for a message; `None`: the manager is gone.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, SharedError> {
        let mut joined = Joined::default();
        loop {
            let reply = self.early.take().map_or_else(|| self.replies.recv(), Ok);
            let Reply(part) = match reply {
                Ok(reply) => reply,
                Err(IpcError::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(IpcError::Io(_) | IpcError::Disconnected) => return Ok(None),
                Err(error @ IpcError::SerializationError(_)) => return Err(SharedError::Protocol(error.to_string())),
            };
            if let Some(message) = joined.take(part).map_err(|error| SharedError::Protocol(error.to_string()))? {
                return Ok(Some(message));
            }
        }
    }
}

fn outcome(message: &[u8]) -> Result<Outcome, SharedError> {
    codec::decode(message).map_err(|error| SharedError::Protocol(error.to_string()))
}

/// Connects to the manager that the door knows, or will know before the deadline.
fn connect(door: &ManagerDoor, client: u128, deadline: Instant) -> Result<(Channels, u64), SharedError> {
    loop {
        let (manager, generation) = door.find(deadline.saturating_duration_since(Instant::now()))?;
        let (requests, to_manager) = ipc::channel().map_err(SharedError::Connect)?;
        let (from_manager, replies) = ipc::channel().map_err(SharedError::Connect)?;
        let memory = desk::memory();
        let desk = memory.clone().and_then(Asker::new);
        let connect = Connect { client, requests: to_manager, replies: from_manager, desk: memory };
        if manager.send(connect).is_ok() {
            return Ok((Channels { requests, replies, desk, early: None }, generation));
        }
        door.lost(generation);
    }
}
