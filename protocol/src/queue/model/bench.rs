//! The bench on which the models try the ring: a ring on the heap, a payload word per slot, members that do what
//! [`Member`](super::super::Member) does step by step, and a ledger in which everything must balance at the end.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::super::delayed::{Delayed, Instant, LOOK_EVERY};
use super::super::hint::Cursor;
use super::super::late::LateLane;
use super::super::oldest::Oldest;
use super::super::place::{Count, Place};
use super::super::recovery::Fate;
use super::super::returned::Returned;
use super::super::ring::{Held, Met, NoSlot, Ring};
use super::super::slot::Kind;
use super::super::spare::SPARES;
use super::super::take::Take;
use super::ledger::Ledger;
use crate::shm::{EventCount, Lookout, Words};
use crate::sync::Ordering;

/// A queue without its file. Cheap to clone.
#[derive(Clone)]
pub struct Bench(pub(super) Arc<Parts>);

pub(super) struct Parts {
    ring: Ring,
    pub(super) payload: Words,
    pub(super) closed: Words,
    pub(super) places: Vec<Place>,
    /// As `Member::leases`, by member. Of the standard library: it is private memory.
    leases: Vec<AtomicU64>,
    /// As `Member::send_cursor` and `Member::recv_cursor`.
    cursors: Vec<Mutex<[Cursor; 2]>>,
    /// As `Member::oldest`.
    oldest: Vec<Mutex<Oldest>>,
    pub(super) items: Lookout,
    room: EventCount,
    /// Of the standard library: it is no part of what is modelled.
    ledger: Mutex<Ledger>,
    /// The same holds of the time, which goes on whenever somebody looks at it.
    pub(super) time: AtomicU64,
}

/// An item in a member's hands.
pub struct Taken {
    held: Held,
    /// Which: `sender << 32 | number`.
    pub item: u64,
}

/// How a try to send ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Sent {
    Yes,
    Full,
    Closed,
}

impl Bench {
    pub fn new(capacity: u32, members: usize, max_deliveries: u16) -> Self {
        let lane = || LateLane::new(Words::on_heap(1), Words::on_heap(LateLane::words_for(capacity)));
        let slots = capacity as usize + SPARES;
        let delayed = Delayed::new(lane(), Words::on_heap(slots), Words::on_heap(1));
        let ring = Ring::new(
            Words::on_heap(slots),
            Words::on_heap(slots),
            [Words::on_heap(1), Words::on_heap(1)],
            (lane(), Words::on_heap(1)),
            delayed,
            max_deliveries,
        );
        Self(Arc::new(Parts {
            ring,
            payload: Words::on_heap(capacity as usize),
            closed: Words::on_heap(1),
            places: (0..members).map(|_| Place::new(Words::on_heap(6))).collect(),
            leases: (0..members).map(|_| AtomicU64::new(0)).collect(),
            cursors: (0..members).map(|_| Mutex::default()).collect(),
            oldest: (0..members).map(|_| Mutex::default()).collect(),
            items: Lookout::new(EventCount::on_heap(), Words::on_heap(1)),
            room: EventCount::on_heap(),
            ledger: Mutex::default(),
            time: AtomicU64::new(1),
        }))
    }

    pub(super) fn ledger(&self) -> std::sync::MutexGuard<'_, Ledger> {
        self.0.ledger.lock().expect("nobody panics with the ledger in hand")
    }

    pub fn ring(&self) -> &Ring {
        &self.0.ring
    }

    pub fn items(&self) -> &Lookout {
        &self.0.items
    }

    pub fn room(&self) -> &EventCount {
        &self.0.room
    }

    fn leases(&self, owner: u16) -> &AtomicU64 {
        &self.0.leases[usize::from(owner)]
    }

    /// Claims a slot, as `Member::claim` does.
    pub fn claim(&self, owner: u16) -> Result<Held, NoSlot> {
        self.with_cursor(owner, Count::Sent, |cursor| self.ring().claim(owner, cursor))
    }

    /// With what the member remembers of one end of the ring.
    pub(super) fn with_cursor<T>(&self, owner: u16, end: Count, act: impl FnOnce(&mut Cursor) -> T) -> T {
        let cursors = || self.0.cursors[usize::from(owner)].lock().expect("nobody panics with it in hand");
        let mut cursor = cursors()[end as usize];
        let done = act(&mut cursor);
        cursors()[end as usize] = cursor;
        done
    }

    /// With the late items that the member takes next. They are lost if it dies.
    fn with_oldest<T>(&self, owner: u16, act: impl FnOnce(&mut Oldest) -> T) -> T {
        let kept = || self.0.oldest[usize::from(owner)].lock().expect("nobody panics with it in hand");
        let mut oldest = std::mem::take(&mut *kept());
        let done = act(&mut oldest);
        *kept() = oldest;
        done
    }

    /// As `Ring::lease`, by the member.
    pub(super) fn lease(&self, owner: u16) -> Met {
        self.with_oldest(owner, |oldest| self.ring().lease(owner, Take::Single, oldest, || self.now()))
    }

    /// By each look at it half of the time goes by after which somebody looks for what is due.
    pub fn now(&self) -> Instant {
        self.0.time.fetch_add(LOOK_EVERY / 2, Ordering::SeqCst)
    }

    /// As `Member::try_send`.
    pub fn try_send(&self, owner: u16, number: u64) -> Sent {
        if self.is_closed() {
            return Sent::Closed;
        }
        let held = match self.claim(owner) {
            Ok(held) => held,
            Err(NoSlot::Full) => return Sent::Full,
            Err(NoSlot::Spoilt) => panic!("nobody scribbles here"),
        };
        if self.is_closed() {
            self.ring().abandon(held, owner);
            self.0.items.call_all();
            return Sent::Closed;
        }
        let place = &self.0.places[usize::from(owner)];
        let item = u64::from(owner) << 32 | number;
        self.ledger().begun.push(item);
        self.0.payload.at(held.slot).store(item, Ordering::Relaxed);
        place.note(Count::Sent, 1);
        assert!(self.ring().publish(held, owner), "the slot was taken from its sender");
        self.ledger().sent.push(item);
        place.done(Count::Sent, 1);
        self.0.items.call();
        Sent::Yes
    }

    /// As `Member::try_recv_many`.
    pub fn try_recv_run(&self, owner: u16, most: usize) -> Vec<Taken> {
        let mut run: Vec<Taken> = self.try_recv(owner).into_iter().collect();
        if !run.is_empty() {
            let taken = |held| run.push(self.taken(owner, held));
            self.with_cursor(owner, Count::Acked, |cursor| {
                self.ring().lease_more(owner, most - 1, Take::More, cursor, taken)
            });
        }
        run
    }

    /// As `Member::ack_many`.
    pub fn ack_run(&self, owner: u16, run: Vec<Taken>) {
        if run.is_empty() {
            return;
        }
        let (place, items) = (&self.0.places[usize::from(owner)], run.len() as u64);
        place.note(Count::Acked, self.leases(owner).fetch_sub(items, Ordering::Relaxed));
        for taken in run {
            self.check_payload(&taken);
            self.ledger().acking.push(taken.item);
            assert!(self.ring().ack(taken.held, owner), "a lease was taken from its receiver");
            self.ledger().acked.push(taken.item);
        }
        place.done(Count::Acked, items);
        self.wake_senders();
        if self.is_closed() {
            self.0.items.call_all();
        }
    }

    /// As `Member::try_recv`, with the least patience: an unfinished slot is looked at twice.
    pub fn try_recv(&self, owner: u16) -> Option<Taken> {
        if !self.ring().may_promote(|| self.now()) {
            let mut ready = None;
            self.with_cursor(owner, Count::Acked, |cursor| {
                self.ring().lease_more(owner, 1, Take::Single, cursor, |held| ready = Some(held));
            });
            if let Some(held) = ready {
                return Some(self.taken(owner, held));
            }
        }
        let mut met = None;
        if self.ring().promote(|| self.now()) > 0 {
            self.with_oldest(owner, Oldest::clear);
            self.0.items.call();
        }
        loop {
            match self.lease(owner) {
                Met::Item(held) => return Some(self.taken(owner, held)),
                Met::Empty => return None,
                Met::Unfinished(unfinished) if met == Some(unfinished) => self.ring().pass_over(unfinished),
                Met::Unfinished(unfinished) => met = Some(unfinished),
                Met::Spoilt => panic!("nobody scribbles here"),
            }
        }
    }

    fn taken(&self, owner: u16, held: Held) -> Taken {
        let item = self.0.payload.at(held.slot).load(Ordering::Relaxed);
        let ledger = self.ledger();
        assert!(ledger.begun.contains(&item), "{item:x} was never sent");
        assert!(!ledger.acked.contains(&item), "{item:x} was acked and comes again");
        self.leases(owner).fetch_add(1, Ordering::Relaxed);
        Taken { held, item }
    }

    fn check_payload(&self, taken: &Taken) {
        let now = self.0.payload.at(taken.held.slot).load(Ordering::Relaxed);
        assert_eq!(now, taken.item, "a leased item was written over");
    }

    /// As `Member::ack`.
    pub fn ack(&self, owner: u16, taken: Taken) {
        self.end(owner, taken, false);
    }

    /// The same for a large item, whose bytes are given back before the slot is.
    pub fn ack_large(&self, owner: u16, taken: Taken) {
        self.end(owner, taken, true);
    }

    fn end(&self, owner: u16, taken: Taken, is_large: bool) {
        self.check_payload(&taken);
        let (ring, place) = (self.ring(), &self.0.places[usize::from(owner)]);
        place.note(Count::Acked, self.leases(owner).fetch_sub(1, Ordering::Relaxed));
        self.ledger().acking.push(taken.item);
        let done = if is_large { ring.ack_unfreed(taken.held, owner) } else { ring.ack(taken.held, owner) };
        assert!(done, "a lease was taken from its receiver");
        self.ledger().acked.push(taken.item);
        place.done(Count::Acked, 1);
        if is_large {
            self.0.payload.at(taken.held.slot).store(0, Ordering::Relaxed);
            ring.abandon(taken.held, owner);
        }
        self.wake_senders();
        if self.is_closed() {
            self.0.items.call_all();
        }
    }

    /// As `Member::wake_senders`.
    pub fn wake_senders(&self) {
        if self.0.room.has_sleepers() && self.ring().backlog() <= self.ring().slots() as u64 / 2 {
            self.0.room.notify_all();
        }
    }

    /// As `Member::nack`.
    pub fn nack(&self, owner: u16, taken: Taken) {
        self.nack_until(owner, taken, 0);
    }

    /// As `Member::nack_after`.
    pub fn nack_until(&self, owner: u16, taken: Taken, due: Instant) {
        self.check_payload(&taken);
        self.leases(owner).fetch_sub(1, Ordering::Relaxed);
        match self.ring().nack(taken.held, owner, due).expect("a lease was taken from its receiver") {
            Returned::Late => {
                if due == 0 {
                    self.with_oldest(owner, |oldest| self.ring().returned(oldest, taken.held.slot));
                }
                self.0.items.call();
            }
            Returned::Dead => {}
        }
    }

    /// As `Member::give_back`.
    pub fn give_back(&self, owner: u16, taken: Taken) {
        self.leases(owner).fetch_sub(1, Ordering::Relaxed);
        assert!(self.ring().give_back(taken.held, owner), "a lease was taken from its receiver");
        self.with_oldest(owner, |oldest| self.ring().returned(oldest, taken.held.slot));
        self.0.items.call();
    }

    /// As `Queue::sweep`, for one member.
    pub fn sweep(&self, owner: u16) {
        let place = &self.0.places[usize::from(owner)];
        place.settle(Count::Sent, |held| held - self.ring().count(Kind::Filling, owner));
        place.settle(Count::Acked, |held| held - self.ring().count(Kind::Leased, owner));
        let fate = |_, other| if other == owner { Fate::Dead } else { Fate::Alive };
        self.ring().sweep(self.now(), fate, |_, _| panic!("nothing is in a spare slot"));
        self.0.items.come_in();
        self.0.items.call_all();
        self.0.room.notify_all();
    }

    /// As `Queue::close`.
    pub fn close(&self) {
        self.0.closed.at(0).store(1, Ordering::SeqCst);
        self.0.items.call_all();
        self.0.room.notify_all();
    }

    pub fn is_closed(&self) -> bool {
        self.0.closed.at(0).load(Ordering::SeqCst) != 0
    }

    /// As `Member::is_at_end`. When it says so, nothing may be left, nor come any more.
    pub fn is_at_end(&self, first_not_free: &mut usize) -> bool {
        if !self.is_closed() {
            return false;
        }
        *first_not_free = self.ring().first_not_free(*first_not_free);
        *first_not_free == self.ring().slots()
    }

    /// A receiver has seen the end and left: nothing may be held by anybody.
    pub fn has_ended(&self) {
        let held = (0..self.ring().slots()).any(|slot| self.holds_item(slot));
        assert!(!held, "a receiver has left, and an item is still there");
        self.ledger().ended = true;
    }

    fn holds_item(&self, slot: usize) -> bool {
        match self.ring().word(slot).kind() {
            Kind::Ready | Kind::Leased | Kind::Settled | Kind::Late => true,
            // A slot that is being filled after the close is given up unsent.
            Kind::Free | Kind::Filling | Kind::Staged | Kind::Dead => false,
        }
    }
}
