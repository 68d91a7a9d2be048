//! One connection to the manager: operations go out, outcomes come back in their order. Whoever holds it is alone with
//! it, so no lock is held while it waits.

use brigade_protocol::codec;
use brigade_protocol::shared::op::{Op, Outcome};
use brigade_protocol::shared::parts::{self, Joined, MESSAGE_BYTES};
use brigade_protocol::shared::{Connect, Reply, Request, WINDOW};
use ipc_channel::IpcError;
use ipc_channel::ipc::{self, IpcReceiver, IpcSender};

use super::SharedError;

/// An operation in its encoding.
#[derive(Clone, Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    /// Encodes an operation, if it fits in a message.
    pub(super) fn new(name: &str, op: &Op) -> Result<Self, SharedError> {
        let mut bytes = Vec::new();
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
    requests: IpcSender<Request>,
    replies: IpcReceiver<Reply>,
    /// Operations whose outcomes have not been read.
    open: usize,
    /// Which manager, by the door's count.
    pub(super) generation: u64,
}

impl Connection {
    /// Connects by `manager`; `None` if that one is gone.
    pub(super) fn new(manager: &IpcSender<Connect>, generation: u64) -> Result<Option<Self>, SharedError> {
        let (requests, to_manager) = ipc::channel().map_err(SharedError::Connect)?;
        let (from_manager, replies) = ipc::channel().map_err(SharedError::Connect)?;
        let connect = Connect { requests: to_manager, replies: from_manager };
        Ok(manager.send(connect).is_ok().then_some(Self { requests, replies, open: 0, generation }))
    }

    /// Whether as many operations are open as may be: an outcome must be read before another one is sent.
    pub(super) fn is_full(&self) -> bool {
        self.open >= WINDOW
    }

    /// Operations whose outcomes have not been read.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Sends an operation. Only if its outcome and those of all open ones are small may another one follow before this
    /// one's outcome has been read (see [`WINDOW`]).
    pub(super) fn send(&mut self, op: Encoded) -> Result<(), SharedError> {
        debug_assert!(!self.is_full(), "more open operations than the window allows");
        parts::split(op.0, |part| self.requests.send(Request(part))).map_err(|_| SharedError::ManagerGone)?;
        self.open += 1;
        Ok(())
    }

    /// Waits for the outcome of the oldest open operation.
    pub(super) fn receive(&mut self) -> Result<Outcome, SharedError> {
        debug_assert!(self.open > 0, "no operation is open");
        let mut joined = Joined::default();
        let message = loop {
            let Reply(part) = match self.replies.recv() {
                Ok(reply) => reply,
                Err(IpcError::Io(error)) if error.kind() == std::io::ErrorKind::Interrupted => continue,
                Err(IpcError::Io(_) | IpcError::Disconnected) => return Err(SharedError::ManagerGone),
                Err(error @ IpcError::SerializationError(_)) => return Err(SharedError::Protocol(error.to_string())),
            };
            if let Some(message) = joined.take(part).map_err(|error| SharedError::Protocol(error.to_string()))? {
                break message;
            }
        };
        self.open -= 1;
        codec::decode(&message).map_err(|error| SharedError::Protocol(error.to_string()))
    }
}
