//! Models of the living: senders and receivers at one ring, slots passed over, laps bumped, items that come back.

use super::bench::{Bench, Sent};
use super::{Part, explore, together};

/// How often a member of a story tries before it gives up; what is left is taken at the end.
const TRIES: usize = if cfg!(model_loom) { 2 } else { 6 };

fn sender(bench: &Bench, owner: u16, items: u64) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let mut tries = 0;
        let mut number = 0;
        while number < items && tries < TRIES {
            match bench.try_send(owner, number) {
                Sent::Yes => number += 1,
                Sent::Full | Sent::Closed => tries += 1,
            }
        }
    })
}

/// Takes items and acks them. `alone`: the only receiver, so each sender's items come in their order.
fn receiver(bench: &Bench, owner: u16, items: u64, alone: bool) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let mut tries = 0;
        let mut last: Vec<u64> = Vec::new();
        while (last.len() as u64) < items && tries < if alone { TRIES } else { TRIES / 2 } {
            let Some(taken) = bench.try_recv(owner) else {
                tries += 1;
                continue;
            };
            let before = last.iter().filter(|item| **item >> 32 == taken.item >> 32).max();
            assert!(!alone || before.is_none_or(|before| *before < taken.item), "a sender's items changed places");
            last.push(taken.item);
            bench.ack(owner, taken);
        }
    })
}

fn hand_over(capacity: u32, senders: u16, items: u64, receivers: u16) {
    let bench = Bench::new(capacity, 8, 0);
    let all = u64::from(senders) * items;
    let mut parts: Vec<Part> = (0..senders).map(|owner| sender(&bench, owner, items)).collect();
    parts.extend((0..receivers).map(|owner| receiver(&bench, senders + owner, all, receivers == 1)));
    together(parts);
    bench.settle_up(7);
}

#[test]
fn one_slot_is_handed_over_again_and_again() {
    explore("one slot, 1 sender, 2 items, 1 receiver", || hand_over(1, 1, 2, 1));
}

#[test]
fn one_sender_keeps_its_order_though_it_is_passed_over() {
    explore("two slots, 1 sender, 3 items, 1 receiver", || hand_over(2, 1, 3, 1));
}

#[test]
fn two_senders_share_two_slots() {
    explore("two slots, 2 senders, 1 item each, 1 receiver", || hand_over(2, 2, 1, 1));
}

#[test]
fn two_receivers_share_two_slots() {
    explore("two slots, 1 sender, 2 items, 2 receivers", || hand_over(2, 1, 2, 2));
}

#[test]
#[cfg(model_shuttle)]
fn many_share_a_few_slots() {
    for capacity in 1..=4 {
        explore("a few slots, 3 senders, 3 items each, 1 receiver", move || hand_over(capacity, 3, 3, 1));
        explore("a few slots, 3 senders, 3 items each, 3 receivers", move || hand_over(capacity, 3, 3, 3));
    }
}

/// How a receiver ends a lease.
#[derive(Clone, Copy)]
enum Ending {
    Ack,
    Nack,
    GiveBack,
}

/// One slot is leased and the other free in the next lap, so that the sender bumps the first while its lease ends.
fn bump(ending: Ending, receivers: u16, max_deliveries: u16) {
    let bench = Bench::new(2, 8, max_deliveries);
    for number in 0..2 {
        assert_eq!(bench.try_send(0, number), Sent::Yes);
    }
    let slow = bench.try_recv(1).expect("the first item");
    let quick = bench.try_recv(2).expect("the second item");
    bench.ack(2, quick);
    let mine = bench.clone();
    let mut parts: Vec<Part> = vec![
        sender(&bench, 3, 2),
        Box::new(move || match ending {
            Ending::Ack => mine.ack(1, slow),
            Ending::Nack => mine.nack(1, slow),
            Ending::GiveBack => mine.give_back(1, slow),
        }),
    ];
    parts.extend((0..receivers).map(|owner| receiver(&bench, 4 + owner, 3, false)));
    together(parts);
    bench.settle_up(7);
}

#[test]
fn a_lap_is_bumped_while_the_lease_ends_in_an_ack() {
    explore("bump and ack", || bump(Ending::Ack, 1, 0));
}

#[test]
fn a_lap_is_bumped_while_the_lease_ends_in_a_nack() {
    explore("bump and nack", || bump(Ending::Nack, 1, 0));
}

#[test]
fn a_lap_is_bumped_while_the_lease_is_given_back() {
    explore("bump and give back", || bump(Ending::GiveBack, 1, 0));
}

#[test]
fn a_lap_is_bumped_while_the_item_runs_out_of_deliveries() {
    explore("bump and dead letter", || bump(Ending::Nack, 1, 1));
}

/// Two items in two slots, both leased; they come back one after the other while two receivers look for them.
fn come_back(receivers: u16) {
    let bench = Bench::new(2, 8, 0);
    for number in 0..2 {
        assert_eq!(bench.try_send(0, number), Sent::Yes);
    }
    let one = bench.try_recv(1).expect("the first item");
    let two = bench.try_recv(1).expect("the second item");
    let mine = bench.clone();
    let mut parts: Vec<Part> = vec![Box::new(move || {
        mine.nack(1, one);
        mine.nack(1, two);
    })];
    for owner in 2..2 + receivers {
        let bench = bench.clone();
        parts.push(Box::new(move || {
            if let Some(taken) = bench.try_recv(owner) {
                bench.nack(owner, taken);
            }
            if let Some(taken) = bench.try_recv(owner) {
                bench.ack(owner, taken);
            }
        }));
    }
    together(parts);
    bench.settle_up(7);
}

#[test]
fn what_comes_back_is_found_and_may_come_back_again() {
    explore("two nacks, 1 receiver", || come_back(1));
}

#[test]
fn two_receivers_look_for_what_comes_back() {
    explore("two nacks, 2 receivers", || come_back(2));
}
