//! Models of retries with a delay: an item that waits is promoted once, by whoever comes by, and is not lost if that one
//! dies at any step, nor if it fails again just then. The time of these models goes on by half of a look's distance
//! whenever somebody looks at it, so that they tell of all relations between looks and due times without a clock.

use super::bench::{Bench, Sent};
#[cfg(model_shuttle)]
use super::by_chance;
use super::{Moment, Part, explore, explore_deaths, never, together};

const TRIES: usize = if cfg!(model_loom) { 2 } else { 6 };

/// Takes a few times; an item that is delivered for the first or second time fails, and is due after a few looks.
fn take_and_fail(bench: &Bench, owner: u16, mut fails: u32) {
    for _ in 0..TRIES {
        if let Some(taken) = bench.try_recv(owner) {
            if fails > 0 {
                fails -= 1;
                let due = bench.now() + 1;
                bench.nack_until(owner, taken, due);
            } else {
                bench.ack(owner, taken);
            }
        }
    }
}

/// A queue of two slots with one item (of two, if `more`) that failed and waits.
fn waiting(more: bool) -> Bench {
    let bench = Bench::new(2, 8, 0);
    assert_eq!(bench.try_send(0, 0), Sent::Yes);
    let taken = bench.try_recv(0).expect("the item");
    let due = bench.now() + 1;
    bench.nack_until(0, taken, due);
    if more {
        assert_eq!(bench.try_send(0, 1), Sent::Yes);
    }
    bench
}

/// Acts as member `owner` until it dies; is swept then, by one that dies as well.
fn mortal(bench: &Bench, owner: u16, death: Moment, sweep: Moment, fails: u32) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let _ = death.cuts(|| take_and_fail(&bench, owner, fails));
        if sweep.cuts(|| bench.sweep(owner)).is_none() {
            bench.sweep(owner);
        }
    })
}

fn living(bench: &Bench, owner: u16, fails: u32) -> Part {
    let bench = bench.clone();
    Box::new(move || take_and_fail(&bench, owner, fails))
}

#[test]
fn a_receiver_dies_at_any_step_of_a_failure_that_waits() {
    explore_deaths("a receiver dies in a delayed nack", 30, |death| {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 0), Sent::Yes);
        together(vec![mortal(&bench, 1, death, never(), 1), living(&bench, 2, 0)]);
        bench.settle_up(7);
    });
}

#[test]
fn a_receiver_dies_at_any_step_of_a_promotion_and_of_failing_again() {
    explore_deaths("a receiver dies while it promotes", 44, |death| {
        let bench = waiting(false);
        together(vec![mortal(&bench, 1, death, never(), 1), living(&bench, 2, 1)]);
        bench.settle_up(7);
    });
}

#[test]
fn the_sweep_of_a_receiver_with_an_item_that_waited_dies_as_well() {
    // Step 20: it has promoted the item and is about to lease it, or has.
    explore_deaths("a receiver dies, then the sweep, beside an item that waits", 20, |death| {
        let bench = waiting(true);
        together(vec![mortal(&bench, 1, Moment::before(20), death, 1), living(&bench, 2, 1)]);
        bench.settle_up(7);
    });
}

#[test]
fn two_receivers_promote_while_the_item_fails_again() {
    explore("two receivers, an item that waits and fails again", || {
        let bench = waiting(false);
        together(vec![living(&bench, 1, 1), living(&bench, 2, 1)]);
        bench.settle_up(7);
    });
    explore("three receivers, two items, one waits", || {
        let bench = waiting(true);
        together(vec![living(&bench, 1, 1), living(&bench, 2, 1), living(&bench, 3, 0)]);
        bench.settle_up(7);
    });
}

/// An old hint in the late lane brings nobody the item before its time, and loses it for nobody.
#[test]
fn a_wrong_hint_is_met_by_two() {
    explore("a wrong hint at an item that waits", || {
        let bench = waiting(false);
        bench.ring().late.hint(0);
        together(vec![living(&bench, 1, 1), living(&bench, 2, 0)]);
        bench.settle_up(7);
    });
}

#[test]
fn the_end_is_not_seen_while_an_item_waits() {
    explore_deaths("a death and a wait before the end", 30, |death| {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 0), Sent::Yes);
        bench.close();
        let looks = bench.clone();
        let until_the_end: Part = Box::new(move || {
            let mut first_not_free = 0;
            for _ in 0..4 {
                match looks.try_recv(2) {
                    Some(taken) => looks.ack(2, taken),
                    None if looks.is_at_end(&mut first_not_free) => return looks.has_ended(),
                    None => {}
                }
            }
        });
        together(vec![until_the_end, mortal(&bench, 1, death, never(), 1)]);
        bench.settle_up(7);
    });
}

#[test]
#[cfg(model_shuttle)]
fn many_let_items_wait_and_die() {
    use super::chance;
    explore_deaths("many let items wait and die", 80, |death| {
        let bench = Bench::new(1 + chance(3), 8, chance(4) as u16);
        for number in 0..2 {
            let _ = bench.try_send(0, number);
        }
        let sends = bench.clone();
        together(vec![
            mortal(&bench, 1, death, by_chance(40), 3),
            mortal(&bench, 2, by_chance(80), never(), 2),
            living(&bench, 3, 1),
            Box::new(move || {
                for number in 2..6 {
                    let _ = sends.try_send(4, number);
                }
            }),
        ]);
        bench.settle_up(7);
    });
}
