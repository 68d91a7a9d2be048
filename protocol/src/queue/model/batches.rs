//! Models of batches: a worker takes from one queue and hands on to another, dies in front of any one of its steps, and is
//! swept while others are at work. Every item comes out exactly once.

use std::sync::{Arc, Mutex};

use super::super::delayed::Delayed;
use super::super::late::LateLane;
use super::super::place::{Count, Place};
use super::super::recovery::Fate;
use super::super::ring::{Met, Ring};
use super::super::slot::Kind;
use super::{Part, chance, explore_deaths, together};
use crate::shm::Words;
use crate::sync::{Ordering, dies_after};

const SLOTS: u32 = 2;
const ITEMS: u64 = 2;
const MEMBERS: usize = 4;
/// Nothing waits for a retry here.
const NOW: u64 = 1;
/// A step that nobody comes to.
const NEVER: u32 = 10_000;
/// The steps of a move, and some more.
const STEPS: u32 = 54;
const SWEEP_STEPS: u32 = 24;

/// One queue, without its file.
struct Side {
    ring: Ring,
    payload: Words,
    batches: Words,
    places: Vec<Place>,
}

impl Side {
    fn new() -> Self {
        let slots = SLOTS as usize;
        let lane = || LateLane::new(Words::on_heap(1), Words::on_heap(LateLane::words_for(SLOTS)));
        let words = || Words::on_heap(slots);
        let delayed = Delayed::new(lane(), words(), Words::on_heap(1));
        Self {
            ring: Ring::new(words(), words(), [(); 2].map(|()| Words::on_heap(1)), lane(), delayed, 0),
            payload: words(),
            batches: words(),
            places: (0..MEMBERS).map(|_| Place::new(Words::on_heap(9))).collect(),
        }
    }

    /// As `Queue::sweep`, for one member.
    fn sweep(&self, owner: u16, committed: u64) {
        self.places[usize::from(owner)].settle_batch(committed);
        self.ring.sweep(NOW, |slot, other| {
            if other != owner {
                Fate::Alive
            } else if self.batches.at(slot).load(Ordering::Relaxed) <= committed {
                Fate::Committed
            } else {
                Fate::Dead
            }
        });
    }

    /// As `Member::try_recv` and `Member::ack`, by somebody who never dies.
    fn take(&self, owner: u16) -> Option<u64> {
        let mut met = None;
        loop {
            match self.ring.lease(owner, || NOW) {
                Met::Item(held) => {
                    let item = self.payload.at(held.slot).load(Ordering::Relaxed);
                    assert!(self.ring.ack(held, owner), "a lease was taken from its receiver");
                    return Some(item);
                }
                Met::Empty => return None,
                Met::Unfinished(unfinished) if met == Some(unfinished) => self.ring.pass_over(unfinished),
                Met::Unfinished(unfinished) => met = Some(unfinished),
                Met::Spoilt => panic!("nobody scribbles here"),
            }
        }
    }

    fn is_empty(&self) -> bool {
        (0..self.ring.slots()).all(|slot| self.ring.word(slot).kind() == Kind::Free)
    }

    fn total(&self, count: Count) -> u64 {
        self.places.iter().map(|place| place.total(count)).sum()
    }
}

struct Line {
    from: Side,
    to: Side,
    /// By member: the last batch that it committed.
    committed: Words,
    out: Mutex<Vec<u64>>,
}

impl Line {
    fn new() -> Arc<Self> {
        let line =
            Self { from: Side::new(), to: Side::new(), committed: Words::on_heap(MEMBERS), out: Mutex::default() };
        for item in 0..ITEMS {
            let held = line.from.ring.claim(3).expect("a free slot");
            line.from.payload.at(held.slot).store(item, Ordering::Relaxed);
            assert!(line.from.ring.publish(held, 3));
        }
        Arc::new(line)
    }

    /// As the SDK's commit of one item and one result. False if there was nothing to move, or no room.
    fn move_one(&self, owner: u16) -> bool {
        let Met::Item(taken) = self.from.ring.lease(owner, || NOW) else { return false };
        let item = self.from.payload.at(taken.slot).load(Ordering::Relaxed);
        let Ok(filling) = self.to.ring.claim(owner) else {
            assert!(self.from.ring.give_back(taken, owner));
            return false;
        };
        let committed = self.committed.at(owner.into());
        let number = committed.load(Ordering::Relaxed) + 1;
        self.to.payload.at(filling.slot).store(item, Ordering::Relaxed);
        self.to.batches.at(filling.slot).store(number, Ordering::Relaxed);
        let staged = self.to.ring.stage(filling, owner).expect("a claimed slot was taken away");
        self.from.batches.at(taken.slot).store(number, Ordering::Relaxed);
        let settled = self.from.ring.settle(taken, owner).expect("a lease was taken away");
        self.from.places[usize::from(owner)].note_batch(number, 0, 1);
        self.to.places[usize::from(owner)].note_batch(number, 1, 0);
        committed.store(number, Ordering::SeqCst);
        assert!(self.to.ring.publish_staged(staged, owner), "a staged slot was taken away");
        self.to.places[usize::from(owner)].count_batch();
        assert!(self.from.ring.free_settled(settled, owner), "a settled slot was taken away");
        self.from.places[usize::from(owner)].count_batch();
        true
    }

    fn sweep(&self, owner: u16) {
        let committed = self.committed.at(owner.into()).load(Ordering::Acquire);
        self.from.sweep(owner, committed);
        self.to.sweep(owner, committed);
    }

    fn take(&self) {
        if let Some(item) = self.to.take(2) {
            self.out.lock().expect("nobody panics with it").push(item);
        }
    }

    /// When all is quiet: the rest is moved and taken, and each item came out once.
    fn settle_up(&self) {
        while self.move_one(1) || !self.to.is_empty() {
            self.take();
        }
        assert!(self.from.is_empty(), "an item is left where nobody finds it");
        let mut out = self.out.lock().expect("nobody panics with it").clone();
        out.sort_unstable();
        assert!(out.iter().copied().eq(0..ITEMS), "{out:?} came out");
        assert_eq!((self.from.total(Count::Acked), self.to.total(Count::Sent)), (ITEMS, ITEMS), "the counts are wrong");
    }
}

/// Member 0 moves until it dies, and is swept; the sweep dies as well and is begun again. Member 2 takes what comes, and
/// member 1, if it is `helped`, moves too.
fn mover_dies(step: u32, sweep_step: u32, helped: bool) {
    let line = Line::new();
    let dying = {
        let line = Arc::clone(&line);
        move || {
            let _ = dies_after(step, || while line.move_one(0) {});
            if dies_after(sweep_step, || line.sweep(0)).is_none() {
                line.sweep(0);
            }
        }
    };
    let taker = {
        let line = Arc::clone(&line);
        move || (0..2).for_each(|_| line.take())
    };
    let mut parts: Vec<Part> = vec![Box::new(dying), Box::new(taker)];
    if helped {
        let line = Arc::clone(&line);
        parts.push(Box::new(move || drop(line.move_one(1))));
    }
    together(parts);
    line.settle_up();
}

#[test]
fn a_mover_dies_at_any_step_of_its_batch() {
    explore_deaths("a mover dies", 2, STEPS, |step| mover_dies(step, NEVER, false));
}

/// Millions of executions for each step, under loom.
#[cfg(model_shuttle)]
#[test]
fn a_mover_dies_beside_another() {
    explore_deaths("a mover dies beside another", 3, STEPS, |step| mover_dies(step, NEVER, true));
}

#[test]
fn the_sweep_of_a_mover_dies_as_well() {
    explore_deaths("a mover dies, then its sweep", 2, SWEEP_STEPS, |step| {
        // Before and after the commit, in turn.
        let death = if cfg!(model_loom) { 30 + step % 2 * 4 } else { chance(STEPS) };
        mover_dies(death, step, false);
    });
}
