//! Runs: several items sent, taken or acked in one go. Each item is still its own: it is in the queue, or done, from the
//! instant at which its slot's word changes, whatever becomes of the others. What a run saves is all that is the same for
//! every item: the hints are moved once, the counts are written once, sleepers are looked for once, and the processor
//! has the memory of many items under way instead of waiting for each.

use super::error::{Nothing, Refused};
use super::lease::Lease;
use super::member::Member;
use super::place::Count;
use super::ring::{Held, Met, NoSlot};
use super::take::Take;
use super::wait::{Wait, recv_any};
use crate::crash_point;
use crate::shm::{clock, is_forked_copy};
use crate::sync::Ordering;

/// Slots claimed at once, at most: until they are published, receivers wait for them.
const SLOTS: usize = 64;

/// Bytes written into slots claimed at once, at most, unless it is one item: writing takes time, and a receiver's patience
/// is short.
const BYTES: usize = 16 << 10;

impl Member {
    /// Sends `count` items in order, waiting for room as long as `wait` says; number `n` is `item(n)`. What was sent is
    /// in the queue; on an error, `sent` tells how many those are. If the process dies in the middle, the first so many of
    /// a run of at most 64 may have been sent, or none.
    pub fn send_many<'a>(
        &mut self,
        count: usize,
        item: impl Fn(usize) -> &'a [u8],
        sent: &mut usize,
        wait: &Wait<'_>,
    ) -> Result<(), Refused> {
        while *sent < count {
            let next = *sent;
            *sent += match self.try_send_run(count - next, |n| item(next + n)) {
                Err(Refused::Full) => self.when_room(wait, |it| it.try_send_run(count - next, |n| item(next + n)))?,
                answer => answer?,
            };
        }
        Ok(())
    }

    /// Sends as many of the items as there is room for, in order. On an error, `sent` tells how many were sent all the
    /// same: [`Refused::Full`] if it was not all of them.
    pub fn try_send_many<'a>(
        &mut self,
        count: usize,
        item: impl Fn(usize) -> &'a [u8],
        sent: &mut usize,
    ) -> Result<(), Refused> {
        while *sent < count {
            let next = *sent;
            *sent += self.try_send_run(count - next, |n| item(next + n))?;
        }
        Ok(())
    }

    /// Sends the first of the items, at least one. Gives how many.
    #[inline]
    fn try_send_run<'a>(&mut self, count: usize, item: impl Fn(usize) -> &'a [u8]) -> Result<usize, Refused> {
        let most = self.run_length(count, &item)?;
        if let Some(refused) = self.held_back(self.queue.gate().load(Ordering::SeqCst)) {
            return Err(refused);
        }
        let mut run = std::mem::take(&mut self.run);
        run.clear();
        let sent = self.send_run(most, item, &mut run);
        self.run = run;
        sent
    }

    /// How many of the items to send at once.
    #[inline]
    fn run_length<'a>(&self, count: usize, item: &impl Fn(usize) -> &'a [u8]) -> Result<usize, Refused> {
        let max = self.queue.shared.geometry.max_item_bytes as usize;
        let mut bytes = 0;
        for n in 0..count.min(SLOTS) {
            let len = item(n).len();
            bytes += len;
            match n {
                0 if len > max => return Err(Refused::TooLarge { len, max }),
                0 => {}
                _ if len > max || bytes > BYTES => return Ok(n),
                _ => {}
            }
        }
        Ok(count.min(SLOTS))
    }

    fn send_run<'a>(
        &mut self,
        count: usize,
        item: impl Fn(usize) -> &'a [u8],
        run: &mut Vec<Held>,
    ) -> Result<usize, Refused> {
        let shared = &self.queue.shared;
        shared.ring.claim_many(self.index, count, &mut self.send_cursor, |held| run.push(held)).map_err(|none| {
            match none {
                NoSlot::Full => Refused::Full,
                NoSlot::Spoilt => Refused::Spoilt,
            }
        })?;
        crash_point!("run_claimed");
        if self.queue.is_closed() {
            // As for one item.
            self.abandon(run);
            return Err(Refused::Closed);
        }
        let fits = |(n, held): (usize, &Held)| self.queue.write(held.slot, self.next_id(n as u64), item(n));
        let filled = run.iter().enumerate().position(|place| !fits(place)).unwrap_or(run.len());
        if filled < run.len() {
            // First: what is abandoned would look like what was sent to who settles the note.
            self.abandon(&run[filled..]);
            if filled == 0 {
                return Err(Refused::NoSpace);
            }
        }
        crash_point!("run_filled");
        self.place.note(Count::Sent, filled as u64 + self.drafts());
        let mut published = 0;
        for held in &run[..filled] {
            published += u64::from(shared.ring.publish(*held, self.index));
            crash_point!("run_published_one");
        }
        match published {
            0 => self.place.cancel(Count::Sent),
            published => self.place.done(Count::Sent, published),
        }
        shared.items.call();
        // Less only if a broken process has written over the words.
        if published == filled as u64 { Ok(filled) } else { Err(Refused::Spoilt) }
    }

    #[cold]
    fn abandon(&self, claimed: &[Held]) {
        claimed.iter().for_each(|held| self.queue.shared.ring.abandon(*held, self.index));
        self.queue.shared.room.notify_all();
        self.end_may_be_near();
    }

    /// Takes up to `most` items, and waits for the first of them as long as `wait` says. They are put behind those in
    /// `leases`. The deliveries of several items together do not count; an item of which a delivery has failed comes by itself.
    pub fn recv_many(&mut self, most: usize, leases: &mut Vec<Lease>, wait: &Wait<'_>) -> Result<(), Nothing> {
        if most > 0 {
            let lease = self.take_first(most, wait)?;
            self.take_rest(most, lease, leases);
        }
        Ok(())
    }

    /// Takes up to `most` items that are there.
    pub fn try_recv_many(&mut self, most: usize, leases: &mut Vec<Lease>) -> Result<(), Nothing> {
        if most > 0 {
            let lease = self.try_take(if most == 1 { Take::Single } else { Take::First })?;
            self.take_rest(most, lease, leases);
        }
        Ok(())
    }

    fn take_first(&mut self, most: usize, wait: &Wait<'_>) -> Result<Lease, Nothing> {
        let take = if most == 1 { Take::Single } else { Take::First };
        recv_any(std::slice::from_mut(self), wait, &mut 0, take).map(|(_, lease)| lease)
    }

    /// The run goes on behind its first item, unless that one is to be dealt with by itself.
    #[inline]
    fn take_rest(&mut self, most: usize, first: Lease, leases: &mut Vec<Lease>) {
        let is_alone = first.is_alone();
        leases.push(first);
        if !is_alone {
            self.take_more(most - 1, leases);
        }
    }

    /// Takes up to `most` more that are there, without patience for any.
    #[inline]
    fn take_more(&mut self, most: usize, leases: &mut Vec<Lease>) {
        let (queue, before) = (&self.queue, leases.len());
        let ring = &queue.shared.ring;
        loop {
            let left = most - (leases.len() - before);
            let taken = |held| leases.push(queue.lease(held));
            ring.lease_more(self.index, left, Take::More, &mut self.recv_cursor, taken);
            if leases.len() - before == most || !ring.has_late() {
                break;
            }
            match ring.lease(self.index, Take::More, &mut self.oldest, clock) {
                Met::Item(held) => leases.push(queue.lease(held)),
                Met::Empty | Met::Unfinished(_) | Met::Spoilt => break,
            }
        }
        self.leases += leases.len() - before;
    }

    /// The items are done and gone. If the process dies before this returns, each is either done or comes again.
    pub fn ack_many(&mut self, leases: &mut Vec<Lease>) {
        if is_forked_copy() {
            leases.clear();
            return;
        }
        let shared = &self.queue.shared;
        self.place.note(Count::Acked, self.leases as u64);
        let mut done = 0;
        for lease in leases.drain(..) {
            let is_large = self.queue.is_released(lease.len);
            if !is_large {
                done += u64::from(shared.ring.ack(lease.held, self.index));
            } else if shared.ring.ack_unfreed(lease.held, self.index) {
                self.queue.release_large(lease.held.slot);
                shared.ring.abandon(lease.held, self.index);
                done += 1;
            }
            crash_point!("run_acked_one");
        }
        if done == 0 {
            self.place.cancel(Count::Acked);
            return;
        }
        self.leases -= done as usize;
        self.place.done(Count::Acked, done);
        self.room_made();
    }
}
