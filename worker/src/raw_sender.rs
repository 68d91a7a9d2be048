//! The sending end of a queue in bytes. The typed [`Sender`](crate::Sender) is this one with an encoder in front of it.

use std::cell::RefCell;
use std::fmt;
use std::time::{Duration, Instant};

use brigade_protocol::id::ItemId;
use brigade_protocol::page::{Lane, WaitsFor};
use brigade_protocol::queue::{Draft, Member, Queue, Refused, Wait};

use crate::context::Context;
use crate::error::{OpenError, Refusal, SendManyError};
use crate::station::Line;

/// Sends bytes to a queue, as they are. Made by [`Context::raw_sender`].
///
/// It may be moved to another thread, and is used by one at a time. When a call returns `Ok`, the item is in the
/// queue: killing the process in the next instruction does not lose it.
pub struct RawSender {
    member: RefCell<Member>,
    queue: Queue,
    name: String,
    /// Which of the stage's outputs it is.
    index: u16,
    ctx: Context,
    lane: Lane,
}

impl RawSender {
    pub(crate) fn new(ctx: &Context, index: u16, line: &Line) -> Result<Self, OpenError> {
        let member = line
            .queue
            .join(ctx.station().welcome.post, ctx.thread())
            .map_err(|error| OpenError::Queue { queue: line.name.clone(), error })?;
        Ok(Self {
            member: RefCell::new(member),
            queue: line.queue.clone(),
            name: line.name.clone(),
            index,
            lane: ctx.station().stop.page().lane(ctx.thread()),
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
    /// [`Refusal::Full`] if not, or if it is a source and paused; `Closed`, `TooLarge`, `NoSpace`.
    pub fn try_send(&self, item: &[u8]) -> Result<ItemId, Refusal> {
        if !self.ctx.station().takes_items() && self.ctx.station().stop.is_held() {
            return Err(Refusal::Full);
        }
        Ok(self.member.borrow_mut().try_send(item)?)
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

    /// Sends all of these in order, and waits for room as long as it takes: much faster than one by one. Each is in the
    /// queue as soon as it is sent, before the call returns; a batch that comes whole or not at all is a handler's
    /// [`Output`](crate::Output).
    ///
    /// # Errors
    /// As [`send`](Self::send), with the number of those that were sent.
    pub fn send_many(&self, items: &[impl AsRef<[u8]>]) -> Result<(), SendManyError> {
        let mut sent = 0;
        let all = self.send_some(items.len(), |n| items[n].as_ref(), &mut sent);
        all.map_err(|reason| SendManyError { sent, reason })
    }

    /// Sends as many of these as there is room for at this moment, in order.
    ///
    /// # Errors
    /// [`Refusal::Full`] if that is not all of them, and all that [`try_send`](Self::try_send) has; with the number of
    /// those that were sent.
    pub fn try_send_many(&self, items: &[impl AsRef<[u8]>]) -> Result<(), SendManyError> {
        let mut sent = 0;
        let all = self.try_send_some(items.len(), |n| items[n].as_ref(), &mut sent);
        all.map_err(|reason| SendManyError { sent, reason })
    }

    /// Sends `count` items, number `n` is `item(n)`, and adds to `sent` how many were.
    pub(crate) fn send_some<'a>(
        &self,
        count: usize,
        item: impl Fn(usize) -> &'a [u8],
        sent: &mut usize,
    ) -> Result<(), Refusal> {
        let stop = &self.ctx.station().stop;
        if !self.ctx.station().takes_items() {
            stop.while_held(None);
        }
        let waiting = self.lane.waiting();
        let wait = Wait {
            deadline: None,
            interrupted: &|| stop.now_or_wait(&waiting, WaitsFor::Room { queue: self.index, slots: 1 }),
        };
        let mut now = 0;
        let all = self.member.borrow_mut().send_many(count, item, &mut now, &wait);
        *sent += now;
        Ok(all?)
    }

    pub(crate) fn try_send_some<'a>(
        &self,
        count: usize,
        item: impl Fn(usize) -> &'a [u8],
        sent: &mut usize,
    ) -> Result<(), Refusal> {
        if !self.ctx.station().takes_items() && self.ctx.station().stop.is_held() {
            return Err(Refusal::Full);
        }
        let mut now = 0;
        let all = self.member.borrow_mut().try_send_many(count, item, &mut now);
        *sent += now;
        Ok(all?)
    }

    /// A slot for an item that is encoded into it, waiting for it at most until the deadline. Until it is sent, this
    /// handle is free to send others.
    #[inline]
    pub(crate) fn draft_until(&self, deadline: Option<Instant>) -> Result<Draft<'_>, Refusal> {
        self.waiting_until(deadline, |member, wait| member.draft(&self.queue, wait))
    }

    /// The same if there is one at this moment.
    pub(crate) fn try_draft(&self) -> Result<Draft<'_>, Refusal> {
        if !self.ctx.station().takes_items() && self.ctx.station().stop.is_held() {
            return Err(Refusal::Full);
        }
        Ok(self.member.borrow_mut().try_draft(&self.queue)?)
    }

    #[inline]
    pub(crate) fn send_draft(&self, draft: &mut Draft<'_>) -> Result<ItemId, Refusal> {
        Ok(self.member.borrow_mut().send_draft(draft)?)
    }

    #[inline]
    fn send_until(&self, item: &[u8], deadline: Option<Instant>) -> Result<ItemId, Refusal> {
        self.waiting_until(deadline, |member, wait| member.send(item, wait))
    }

    #[inline]
    fn waiting_until<T>(
        &self,
        deadline: Option<Instant>,
        act: impl FnOnce(&mut Member, &Wait<'_>) -> Result<T, Refused>,
    ) -> Result<T, Refusal> {
        let stop = &self.ctx.station().stop;
        if !self.ctx.station().takes_items() && !stop.while_held(deadline) {
            return Err(Refusal::Timeout);
        }
        let waiting = self.lane.waiting();
        let wait = Wait {
            deadline,
            interrupted: &|| stop.now_or_wait(&waiting, WaitsFor::Room { queue: self.index, slots: 1 }),
        };
        let answer = act(&mut self.member.borrow_mut(), &wait);
        if matches!(answer, Err(Refused::Timeout)) {
            waiting.end_without_success();
        }
        Ok(answer?)
    }

    /// This handle sends no more. The queue itself is closed by the supervisor, when all its producers are complete.
    pub fn close(self) {}

    /// Name of the queue.
    pub fn queue(&self) -> &str {
        &self.name
    }

    /// The queue itself.
    pub(crate) fn file(&self) -> &Queue {
        &self.queue
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
