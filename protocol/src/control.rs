//! The control plane: what a worker and the supervisor say to each other over ipc-channel.
//!
//! A worker knocks once at the door whose name stands in [`DOOR_ENV`], bringing the two ends it made for the
//! supervisor: one to receive [`Order`]s by, one to send [`Report`]s by. [`Knock`] never changes its layout, so
//! that a worker built for another protocol is recognised and told so, instead of being misread.
//!
//! Messages are few and small (far below 200 KB): ipc-channel's `send` blocks when nobody reads, and splits
//! larger ones so that a killed sender can spoil them.

use std::time::Duration;

use ipc_channel::ipc::{IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};

use crate::id::{Incarnation, ItemId, Post};
use crate::retry::RetryPolicy;
use crate::shared;

/// The version of everything in this crate that two processes share: messages, pages, queue files.
pub const PROTOCOL: u32 = 8;

/// Opens every [`Knock`].
pub const KNOCK_MAGIC: u64 = 0x4252_4947_4144_4521;

/// Environment variable: the name of the one-shot server at which this incarnation knocks.
pub const DOOR_ENV: &str = "BRIGADE_DOOR";
/// Environment variable: what a knocking worker must repeat, so that nobody else can pass for it.
pub const TOKEN_ENV: &str = "BRIGADE_TOKEN";
/// Environment variable: the name of the pipeline.
pub const PIPELINE_ENV: &str = "BRIGADE_PIPELINE";
/// Environment variable: the name of the worker, such as `hash/0`.
pub const WORKER_ENV: &str = "BRIGADE_WORKER";
/// Environment variable: the number of this incarnation, from 1.
pub const INCARNATION_ENV: &str = "BRIGADE_INCARNATION";

/// The first message of an incarnation. **Its layout is frozen** for all protocol versions.
#[derive(Debug, Serialize, Deserialize)]
pub struct Knock {
    /// [`KNOCK_MAGIC`].
    pub magic: u64,
    /// The sender's [`PROTOCOL`].
    pub protocol: u32,
    /// Version of the SDK, for people.
    pub sdk: String,
    /// What stood in [`TOKEN_ENV`].
    pub token: String,
    /// By this the supervisor gives orders. Its end is also how the worker learns that the supervisor is gone.
    pub orders: IpcSender<Order>,
    /// By this the supervisor hears reports.
    pub reports: IpcReceiver<Report>,
}

/// Down the line: from the supervisor to a worker.
#[derive(Debug, Serialize, Deserialize)]
pub enum Order {
    /// The answer to a [`Knock`]; comes first, and once.
    Welcome(Box<Welcome>),
    /// Save all and end. For the manager alone: a worker reads its page, and is woken when that changes.
    Stop,
    /// Where the manager is now: the answer to [`Report::WantManager`], as soon as there is one.
    Manager(IpcSender<shared::Connect>),
}

/// Up the line: from a worker to the supervisor.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    /// The worker is set up and takes or makes items from now on.
    Ready,
    /// The worker cannot do its work, in words; it exits after this. `permanent`: a restart would not help.
    Failed {
        /// What is wrong and what to do.
        words: String,
        /// No restart: the same would happen again.
        permanent: bool,
        /// Something that it needs is not there for now.
        outage: bool,
    },
    /// The worker has done as many items as one run may ([`Welcome::max_items`]) and exits after this; it is to be started
    /// anew.
    Leaving,
    /// An item could not be done, and is about to be given back as failed. For the history of dead letters; workers tell
    /// so often only that it costs little.
    ItemFailed {
        /// The queue that it came from.
        queue: String,
        /// Its identity there.
        item: ItemId,
        /// Why, in words.
        words: String,
    },
    /// The worker wants to use shared state.
    WantManager,
    /// Only from the manager itself: by this it takes new clients.
    ManagerOpen(IpcSender<shared::Connect>),
    /// The program's function has returned, and all that it did is committed; the process exits after this. An exit without
    /// this, or [`Report::Leaving`], came from somewhere else in the program.
    Done,
}

/// All that a worker must know to begin.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Name of the stage.
    pub stage: String,
    /// Number of this worker within its stage, from 0.
    pub replica: u16,
    /// How many workers the stage has at present.
    pub replicas: u16,
    /// Number of the post within the pipeline.
    pub post: Post,
    /// Which run of the post this is.
    pub incarnation: Incarnation,
    /// Handler threads, at least 1.
    pub threads: u16,
    /// Items that one commit covers at most, at least 1.
    pub batch: u32,
    /// How long an item that is dealt with may wait for others before it is committed.
    pub batch_time: Duration,
    /// Whether a panic of a handler ends the process (else it is that item's failure).
    pub exit_on_panic: bool,
    /// After so many items, done or failed, this run ends by itself; `None`: never.
    pub max_items: Option<u64>,
    /// Path of the worker's page.
    pub page: String,
    /// Queues that this stage takes from, in the order of the pipeline file.
    pub inputs: Vec<QueueRef>,
    /// Queues that this stage sends to, in the order of the pipeline file.
    pub outputs: Vec<QueueRef>,
}

/// Where a queue is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueRef {
    /// Its name in the pipeline file.
    pub name: String,
    /// Path of its file.
    pub path: String,
    /// What becomes of its items that fail.
    pub retry: RetryPolicy,
}
