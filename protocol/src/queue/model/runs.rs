//! Models of runs: several slots claimed, published, leased and acked in one go, by the living and by the dead, beside
//! others that do it one by one.

use super::bench::{Bench, Sent};
use super::{Moment, Part, explore, explore_deaths, together};
#[cfg(model_shuttle)]
use super::{by_chance, chance};

const TRIES: usize = if cfg!(model_loom) { 1 } else { 5 };

fn part(bench: &Bench, act: impl FnOnce(&Bench) + Send + 'static) -> Part {
    let bench = bench.clone();
    Box::new(move || act(&bench))
}

/// Does `act` as member `owner` until it dies, and is swept then.
fn mortal(bench: &Bench, owner: u16, death: Moment, act: impl FnOnce(&Bench) + Send + 'static) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let _ = death.cuts(|| act(&bench));
        bench.sweep(owner);
    })
}

/// Sends `items` in runs of `length` and does not try for ever.
fn send(bench: &Bench, owner: u16, items: u64, length: usize) {
    let mut number = 0;
    for _ in 0..TRIES + 1 {
        let left = (items - number) as usize;
        if left > 0 {
            number += bench.try_send_run(owner, number, left.min(length)) as u64;
        }
    }
}

/// Takes runs and acks them; the only receiver sees each sender's items in their order.
fn take(bench: &Bench, owner: u16, length: usize, alone: bool) {
    let mut last: Vec<u64> = Vec::new();
    for _ in 0..TRIES {
        let run = bench.try_recv_run(owner, length);
        for taken in &run {
            let before = last.iter().filter(|item| **item >> 32 == taken.item >> 32).max();
            assert!(!alone || before.is_none_or(|before| *before < taken.item), "a sender's items changed places");
            last.push(taken.item);
        }
        bench.ack_run(owner, run);
    }
}

fn hand_over(capacity: u32, senders: u16, items: u64, receivers: u16) {
    let bench = Bench::new(capacity, 8, 0);
    let mut parts: Vec<Part> =
        (0..senders).map(|owner| part(&bench, move |bench| send(bench, owner, items, 2))).collect();
    parts.extend((0..receivers).map(|more| part(&bench, move |bench| take(bench, 4 + more, 2, receivers == 1))));
    together(parts);
    bench.settle_up(7);
}

#[test]
fn a_run_is_handed_over() {
    explore("runs of 2, two slots, 1 sender, 2 items, 1 receiver", || hand_over(2, 1, 2, 1));
}

#[test]
fn a_run_goes_round_the_ring() {
    explore("runs of 2, two slots, 1 sender, 3 items, 1 receiver", || hand_over(2, 1, 3, 1));
}

#[test]
fn two_receivers_take_from_one_run() {
    explore("runs of 2, two slots, 1 sender, 2 items, 2 receivers", || hand_over(2, 1, 2, 2));
}

#[test]
fn the_runs_of_two_senders_share_the_ring() {
    explore("runs of 2, three slots, 2 senders, 1 receiver", || hand_over(3, 2, 2, 1));
}

#[test]
#[cfg(model_shuttle)]
fn many_hand_over_runs() {
    explore("runs, 3 senders, 2 receivers", || hand_over(5, 3, 6, 2));
}

/// Moved on for a stride at a time, and not by everybody, it is less than a stride behind in the end.
fn the_tail_has_followed(bench: &Bench) {
    let ring = bench.ring();
    let (_, tail) = ring.ends().expect("nobody scribbles here");
    assert!(ring.real_tail(tail).since(tail, ring.capacity) < ring.stride, "the tail was left behind");
}

#[test]
fn two_runs_move_the_tail_together() {
    explore("two runs of 2, four slots", || {
        let bench = Bench::new(4, 8, 0);
        together((0..2).map(|owner| part(&bench, move |bench| send(bench, owner, 2, 2))).collect());
        the_tail_has_followed(&bench);
        bench.settle_up(7);
    });
}

/// One that sends one by one walks over the slots that a run has claimed, and must not lose the tail.
#[test]
fn a_run_beside_one_by_one() {
    explore("a run of 2 beside one by one, three slots", || {
        let bench = Bench::new(3, 8, 0);
        together(vec![
            part(&bench, |bench| send(bench, 0, 2, 2)),
            part(&bench, |bench| {
                let _ = bench.try_send(1, 0);
            }),
            part(&bench, |bench| {
                if let Some(taken) = bench.try_recv(4) {
                    bench.ack(4, taken);
                }
            }),
        ]);
        the_tail_has_followed(&bench);
        bench.settle_up(7);
    });
}

#[test]
fn a_sender_dies_in_a_run() {
    explore_deaths("a sender dies in a run of 2", 24, |death| {
        let bench = Bench::new(2, 8, 0);
        together(vec![
            mortal(&bench, 0, death, |bench| send(bench, 0, 2, 2)),
            part(&bench, |bench| take(bench, 4, 1, false)),
        ]);
        bench.settle_up(7);
    });
}

#[test]
fn a_receiver_dies_in_a_run() {
    explore_deaths("a receiver dies in a run of 2", 24, |death| {
        let bench = Bench::new(2, 8, 0);
        (0..2).for_each(|number| assert_eq!(bench.try_send(0, number), Sent::Yes));
        together(vec![
            mortal(&bench, 4, death, |bench| take(bench, 4, 2, false)),
            part(&bench, |bench| take(bench, 5, 2, false)),
        ]);
        bench.settle_up(7);
    });
}

/// It holds more than it acks: what is noted must be told from what it goes on holding.
#[test]
fn a_receiver_dies_while_it_acks_one_of_several() {
    explore_deaths("a receiver dies in the ack of one of 2", 24, |death| {
        let bench = Bench::new(2, 8, 0);
        (0..2).for_each(|number| assert_eq!(bench.try_send(0, number), Sent::Yes));
        together(vec![
            mortal(&bench, 4, death, |bench| {
                if let Some(last) = bench.try_recv_run(4, 2).pop() {
                    bench.ack(4, last);
                }
            }),
            part(&bench, |bench| take(bench, 5, 1, false)),
        ]);
        bench.settle_up(7);
    });
}

#[test]
#[cfg(model_shuttle)]
fn many_die_in_runs() {
    explore_deaths("many die in runs", 60, |death| {
        let bench = Bench::new(1 + chance(5), 8, 0);
        together(vec![
            mortal(&bench, 0, death, |bench| send(bench, 0, 6, 3)),
            mortal(&bench, 1, by_chance(80), |bench| send(bench, 1, 6, 2)),
            mortal(&bench, 4, by_chance(80), |bench| take(bench, 4, 3, false)),
            mortal(&bench, 5, by_chance(80), |bench| take(bench, 5, 2, false)),
            part(&bench, |bench| take(bench, 6, 2, false)),
            part(&bench, |bench| send(bench, 2, 4, 2)),
        ]);
        bench.settle_up(7);
    });
}
