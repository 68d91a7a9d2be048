//! Models of a loop: workers send results to the queue from which they take, which is full. Each result takes the room of its
//! item and stands behind what was sent before, though a worker dies in front of any step, and its sweep as well.

use std::sync::{Arc, Mutex};

use super::super::place::Count;
use super::super::ring::Held;
use super::line::{Share, Side};
use super::{Moment, Part, explore, explore_deaths, never, together};
#[cfg(model_shuttle)]
use super::{by_chance, chance};
use crate::shm::Words;
use crate::sync::Ordering;

/// Item `n` of a round becomes item `n` of the next: `round << 8 | n`.
const ROUND: u64 = 1 << 8;
/// An item that is no result.
const LAST: u64 = 1 << 32;

/// A full queue whose items go round.
struct Loop {
    side: Side,
    committed: Words,
    items: u64,
    /// Of the standard library: it is no part of what is modelled. By item: the round that was done last.
    done: Mutex<Vec<u64>>,
}

impl Loop {
    /// A queue with so many slots and items.
    fn new(items: u64) -> Arc<Self> {
        let side = Side::new(u32::try_from(items).expect("a few"));
        (0..items).for_each(|item| side.send(3, item));
        let done = Mutex::new(vec![0; usize::try_from(items).expect("a few")]);
        Arc::new(Self { side, committed: Words::on_heap(5), items, done })
    }

    /// As the SDK's `Outbox::commit`, of up to `size` items, each with one result. False if there was nothing to take, or no
    /// spare slot.
    fn go_round(&self, owner: u16, size: usize) -> bool {
        let leases = std::iter::from_fn(|| self.side.lease(owner)).take(size).collect();
        self.hand_on(owner, leases)
    }

    fn hand_on(&self, owner: u16, leases: Vec<(Held, u64)>) -> bool {
        let Some((out, taken, number, items)) = self.prepare(owner, leases) else { return false };
        self.committed.at(owner.into()).store(number, Ordering::SeqCst);
        self.done(&items);
        self.roll_forward(owner, out, taken);
        true
    }

    /// All of it up to the commit.
    fn prepare(&self, owner: u16, leases: Vec<(Held, u64)>) -> Option<(Share, Share, u64, Vec<u64>)> {
        if leases.is_empty() {
            return None;
        }
        let number = self.committed.at(owner.into()).load(Ordering::Relaxed) + 1;
        let (mut out, mut taken) = (Share::default(), Share::default());
        for (held, item) in &leases {
            if !self.side.stage_for(owner, &mut out, item + ROUND, *held, number) {
                self.side.roll_back(owner, &mut out);
                leases.into_iter().for_each(|(held, _)| self.side.give_back(owner, held));
                return None;
            }
        }
        let items = leases.iter().map(|(_, item)| *item).collect();
        leases.into_iter().for_each(|(held, _)| self.side.settle(owner, &mut taken, held, number));
        self.side.note_both(owner, &out, &taken, number);
        Some((out, taken, number, items))
    }

    /// Takes one, as the only receiver.
    fn take(&self, seen: &Mutex<Vec<u64>>) {
        if let Some((held, item)) = self.side.lease(1) {
            seen.lock().expect("no thread panics while it holds the lock").push(item);
            self.side.ack(1, held);
        }
    }

    fn roll_forward(&self, owner: u16, mut out: Share, mut taken: Share) {
        out.append(&mut taken);
        self.side.roll_forward(owner, &mut out);
    }

    /// The items were handed on by a commit.
    fn done(&self, items: &[u64]) {
        let mut done = self.done.lock().expect("no thread panics while it holds the lock");
        for item in items {
            let (round, number) = (item / ROUND, (item % ROUND) as usize);
            assert_eq!(done[number], round, "item {number} was handed on in round {round}");
            done[number] += 1;
        }
    }

    fn sweep(&self, owner: u16) {
        let committed = self.committed.at(owner.into()).load(Ordering::Acquire);
        self.side.sweep(owner, committed);
    }

    /// When all is quiet: each item is there once, in its last round, and the counts say so.
    fn settle_up(&self) {
        let done = self.done.lock().expect("no thread panics while it holds the lock");
        let mut left = Vec::new();
        while let Some((held, item)) = self.side.lease(2) {
            left.push(item);
            self.side.ack(2, held);
        }
        left.sort_unstable_by_key(|item| item % ROUND);
        let right: Vec<u64> = done.iter().zip(0..).map(|(round, item)| round * ROUND + item).collect();
        assert_eq!(left, right, "what is left");
        assert!(self.side.is_free(), "a slot is out of reach");
        let rounds: u64 = done.iter().sum();
        assert_eq!(self.side.total(Count::Sent), self.items + rounds);
        assert_eq!(self.side.total(Count::Acked), self.items + rounds);
    }
}

/// A worker sends items round until it dies, and is swept; the sweep dies as well and is begun again, all of it.
fn mortal(line: &Arc<Loop>, owner: u16, size: usize, death: Moment, sweep: Moment) -> Part {
    let line = Arc::clone(line);
    Box::new(move || {
        let rounds = if cfg!(model_loom) { 1 } else { 3 };
        // What a worker has committed counts as done, also if it dies before it has told so.
        let _ = death.cuts(|| (0..rounds).for_each(|_| _ = line.go_round(owner, size)));
        if sweep.cuts(|| line.sweep(owner)).is_none() {
            line.sweep(owner);
        }
    })
}

/// Takes an item and gives it back.
fn looker(line: &Arc<Loop>) -> Part {
    let line = Arc::clone(line);
    Box::new(move || {
        if let Some((held, _)) = line.side.lease(1) {
            line.side.give_back(1, held);
        }
    })
}

#[test]
fn a_worker_dies_at_any_step_of_a_round_in_a_full_queue() {
    explore_deaths("a worker of a loop dies, 1 slot", 60, |death| {
        let line = Loop::new(1);
        together(vec![mortal(&line, 0, 1, death, never()), looker(&line)]);
        line.settle_up();
    });
}

#[test]
fn a_worker_dies_at_any_step_beside_another_in_a_queue_of_two() {
    explore_deaths("a worker of a loop dies, 2 slots", 60, |death| {
        let line = Loop::new(2);
        let other = if cfg!(model_loom) { looker(&line) } else { mortal(&line, 1, 1, never(), never()) };
        together(vec![mortal(&line, 0, 1, death, never()), other]);
        line.settle_up();
    });
}

#[test]
fn the_sweep_of_a_committed_exchange_dies_at_any_step() {
    explore_deaths("the sweep of a loop's worker dies", 50, |sweep| {
        let line = Loop::new(2);
        let lease = line.side.lease(0).expect("an item");
        let (_, _, number, items) = line.prepare(0, vec![lease]).expect("a spare slot");
        line.committed.at(0).store(number, Ordering::SeqCst);
        line.done(&items);
        together(vec![mortal(&line, 0, 0, never(), sweep), looker(&line)]);
        line.settle_up();
    });
}

/// The only receiver takes what was sent before, the results of one sender, and what that sends behind them, in this order.
#[test]
fn results_keep_their_places_in_the_order() {
    explore("results' places in the order", || {
        let line = Loop::new(3);
        let leases = [(); 2].map(|()| line.side.lease(0).expect("an item"));
        let (loops, takes) = (Arc::clone(&line), Arc::clone(&line));
        let sends: Part = Box::new(move || {
            for lease in leases {
                assert!(loops.hand_on(0, vec![lease]), "one item in, one item out");
            }
            loops.side.try_send(0, LAST);
        });
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sees = Arc::clone(&seen);
        let taker: Part = Box::new(move || (0..3).for_each(|_| takes.take(&sees)));
        together(vec![sends, taker]);
        while !line.side.is_free() {
            line.take(&seen);
        }
        let seen = seen.lock().expect("no thread panics while it holds the lock");
        assert!([2, ROUND, ROUND + 1, LAST].starts_with(&seen), "{seen:x?}");
        assert!(seen.len() >= 3, "{seen:x?}");
    });
}

/// Queues of all sizes, workers that die twice, sweeps that die.
#[test]
#[cfg(model_shuttle)]
fn many_workers_of_a_loop_die_and_come_again() {
    explore_deaths("many workers of a loop die", 90, |death| {
        let line = Loop::new(1 + u64::from(chance(4)));
        let lives = |owner: u16, deaths: [Moment; 2]| {
            let [first, second] = deaths.map(|death| mortal(&line, owner, 1, death, by_chance(60)));
            let lives: Part = Box::new(move || {
                first();
                second();
            });
            lives
        };
        together(vec![
            lives(0, [death, by_chance(90)]),
            lives(1, [by_chance(90), by_chance(90)]),
            lives(4, [by_chance(90), by_chance(90)]),
        ]);
        line.settle_up();
    });
}
