//! What can go wrong, in types: a refused send gives the item back, and an error that no restart can heal says so.

use std::fmt;
use std::time::Duration;

use brigade_protocol::codec::{DecodeError, EncodeError};
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
    /// The stage does not send to this queue.
    #[error("{0}")]
    NoQueue(#[source] OpenError),
    /// The manager did not take what was to be changed in shared state with the item.
    #[error("the change of shared state that belongs to it was refused")]
    Shared(#[source] SharedError),
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
    /// The queue's shared memory does not make sense any more.
    #[error("the queue is spoilt: its shared memory holds impossible values")]
    Spoilt,
}

impl From<Nothing> for RecvError {
    fn from(nothing: Nothing) -> Self {
        match nothing {
            Nothing::Empty => Self::Empty,
            Nothing::Ended => Self::Ended,
            Nothing::Timeout => Self::Timeout,
            Nothing::Interrupted => Self::Stopped,
            Nothing::Spoilt => Self::Spoilt,
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
    /// The queue is there by name, and cannot be opened.
    #[error("cannot open queue {queue:?}: {error}")]
    Queue {
        /// Its name.
        queue: String,
        /// Why.
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
            | Self::UnusedInputs { .. } => true,
            Self::Queue { .. } => false,
        }
    }
}

fn names(has: &[String]) -> String {
    if has.is_empty() { "it has none".to_owned() } else { format!("it has {}", has.join(", ")) }
}

/// The worker can never work as it is set up: a wrong argument, a missing file. Returned from `build`, from a source
/// or from [`work`](crate::work), it ends the worker for good (exit 78) instead of restarting it.
///
/// ```
/// use brigade_worker::Misconfigured;
///
/// fn folder() -> brigade_worker::Result<String> {
///     Ok(std::env::args().nth(1).ok_or(Misconfigured::new("give me a folder to walk"))?)
/// }
/// assert!(folder().is_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{words}")]
pub struct Misconfigured {
    words: String,
}

impl Misconfigured {
    /// Says in `words` what is wrong and what to do.
    pub fn new(words: impl Into<String>) -> Self {
        Self { words: words.into() }
    }
}

/// What the worker needs is not there at the moment: a full disk, a database that does not answer. That is no fault of the
/// item in hand. Returned from a handler, it ends the process; the item goes back without a count against it, and after the
/// wait of a restart the worker tries again. If that happens too often the run ends with exit code 3, and the items are
/// still in their queues.
///
/// ```
/// use std::net::TcpStream;
/// use brigade_worker::Outage;
///
/// fn connect() -> brigade_worker::Result<TcpStream> {
///     Ok(TcpStream::connect("127.0.0.1:1").map_err(Outage::new)?)
/// }
/// assert!(connect().is_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Outage(#[source] Error);

impl Outage {
    /// Because of this error.
    pub fn new(cause: impl Into<Error>) -> Self {
        Self(cause.into())
    }
}

/// The item cannot be done now, and it is known when to try again: a site says how long it wants to be left alone, a
/// file is to come in a minute. Returned from a handler, it is that item's failure like any other error, but the item
/// comes again after the time given here, 24 h at most, whatever the queue's `retry_delay` is. Until then it takes its
/// room in the queue, and holds back the end of the stream; a worker that dies meanwhile changes nothing about that.
///
/// ```
/// use std::time::Duration;
/// use brigade_worker::RetryAfter;
///
/// fn fetch(page: &str) -> brigade_worker::Result<String> {
///     let busy = format!("the site of {page} is busy");
///     Err(RetryAfter::new(Duration::from_secs(60), busy))?
/// }
/// assert!(fetch("example.org").is_err());
/// ```
#[derive(Debug, thiserror::Error)]
#[error("{cause}")]
pub struct RetryAfter {
    time: Duration,
    #[source]
    cause: Error,
}

impl RetryAfter {
    /// Try again after `time`, because of this error.
    pub fn new(time: Duration, cause: impl Into<Error>) -> Self {
        Self { time, cause: cause.into() }
    }
}

/// When to try again, if the error, or one of its causes, says so.
pub(crate) fn retry_time(error: &(dyn std::error::Error + 'static)) -> Option<Duration> {
    causes(error).find_map(|cause| cause.downcast_ref::<RetryAfter>()).map(|retry| retry.time)
}

/// The error and all its causes in one line.
pub(crate) fn in_words(error: &(dyn std::error::Error + 'static)) -> String {
    let mut words = error.to_string();
    for cause in causes(error).skip(1) {
        let cause = cause.to_string();
        // Many errors already say their cause themselves.
        if !words.ends_with(&cause) {
            words.push_str(": ");
            words.push_str(&cause);
        }
    }
    words
}

/// Whether the error, or one of its causes, says that a restart would not help.
pub(crate) fn is_permanent(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        cause.is::<Misconfigured>() || cause.downcast_ref::<OpenError>().is_some_and(OpenError::is_permanent)
    })
}

/// Whether the error, or one of its causes, says that the item has no part in it.
pub(crate) fn is_outage(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| cause.is::<Outage>())
}

/// Whether the error, or one of its causes, is no fault at all: the worker was told to stop while it waited.
pub(crate) fn is_stop(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|cause| {
        matches!(cause.downcast_ref(), Some(Refusal::Stopped))
            || matches!(cause.downcast_ref(), Some(RecvError::Stopped))
    })
}

fn causes<'a>(
    error: &'a (dyn std::error::Error + 'static),
) -> impl Iterator<Item = &'a (dyn std::error::Error + 'static)> {
    std::iter::successors(Some(error), |error| error.source())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_told_once() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the list")]
        struct Outer(#[source] std::num::ParseIntError);
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read the list: {0}")]
        struct Telling(#[source] std::num::ParseIntError);
        let cause = || "x".parse::<u8>().expect_err("x is no number");
        assert_eq!(in_words(&Outer(cause())), "cannot read the list: invalid digit found in string");
        assert_eq!(in_words(&Telling(cause())), "cannot read the list: invalid digit found in string");
    }

    #[test]
    fn a_stop_is_recognised_behind_other_errors() {
        #[derive(Debug, thiserror::Error)]
        #[error("the first half is missing")]
        struct Half(#[source] RecvError);
        assert!(is_stop(&SendError { item: 7, reason: Refusal::Stopped }));
        assert!(is_stop(&Half(RecvError::Stopped)));
        assert!(!is_stop(&SendError { item: 7, reason: Refusal::Full }));
        assert!(!is_stop(&Half(RecvError::Timeout)));
    }

    #[test]
    fn the_time_of_a_retry_is_found_behind_other_errors_and_changes_no_words() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot fetch the page")]
        struct Fetch(#[source] RetryAfter);
        let busy = || RetryAfter::new(Duration::from_secs(60), "the site is busy");
        assert_eq!(retry_time(&Fetch(busy())), Some(Duration::from_secs(60)));
        assert_eq!(in_words(&Fetch(busy())), "cannot fetch the page: the site is busy");
        assert_eq!(retry_time(&RecvError::Timeout), None);
        assert!(!is_permanent(&busy()) && !is_outage(&busy()));
    }

    #[test]
    fn only_a_misconfigured_worker_fails_for_good() {
        let for_good: Error = Misconfigured::new("no folder given").into();
        let no_queue: Error = OpenError::NoInputs { stage: "hash".into() }.into();
        let nowhere = SendError { item: 7, reason: Refusal::NoQueue(OpenError::NoOutputs { stage: "hash".into() }) };
        let passing: Error = "the disk is full".into();
        assert!(is_permanent(&*for_good));
        assert!(is_permanent(&*no_queue));
        assert!(is_permanent(&nowhere));
        assert!(!is_permanent(&*passing));
    }
}
