//! The sending end of a queue, for code that wants to send by itself. Handlers have an [`Output`](crate::Output).

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use brigade_protocol::codec;
use brigade_protocol::id::ItemId;
use brigade_protocol::page::Lane;
use brigade_protocol::queue::{Member, Queue, Refused, Wait};
use serde::Serialize;

use crate::context::Context;
use crate::error::{OpenError, Refusal, SendError};
use crate::station::Line;

/// Sends bytes to a queue, as they are. Made by [`Context::raw_sender`].
///
/// It may be moved to another thread, and is used by one at a time. When a call returns `Ok`, the item is in the
/// queue: killing the process in the next instruction does not lose it.
pub struct RawSender {
    member: RefCell<Member>,
    queue: Queue,
    name: String,
    ctx: Context,
    lane: Lane,
    /// What a worker without inputs has sent is its progress.
    is_progress: bool,
}

impl RawSender {
    pub(crate) fn new(ctx: &Context, line: &Line) -> Result<Self, OpenError> {
        let member = line
            .queue
            .join(ctx.station().welcome.post, ctx.thread())
            .map_err(|error| OpenError::Queue { queue: line.name.clone(), error })?;
        Ok(Self {
            member: RefCell::new(member),
            queue: line.queue.clone(),
            name: line.name.clone(),
            lane: ctx.station().stop.page().lane(ctx.thread()),
            is_progress: !ctx.station().takes_items(),
            ctx: ctx.clone(),
        })
    }

    /// Sends, and waits for room as long as it takes.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] if the worker is told to stop while it waits; `Closed`, `TooLarge`, `NoSpace`.
    pub fn send(&self, item: &[u8]) -> Result<ItemId, Refusal> {
        self.send_until(item, None)
    }

    /// Sends if there is room at this moment.
    ///
    /// # Errors
    /// [`Refusal::Full`] if not; `Closed`, `TooLarge`, `NoSpace`.
    pub fn try_send(&self, item: &[u8]) -> Result<ItemId, Refusal> {
        self.counted(self.member.borrow_mut().try_send(item))
    }

    /// Sends, and waits for room at most `time`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_timeout(&self, item: &[u8], time: Duration) -> Result<ItemId, Refusal> {
        self.send_until(item, Instant::now().checked_add(time))
    }

    /// Sends, and waits for room at most until `deadline`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_deadline(&self, item: &[u8], deadline: Instant) -> Result<ItemId, Refusal> {
        self.send_until(item, Some(deadline))
    }

    fn send_until(&self, item: &[u8], deadline: Option<Instant>) -> Result<ItemId, Refusal> {
        let stop = &self.ctx.station().stop;
        let waiting = self.lane.waiting();
        let wait = Wait { deadline, interrupted: &|| stop.now_or_wait(&waiting) };
        self.counted(self.member.borrow_mut().send(item, &wait))
    }

    #[inline]
    fn counted(&self, sent: Result<ItemId, Refused>) -> Result<ItemId, Refusal> {
        let id = sent?;
        if self.is_progress {
            self.lane.done();
        }
        Ok(id)
    }

    /// This handle sends no more. The queue itself is closed by the supervisor, when all its producers are complete.
    pub fn close(self) {}

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        &self.name
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether nothing waits in the queue at this moment.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether as many items wait as the queue can hold. Items that are being worked on take room as well, so that
    /// a queue may refuse an item before this is true.
    pub fn is_full(&self) -> bool {
        self.len() >= self.capacity()
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}

impl fmt::Debug for RawSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawSender").field("queue", &self.name).finish_non_exhaustive()
    }
}

/// Sends items of one type to a queue. Made by [`Context::sender`].
///
/// It may be moved to another thread, and is used by one at a time. When a call returns `Ok`, the item is in the
/// queue: killing the process in the next instruction does not lose it. When it returns an error, the item comes back.
///
/// ```no_run
/// use brigade_worker::{Exit, work};
///
/// fn main() -> Exit {
///     work(|ctx| -> brigade_worker::Result {
///         let numbers = ctx.sender::<u64>("numbers")?;
///         for n in 1..=1_000_000 {
///             numbers.send(n)?; // waits while the queue is full
///         }
///         Ok(())
///     })
/// }
/// ```
pub struct Sender<T> {
    raw: RawSender,
    buffer: RefCell<Vec<u8>>,
    items: PhantomData<fn(T)>,
}

impl<T: Serialize> Sender<T> {
    pub(crate) fn new(raw: RawSender) -> Self {
        Self { raw, buffer: RefCell::default(), items: PhantomData }
    }

    /// Sends, and waits for room as long as it takes. Returns the item's id.
    ///
    /// # Errors
    /// [`Refusal::Stopped`] if the worker is told to stop while it waits; `Closed`, `TooLarge`, `Encode`, `NoSpace`.
    pub fn send(&self, item: T) -> Result<ItemId, SendError<T>> {
        self.encoded(item, |bytes| self.raw.send(bytes))
    }

    /// Sends if there is room at this moment.
    ///
    /// # Errors
    /// [`Refusal::Full`] if not; `Closed`, `TooLarge`, `Encode`, `NoSpace`.
    pub fn try_send(&self, item: T) -> Result<ItemId, SendError<T>> {
        self.encoded(item, |bytes| self.raw.try_send(bytes))
    }

    /// Sends, and waits for room at most `time`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_timeout(&self, item: T, time: Duration) -> Result<ItemId, SendError<T>> {
        self.encoded(item, |bytes| self.raw.send_timeout(bytes, time))
    }

    /// Sends, and waits for room at most until `deadline`.
    ///
    /// # Errors
    /// [`Refusal::Timeout`], and all that [`send`](Self::send) has.
    pub fn send_deadline(&self, item: T, deadline: Instant) -> Result<ItemId, SendError<T>> {
        self.encoded(item, |bytes| self.raw.send_deadline(bytes, deadline))
    }

    fn encoded(&self, item: T, send: impl FnOnce(&[u8]) -> Result<ItemId, Refusal>) -> Result<ItemId, SendError<T>> {
        // Taken out of its cell while the item's own code runs: that code might send as well.
        let mut buffer = self.buffer.take();
        let sent = encode_into(&item, &mut buffer).and_then(|()| send(&buffer));
        self.buffer.replace(buffer);
        sent.map_err(|reason| SendError { item, reason })
    }
}

impl<T> Sender<T> {
    /// This handle sends no more. The queue itself is closed by the supervisor, when all its producers are complete.
    pub fn close(self) {}

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        self.raw.queue()
    }

    /// Items that wait in the queue at this moment: a hint, for others send and take meanwhile.
    pub fn len(&self) -> usize {
        self.raw.len()
    }

    /// Whether nothing waits in the queue at this moment.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty()
    }

    /// Whether as many items wait as the queue can hold; see [`RawSender::is_full`].
    pub fn is_full(&self) -> bool {
        self.raw.is_full()
    }

    /// Items that the queue can hold, those included that are being worked on.
    pub fn capacity(&self) -> usize {
        self.raw.capacity()
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("queue", &self.queue()).finish_non_exhaustive()
    }
}

/// Encodes into a buffer that is used again and again, so that a send does not allocate.
pub(crate) fn encode_into<T: Serialize>(item: &T, buffer: &mut Vec<u8>) -> Result<(), Refusal> {
    buffer.clear();
    codec::encode(item, buffer)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::{CAPACITY, sandbox};

    #[test]
    fn a_full_queue_gives_the_item_back() {
        let sandbox = sandbox(&[], &["words"]);
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        for n in 0..CAPACITY {
            words.try_send(n.to_string()).expect("there is room");
        }
        assert!(words.is_full());
        let refused = words.try_send("one more".into()).expect_err("it is full");
        assert_eq!(refused.item, "one more");
        assert!(matches!(refused.reason, Refusal::Full));
        let refused = words.send_timeout("still".into(), Duration::from_millis(1)).expect_err("it is full");
        assert!(matches!(refused.reason, Refusal::Timeout));
        assert_eq!(sandbox.page.progress(), u64::from(CAPACITY), "what a source has sent is its progress");
        assert_eq!(sandbox.take::<String>("words").len(), CAPACITY as usize);
    }

    #[test]
    fn an_item_that_is_too_large_is_given_back_and_the_limit_named() {
        let sandbox = sandbox(&[], &["words"]);
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        let refused = words.send("x".repeat(1000)).expect_err("it is too large");
        assert_eq!(refused.item.len(), 1000);
        assert!(matches!(refused.reason, Refusal::TooLarge { max: 256, .. }));
        assert!(words.is_empty());
    }

    #[test]
    fn a_closed_queue_takes_nothing() {
        let sandbox = sandbox(&[], &["words"]);
        sandbox.queue("words").close();
        let words = sandbox.ctx.sender::<String>("words").expect("an output");
        assert!(matches!(words.send("late".into()), Err(SendError { reason: Refusal::Closed, .. })));
    }

    #[test]
    fn a_stop_wakes_a_sender_that_waits_for_room() {
        let sandbox = sandbox(&[], &["words"]);
        std::thread::scope(|scope| {
            let sending = scope.spawn(|| {
                let words = sandbox.ctx.sender::<u32>("words").expect("an output");
                (0..).find_map(|n| words.send(n).err()).expect("it fails in the end")
            });
            crate::sandbox::until(|| sandbox.queue("words").len() == CAPACITY as usize);
            sandbox.stop_now();
            let refused = sending.join().expect("no panic");
            assert_eq!(refused.item, CAPACITY);
            assert!(matches!(refused.reason, Refusal::Stopped));
        });
    }

    #[test]
    fn a_queue_that_is_no_output_is_named_with_those_that_are() {
        let sandbox = sandbox(&["numbers"], &["words"]);
        let error = sandbox.ctx.sender::<u32>("wrods").expect_err("there is none of this name");
        let words =
            "stage double does not send to queue \"wrods\": it has words; add it to outputs in the pipeline file";
        assert_eq!(error.to_string(), words);
        let error = sandbox.ctx.receiver::<u32>("words").expect_err("it is no input");
        assert!(error.to_string().contains("does not take from queue \"words\": it has numbers"), "{error}");
    }
}
