//! What can go wrong, in types: a refused send gives the item back, and an error that no restart can heal says so.

use std::fmt;

use brigade_protocol::codec::{DecodeError, EncodeError, UNREADABLE};
use brigade_protocol::id::ItemId;
use brigade_protocol::queue::{Nothing, QueueError, Refused};

use crate::shared::SharedError;

/// Any error, as handlers return it: every error type, and a plain string, becomes one by `?` or `into()`.
pub type Error = Box<dyn std::error::Error + Send + Sync>;

/// The result of a handler: `brigade_worker::Result` is `Result<(), Error>`.
pub type Result<T = (), E = Error> = std::result::Result<T, E>;

/// Why a send was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// There is no room, and the call does not wait.
    #[error("the queue is full")]
    Full,
    /// Nobody takes from this queue any more.
    #[error("the queue is closed")]
    Closed,
    /// The encoded item is larger than the queue allows.
    #[error("the item has {len} bytes and the queue takes {max}: raise its max_item_bytes in the pipeline file")]
    TooLarge {
        /// Bytes of the encoded item.
        len: usize,
        /// The queue's `max_item_bytes`.
        max: usize,
    },
    /// The item has no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// No item of this type could be read again.
    #[error("items of type {name} cannot be sent, for no receiver could read them: {why}")]
    Unreadable {
        /// The type, in Rust.
        name: &'static str,
        /// The reason, in words.
        why: &'static str,
    },
    /// The item was encoded, and its encoding is no value of its type.
    #[error(
        "the item cannot be sent, for no receiver could read it: its encoding is no {name} ({error}); does the type use #[serde(skip_serializing_if)], or a Serialize that does not match its Deserialize?"
    )]
    NotReadBack {
        /// The type, in Rust.
        name: &'static str,
        /// What is wrong with the encoding.
        error: DecodeError,
    },
    /// The disk or memory behind the queue is used up.
    #[error("there is no space left for the item where the state folder is")]
    NoSpace,
    /// No room came up in time.
    #[error("the queue stayed full for the whole time given")]
    Timeout,
    /// The worker was told to stop while it waited for room.
    #[error("told to stop while waiting for room in the queue")]
    Stopped,
    /// The queue's shared memory does not make sense any more.
    #[error("the queue is spoilt: its shared memory holds impossible values")]
    Spoilt,
    /// One commit would send more items to a queue than it can hold at once: a handler for one item, a source between two
    /// checkpoints, a transaction.
    #[error(
        "one commit would send more than {} to queue {queue}, which is its capacity: send fewer for one item, or commit more often, or raise the queue's capacity in the pipeline file",
        items(*capacity)
    )]
    MoreThanCapacity {
        /// Name of the queue.
        queue: String,
        /// Its capacity.
        capacity: usize,
    },
    /// An item that was to be acknowledged is not this worker's any more, so nothing was committed.
    #[error("nothing is committed: an item{} is not this worker's any more, another worker has it", of_queue(queue))]
    LeaseGone {
        /// Name of the queue that it came from, if it is known.
        queue: Option<String>,
    },
    /// This process is a forked copy of the worker.
    #[error("{}", crate::copies::REFUSED)]
    ForkedCopy,
    /// The stage does not send to this queue, or the queue holds items of another shape.
    #[error("{0}")]
    NoQueue(#[source] Box<OpenError>),
    /// The manager did not take what was to be changed in shared state with the item.
    #[error("the change of shared state that belongs to it was refused")]
    Shared(#[source] Box<SharedError>),
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Full => Self::Full,
            Refused::Closed => Self::Closed,
            Refused::TooLarge { len, max } => Self::TooLarge { len, max },
            Refused::NoSpace => Self::NoSpace,
            Refused::Timeout => Self::Timeout,
            Refused::Interrupted => Self::Stopped,
            Refused::Spoilt => Self::Spoilt,
            Refused::Copy => Self::ForkedCopy,
        }
    }
}

/// Why a checkpoint was not taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CheckpointError {
    /// It has no encoding.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// It is larger than a page has room for.
    #[error("the checkpoint has {len} bytes, and {max} are allowed")]
    TooLarge {
        /// Bytes of the encoded checkpoint.
        len: usize,
        /// That are allowed.
        max: usize,
    },
    /// What was to be committed with it could not be sent.
    #[error("the checkpoint is not committed")]
    Refused(#[from] Refusal),
}

/// A send that did not happen: the item comes back, with the reason.
///
/// ```
/// use brigade_worker::{Refusal, SendError, Sender};
///
/// /// Sends what there is room for and returns the first item for which there was none.
/// fn offer(jobs: &Sender<String>, job: String) -> Option<String> {
///     match jobs.try_send(job) {
///         Ok(_) => None,
///         Err(SendError { item, reason: Refusal::Full }) => Some(item),
///         Err(SendError { reason, .. }) => panic!("{reason}"),
///     }
/// }
/// ```
pub struct SendError<T> {
    /// The item, as it was given.
    pub item: T,
    /// Why it was not sent.
    pub reason: Refusal,
}

impl<T> SendError<T> {
    /// The item, without the reason.
    pub fn into_inner(self) -> T {
        self.item
    }
}

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").field("reason", &self.reason).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot send the item: {}", self.reason)
    }
}

impl<T> std::error::Error for SendError<T> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.reason)
    }
}

/// Several items were to be sent, and not all were.
#[derive(Debug, thiserror::Error)]
#[error("cannot send all items, only the first {sent}: {reason}")]
pub struct SendManyError {
    /// So many, the first of them, are in the queue; the others are not.
    pub sent: usize,
    /// Why the next one was not sent.
    #[source]
    pub reason: Refusal,
}

/// Why there is no item.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The end of the stream: every producing stage is complete and nothing can come back.
    #[error("the queue is at its end")]
    Ended,
    /// The worker was told to stop: it takes nothing new.
    #[error("told to stop")]
    Stopped,
    /// Nothing is there at the moment, and the call does not wait.
    #[error("the queue is empty")]
    Empty,
    /// Nothing came in time.
    #[error("no item came in the time given")]
    Timeout,
    /// An item came that is no value of this type. It went back (nack), and becomes a dead letter in the end.
    #[error("item {id} (delivery {deliveries}): {error}")]
    Undecodable {
        /// Which item.
        id: ItemId,
        /// How often it was delivered, this time included.
        deliveries: u16,
        /// What is wrong with it.
        error: DecodeError,
    },
    /// The call would wait indefinitely: this handle itself holds every slot of the queue, or all that is left in a
    /// queue to which nothing is sent any more. Acknowledge deliveries, or give some back, before taking more.
    #[error(
        "cannot take another item of queue {queue}: this handle holds {} not acknowledged yet, {}; \
         acknowledge some before taking more{}",
        deliveries(*held),
        if held < capacity { "which is all that is left in it" } else { "as many as the queue has room for" },
        if held < capacity { "" } else { ", or raise the queue's capacity" }
    )]
    HoldsAll {
        /// Name of the queue.
        queue: String,
        /// Deliveries that this handle holds.
        held: usize,
        /// Items that the queue has room for.
        capacity: usize,
    },
    /// The queue's shared memory does not make sense any more.
    #[error("the queue is spoilt: its shared memory holds impossible values")]
    Spoilt,
    /// This process is a forked copy of the worker.
    #[error("{}", crate::copies::REFUSED)]
    ForkedCopy,
}

impl From<Nothing> for RecvError {
    fn from(nothing: Nothing) -> Self {
        match nothing {
            Nothing::Empty => Self::Empty,
            Nothing::Ended => Self::Ended,
            Nothing::Timeout => Self::Timeout,
            Nothing::Interrupted => Self::Stopped,
            Nothing::Spoilt => Self::Spoilt,
            Nothing::Copy => Self::ForkedCopy,
        }
    }
}

/// Why there is no such handle: what the code asks for is not in the pipeline file, or the queue cannot be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The stage does not take from that queue.
    #[error("stage {stage} does not take from queue {queue:?}: {}; add it to inputs in the pipeline file", names(has))]
    NotAnInput {
        /// The worker's stage.
        stage: String,
        /// The queue that was asked for.
        queue: String,
        /// What it takes from.
        has: Vec<String>,
    },
    /// The stage does not send to that queue.
    #[error("stage {stage} does not send to queue {queue:?}: {}; add it to outputs in the pipeline file", names(has))]
    NotAnOutput {
        /// The worker's stage.
        stage: String,
        /// The queue that was asked for.
        queue: String,
        /// What it sends to.
        has: Vec<String>,
    },
    /// The code takes items, but the stage has no inputs.
    #[error("stage {stage} has no inputs, but its program takes items: give it inputs = […] in the pipeline file")]
    NoInputs {
        /// The worker's stage.
        stage: String,
    },
    /// The code sends, but the stage has no outputs.
    #[error("stage {stage} has no outputs, but its program sends items: give it outputs = […] in the pipeline file")]
    NoOutputs {
        /// The worker's stage.
        stage: String,
    },
    /// The code is a source, but the stage has inputs that nobody would take from.
    #[error(
        "stage {stage} has inputs, but its program is a source, which takes nothing: remove inputs from the pipeline file"
    )]
    UnusedInputs {
        /// The worker's stage.
        stage: String,
    },
    /// The queue holds items of another shape. Nothing was read or written.
    #[error(
        "queue {queue:?} holds items of the shape {held}, and this program's are {wanted} ({difference}); finish what is queued with the old program first, change the type back, or put the queue aside with --fresh"
    )]
    OtherShape {
        /// Its name.
        queue: String,
        /// The shape of its items.
        held: String,
        /// The shape that this program wants to send or take.
        wanted: String,
        /// Where the two first differ.
        difference: String,
    },
    /// The shape of the queue's items is not there to be compared.
    #[error(
        "the shape of the items in queue {queue:?} cannot be read: another worker is writing it, or it was damaged"
    )]
    ShapeUnreadable {
        /// Its name.
        queue: String,
    },
    /// No item of this type can be read.
    #[error("items of type {name} cannot be taken from queue {queue:?}: {UNREADABLE}")]
    Unreadable {
        /// The queue's name.
        queue: String,
        /// The type, in Rust.
        name: &'static str,
    },
    /// The queue is there by name, and cannot be opened.
    #[error("cannot open queue {queue:?}: {error}")]
    Queue {
        /// Its name.
        queue: String,
        /// The error.
        error: QueueError,
    },
}

impl OpenError {
    /// Whether a restart would meet the same again.
    pub(crate) fn is_permanent(&self) -> bool {
        match self {
            Self::NotAnInput { .. }
            | Self::NotAnOutput { .. }
            | Self::NoInputs { .. }
            | Self::NoOutputs { .. }
            | Self::UnusedInputs { .. }
            | Self::OtherShape { .. }
            | Self::Unreadable { .. } => true,
            Self::Queue { .. } | Self::ShapeUnreadable { .. } => false,
        }
    }
}

fn items(number: usize) -> String {
    if number == 1 { "1 item".to_owned() } else { format!("{number} items") }
}

fn deliveries(held: usize) -> String {
    if held == 1 { "1 delivery".to_owned() } else { format!("{held} deliveries") }
}

fn of_queue(queue: &Option<String>) -> String {
    queue.as_ref().map_or_else(String::new, |queue| format!(" of queue {queue}"))
}

fn names(has: &[String]) -> String {
    if has.is_empty() { "it has none".to_owned() } else { format!("it has {}", has.join(", ")) }
}
