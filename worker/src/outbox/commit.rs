//! The commit of what a handler thread has collected: from private memory into the queues and to the manager, and then
//! one store that makes all of it true.

use std::borrow::BorrowMut;
use std::cell::Cell;
use std::ops::Range;
use std::time::Duration;

use brigade_protocol::page::{MAX_CHECKPOINT, Waiting, WaitsFor};
use brigade_protocol::queue::{Lease, Member, Refused};
use brigade_protocol::shared::combine::Change;
use brigade_protocol::shared::op::Origin;
use brigade_protocol::transaction::{HOLD, NotCommitted, Transaction};
use serde::Serialize;

use super::{Mark, Mode, Outbox, room_in};
use crate::context::Context;
use crate::copies::is_copy;
use crate::error::Refusal;
use crate::shared::{Batch, SharedError, encoded, pause_before_retry};
use crate::stop::Stop;

/// How long a thread leaves the lane to other threads of its process before it waits for the room of its only result again.
const LANE: Duration = Duration::from_millis(1);
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
        if is_copy() {
            return Err(Refusal::ForkedCopy);
        }
        if !self.is_open() && taken.len() <= 1 {
            // One change of hands is atomic by itself.
            for (queue, lease) in taken.drain(..) {
                inputs[queue].borrow_mut().ack(lease);
            }
            return Ok(());
        }
        self.changes.keep();
        let full = Cell::new(0);
        let mut refused = match self.attempt(inputs, taken, None, &full) {
            Ok(()) => {
                self.done();
                return Ok(());
            }
            Err(refused) => refused,
        };
        // One wait over all further tries, so that it counts from the first of them.
        let lane = self.lane.clone();
        let waiting = lane.waiting();
        for attempt in 1.. {
            let (pause, what) = self.pause_after(refused, attempt, full.get())?;
            waiting.say(what);
            if !self.ctx.station().stop.sleep(pause, Stop::now) {
                return Err(Refusal::Stopped);
            }
            refused = match self.attempt(inputs, taken, Some(&waiting), &full) {
                Ok(()) => break,
                Err(refused) => refused,
            };
        }
        self.done();
        Ok(())
    }

    fn done(&mut self) {
        self.checkpoint = None;
        self.forget();
    }

    /// Commits what came from no items.
    pub(crate) fn commit_alone(&mut self) -> Result<(), Refusal> {
        self.commit::<Member>(&mut [], &mut Vec::new())
    }

    /// One try. Nothing has happened if it fails. `full`: the output for which it has waited last.
    fn attempt<I: BorrowMut<Member>>(
        &mut self,
        inputs: &mut [I],
        taken: &mut Vec<(usize, Lease)>,
        waiting: Option<&Waiting<'_>>,
        full: &Cell<usize>,
    ) -> Result<(), NotCommitted<Refusal>> {
        let station = self.ctx.station();
        // Threads that an author starts share the lane of the thread that started them.
        let _lane = (self.mode == Mode::WithTransaction).then(|| station.lock_lane());
        let own;
        let waiting = match waiting {
            Some(waiting) => waiting,
            None => {
                own = self.lane.waiting();
                &own
            }
        };
        let mut transaction = Transaction {
            lane: &self.lane,
            inputs,
            taken,
            outputs: &mut self.members,
            results: &self.entries,
            bytes: &self.bytes,
            checkpoint: self.checkpoint.as_deref(),
            changes_shared: !self.changes.is_empty(),
            shares_lane: self.mode == Mode::WithTransaction,
            is_last: self.finishes,
        };
        let prepare = |number| prepare(&self.ctx, &self.changes, waiting, number);
        let entries = &self.entries;
        transaction.commit(prepare, &|port| {
            full.set(port);
            station.stop.now_or_wait(waiting, room_for(port, entries))
        })
    }

    /// How long to wait before the next try, and for what; an error if none would help.
    fn pause_after(
        &self,
        refused: NotCommitted<Refusal>,
        attempt: u32,
        full: usize,
    ) -> Result<(Duration, WaitsFor), Refusal> {
        match refused {
            // The others wait for this one meanwhile.
            NotCommitted::Refused(Refused::Timeout) if self.members.iter().any(Member::has_turn) => {
                Ok((Duration::ZERO, room_for(full, &self.entries)))
            }
            // It held no room. Another thread of the process may have the lane meanwhile.
            NotCommitted::Refused(Refused::Timeout) if self.entries.len() == 1 => {
                Ok((LANE, room_for(full, &self.entries)))
            }
            // Each worker after another time, so that they do not meet again and again.
            NotCommitted::Refused(Refused::Timeout) => {
                let pause = HOLD * (attempt.min(8) * (1 + u32::from(self.ctx.replica()) % 7)) / 8;
                Ok((pause, room_for(full, &self.entries)))
            }
            NotCommitted::Refused(Refused::NoSpace) => {
                if attempt == 1 {
                    tracing::warn!("no space left where the state folder is: waiting until there is");
                }
                Ok((DISK, WaitsFor::Disk))
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

    /// Changes shared state with the next commit. `handle`: the number of the container's handle.
    pub(crate) fn change(&mut self, handle: usize, change: Change) -> Result<(), SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy);
        }
        let handle = &self.handles[handle];
        match self.mode {
            Mode::AtOnce => handle.call(&change.into_op(handle.name().to_owned())).map(drop),
            Mode::WithItem | Mode::WithCheckpoint | Mode::WithTransaction => self.changes.push(handle, change),
        }
    }

    /// The same for an addition to one number of a map.
    pub(crate) fn add<K: Serialize + ?Sized>(
        &mut self,
        handle: usize,
        key: &K,
        number: i64,
    ) -> Result<(), SharedError> {
        match self.mode {
            Mode::AtOnce => self.change(handle, Change::Add(encoded(key)?, number)),
            _ if is_copy() => Err(SharedError::ForkedCopy),
            Mode::WithItem | Mode::WithCheckpoint | Mode::WithTransaction => {
                self.changes.push_add(&self.handles[handle], key, number)
            }
        }
    }
}

/// What a commit waits for that finds no room in an output: for all that it sends there.
fn room_for(port: usize, entries: &[(usize, Range<usize>)]) -> WaitsFor {
    room_in(port, entries.iter().filter(|(other, _)| *other == port).count())
}

/// Tells the manager what transaction `number` will change.
fn prepare(ctx: &Context, changes: &Batch, waiting: &Waiting<'_>, number: u64) -> Result<(), Refusal> {
    let station = ctx.station();
    let welcome = &station.welcome;
    let from = || Origin { stage: welcome.stage.clone(), replica: welcome.replica, lane: ctx.thread() };
    while let Err(error) = changes.prepare(&station.shared, from(), welcome.incarnation.0, number) {
        let Some(pause) = pause_before_retry(&error) else { return Err(Refusal::Shared(error.into())) };
        tracing::warn!("waiting to change shared state: {error}");
        waiting.say(WaitsFor::Shared);
        if !station.stop.sleep(pause, Stop::now) {
            return Err(Refusal::Stopped);
        }
    }
    Ok(())
}
