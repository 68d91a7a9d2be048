//! What must hold of a bench when all have come to their ends.

use super::super::delayed::Instant;
use super::super::place::Count;
use super::super::ring::{Met, NoSlot};
use super::super::slot::Kind;
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

    /// The ring still takes and gives as many items as it has slots.
    fn can_go_on(&self, owner: u16) {
        let slots = self.ring().slots();
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
