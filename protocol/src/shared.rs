//! What the manager and its clients say to each other: named lists, maps and counters in a process of their own.

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

/// How a client introduces itself to the manager: it brings both ends of its own pair of channels, so that no
/// client can disturb another.
#[derive(Debug, Serialize, Deserialize)]
pub struct Connect {
    /// The manager reads the client's requests here.
    pub requests: IpcReceiver<Request>,
    /// The manager answers here, in the order of the requests.
    pub replies: IpcSender<Reply>,
}

/// To be filled in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Request {}

/// To be filled in.
#[derive(Debug, Serialize, Deserialize)]
pub struct Reply {}
