//! Models of the dead: a member is cut short in front of any one of its steps, and swept while the others are at work.

use super::bench::{Bench, Sent};
#[cfg(model_shuttle)]
use super::chance;
use super::{Moment, Part, by_chance, explore_deaths, never, together};

const TRIES: usize = if cfg!(model_loom) { 2 } else { 5 };

/// Does `act` as member `owner` until it dies, and is swept then. The sweep itself dies as well and is begun again.
fn mortal(bench: &Bench, owner: u16, death: Moment, sweep: Moment, act: impl FnOnce(&Bench) + Send + 'static) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let _ = death.cuts(|| act(&bench));
        if sweep.cuts(|| bench.sweep(owner)).is_none() {
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

fn sender_dies(capacity: u32, death: Moment, sweep: Moment, others: u16) {
    let bench = Bench::new(capacity, 8, 0);
    let mut parts = vec![
        mortal(&bench, 0, death, sweep, |bench| send_some(bench, 0, 2)),
        living(&bench, |bench| take_some(bench, 1, TRIES)),
    ];
    parts.extend((0..others).map(|more| living(&bench, move |bench| send_some(bench, 2 + more, 1))));
    together(parts);
    bench.settle_up(7);
}

#[test]
fn a_sender_dies_at_any_step_with_one_slot() {
    explore_deaths("a sender dies, one slot", 16, |death| sender_dies(1, death, never(), 0));
}

#[test]
fn a_sender_dies_at_any_step_with_two_slots() {
    explore_deaths("a sender dies, two slots", 22, |death| sender_dies(2, death, never(), 0));
}

#[test]
fn a_sender_dies_beside_another() {
    explore_deaths("a sender dies beside another, two slots", 12, |death| sender_dies(2, death, never(), 1));
}

#[test]
fn the_sweep_of_a_sender_dies_as_well() {
    explore_deaths("a sender dies, then its sweep", 16, |sweep| {
        let bench = Bench::new(2, 8, 0);
        together(vec![
            mortal(&bench, 0, never(), sweep, |bench| {
                let _ = bench.claim(0);
            }),
            living(&bench, |bench| take_some(bench, 1, TRIES)),
        ]);
        bench.settle_up(7);
    });
}

/// Two items wait in two slots. Where loom would take too long, it does without the sender.
fn receiver_dies(act: fn(&Bench), death: Moment, sweep: Moment, max_deliveries: u16, sender: bool) {
    let bench = Bench::new(2, 8, max_deliveries);
    for number in 0..2 {
        assert_eq!(bench.try_send(0, number), Sent::Yes);
    }
    let mut parts = vec![mortal(&bench, 1, death, sweep, act), living(&bench, |bench| take_some(bench, 2, TRIES))];
    if sender || cfg!(model_shuttle) {
        parts.push(living(&bench, |bench| send_some(bench, 3, 1)));
    }
    together(parts);
    bench.settle_up(7);
}

/// And does no more.
fn takes(bench: &Bench) {
    drop(bench.try_recv(1));
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
    explore_deaths("a receiver dies", 16, |death| receiver_dies(takes_and_acks, death, never(), 0, true));
}

#[test]
fn a_receiver_dies_while_it_gives_back_the_bytes_of_a_large_item() {
    explore_deaths("a receiver dies, large item", 18, |death| {
        receiver_dies(takes_and_acks_large, death, never(), 0, true)
    });
}

#[test]
fn a_receiver_dies_at_any_step_of_a_nack_and_of_taking_it_again() {
    explore_deaths("a receiver dies in a nack", 24, |death| receiver_dies(takes_and_nacks, death, never(), 0, false));
}

#[test]
fn the_sweep_of_a_receiver_dies_as_well() {
    explore_deaths("a receiver dies, then its sweep", 16, |sweep| receiver_dies(takes, never(), sweep, 0, false));
}

#[test]
fn a_receiver_dies_with_the_last_delivery() {
    explore_deaths("a receiver dies, last delivery", 10, |death| {
        receiver_dies(takes_and_acks, death, never(), 1, true)
    });
}

/// A receiver passes over an unfinished slot and takes what comes back through the late lane; it dies on the way.
fn passer_dies(death: Moment) {
    let bench = Bench::new(2, 8, 0);
    together(vec![
        mortal(&bench, 1, death, never(), |bench| take_some(bench, 1, 2)),
        living(&bench, |bench| send_some(bench, 0, 2)),
        living(&bench, |bench| take_some(bench, 2, 1)),
    ]);
    bench.settle_up(7);
}

#[test]
fn a_receiver_dies_while_it_passes_over() {
    explore_deaths("a receiver dies while it passes over", 18, passer_dies);
}

/// A sender and a receiver die, at independent steps.
#[test]
fn a_sender_and_a_receiver_die() {
    explore_deaths("a sender and a receiver die", 12, |death| {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 9), Sent::Yes);
        together(vec![
            mortal(&bench, 0, death, never(), |bench| send_some(bench, 0, 1)),
            mortal(&bench, 1, by_chance(20), never(), if cfg!(model_loom) { takes } else { takes_and_nacks }),
            living(&bench, |bench| take_some(bench, 2, 1)),
        ]);
        bench.settle_up(7);
    });
}

#[test]
#[cfg(model_shuttle)]
fn many_die_and_are_swept_and_come_again() {
    explore_deaths("many die", 60, |death| {
        let bench = Bench::new(1 + chance(4), 8, chance(3) as u16);
        let sweep = by_chance(30);
        together(vec![
            mortal(&bench, 0, death, sweep, |bench| send_some(bench, 0, 4)),
            mortal(&bench, 1, by_chance(60), never(), |bench| send_some(bench, 1, 4)),
            mortal(&bench, 2, by_chance(60), by_chance(30), |bench| {
                for _ in 0..4 {
                    takes_and_nacks_as(bench, 2);
                }
            }),
            mortal(&bench, 3, by_chance(60), never(), |bench| take_some(bench, 3, 6)),
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
