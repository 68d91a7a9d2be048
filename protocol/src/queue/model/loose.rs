//! Models of loose slots: an item waits for its time for more than a lap, so that senders and receivers pass its slot without a
//! look at its lap. When its time has come its receiver frees the slot beside senders that come to it.

use std::sync::Arc;

use super::super::delayed::LOOK_EVERY;
use super::bench::Bench;
use super::{Moment, Part, explore, explore_deaths, never, together};
#[cfg(model_shuttle)]
use super::{by_chance, chance};
use crate::sync::Ordering;

/// When the item in the loose slot is due: later than all looks before the story begins.
const DUE: u64 = 1000 * LOOK_EVERY;

/// A bench in whose first slot, which is loose, an item waits. It is due now.
fn loose(capacity: u32) -> Bench {
    let bench = Bench::new(capacity, 8, 0);
    bench.try_send(7, 0);
    let waits = bench.try_recv(6).expect("an item");
    bench.nack_until(6, waits, DUE);
    for number in 1..=u64::from(capacity) {
        bench.try_send(7, number);
        let taken = bench.try_recv(6).expect("an item");
        bench.ack(6, taken);
    }
    assert!(bench.ring().word(0).is_loose(), "its sender has passed it in another lap");
    bench.0.time.store(DUE, Ordering::SeqCst);
    bench
}

/// Sends until it dies, and is swept.
fn sender(bench: &Bench, owner: u16, items: u64, death: Moment) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        if death.cuts(|| (0..items).for_each(|number| _ = bench.try_send(owner, number))).is_none() {
            bench.sweep(owner);
        }
    })
}

/// Takes until it dies, and is swept. As the only receiver it sees each sender's items in their order.
fn taker(bench: &Bench, owner: u16, items: u64, death: Moment) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let mut last = [None::<u64>; 8];
        let takes = || {
            for _ in 0..items {
                let Some(taken) = bench.try_recv(owner) else { continue };
                let (sender, number) = ((taken.item >> 32) as usize, taken.item & 0xffff_ffff);
                assert!(last[sender].is_none_or(|last| last < number), "sender {sender}'s items changed places");
                last[sender] = Some(number);
                bench.ack(owner, taken);
            }
        };
        let mut takes = takes;
        if death.cuts(&mut takes).is_none() {
            bench.sweep(owner);
        }
    })
}

#[test]
fn a_loose_slot_becomes_free_beside_a_sender() {
    explore("a loose slot becomes free beside a sender", || {
        let bench = loose(2);
        together(vec![sender(&bench, 0, 2, never()), taker(&bench, 5, 3, never())]);
        bench.settle_up(6);
    });
}

#[test]
fn a_loose_slot_becomes_free_beside_two_senders() {
    explore("a loose slot becomes free beside two senders", || {
        let bench = loose(2);
        together(vec![
            sender(&bench, 0, 1, never()),
            sender(&bench, 1, 1, never()),
            taker(&bench, 5, if cfg!(model_loom) { 1 } else { 3 }, never()),
        ]);
        bench.settle_up(6);
    });
}

/// A sender comes to a slot that is loose and free, while another one goes round.
#[test]
fn two_senders_claim_a_loose_slot_that_is_free() {
    explore("two senders claim a loose slot that is free", || {
        let bench = loose(2);
        let waited = bench.try_recv(6).expect("it is due");
        bench.ack(6, waited);
        assert!(bench.ring().word(0).is_loose_and_free());
        together(vec![sender(&bench, 0, 2, never()), sender(&bench, 1, 1, never()), taker(&bench, 5, 2, never())]);
        bench.settle_up(6);
    });
}

#[test]
fn a_sender_dies_at_any_step_beside_a_loose_slot() {
    explore_deaths("a sender dies beside a loose slot", 50, |death| {
        let bench = loose(2);
        together(vec![sender(&bench, 0, 2, death), taker(&bench, 5, 2, never())]);
        bench.settle_up(6);
    });
}

#[test]
fn a_receiver_of_a_loose_slot_dies_at_any_step() {
    explore_deaths("a receiver of a loose slot dies", 60, |death| {
        let bench = loose(2);
        together(vec![taker(&bench, 5, 2, death), sender(&bench, 0, 2, never())]);
        bench.settle_up(6);
    });
}

/// Rings of all sizes with several loose slots, and members that die.
#[test]
#[cfg(model_shuttle)]
fn many_meet_at_loose_slots() {
    explore_deaths("many meet at loose slots", 90, |death| {
        let bench = Arc::new(loose(2 + chance(4)));
        together(vec![
            sender(&bench, 0, 4, death),
            sender(&bench, 1, 4, by_chance(90)),
            sender(&bench, 2, 4, never()),
            taker(&bench, 5, 8, by_chance(200)),
        ]);
        bench.settle_up(6);
    });
}
