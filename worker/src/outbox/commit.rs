//! The commit of what a handler thread has collected: from private memory into the queues and to the manager, and then
//! one store that makes all of it true.

use std::time::{Duration, Instant};

use brigade_protocol::crash_point;
use brigade_protocol::queue::{Lease, Member, Refused, Wait};
use brigade_protocol::shared::op::{Op, Origin};

use super::{Mark, Mode, Outbox};
use crate::copies::is_copy;
use crate::error::Refusal;
use crate::shared::{Handle, SharedError, pause_before_retry};

/// How long a commit that has claimed room waits for more. Then it gives back what it has: two workers that each hold
/// half of a queue's room and wait for the other half would wait for ever.
const HOLD: Duration = Duration::from_millis(20);
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
        let changes = self.changes.split_off(mark.changes);
        self.commit(inputs, taken)?;
        self.bytes = bytes;
        self.changes.append(changes);
        self.checkpoint = checkpoint;
        for (port, range) in entries {
            self.ports[port].waiting += 1;
            self.entries.push((port, range.start - start..range.end - start));
        }
        Ok(())
    }

    /// Commits: what is on its way is in the queues, the items that it came from are gone, the checkpoint holds, all by
    /// one store. If it fails (told to stop while it waited for room) nothing has happened, and `taken` is as it was.
    pub(crate) fn commit(&mut self, inputs: &mut [Member], taken: &mut Vec<(usize, Lease)>) -> Result<(), Refusal> {
        if is_copy() {
            return Err(Refusal::ForkedCopy);
        }
        if !self.is_open() && taken.len() <= 1 {
            // One change of hands is atomic by itself.
            for (queue, lease) in taken.drain(..) {
                inputs[queue].ack(lease);
            }
            return Ok(());
        }
        let number = self.lane.committed() + 1;
        self.lane.begin_batch();
        self.prepare(number)?;
        self.stage(number)?;
        crash_point!("batch_staged");
        for (queue, lease) in taken.drain(..) {
            inputs[queue].settle(lease, number);
        }
        crash_point!("batch_settled");
        if let Some(checkpoint) = self.checkpoint.take() {
            self.lane.write_checkpoint(number, &checkpoint);
        }
        if !self.changes.is_empty() {
            self.lane.mark_shared(number);
        }
        if self.finishes {
            self.lane.mark_finish(number);
        }
        for member in inputs.iter_mut().chain(self.ports.iter_mut().map(|port| &mut port.member)) {
            member.note_batch(number);
        }
        crash_point!("batch_noted");
        self.lane.commit(number);
        crash_point!("batch_committed");
        for member in self.ports.iter_mut().map(|port| &mut port.member).chain(inputs) {
            member.roll_forward();
        }
        crash_point!("batch_rolled_forward");
        self.forget();
        Ok(())
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
        self.commit(&mut [], &mut Vec::new())
    }

    /// Whether something is to be committed, apart from the items in hand.
    fn is_open(&self) -> bool {
        !(self.entries.is_empty() && self.checkpoint.is_none() && self.changes.is_empty())
    }

    /// Changes shared state with the next commit.
    pub(crate) fn change(&mut self, handle: &Handle, op: &Op) -> Result<(), SharedError> {
        if is_copy() {
            return Err(SharedError::ForkedCopy);
        }
        match self.mode {
            Mode::AtOnce => handle.call(op).map(drop),
            Mode::WithItem | Mode::WithCheckpoint => self.changes.push(handle, op),
        }
    }

    /// Tells the manager what batch `number` will change.
    fn prepare(&self, number: u64) -> Result<(), Refusal> {
        if self.changes.is_empty() {
            return Ok(());
        }
        let station = self.ctx.station();
        let welcome = &station.welcome;
        let from = || Origin { stage: welcome.stage.clone(), replica: welcome.replica, lane: self.ctx.thread() };
        let waiting = self.lane.waiting();
        while let Err(error) = self.changes.prepare(&station.shared, from(), welcome.incarnation.0, number) {
            let Some(pause) = pause_before_retry(&error) else { return Err(Refusal::Shared(error)) };
            tracing::warn!("waiting to change shared state: {error}");
            waiting.say();
            if !station.stop.sleep(pause, crate::stop::Stop::now) {
                return Err(Refusal::Stopped);
            }
        }
        crash_point!("batch_prepared");
        Ok(())
    }

    /// Writes everything into the queues, still unseen. Afterwards all is staged, or nothing.
    fn stage(&mut self, number: u64) -> Result<(), Refusal> {
        let mut attempt = 0u32;
        loop {
            let refused = match self.try_stage(number) {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            self.ports.iter_mut().for_each(|port| port.member.roll_back());
            attempt += 1;
            let pause = match refused {
                // Each worker after another time, so that they do not meet again and again.
                Refused::Timeout => HOLD * (attempt.min(8) * (1 + u32::from(self.ctx.replica()) % 7)) / 8,
                Refused::NoSpace => {
                    if attempt == 1 {
                        tracing::warn!("no space left where the state folder is: waiting until there is");
                    }
                    DISK
                }
                Refused::Full
                | Refused::Closed
                | Refused::TooLarge { .. }
                | Refused::Interrupted
                | Refused::Spoilt
                | Refused::Copy => return Err(refused.into()),
            };
            let waiting = self.lane.waiting();
            waiting.say();
            if !self.ctx.station().stop.sleep(pause, crate::stop::Stop::now) {
                return Err(Refusal::Stopped);
            }
        }
    }

    fn try_stage(&mut self, number: u64) -> Result<(), Refused> {
        let stop = &self.ctx.station().stop;
        let waiting = self.lane.waiting();
        let mut deadline = None;
        for (port, range) in &self.entries {
            let wait = Wait { deadline, interrupted: &|| stop.now_or_wait(&waiting) };
            self.ports[*port].member.stage(&self.bytes[range.clone()], number, &wait)?;
            if deadline.is_none() && self.entries.len() > 1 {
                deadline = Some(Instant::now() + HOLD);
            }
        }
        Ok(())
    }
}
