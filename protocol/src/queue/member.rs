//! A member: one thread's place at a queue, by which it sends and receives.

use std::sync::PoisonError;

use super::batch::Share;
use super::error::{Nothing, QueueError, Refused};
use super::file::Queue;
use super::geometry::MEMBERS;
use super::hint::Cursor;
use super::lease::Lease;
use super::oldest::Oldest;
use super::place::{Count, Place};
use super::recovery::Fate;
use super::ring::{Held, Met, NoSlot};
use super::take::Take;
use super::turn::Turn;
use super::wait::Unhurried;
use crate::crash_point;
use crate::id::{ItemId, ItemKey, Post};
use crate::shm::{Patience, clock, is_forked_copy, recently};
use crate::sync::Ordering;

/// One thread's place at a queue. Moves between threads, but is used by one at a time.
///
/// If its process dies, the supervisor gives back what it held. Dropped alive, it gives back what it still holds itself.
/// In a forked copy of its process ([`is_forked_copy`]) it changes nothing: all that it holds is the process's own.
#[derive(Debug)]
pub struct Member {
    pub(super) queue: Queue,
    pub(super) index: u16,
    pub(super) place: Place,
    pub(super) leases: usize,
    pub(super) share: Share,
    /// The slots of the run that is being sent: kept for its memory alone.
    pub(super) run: Vec<Held>,
    pub(super) first_not_free: usize,
    pub(super) send_cursor: Cursor,
    pub(super) recv_cursor: Cursor,
    pub(super) was_full: bool,
    /// The late items that it takes next.
    pub(super) oldest: Oldest,
    pub(super) patience: Patience,
    pub(super) turn: Turn,
}

impl Queue {
    /// Joins the queue for one thread of the worker at `post`; `lane` is the number of the thread, for the records.
    pub fn join(&self, post: Post, lane: u16) -> Result<Member, QueueError> {
        if is_forked_copy() {
            return Err(QueueError::Copy);
        }
        let takes = |index| Some((index, self.place(index))).filter(|(_, place)| place.take(post, lane));
        let (index, place) = self
            .take_idle(post, lane)
            .or_else(|| self.shared.places.free().find_map(takes))
            .ok_or(QueueError::MembersFull(MEMBERS))?;
        self.note_member(index);
        Ok(Member {
            queue: self.clone(),
            index,
            place,
            leases: 0,
            share: Share::default(),
            run: Vec::new(),
            first_not_free: 0,
            send_cursor: Cursor::default(),
            recv_cursor: Cursor::default(),
            was_full: false,
            oldest: Oldest::default(),
            patience: Patience::with_room(self.shared.geometry.capacity),
            turn: Turn::default(),
        })
    }

    /// The place that an earlier member of this thread had.
    fn take_idle(&self, post: Post, lane: u16) -> Option<(u16, Place)> {
        let mut idle = self.shared.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let is_its = |index: &u16| {
            let place = self.place(*index);
            place.post() == Some(post) && place.lane() == lane
        };
        let index = idle.iter().position(is_its).map(|at| idle.swap_remove(at))?;
        Some((index, self.place(index)))
    }
}

impl Member {
    /// The queue.
    #[inline]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The id that the next item which this member sends will have. Written down before the send, it tells later, through
    /// [`Queue::was_sent`], whether the send came to be, also if this process died in the middle.
    pub fn next_item(&self) -> ItemId {
        self.next_id(0)
    }

    /// Sends one item if there is room. When this returns `Ok`, the item is in the queue, whatever happens to this
    /// process. If the process dies before, nothing was sent.
    #[inline]
    pub fn try_send(&mut self, item: &[u8]) -> Result<ItemId, Refused> {
        self.check_len(item)?;
        let held = self.claim()?;
        crash_point!("filling");
        let id = self.next_id(0);
        if !self.queue.write(held.slot, id, item) {
            return Err(self.no_space(held));
        }
        self.send_filled(held, id, 1 + self.drafts())
    }

    /// Sends an item again that was a dead letter: it keeps that one's key. Otherwise as [`Member::try_send`].
    pub fn try_send_as(&mut self, item: &[u8], key: ItemKey) -> Result<ItemId, Refused> {
        self.check_len(item)?;
        let held = self.claim()?;
        let id = self.next_id(0);
        if !self.queue.write(held.slot, id, item) {
            return Err(self.no_space(held));
        }
        self.queue.write_origin(held.slot, id, item.len(), key);
        self.send_filled(held, id, 1 + self.drafts())
    }

    /// The slot holds the item of this id; so many are being filled, with this one.
    #[inline]
    pub(super) fn send_filled(&mut self, held: Held, id: ItemId, filling: u64) -> Result<ItemId, Refused> {
        crash_point!("filled");
        self.place.note(Count::Sent, filling);
        if !self.queue.shared.ring.publish(held, self.index) {
            self.place.cancel(Count::Sent);
            return Err(Refused::Spoilt);
        }
        crash_point!("published");
        self.place.done(Count::Sent, 1);
        self.queue.shared.items.call();
        Ok(id)
    }

    /// Claims a slot and writes the item into it, without publishing it. It gets the id of the item that comes after
    /// `ahead` others which are not counted yet.
    pub(super) fn try_fill(&mut self, item: &[u8], ahead: u64) -> Result<Held, Refused> {
        self.check_len(item)?;
        let held = self.claim()?;
        crash_point!("batch_filling");
        if !self.queue.write(held.slot, self.next_id(ahead), item) {
            return Err(self.no_space(held));
        }
        Ok(held)
    }

    #[inline]
    fn check_len(&self, item: &[u8]) -> Result<(), Refused> {
        let (len, max) = (item.len(), self.queue.shared.geometry.max_item_bytes as usize);
        if len > max { Err(Refused::TooLarge { len, max }) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn claim(&mut self) -> Result<Held, Refused> {
        let shared = &self.queue.shared;
        let gate = self.queue.gate().load(Ordering::SeqCst);
        if (gate != 0 || is_forked_copy())
            && let Some(refused) = self.held_back(gate)
        {
            return Err(refused);
        }
        let held = shared.ring.claim(self.index, &mut self.send_cursor).map_err(|none| match none {
            NoSlot::Full => Refused::Full,
            NoSlot::Spoilt => Refused::Spoilt,
        })?;
        if self.queue.is_closed() {
            // Closed since: receivers that have seen the slot free may have left. See `Ring::first_not_free`.
            shared.ring.abandon(held, self.index);
            self.end_may_be_near();
            return Err(Refused::Closed);
        }
        Ok(held)
    }

    #[cold]
    fn no_space(&self, held: Held) -> Refused {
        self.queue.give_up(held, self.index);
        Refused::NoSpace
    }

    /// Takes the next item if there is one: what came back first, then in the order of sending.
    #[inline]
    pub fn try_recv(&mut self) -> Result<Lease, Nothing> {
        self.try_take(Take::Single)
    }

    /// The same, for a run or batch as `take` says. With [`Take::More`] also [`Nothing::Empty`] if the next item has to be
    /// taken by itself.
    #[inline]
    pub fn try_take(&mut self, take: Take) -> Result<Lease, Nothing> {
        match self.take_ready(take) {
            Some(lease) => Ok(lease),
            None => self.look_for_one(take),
        }
    }

    /// What all is about when nothing is late: the item at the head is ready.
    #[inline]
    fn take_ready(&mut self, take: Take) -> Option<Lease> {
        let ring = &self.queue.shared.ring;
        if ring.may_promote(recently) || is_forked_copy() {
            return None;
        }
        let mut taken = None;
        ring.lease_more(self.index, 1, take, &mut self.recv_cursor, |held| taken = Some(held));
        let lease = self.queue.lease(taken?);
        self.leases += 1;
        Some(lease)
    }

    #[inline(never)]
    fn look_for_one(&mut self, take: Take) -> Result<Lease, Nothing> {
        if is_forked_copy() {
            return Err(Nothing::Copy);
        }
        let shared = &self.queue.shared;
        if shared.ring.promote(clock) > 0 {
            self.oldest.clear();
            shared.items.call();
        }
        let mut unhurried = Unhurried::default();
        let gathers = self.patience.gathers();
        loop {
            match self.queue.shared.ring.lease(self.index, take, &mut self.oldest, clock) {
                Met::Item(held) => {
                    self.leases += 1;
                    if let Some(look) = unhurried.look() {
                        self.patience.found(look);
                        if gathers {
                            self.patience.gathered(self.queue.is_empty());
                        }
                    }
                    return Ok(self.queue.lease(held));
                }
                Met::Empty => return Err(if self.is_at_end() { Nothing::Ended } else { Nothing::Empty }),
                Met::Unfinished(_) if gathers && unhurried.look().is_none() => {
                    unhurried.gather(self.patience);
                }
                Met::Unfinished(unfinished) => {
                    if !unhurried.more(unfinished) {
                        self.queue.shared.ring.pass_over(unfinished);
                    }
                }
                Met::Spoilt => return Err(Nothing::Spoilt),
            }
        }
    }

    /// The item's bytes, in place.
    #[inline]
    pub fn bytes<'a>(&'a self, lease: &'a Lease) -> &'a [u8] {
        self.queue.shared.region.bytes(lease.offset, lease.len)
    }

    /// The item is done and gone. If the process dies before this returns, it is either done or comes again. False in a
    /// forked copy, where nothing happens.
    #[inline]
    pub fn ack(&mut self, lease: Lease) -> bool {
        if is_forked_copy() {
            return false;
        }
        let shared = &self.queue.shared;
        self.place.note(Count::Acked, self.leases as u64);
        crash_point!("acking");
        // A large item's bytes may only go when it can no longer come again, and while the slot is still ours.
        let is_large = self.queue.is_released(lease.len);
        let ring = &shared.ring;
        let done = if is_large { ring.ack_unfreed(lease.held, self.index) } else { ring.ack(lease.held, self.index) };
        if !done {
            self.place.cancel(Count::Acked); // Another member's lease, or a broken process has written over the word.
            return true;
        }
        self.leases -= 1;
        crash_point!("acked");
        self.place.done(Count::Acked, 1);
        if is_large {
            self.queue.release_large(lease.held.slot);
            crash_point!("large_released");
            shared.ring.abandon(lease.held, self.index);
        }
        self.room_made();
        true
    }

    #[inline]
    pub(super) fn next_id(&self, ahead: u64) -> ItemId {
        let number = self.place.total(Count::Sent).wrapping_add(1).wrapping_add(ahead);
        ItemId(u64::from(self.index) << 48 | number & ((1 << 48) - 1))
    }

    /// A slot became free: senders that sleep are woken when half of the queue has been taken, not for every item, so
    /// that the two sides do not take turns item by item. (A sender that sleeps also looks around by itself.)
    #[inline]
    pub(super) fn room_made(&self) {
        self.wake_senders();
        self.end_may_be_near();
    }

    /// Wakes the senders that sleep, if the backlog is small enough. A receiver does this before it sleeps, too: the
    /// backlog may have fallen by a lease, and else both sides could sleep with room between them.
    #[inline]
    pub(super) fn wake_senders(&self) {
        let shared = &self.queue.shared;
        if shared.room.has_sleepers() && shared.ring.backlog() <= u64::from(shared.geometry.capacity / 2) {
            shared.room.notify_all();
        }
    }

    #[inline]
    pub(super) fn end_may_be_near(&self) {
        if self.queue.is_closed() {
            self.queue.shared.items.call_all();
        }
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        if is_forked_copy() {
            return;
        }
        self.end_turn();
        if self.leases > 0 || self.share.is_open() {
            let ours = |_, owner| if owner == self.index { Fate::Dead } else { Fate::Alive };
            let copy = |from, to| self.queue.copy_item(from, to);
            let swept = self.queue.shared.ring.sweep(clock(), ours, copy);
            self.place.count_returned(swept.returned);
            if swept.dead > 0 {
                self.queue.count_death();
            }
            self.queue.wake_all();
        }
        self.queue.shared.idle.lock().unwrap_or_else(PoisonError::into_inner).push(self.index);
    }
}

impl Queue {
    /// Whether the item of this id was sent. True for ids that a member of this queue has been about to give; exact when
    /// that member lives, or is swept.
    pub fn was_sent(&self, item: ItemId) -> bool {
        let (index, number) = (item.0 >> 48, item.0 & ((1 << 48) - 1));
        let index = u16::try_from(index).expect("sixteen bits are left");
        usize::from(index) < MEMBERS && number <= self.place(index).total(Count::Sent)
    }
}
