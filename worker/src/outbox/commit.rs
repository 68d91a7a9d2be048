//! The commit of what a handler thread has collected: from private memory into the queues and to the manager, and then
//! one store that makes all of it true.

use std::borrow::BorrowMut;
use std::time::Duration;

use brigade_protocol::page::{MAX_CHECKPOINT, Waiting};
use brigade_protocol::queue::{Lease, Member, Refused};
use brigade_protocol::shared::combine::Change;
use brigade_protocol::shared::op::Origin;
use brigade_protocol::transaction::{HOLD, NotCommitted, Transaction};

use super::{Mark, Mode, Outbox};
use crate::context::Context;
use crate::error::Refusal;
use crate::shared::{Batch, Handle, SharedError, pause_before_retry};
use crate::stop::Stop;

/// How long to wait for the disk to have room again.
const DISK: Duration = Duration::from_millis(500);

impl Outbox {
    /// Commits what came before the mark, and keeps what came after it. If it fails, nothing was committed.
    pub(crate) fn commit_before(
        &mut self,
        mark: &Mark,
        inputs: &mut [Member],
        taken: &mut Vec<(usize, Lease)>,
    ) -> Result<(), Refusal> {
        let entries = self.entries.split_off(mark.entries.min(self.entries.len()));
        let start = self.entries.last().map_or(0, |(_, range)| range.end);
        let bytes = self.bytes.split_off(start);
        let checkpoint = std::mem::replace(&mut self.checkpoint, mark.checkpoint.clone());
        let changes = self.changes.take_fresh();
        self.commit(inputs, taken)?;
        self.bytes = bytes;
        self.changes = changes;
        self.checkpoint = checkpoint;
        for (port, range) in entries {
            self.ports[port].waiting += 1;
            self.entries.push((port, range.start - start..range.end - start));
        }
        Ok(())
    }

    /// Commits: what is on its way is in the queues, the items that it came from are gone, the checkpoint holds, all by
    /// one store. If it fails (told to stop while it waited for room) nothing has happened, and `taken` is as it was, but for an
    /// item that is not this thread's any more.
    pub(crate) fn commit<I: BorrowMut<Member>>(
        &mut self,
        inputs: &mut [I],
        taken: &mut Vec<(usize, Lease)>,
    ) -> Result<(), Refusal> {
        if !self.is_open() && taken.len() <= 1 {
            // One change of hands is atomic by itself.
            for (queue, lease) in taken.drain(..) {
                inputs[queue].borrow_mut().ack(lease);
            }
            return Ok(());
        }
        self.changes.keep();
        let mut attempt = 0u32;
        loop {
            let refused = match self.attempt(inputs, taken) {
                Ok(()) => {
                    self.checkpoint = None;
                    self.forget();
                    return Ok(());
                }
                Err(refused) => refused,
            };
            attempt += 1;
            let pause = self.pause_after(refused, attempt)?;
            let waiting = self.lane.waiting();
            waiting.say();
            if !self.ctx.station().stop.sleep(pause, Stop::now) {
                return Err(Refusal::Stopped);
            }
        }
    }

    /// Commits what came from no items.
    pub(crate) fn commit_alone(&mut self) -> Result<(), Refusal> {
        self.commit::<Member>(&mut [], &mut Vec::new())
    }

    /// One try. Nothing has happened if it fails.
    fn attempt<I: BorrowMut<Member>>(
        &mut self,
        inputs: &mut [I],
        taken: &mut Vec<(usize, Lease)>,
    ) -> Result<(), NotCommitted<Refusal>> {
        let station = self.ctx.station();
        // Threads that an author starts share the lane of the thread that started them.
        let _lane = (self.mode == Mode::WithTransaction).then(|| station.lock_lane());
        let waiting = self.lane.waiting();
        let mut transaction = Transaction {
            lane: &self.lane,
            inputs,
            taken,
            outputs: &mut self.members,
            results: &self.entries,
            bytes: &self.bytes,
            checkpoint: self.checkpoint.as_deref(),
            changes_shared: !self.changes.is_empty(),
            is_last: self.finishes,
        };
        let prepare = |number| prepare(&self.ctx, &self.changes, &waiting, number);
        transaction.commit(prepare, &|| station.stop.now_or_wait(&waiting))
    }

    /// How long to wait before the next try; an error if none would help.
    fn pause_after(&self, refused: NotCommitted<Refusal>, attempt: u32) -> Result<Duration, Refusal> {
        match refused {
            // Each worker after another time, so that they do not meet again and again.
            NotCommitted::Refused(Refused::Timeout) => {
                Ok(HOLD * (attempt.min(8) * (1 + u32::from(self.ctx.replica()) % 7)) / 8)
            }
            NotCommitted::Refused(Refused::NoSpace) => {
                if attempt == 1 {
                    tracing::warn!("no space left where the state folder is: waiting until there is");
                }
                Ok(DISK)
            }
            NotCommitted::Refused(refused) => Err(refused.into()),
            NotCommitted::NotPrepared(refusal) => Err(refusal),
            NotCommitted::LeaseGone(input) => {
                Err(Refusal::LeaseGone { queue: self.ctx.station().inputs.get(input).map(|line| line.name.clone()) })
            }
            NotCommitted::CheckpointTooLarge => {
                let len = self.checkpoint.as_ref().map_or(0, Vec::len);
                Err(Refusal::TooLarge { len, max: MAX_CHECKPOINT })
            }
        }
    }

    /// Whether the last commit of this thread was that of its end.
    pub(crate) fn has_finished(&self) -> bool {
        self.lane.has_finished()
    }

    /// Commits what is left, and with it that this thread has come to its end: if its process dies before it exits, the
    /// next one does not finish once more.
    pub(crate) fn finish(&mut self) -> Result<(), Refusal> {
        if !self.is_open() {
            return Ok(());
        }
        self.finishes = true;
        self.commit_alone()
    }

    /// Whether something is to be committed, apart from the items in hand.
    fn is_open(&self) -> bool {
        !(self.entries.is_empty() && self.checkpoint.is_none() && self.changes.is_empty())
    }

    /// Changes shared state with the next commit.
    pub(crate) fn change(&mut self, handle: &Handle, change: Change) -> Result<(), SharedError> {
        match self.mode {
            Mode::AtOnce => handle.call(&change.into_op(handle.name().to_owned())).map(drop),
            Mode::WithItem | Mode::WithCheckpoint | Mode::WithTransaction => self.changes.push(handle, change),
        }
    }
}

/// Tells the manager what transaction `number` will change.
fn prepare(ctx: &Context, changes: &Batch, waiting: &Waiting<'_>, number: u64) -> Result<(), Refusal> {
    let station = ctx.station();
    let welcome = &station.welcome;
    let from = || Origin { stage: welcome.stage.clone(), replica: welcome.replica, lane: ctx.thread() };
    while let Err(error) = changes.prepare(&station.shared, from(), welcome.incarnation.0, number) {
        let Some(pause) = pause_before_retry(&error) else { return Err(Refusal::Shared(error)) };
        tracing::warn!("waiting to change shared state: {error}");
        waiting.say();
        if !station.stop.sleep(pause, Stop::now) {
            return Err(Refusal::Stopped);
        }
    }
    Ok(())
}
