//! Models of batches: a worker takes from one queue and hands on to others, dies in front of any one of its steps, and is
//! swept while others are at work. Every item comes out exactly once, and is counted once.

use std::sync::Arc;

use super::line::Line;
use super::{Moment, Part, explore, explore_deaths, never, together};
#[cfg(model_shuttle)]
use super::{by_chance, chance};

/// A member moves batches (of none: it has died before) until it dies, and is swept; the sweep dies as well and is begun again, all of it.
fn mortal(line: &Arc<Line>, owner: u16, size: usize, death: Moment, sweep: Moment) -> Part {
    let line = Arc::clone(line);
    Box::new(move || {
        // Once under loom, which tries so much else.
        let _ = death.cuts(|| while size > 0 && line.move_batch(owner, size, 2) && cfg!(model_shuttle) {});
        if sweep.cuts(|| line.sweep(owner)).is_none() {
            line.sweep(owner);
        }
    })
}

/// Takes what comes.
fn taker(line: &Arc<Line>, owner: u16, times: usize) -> Part {
    let line = Arc::clone(line);
    let times = if cfg!(model_loom) { 1 } else { times };
    Box::new(move || (0..times).for_each(|_| line.take(owner)))
}

/// Member `owner` has a batch, and dies right before its commit or right after it.
fn stops_at_its_commit(line: &Line, owner: u16, size: usize, committed: bool) {
    let batch = line.prepare(owner, size, 1).expect("items, and room");
    if committed {
        line.commit(owner, &batch);
    }
}

#[test]
fn a_mover_dies_at_any_step_of_a_batch_of_one() {
    explore_deaths("a mover dies, batches of 1", 70, |death| {
        let line = Line::new(2, &[2]);
        together(vec![mortal(&line, 0, 1, death, never()), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

/// Others pass over its staged slots, before the commit and after it.
#[test]
fn a_mover_dies_at_any_step_of_a_batch_of_two() {
    explore_deaths("a mover dies, batch of 2", 60, |death| {
        let line = Line::new(2, &[2]);
        together(vec![mortal(&line, 0, 2, death, never()), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

#[test]
fn a_mover_dies_at_any_step_of_a_batch_for_two_queues() {
    explore_deaths("a mover dies, batch of 2 for 2 queues", 90, |death| {
        let line = Line::new(2, &[2, 2]);
        together(vec![mortal(&line, 0, 2, death, never()), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

/// The batch has no room at first, is rolled back and tried again; then the items go back.
#[test]
fn a_mover_dies_while_a_batch_without_room_is_rolled_back() {
    explore_deaths("a mover dies, no room", 70, |death| {
        let line = Line::new(3, &[2]);
        assert!(line.move_batch(1, 1, 1));
        together(vec![mortal(&line, 0, 2, death, never()), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

/// The supervisor dies in the sweep, and its next run begins it anew.
fn sweep_dies(name: &str, committed: bool) {
    explore_deaths(name, 50, move |sweep| {
        let line = Line::new(2, &[2, 2][if cfg!(model_loom) { 1.. } else { 0.. }]);
        stops_at_its_commit(&line, 0, 2, committed);
        together(vec![mortal(&line, 0, 0, never(), sweep), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

#[test]
fn the_sweep_of_a_mover_dies_before_the_commit() {
    sweep_dies("a mover dies before its commit, then its sweep", false);
}

#[test]
fn the_sweep_of_a_mover_dies_after_the_commit() {
    sweep_dies("a mover dies after its commit, then its sweep", true);
}

/// It has died once, at its commit; its next life goes on with the next batch number, and dies as well.
fn dies_again(name: &str, committed: bool) {
    explore_deaths(name, 60, move |death| {
        let line = Line::new(3, &[3]);
        stops_at_its_commit(&line, 0, 2, committed);
        line.sweep(0);
        together(vec![mortal(&line, 0, 2, death, never()), taker(&line, 2, 2)]);
        line.settle_up();
    });
}

#[test]
fn a_mover_dies_before_its_commit_and_dies_again() {
    dies_again("a mover dies before its commit, and again", false);
}

#[test]
fn a_mover_dies_after_its_commit_and_dies_again() {
    dies_again("a mover dies after its commit, and again", true);
}

/// One is swept while another dies.
fn another_dies(name: &str, committed: bool) {
    explore_deaths(name, 60, move |death| {
        let size = if cfg!(model_loom) { 1 } else { 2 };
        let line = Line::new(2 * size as u64, &[2 * size as u32]);
        stops_at_its_commit(&line, 1, size, committed);
        let other = Arc::clone(&line);
        let sweeps: Part = Box::new(move || {
            other.sweep(1);
            other.take(2);
        });
        together(vec![mortal(&line, 0, size, death, never()), sweeps]);
        line.settle_up();
    });
}

#[test]
fn a_mover_dies_beside_one_that_died_before_its_commit() {
    another_dies("a mover dies, another died before its commit", false);
}

#[test]
fn a_mover_dies_beside_one_that_died_after_its_commit() {
    another_dies("a mover dies, another died after its commit", true);
}

/// A worker in whose queue a batch is in flight is not at the end, though it finds nothing.
#[test]
fn the_end_is_not_seen_while_a_batch_is_in_flight() {
    explore_deaths("a batch in flight at the end", 60, |death| {
        let line = Line::new(2, &[2]);
        line.close();
        let other = Arc::clone(&line);
        let waits: Part = Box::new(move || {
            for _ in 0..if cfg!(model_loom) { 1 } else { 3 } {
                if !other.move_batch(1, 1, 1) && other.is_at_end() {
                    return;
                }
            }
        });
        together(vec![mortal(&line, 0, 2, death, never()), waits]);
        line.settle_up();
    });
}

#[test]
fn two_movers_share_a_queue_without_deaths() {
    explore("two movers", || {
        let line = Line::new(2, &[2]);
        together(vec![
            mortal(&line, 0, 1, never(), never()),
            mortal(&line, 1, 1, never(), never()),
            taker(&line, 2, 1),
        ]);
        line.settle_up();
    });
}

/// Batches and queues of all sizes, movers that die twice, sweeps that die.
#[test]
#[cfg(model_shuttle)]
fn many_movers_die_and_come_again() {
    explore_deaths("many movers die", 90, |death| {
        let outputs: Vec<u32> = (0..1 + chance(2)).map(|_| 1 + chance(4)).collect();
        let line = Line::new(4, &outputs);
        let size = 1 + chance(3) as usize;
        let lives = |owner: u16, deaths: [Moment; 2]| {
            let line = Arc::clone(&line);
            let [first, second] = deaths.map(|death| mortal(&line, owner, size, death, by_chance(60)));
            let lives: Part = Box::new(move || {
                first();
                second();
            });
            lives
        };
        together(vec![
            lives(0, [death, by_chance(90)]),
            lives(1, [by_chance(90), by_chance(90)]),
            taker(&line, 2, 3),
            taker(&line, 4, 3),
        ]);
        line.settle_up();
    });
}
