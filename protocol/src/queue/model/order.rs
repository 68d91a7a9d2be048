//! Models of order: a sender's items come out in the order in which they went in, though more of them are late than a
//! receiver sees in one step or has in one list, and though the sender dies and is swept.

use super::super::recovery::Fate;
use super::super::slot::Kind;
use super::bench::Bench;
#[cfg(model_shuttle)]
use super::chance;
use super::{Moment, Part, explore, explore_deaths, together};

/// Takes items as the only receiver: the next one of each sender must be the first that it has not acked.
struct Taker {
    bench: Bench,
    acked: [u64; 4],
}

impl Taker {
    fn new(bench: &Bench) -> Self {
        Self { bench: bench.clone(), acked: [0; 4] }
    }

    /// Takes one, if there is one, and acks or returns it.
    fn take(&mut self, returns: bool) {
        let Some(taken) = self.bench.try_recv(5) else { return };
        let (sender, number) = ((taken.item >> 32) as usize, taken.item & 0xffff_ffff);
        assert_eq!(number, self.acked[sender], "sender {sender}'s items changed places");
        if returns {
            self.bench.nack(5, taken);
        } else {
            self.acked[sender] += 1;
            self.bench.ack(5, taken);
        }
    }
}

/// Takes so many times.
fn taker(mut taker: Taker, times: usize) -> Part {
    Box::new(move || (0..times).for_each(|_| taker.take(false)))
}

/// A bench whose ends have moved on by so many positions.
fn bench_at(capacity: u32, position: u64) -> Bench {
    let bench = Bench::new(capacity, 8, 0);
    for number in 0..position {
        bench.try_send(7, number);
        let taken = bench.try_recv(6).expect("an item");
        bench.ack(6, taken);
    }
    bench
}

/// Four slots, two for each word of hints, are passed over before their sender publishes them. The parts of the bitmap are
/// marked already, by hints that are gone: so a look reads both words.
fn four_late(position: u64) {
    let bench = bench_at(4, position);
    let run = bench.claim_run(0, 4);
    assert!(bench.try_recv(5).is_none(), "all are passed over");
    for slot in 0..4 {
        bench.ring().late.hint(slot);
        bench.ring().late.withdraw(slot);
    }
    let sends = bench.clone();
    together(vec![Box::new(move || sends.publish_run(0, 0, &run)), taker(Taker::new(&bench), 3)]);
    bench.settle_up(7);
}

#[test]
fn more_late_items_than_a_word_of_hints_keep_their_order() {
    explore("four late items of 1 sender", || four_late(0));
}

#[test]
fn late_items_keep_their_order_across_the_seam() {
    explore("four late items of 1 sender, across the seam", || four_late(2));
}

/// The list of two is made while the sender publishes its second to its fourth item, each pair of slots under a word of its own.
#[test]
fn a_list_has_no_gaps() {
    explore("seven late items of 2 senders, 3 of them at once", || {
        let bench = bench_at(8, 1);
        let [first, second] = [0, 1].map(|sender| bench.claim_run(sender, [4, 3][usize::from(sender)]));
        assert!(bench.try_recv(5).is_none(), "all are passed over");
        bench.publish_run(0, 0, &first[..1]);
        bench.publish_run(1, 0, &second);
        let sends = bench.clone();
        together(vec![Box::new(move || sends.publish_run(0, 1, &first[1..])), taker(Taker::new(&bench), 3)]);
        bench.settle_up(7);
    });
}

/// The batch of a dead sender is published by the sweep, which dies as well and is begun again.
fn swept(name: &str, passed_over: bool) {
    explore_deaths(name, 60, move |death: Moment| {
        let bench = bench_at(4, 2);
        let run = bench.claim_run(0, 4);
        if passed_over {
            assert!(bench.try_recv(5).is_none(), "all are passed over");
        }
        bench.commit_run(0, 0, run);
        let sweeps = bench.clone();
        let sweep: Part = Box::new(move || {
            let sweep = || {
                let fate = |_, owner| if owner == 0 { Fate::Committed } else { Fate::Alive };
                sweeps.ring().sweep(sweeps.now(), fate, |_, _| false);
            };
            if death.cuts(sweep).is_none() {
                sweep();
            }
        });
        together(vec![sweep, taker(Taker::new(&bench), 3)]);
        bench.settle_up(7);
    });
}

#[test]
fn a_sweep_publishes_a_batch_in_its_order() {
    swept("four staged items, their sender's sweep dies", false);
}

#[test]
fn a_sweep_publishes_a_batch_that_was_passed_over_in_its_order() {
    swept("four late items, their sender's sweep dies", true);
}

/// The receiver's list names a slot that another receiver has emptied since, and which holds a later item of a sender whose
/// first item is not in the list.
#[test]
fn a_list_that_is_out_of_date_changes_no_order() {
    explore("six late items, a slot of the list is used again", || {
        let bench = Bench::new(6, 8, 0);
        let [first, mut second] = [0, 1].map(|sender| bench.claim_run(sender, [4, 2][usize::from(sender)]));
        assert!(bench.try_recv(5).is_none(), "all are passed over");
        bench.publish_run(0, 0, &first);
        let mut takes = Taker::new(&bench);
        takes.take(false);
        let taken = bench.try_recv(6).expect("the next one");
        bench.ack(6, taken);
        takes.acked[0] += 1;
        second.extend(bench.claim_run(1, 2));
        for slot in [0, 1] {
            let word = bench.ring().word(slot);
            assert!(word.kind() == Kind::Filling && bench.ring().change(slot, word, word.passed_over()));
        }
        let sends = bench.clone();
        together(vec![Box::new(move || sends.publish_run(1, 0, &second)), taker(takes, 3)]);
        bench.settle_up(7);
    });
}

/// Two senders, whose slots are passed over in part; the receiver returns some of what it takes.
#[test]
#[cfg(model_shuttle)]
fn late_and_returned_items_keep_their_order() {
    explore("late items of 2 senders, some come back", || {
        let bench = bench_at(2 + chance(7), 1 + u64::from(chance(8)));
        let mut parts: Vec<Part> = Vec::new();
        for sender in 0..2 {
            let bench = bench.clone();
            parts.push(Box::new(move || {
                let mut sent = 0;
                for _ in 0..6 {
                    sent += bench.try_send_run(sender, sent, 1 + chance(4) as usize) as u64;
                }
            }));
        }
        let mut takes = Taker::new(&bench);
        parts.push(Box::new(move || (0..20).for_each(|_| takes.take(chance(3) == 0))));
        together(parts);
        bench.settle_up(7);
    });
}
