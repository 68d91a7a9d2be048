//! What the manager and its clients say to each other: named lists, maps and counters in a process of their own.
//!
//! A client makes a pair of channels and sends its ends in a [`Connect`]. From then on it sends operations
//! ([`op::Op`], each behind its number: [`numbered`]) and gets one outcome ([`op::Outcome`]) for each, in the order of
//! the operations. Both travel encoded by [`codec`](crate::codec) and cut into [`parts::Part`]s, so that no message of the
//! channel is large. Small operations that are waited for one by one go by way of a [`desk`] instead, in memory that the two
//! share.
//!
//! A client whose manager died goes to the next one under the same [`Connect::client`] and sends again, with their
//! numbers, the operations whose outcomes it has not read; what was applied before is answered, not applied again.

use ipc_channel::ipc::{IpcReceiver, IpcSender, IpcSharedMemory};
use serde::{Deserialize, Serialize};

pub mod addends;
pub mod combine;
pub mod desk;
pub mod items;
pub mod numbered;
pub mod op;
pub mod parts;

/// How a client introduces itself to the manager: it brings both ends of its own pair of channels, so that no
/// client can disturb another.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connect {
    /// Who it is, through the deaths of managers: a number that no other client has or had.
    pub client: u128,
    /// The manager reads the client's requests here.
    pub requests: IpcReceiver<Request>,
    /// The manager answers here, in the order of the requests.
    pub replies: IpcSender<Reply>,
    /// Where the client asks for one small operation at a time, while none is open on the channels ([`desk`]).
    pub desk: Option<IpcSharedMemory>,
}

/// A piece of a numbered, encoded [`op::Op`]. The operation is applied once its last piece is there; if the client dies
/// before that, nothing of it is.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request(pub parts::Part);

/// A piece of an encoded [`op::Outcome`].
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply(pub parts::Part);

/// How many operations a client may have sent without having read their outcomes. The outcomes of pipelined
/// operations are a few bytes each, and a channel holds over 250 of those: with this bound the manager's `send` never
/// waits for such a client, so that the two cannot wait for each other. An operation with a large outcome (a
/// snapshot, a value) must be the last one sent before the client reads.
pub const WINDOW: usize = 64;

/// Environment variable of the manager: the folder in which its state survives its death.
pub const SHARED_ENV: &str = "BRIGADE_SHARED";
