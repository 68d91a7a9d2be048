//! The commit of what a handler thread has collected: from private memory into the queues and to the manager, and then
//! one store that makes all of it true.

use std::ops::Range;
use std::time::{Duration, Instant};

use brigade_protocol::crash_point;
use brigade_protocol::page::{Waiting, WaitsFor};
use brigade_protocol::queue::{Lease, Member, Refused, Wait};
use brigade_protocol::shared::op::{Op, Origin};

use super::{Mark, Mode, Outbox, Port, room_in};
use crate::context::Context;
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
            waiting.say(WaitsFor::Shared);
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
        let Self { ports, lane, ctx, bytes, entries, .. } = self;
        // One wait over all attempts, so that it counts from the first one.
        let waiting = lane.waiting();
        loop {
            let mut at = 0;
            let attempted = try_stage(ports, entries, bytes, number, ctx, &waiting, &mut at);
            let refused = match attempted {
                Ok(()) => return Ok(()),
                Err(refused) => refused,
            };
            ports.iter_mut().for_each(|port| port.member.roll_back());
            attempt += 1;
            let (pause, what) = match refused {
                // Each worker after another time, so that they do not meet again and again.
                Refused::Timeout => {
                    (HOLD * (attempt.min(8) * (1 + u32::from(ctx.replica()) % 7)) / 8, room_for(at, entries))
                }
                Refused::NoSpace => {
                    if attempt == 1 {
                        tracing::warn!("no space left where the state folder is: waiting until there is");
                    }
                    (DISK, WaitsFor::Disk)
                }
                Refused::Full | Refused::Closed | Refused::TooLarge { .. } | Refused::Interrupted | Refused::Spoilt => {
                    return Err(refused.into());
                }
            };
            waiting.say(what);
            if !ctx.station().stop.sleep(pause, crate::stop::Stop::now) {
                return Err(Refusal::Stopped);
            }
        }
    }
}

/// What a commit waits for that finds no room in an output: for all that it sends there.
fn room_for(port: usize, entries: &[(usize, Range<usize>)]) -> WaitsFor {
    room_in(port, entries.iter().filter(|(other, _)| *other == port).count())
}

/// Writes the entries into the queues, still unseen. `at`: the output that it has come to.
fn try_stage(
    ports: &mut [Port],
    entries: &[(usize, Range<usize>)],
    bytes: &[u8],
    number: u64,
    ctx: &Context,
    waiting: &Waiting<'_>,
    at: &mut usize,
) -> Result<(), Refused> {
    let stop = &ctx.station().stop;
    let mut deadline = None;
    for (port, range) in entries {
        *at = *port;
        let wait = Wait { deadline, interrupted: &|| stop.now_or_wait(waiting, room_for(*port, entries)) };
        ports[*port].member.stage(&bytes[range.clone()], number, &wait)?;
        if deadline.is_none() && entries.len() > 1 {
            deadline = Some(Instant::now() + HOLD);
        }
    }
    Ok(())
}
