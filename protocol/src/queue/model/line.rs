//! The bench on which the models try batches: a queue from which workers take, queues into which they hand on, and the
//! store that commits. Its members do what the SDK's `Outbox`, [`Member`](super::super::Member) and
//! [`Queue::sweep`](super::super::Queue::sweep) do, step by step.

use std::sync::{Arc, Mutex, MutexGuard};

use super::super::delayed::Delayed;
use super::super::hint::Cursor;
use super::super::late::LateLane;
use super::super::oldest::Oldest;
use super::super::place::{Count, Place};
use super::super::recovery::Fate;
use super::super::ring::{Held, Met, NoSlot, Ring};
use super::super::slot::Kind;
use super::super::spare::{Room, SPARES, Tail};
use super::super::take::Take;
use crate::shm::Words;
use crate::sync::Ordering;

/// Nothing waits for a retry here.
const NOW: u64 = 1;
/// Members 0 and 1 move, members 2 and 4 take, member 3 has sent.
const MEMBERS: usize = 5;

/// One queue, without its file.
pub(super) struct Side {
    ring: Ring,
    payload: Words,
    batches: Words,
    /// Where the senders have been, as `Member::send_cursor`.
    cursors: Vec<Mutex<Cursor>>,
    /// As `Member::oldest`.
    oldest: Vec<Mutex<Oldest>>,
    closed: Words,
    places: Vec<Place>,
}

/// What a member has in the batch at hand.
#[derive(Default)]
pub(super) struct Share {
    staged: Vec<Held>,
    settled: Vec<Held>,
}

/// A batch that only lacks its commit, or what comes after it.
pub struct Batch {
    number: u64,
    input: Share,
    outputs: Vec<Share>,
}

impl Share {
    /// Takes over what another share holds.
    pub(super) fn append(&mut self, other: &mut Self) {
        self.staged.append(&mut other.staged);
        self.settled.append(&mut other.settled);
    }
}

impl Side {
    pub(super) fn new(capacity: u32) -> Self {
        let slots = capacity as usize + SPARES;
        let lane = || LateLane::new(Words::on_heap(1), Words::on_heap(LateLane::words_for(capacity)));
        let words = || Words::on_heap(slots);
        let delayed = Delayed::new(lane(), words(), Words::on_heap(1));
        let late = (lane(), Words::on_heap(1));
        Self {
            ring: Ring::new(words(), words(), [(); 2].map(|()| Words::on_heap(1)), late, delayed, 0),
            payload: words(),
            batches: words(),
            cursors: (0..MEMBERS).map(|_| Mutex::default()).collect(),
            oldest: (0..MEMBERS).map(|_| Mutex::default()).collect(),
            closed: Words::on_heap(1),
            places: (0..MEMBERS).map(|_| Place::new(Words::on_heap(11))).collect(),
        }
    }

    fn place(&self, owner: u16) -> &Place {
        &self.places[usize::from(owner)]
    }

    fn claim(&self, owner: u16) -> Result<Held, NoSlot> {
        let kept = || self.cursors[usize::from(owner)].lock().expect("no thread panics while it holds the lock");
        let mut cursor = *kept();
        let claimed = self.ring.claim(owner, &mut cursor);
        *kept() = cursor;
        claimed
    }

    /// As `Member::try_send`, by a member that never dies.
    pub(super) fn try_send(&self, owner: u16, item: u64) {
        let Ok(held) = self.claim(owner) else { return };
        self.payload.at(held.slot).store(item, Ordering::Relaxed);
        assert!(self.ring.publish(held, owner));
    }

    /// As `Member::try_send`, by somebody who never dies and always has room.
    pub(super) fn send(&self, owner: u16, item: u64) {
        let held = self.claim(owner).expect("a free slot");
        self.place(owner).note(Count::Sent, 1);
        self.payload.at(held.slot).store(item, Ordering::Relaxed);
        assert!(self.ring.publish(held, owner));
        self.place(owner).done(Count::Sent, 1);
    }

    /// As `Member::try_recv`, with the least patience.
    pub(super) fn lease(&self, owner: u16) -> Option<(Held, u64)> {
        let kept = || self.oldest[usize::from(owner)].lock().expect("no thread panics while it holds the lock");
        let mut met = None;
        loop {
            let mut oldest = std::mem::take(&mut *kept());
            let answer = self.ring.lease(owner, Take::Single, &mut oldest, || NOW);
            *kept() = oldest;
            match answer {
                Met::Item(held) => return Some((held, self.payload.at(held.slot).load(Ordering::Relaxed))),
                Met::Empty => return None,
                Met::Unfinished(unfinished) if met == Some(unfinished) => self.ring.pass_over(unfinished),
                Met::Unfinished(unfinished) => met = Some(unfinished),
                Met::Spoilt => panic!("the words of the model are valid"),
            }
        }
    }

    /// As `Member::ack`.
    pub(super) fn ack(&self, owner: u16, held: Held) {
        self.place(owner).note(Count::Acked, self.ring.count(Kind::Leased, owner));
        assert!(self.ring.ack(held, owner), "a lease was taken from its receiver");
        self.place(owner).done(Count::Acked, 1);
    }

    /// As `Member::give_back`.
    pub(super) fn give_back(&self, owner: u16, held: Held) {
        assert!(self.ring.give_back(held, owner), "a lease was taken from its receiver");
    }

    /// As `Member::stage`. False if there is no room.
    fn stage(&self, owner: u16, share: &mut Share, item: u64, number: u64) -> bool {
        let Ok(held) = self.claim(owner) else { return false };
        self.payload.at(held.slot).store(item, Ordering::Relaxed);
        self.batches.at(held.slot).store(number, Ordering::Relaxed);
        share.staged.push(self.ring.stage(held, owner).expect("a claimed slot was taken away"));
        true
    }

    /// As `Member::stage`, of a result for which the item `from` gives up its room if there is no other. False if there is none.
    pub(super) fn stage_for(&self, owner: u16, share: &mut Share, item: u64, from: Held, number: u64) -> bool {
        if self.stage(owner, share, item, number) {
            return true;
        }
        let Some(held) = self.ring.claim_spare(owner) else { return false };
        self.payload.at(held.slot).store(item, Ordering::Relaxed);
        let cursors = || self.cursors[usize::from(owner)].lock().expect("no thread panics while it holds the lock");
        let mut cursor = *cursors();
        let stands = self.ring.stand_behind(&mut cursor);
        *cursors() = cursor;
        let Some(Tail::Behind(born)) = stands else {
            self.ring.abandon(held, owner);
            return false;
        };
        self.ring.note_room(held.slot, Room::new(from.slot, owner), born);
        self.batches.at(held.slot).store(number, Ordering::Relaxed);
        share.staged.push(self.ring.stage(held, owner).expect("a claimed slot was taken away"));
        true
    }

    fn copy(&self, from: usize, to: usize) -> bool {
        self.payload.at(to).store(self.payload.at(from).load(Ordering::Relaxed), Ordering::Relaxed);
        true
    }

    /// As `Member::settle`.
    pub(super) fn settle(&self, owner: u16, share: &mut Share, held: Held, number: u64) {
        self.batches.at(held.slot).store(number, Ordering::Relaxed);
        share.settled.push(self.ring.settle(held, owner).expect("a lease was taken away"));
    }

    /// As `Member::note_batch`, of a member that has both shares.
    pub(super) fn note_both(&self, owner: u16, out: &Share, taken: &Share, number: u64) {
        self.place(owner).note_batch(number, out.staged.len() as u64, taken.settled.len() as u64);
    }

    /// As `Member::note_batch`.
    fn note(&self, owner: u16, share: &Share, number: u64) {
        self.place(owner).note_batch(number, share.staged.len() as u64, share.settled.len() as u64);
    }

    /// As `Member::roll_forward`.
    pub(super) fn roll_forward(&self, owner: u16, share: &mut Share) {
        for held in share.staged.drain(..) {
            if held.slot < self.ring.slots() {
                assert!(self.ring.publish_staged(held, owner), "a staged slot was taken away");
            } else {
                assert!(self.ring.exchange(held, owner, |from, to| self.copy(from, to)), "a spare slot was taken away");
            }
        }
        for held in share.settled.drain(..) {
            if self.ring.word(held.slot).is(Kind::Settled, owner) {
                assert!(self.ring.free_settled(held, owner), "a settled slot was taken away");
            }
        }
        self.place(owner).count_batch();
    }

    /// As `Member::roll_back`.
    pub(super) fn roll_back(&self, owner: u16, share: &mut Share) {
        share.staged.drain(..).for_each(|held| self.ring.unstage(held, owner));
    }

    /// As `Queue::sweep`, for one member.
    pub(super) fn sweep(&self, owner: u16, committed: u64) {
        self.place(owner).settle(Count::Sent, |held| held - self.ring.count(Kind::Filling, owner));
        self.place(owner).settle(Count::Acked, |held| held - self.ring.count(Kind::Leased, owner));
        self.place(owner).settle_batch(committed);
        let fate = |slot, other| {
            if other != owner {
                Fate::Alive
            } else if self.batches.at(slot).load(Ordering::Relaxed) <= committed {
                Fate::Committed
            } else {
                Fate::Dead
            }
        };
        self.ring.sweep(NOW, fate, |from, to| self.copy(from, to));
    }

    /// As `Member::is_at_end`.
    fn is_at_end(&self) -> bool {
        self.closed.at(0).load(Ordering::SeqCst) != 0 && self.ring.first_not_free(0) == self.ring.slots()
    }

    pub(super) fn is_free(&self) -> bool {
        (0..self.ring.slots() + SPARES).all(|slot| self.ring.word(slot).kind() == Kind::Free)
    }

    pub(super) fn total(&self, count: Count) -> u64 {
        self.places.iter().map(|place| place.total(count)).sum()
    }
}

/// A line of queues, with items in the first.
pub struct Line {
    from: Side,
    to: Vec<Side>,
    /// By member: the last batch that it committed.
    committed: Words,
    items: u64,
    /// By queue: what came out.
    out: Vec<Mutex<Vec<u64>>>,
}

impl Line {
    /// So many items, in a queue with just enough room; what is made of each goes to every queue of `outputs`, which are
    /// given by their capacities.
    pub fn new(items: u64, outputs: &[u32]) -> Arc<Self> {
        let line = Self {
            from: Side::new(u32::try_from(items).expect("a few")),
            to: outputs.iter().map(|capacity| Side::new(*capacity)).collect(),
            committed: Words::on_heap(MEMBERS),
            items,
            out: outputs.iter().map(|_| Mutex::default()).collect(),
        };
        (0..items).for_each(|item| line.from.send(3, item));
        Arc::new(line)
    }

    /// As the SDK's `Outbox::commit`, of `size` items at most, with so many tries to find room. False if there was nothing
    /// to move, or no room.
    pub fn move_batch(&self, owner: u16, size: usize, tries: usize) -> bool {
        let Some(batch) = self.prepare(owner, size, tries) else { return false };
        self.commit(owner, &batch);
        self.roll_forward(owner, batch);
        true
    }

    /// All of it up to the commit. If there is no room, what was taken goes back, as when the worker is told to stop.
    pub fn prepare(&self, owner: u16, size: usize, tries: usize) -> Option<Batch> {
        let mut taken = Vec::new();
        while taken.len() < size
            && let Some(lease) = self.from.lease(owner)
        {
            taken.push(lease);
        }
        if taken.is_empty() {
            return None;
        }
        let number = self.committed.at(owner.into()).load(Ordering::Relaxed) + 1;
        let mut outputs: Vec<Share> = self.to.iter().map(|_| Share::default()).collect();
        if !(0..tries).any(|_| self.try_stage(owner, number, &taken, &mut outputs)) {
            taken.into_iter().for_each(|(held, _)| assert!(self.from.ring.give_back(held, owner)));
            return None;
        }
        let mut input = Share::default();
        for (held, item) in taken {
            let now = self.from.payload.at(held.slot).load(Ordering::Relaxed);
            assert_eq!(now, item, "a leased item was written over");
            self.from.settle(owner, &mut input, held, number);
        }
        self.from.note(owner, &input, number);
        self.to.iter().zip(&outputs).for_each(|(to, share)| to.note(owner, share, number));
        Some(Batch { number, input, outputs })
    }

    /// As `Lane::commit`.
    pub fn commit(&self, owner: u16, batch: &Batch) {
        self.committed.at(owner.into()).store(batch.number, Ordering::SeqCst);
    }

    fn roll_forward(&self, owner: u16, mut batch: Batch) {
        self.to.iter().zip(&mut batch.outputs).for_each(|(to, share)| to.roll_forward(owner, share));
        self.from.roll_forward(owner, &mut batch.input);
    }

    /// Stages everything in every output, or nothing.
    fn try_stage(&self, owner: u16, number: u64, taken: &[(Held, u64)], shares: &mut [Share]) -> bool {
        for (_, item) in taken {
            for (to, share) in self.to.iter().zip(&mut *shares) {
                if !to.stage(owner, share, *item, number) {
                    self.to.iter().zip(shares).for_each(|(to, share)| to.roll_back(owner, share));
                    return false;
                }
            }
        }
        true
    }

    /// As the supervisor's, after the death of a worker: all its queues, one after the other.
    pub fn sweep(&self, owner: u16) {
        let committed = self.committed.at(owner.into()).load(Ordering::Acquire);
        std::iter::once(&self.from).chain(&self.to).for_each(|side| side.sweep(owner, committed));
    }

    /// Takes one item from each output, if there is one.
    pub fn take(&self, owner: u16) {
        for (to, out) in self.to.iter().zip(&self.out) {
            if let Some((held, item)) = to.lease(owner) {
                to.ack(owner, held);
                let mut out = came(out);
                assert!(!out.contains(&item), "item {item} came out twice");
                out.push(item);
            }
        }
    }

    /// Nothing is sent into the first queue any more.
    pub fn close(&self) {
        self.from.closed.at(0).store(1, Ordering::SeqCst);
    }

    /// Whether a worker may leave; then nothing may be left in the first queue, and all of it must be on its way.
    pub fn is_at_end(&self) -> bool {
        let is_at_end = self.from.is_at_end();
        assert!(!is_at_end || self.from.is_free(), "a worker leaves, and an item is still there");
        is_at_end
    }

    /// When all is quiet: the rest is moved and taken, each item came out once, and the counts say so.
    pub fn settle_up(&self) {
        while self.move_batch(1, 1, 1) || !self.to.iter().all(Side::is_free) {
            let before = self.out.iter().map(|out| came(out).len()).sum::<usize>();
            self.take(2);
            let after = self.out.iter().map(|out| came(out).len()).sum::<usize>();
            assert!(after > before, "an item or a slot is out of reach");
        }
        assert!(self.from.is_free(), "an item is left where nobody finds it");
        assert_eq!(self.from.total(Count::Sent), self.items);
        assert_eq!(self.from.total(Count::Acked), self.items, "what was taken is counted wrongly");
        for (to, out) in self.to.iter().zip(&self.out) {
            let mut out = came(out).clone();
            out.sort_unstable();
            assert!(out.iter().copied().eq(0..self.items), "{out:?} came out");
            let counts = (to.total(Count::Sent), to.total(Count::Acked));
            assert_eq!(counts, (self.items, self.items), "what was handed on is counted wrongly");
        }
    }
}

/// Of the standard library's mutex: it is no part of what is modelled.
fn came(out: &Mutex<Vec<u64>>) -> MutexGuard<'_, Vec<u64>> {
    out.lock().expect("no thread panics while it holds the lock")
}
