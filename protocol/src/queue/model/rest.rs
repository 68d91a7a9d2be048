//! What must hold of a bench when all have come to their ends.

use super::super::delayed::Instant;
use super::super::place::Count;
use super::super::ring::{Met, NoSlot};
use super::super::slot::{Compared, Kind, Position};
use super::bench::Bench;
use crate::sync::Ordering;

impl Bench {
    /// Takes what is left with nobody else at work, then everything must balance.
    pub fn settle_up(&self, owner: u16) {
        if self.ledger().ended {
            self.has_ended();
        }
        self.0.time.store(Instant::MAX / 2, Ordering::SeqCst); // Everything is due.
        while let Some(taken) = self.try_recv(owner) {
            self.ack(owner, taken);
        }
        for slot in 0..self.ring().slots() {
            if self.ring().bury(slot) {
                self.ledger().dead += 1;
            }
            assert_eq!(self.ring().word(slot).kind(), Kind::Free, "slot {slot} is stuck");
        }
        self.balance();
        self.can_go_on(owner);
    }

    fn balance(&self) {
        let total = |count| self.0.places.iter().map(|place| place.total(count)).sum::<u64>();
        let (sent, acked) = (total(Count::Sent), total(Count::Acked));
        self.ledger().balance(sent, acked);
    }

    /// Slots that were loose are laps ahead of the others: items go round until the tail has come to them.
    fn go_round(&self, owner: u16) {
        let is_ahead = |slot, tail: Position| {
            let word = self.ring().word(slot);
            word.is_loose() || word.lap().compared_to(tail.lap().next()) == Compared::Later
        };
        for _ in 0..8 * self.ring().slots() {
            let (_, tail) = self.ring().ends().expect("the words of the model are valid");
            if !(0..self.ring().slots()).any(|slot| is_ahead(slot, tail)) {
                return;
            }
            let held = self.claim(owner).expect("a free slot");
            assert!(self.ring().publish(held, owner));
            let Met::Item(held) = self.lease(owner) else { panic!("an item is out of reach") };
            assert!(self.ring().ack(held, owner));
        }
        panic!("a slot that was loose stays behind");
    }

    /// The ring still takes and gives as many items as it has slots.
    fn can_go_on(&self, owner: u16) {
        let slots = self.ring().slots();
        self.go_round(owner);
        let held: Vec<_> = (0..slots).map(|_| self.claim(owner).expect("a free slot")).collect();
        assert_eq!(self.claim(owner), Err(NoSlot::Full));
        assert!(held.into_iter().all(|held| self.ring().publish(held, owner)));
        for _ in 0..slots {
            let Met::Item(held) = self.lease(owner) else { panic!("an item is out of reach") };
            assert!(self.ring().ack(held, owner));
        }
        assert_eq!(self.lease(owner), Met::Empty);
    }
}
