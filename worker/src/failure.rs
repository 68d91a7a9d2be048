//! Errors that an author returns to say more than that an item failed: the worker can never work, something it needs is not
//! there, the item is to come again later. And what the SDK reads out of an error, whoever made it.

use std::time::Duration;

use brigade_protocol::codec::DecodeError;

use crate::error::{Error, OpenError, RecvError, Refusal};
use crate::shared::SharedError;

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
/// wait of a restart the worker tries again. When that has failed for the stage's `outage_timeout` (10 minutes by default), the
/// run ends with exit code 3, and the items are still in their queues.
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
        // An error of input and output keeps the one that it was made of apart from its causes.
        let inner = cause.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        cause.is::<Misconfigured>()
            || inner.is_some_and(|inner| inner.is::<Misconfigured>())
            || cause.downcast_ref::<OpenError>().is_some_and(OpenError::is_permanent)
            || cause.downcast_ref::<SharedError>().is_some_and(SharedError::is_permanent)
            || matches!(cause.downcast_ref(), Some(Refusal::Unreadable { .. }))
            || matches!(cause.downcast_ref(), Some(RecvError::HoldsAll { held, capacity, .. }) if held >= capacity)
            || matches!(cause.downcast_ref(), Some(DecodeError::OtherType { .. }))
    })
}

/// An error of code that is called for no item. If it sends more by one commit than fits, it does so at each restart, and the
/// worker ends for good.
pub(crate) fn for_no_item(error: Error) -> Error {
    let is_too_much = |cause: &(dyn std::error::Error + 'static)| {
        matches!(cause.downcast_ref(), Some(Refusal::MoreThanCapacity { .. }))
    };
    if causes(&*error).any(is_too_much) { Misconfigured::new(in_words(&*error)).into() } else { error }
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
    std::iter::successors(Some(error), |error| error.source()).map(unboxed)
}

/// The error in the box in which [`Refusal`] keeps it.
fn unboxed<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    if let Some(boxed) = error.downcast_ref::<Box<OpenError>>() {
        boxed.as_ref()
    } else if let Some(boxed) = error.downcast_ref::<Box<SharedError>>() {
        boxed.as_ref()
    } else {
        error
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::SendError;

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
        let nowhere =
            SendError { item: 7, reason: Refusal::NoQueue(OpenError::NoOutputs { stage: "hash".into() }.into()) };
        let passing: Error = "the disk is full".into();
        let holds = |held| RecvError::HoldsAll { queue: "raw".into(), held, capacity: 4 };
        assert!(is_permanent(&holds(4)));
        assert!(!is_permanent(&holds(3)), "the end of the stream is no fault of the pipeline file");
        assert!(is_permanent(&*for_good));
        assert!(is_permanent(&*no_queue));
        assert!(is_permanent(&nowhere));
        assert!(!is_permanent(&*passing));
    }
}
