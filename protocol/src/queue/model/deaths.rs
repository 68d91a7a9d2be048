//! Models of the dead: a member is cut short in front of any one of its steps, and swept while the others are at work.

use super::bench::{Bench, Sent};
use super::{Part, chance, explore_deaths, together};
use crate::sync::dies_after;

const TRIES: usize = if cfg!(model_loom) { 2 } else { 5 };

/// Does `act` as member `owner` until it dies in front of its step number `step`, and is swept then. The sweep itself
/// dies in front of its step number `sweep_step` and is begun again.
fn mortal(bench: &Bench, owner: u16, step: u32, sweep_step: u32, act: impl FnOnce(&Bench) + Send + 'static) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let _ = dies_after(step, || act(&bench));
        if dies_after(sweep_step, || bench.sweep(owner)).is_none() {
            bench.sweep(owner);
        }
    })
}

fn living(bench: &Bench, act: impl FnOnce(&Bench) + Send + 'static) -> Part {
    let bench = bench.clone();
    Box::new(move || act(&bench))
}

fn take_some(bench: &Bench, owner: u16, tries: usize) {
    for _ in 0..tries {
        if let Some(taken) = bench.try_recv(owner) {
            bench.ack(owner, taken);
        }
    }
}

fn send_some(bench: &Bench, owner: u16, items: u64) {
    let mut number = 0;
    for _ in 0..TRIES {
        if number < items && bench.try_send(owner, number) == Sent::Yes {
            number += 1;
        }
    }
}

/// A step that nobody comes to.
const NEVER: u32 = 10_000;

fn sender_dies(capacity: u32, step: u32, sweep_step: u32, others: u16) {
    let bench = Bench::new(capacity, 8, 0);
    let mut parts = vec![
        mortal(&bench, 0, step, sweep_step, |bench| send_some(bench, 0, 2)),
        living(&bench, |bench| take_some(bench, 1, TRIES)),
    ];
    parts.extend((0..others).map(|more| living(&bench, move |bench| send_some(bench, 2 + more, 1))));
    together(parts);
    bench.settle_up(7);
}

#[test]
fn a_sender_dies_at_any_step_with_one_slot() {
    explore_deaths("a sender dies, one slot", 2, 16, |step| sender_dies(1, step, NEVER, 0));
}

#[test]
fn a_sender_dies_at_any_step_with_two_slots() {
    explore_deaths("a sender dies, two slots", 2, 22, |step| sender_dies(2, step, NEVER, 0));
}

#[test]
fn a_sender_dies_beside_another() {
    explore_deaths("a sender dies beside another, two slots", 3, 12, |step| sender_dies(2, step, NEVER, 1));
}

#[test]
fn the_sweep_of_a_sender_dies_as_well() {
    // Its slot claimed and nothing written yet: step 6 of a first send.
    explore_deaths("a sender dies, then its sweep", 2, 10, |step| sender_dies(2, 6, step, 0));
}

/// Two items wait in two slots. Where loom would take too long, it does without the sender.
fn receiver_dies(act: fn(&Bench), step: u32, sweep_step: u32, max_deliveries: u16, sender: bool) {
    let bench = Bench::new(2, 8, max_deliveries);
    for number in 0..2 {
        assert_eq!(bench.try_send(0, number), Sent::Yes);
    }
    let mut parts = vec![mortal(&bench, 1, step, sweep_step, act), living(&bench, |bench| take_some(bench, 2, TRIES))];
    if sender || cfg!(model_shuttle) {
        parts.push(living(&bench, |bench| send_some(bench, 3, 1)));
    }
    together(parts);
    bench.settle_up(7);
}

fn takes_and_acks(bench: &Bench) {
    take_some(bench, 1, 1);
}

fn takes_and_acks_large(bench: &Bench) {
    if let Some(taken) = bench.try_recv(1) {
        bench.ack_large(1, taken);
    }
}

fn takes_and_nacks(bench: &Bench) {
    if let Some(taken) = bench.try_recv(1) {
        bench.nack(1, taken);
    }
    take_some(bench, 1, 1);
}

#[test]
fn a_receiver_dies_at_any_step_up_to_its_ack() {
    explore_deaths("a receiver dies", 3, 16, |step| receiver_dies(takes_and_acks, step, NEVER, 0, true));
}

#[test]
fn a_receiver_dies_while_it_gives_back_the_bytes_of_a_large_item() {
    explore_deaths("a receiver dies, large item", 3, 18, |step| {
        receiver_dies(takes_and_acks_large, step, NEVER, 0, true)
    });
}

#[test]
fn a_receiver_dies_at_any_step_of_a_nack_and_of_taking_it_again() {
    explore_deaths("a receiver dies in a nack", 3, 24, |step| receiver_dies(takes_and_nacks, step, NEVER, 0, false));
}

#[test]
fn the_sweep_of_a_receiver_dies_as_well() {
    // Step 8: it holds an item.
    explore_deaths("a receiver dies, then its sweep", 2, 12, |step| receiver_dies(takes_and_acks, 8, step, 0, false));
}

#[test]
fn a_receiver_dies_with_the_last_delivery() {
    explore_deaths("a receiver dies, last delivery", 3, 10, |step| receiver_dies(takes_and_acks, step, NEVER, 1, true));
}

/// A receiver passes over an unfinished slot and takes what comes back through the late lane; it dies on the way.
fn passer_dies(step: u32) {
    let bench = Bench::new(2, 8, 0);
    together(vec![
        mortal(&bench, 1, step, NEVER, |bench| take_some(bench, 1, 2)),
        living(&bench, |bench| send_some(bench, 0, 2)),
        living(&bench, |bench| take_some(bench, 2, 1)),
    ]);
    bench.settle_up(7);
}

#[test]
fn a_receiver_dies_while_it_passes_over() {
    explore_deaths("a receiver dies while it passes over", 3, 18, passer_dies);
}

/// A sender and a receiver die, at independent steps.
#[test]
fn a_sender_and_a_receiver_die() {
    explore_deaths("a sender and a receiver die", 3, 12, |step| {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 9), Sent::Yes);
        let other = if cfg!(model_loom) { 7 } else { chance(20) };
        together(vec![
            mortal(&bench, 0, step, NEVER, |bench| send_some(bench, 0, 1)),
            mortal(&bench, 1, other, NEVER, takes_and_nacks),
            living(&bench, |bench| take_some(bench, 2, 1)),
        ]);
        bench.settle_up(7);
    });
}

#[test]
#[cfg(model_shuttle)]
fn many_die_and_are_swept_and_come_again() {
    explore_deaths("many die", 3, 60, |step| {
        let bench = Bench::new(1 + chance(4), 8, chance(3) as u16);
        let sweep_step = chance(30);
        together(vec![
            mortal(&bench, 0, step, sweep_step, |bench| send_some(bench, 0, 4)),
            mortal(&bench, 1, chance(60), NEVER, |bench| send_some(bench, 1, 4)),
            mortal(&bench, 2, chance(60), chance(30), |bench| {
                for _ in 0..4 {
                    takes_and_nacks_as(bench, 2);
                }
            }),
            mortal(&bench, 3, chance(60), NEVER, |bench| take_some(bench, 3, 6)),
            living(&bench, |bench| take_some(bench, 4, 6)),
            living(&bench, |bench| send_some(bench, 5, 4)),
        ]);
        bench.settle_up(7);
    });
}

#[cfg(model_shuttle)]
fn takes_and_nacks_as(bench: &Bench, owner: u16) {
    if let Some(taken) = bench.try_recv(owner) {
        bench.nack(owner, taken);
    }
    take_some(bench, owner, 1);
}
