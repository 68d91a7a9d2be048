//! How the members of a bench send several items in one go.

use super::super::place::Count;
use super::super::ring::Held;
use super::bench::Bench;
use crate::sync::Ordering;

impl Bench {
    /// As `Member::try_send_many` with one run: numbers from `first` on. Gives how many were sent.
    pub fn try_send_run(&self, owner: u16, first: u64, count: usize) -> usize {
        let run = self.claim_run(owner, count);
        self.publish_run(owner, first, &run);
        run.len()
    }

    /// The first half of it: slots, if there are any and the bench is not closed.
    pub fn claim_run(&self, owner: u16, count: usize) -> Vec<Held> {
        let mut run: Vec<Held> = Vec::new();
        if self.is_closed() {
            return run;
        }
        // If it is full, none is claimed.
        let _ = self.with_cursor(owner, Count::Sent, |cursor| {
            self.ring().claim_many(owner, count, cursor, |held| run.push(held))
        });
        if self.is_closed() {
            run.iter().for_each(|held| self.ring().abandon(*held, owner));
            self.0.items.call_all();
            run.clear();
        }
        run
    }

    /// The second half: they are written and published.
    pub fn publish_run(&self, owner: u16, first: u64, run: &[Held]) {
        if run.is_empty() {
            return;
        }
        let place = &self.0.places[usize::from(owner)];
        for (held, number) in run.iter().zip(first..) {
            self.0.payload.at(held.slot).store(u64::from(owner) << 32 | number, Ordering::Relaxed);
        }
        place.note(Count::Sent, run.len() as u64);
        for (held, number) in run.iter().zip(first..) {
            let item = u64::from(owner) << 32 | number;
            self.ledger().begun.push(item);
            assert!(self.ring().publish(*held, owner), "the slot was taken from its sender");
            self.ledger().sent.push(item);
        }
        place.done(Count::Sent, run.len() as u64);
        self.0.items.call();
    }

    /// As `Member::stage` and the commit after it, of a member that dies then.
    pub fn commit_run(&self, owner: u16, first: u64, run: Vec<Held>) {
        for (held, number) in run.iter().zip(first..) {
            let item = u64::from(owner) << 32 | number;
            self.0.payload.at(held.slot).store(item, Ordering::Relaxed);
            self.ring().stage(*held, owner).expect("a claimed slot was taken away");
            self.ledger().begun.push(item);
            self.ledger().sent.push(item);
        }
        self.0.places[usize::from(owner)].done(Count::Sent, run.len() as u64);
    }
}
