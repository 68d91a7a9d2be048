//! What is promised of results that take the room of their items, seen through members of one queue, within one process.

use std::mem::forget;

use super::tests::{Bench, FOR_EVER, queue, take};
use super::*;
use crate::id::Post;

const TINY: Geometry = Geometry { capacity: 1, item_bytes: 8, max_item_bytes: 8, max_deliveries: Some(3) };
const SMALL: Geometry = Geometry { capacity: 4, ..TINY };

/// A worker that sends its results to the queue from which it takes.
struct Looper {
    taker: Member,
    sender: Member,
    batch: u64,
}

impl Looper {
    fn new(bench: &Bench, post: u16) -> Self {
        Self { taker: bench.member(post), sender: bench.member(post), batch: 0 }
    }

    fn next(&mut self) -> (Lease, u64) {
        let lease = self.taker.try_recv().expect("an item");
        let number = read(self.taker.bytes(&lease));
        (lease, number)
    }

    /// All of a transaction up to its commit.
    fn prepare(&mut self, items: Vec<Lease>, results: &[u64]) -> Result<(), Refused> {
        self.batch += 1;
        for (n, result) in results.iter().enumerate() {
            let room = items.get(n).map(|lease| self.taker.room_of(lease));
            let bytes = result.to_le_bytes();
            let wait = Wait { deadline: Some(std::time::Instant::now()), ..FOR_EVER };
            self.sender.stage(&bytes, self.batch, room, &wait)?;
        }
        items.into_iter().for_each(|lease| assert!(self.taker.settle(lease, self.batch)));
        self.sender.note_batch(self.batch);
        self.taker.note_batch(self.batch);
        Ok(())
    }

    fn hand(&mut self, items: Vec<Lease>, results: &[u64]) {
        self.prepare(items, results).expect("room");
        self.sender.roll_forward();
        self.taker.roll_forward();
    }
}

fn read(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(bytes.try_into().expect("eight bytes"))
}

fn fill(bench: &Bench, numbers: std::ops::Range<u64>) -> Member {
    let mut feeder = bench.member(9);
    numbers.for_each(|number| _ = feeder.try_send(&number.to_le_bytes()).expect("room"));
    feeder
}

fn rest(bench: &Bench) -> Vec<u64> {
    let mut member = bench.member(8);
    let mut rest = Vec::new();
    while !bench.queue.is_empty() || bench.queue.depth().left() > 0 {
        rest.push(read(&take(&mut member)));
    }
    rest
}

fn assert_whole(bench: &Bench) {
    assert_eq!(bench.queue.spoilt(), None);
    assert_eq!(bench.queue.depth().free, bench.queue.capacity() as u64);
    let mut sender = bench.member(7);
    for _ in 0..bench.queue.capacity() {
        sender.try_send(&[0; 8]).expect("all of the room");
    }
    assert_eq!(sender.try_send(&[0; 8]), Err(Refused::Full));
}

#[test]
fn an_item_goes_round_a_queue_of_one() {
    let bench = queue(TINY);
    fill(&bench, 0..1);
    let mut looper = Looper::new(&bench, 1);
    for round in 0..1000 {
        let (lease, number) = looper.next();
        assert_eq!(number, round);
        looper.hand(vec![lease], &[number + 1]);
        assert_eq!(bench.queue.depth().left(), 1);
    }
    assert_eq!(bench.queue.totals().sent, 1001);
    assert_eq!(rest(&bench), [1000]);
    assert_whole(&bench);
}

#[test]
fn results_stand_behind_all_that_was_sent_before() {
    for batch in [1, 2, 4] {
        let bench = queue(SMALL);
        fill(&bench, 0..4);
        let mut looper = Looper::new(&bench, 1);
        let mut expected = 0;
        for _ in 0..300 {
            let taken: Vec<_> = (0..batch).map(|_| looper.next()).collect();
            let results: Vec<_> = taken.iter().map(|(_, number)| number + 4).collect();
            for (_, number) in &taken {
                assert_eq!(*number, expected);
                expected += 1;
            }
            looper.hand(taken.into_iter().map(|(lease, _)| lease).collect(), &results);
            assert_eq!(bench.queue.depth().left(), 4);
        }
        assert!(rest(&bench).into_iter().eq(expected..expected + 4));
        assert_whole(&bench);
    }
}

/// The slot at the tail holds an item that waits, so that no position is free for the result.
#[test]
fn the_result_of_an_item_that_came_back_stands_behind_what_waits() {
    let bench = queue(SMALL);
    fill(&bench, 0..4);
    let mut looper = Looper::new(&bench, 1);
    let (first, _) = looper.next();
    let (second, _) = looper.next();
    let (third, _) = looper.next();
    looper.taker.nack(third);
    looper.taker.nack(second);
    looper.taker.nack(first);
    for number in 0..3 {
        let (lease, taken) = looper.next();
        assert_eq!(taken, number);
        looper.hand(vec![lease], &[number + 10]);
    }
    assert_eq!(looper.next().1, 3, "what waits at its position comes first");
    assert_eq!([(); 3].map(|()| looper.next().1), [10, 11, 12]);
}

#[test]
fn a_result_comes_before_what_its_sender_sends_later_at_the_same_position() {
    let bench = queue(SMALL);
    fill(&bench, 0..4);
    let mut looper = Looper::new(&bench, 1);
    let (first, _) = looper.next();
    looper.taker.nack(first);
    let (first, _) = looper.next();
    looper.hand(vec![first], &[10]);
    let (second, _) = looper.next();
    looper.taker.ack(second);
    looper.sender.try_send(&20u64.to_le_bytes()).expect("room");
    assert_eq!(rest(&bench), [2, 3, 10, 20]);
}

#[test]
fn what_comes_back_is_taken_before_a_result_whose_turn_has_not_come() {
    let bench = queue(SMALL);
    fill(&bench, 0..4);
    let (mut looper, mut other) = (Looper::new(&bench, 1), bench.member(2));
    let (first, _) = looper.next();
    let returned = other.try_recv().expect("an item");
    looper.hand(vec![first], &[10]);
    let (lease, number) = looper.next();
    assert_eq!(number, 2, "the receiver has looked at the late lane");
    looper.taker.ack(lease);
    other.nack(returned);
    assert_eq!([looper.next().1, looper.next().1, looper.next().1], [1, 3, 10]);
}

#[test]
fn one_item_has_room_for_one_result() {
    let bench = queue(TINY);
    fill(&bench, 0..1);
    let mut looper = Looper::new(&bench, 1);
    let (lease, _) = looper.next();
    assert_eq!(looper.prepare(vec![lease], &[1, 2]), Err(Refused::Timeout));
    looper.sender.roll_back();
    assert_eq!(bench.queue.depth().leased, 1);
    assert_eq!(bench.queue.spoilt(), None);
}

#[test]
fn other_senders_find_no_room_in_between() {
    let bench = queue(TINY);
    let mut feeder = fill(&bench, 0..1);
    let mut looper = Looper::new(&bench, 1);
    for _ in 0..10 {
        let (lease, number) = looper.next();
        assert_eq!(feeder.try_send(&[9; 8]), Err(Refused::Full));
        looper.prepare(vec![lease], &[number + 1]).expect("room");
        assert_eq!(feeder.try_send(&[9; 8]), Err(Refused::Full));
        looper.sender.roll_forward();
        assert_eq!(feeder.try_send(&[9; 8]), Err(Refused::Full));
        looper.taker.roll_forward();
    }
    assert_eq!(rest(&bench), [10]);
    feeder.try_send(&[9; 8]).expect("room");
}

#[test]
fn the_sweep_makes_the_exchange_of_a_committed_transaction_and_undoes_any_other() {
    for (committed, left) in [(1, vec![2, 3, 10, 11]), (0, vec![0, 1, 2, 3])] {
        let bench = queue(SMALL);
        fill(&bench, 0..4);
        let mut looper = Looper::new(&bench, 1);
        let taken = vec![looper.next().0, looper.next().0];
        looper.prepare(taken, &[10, 11]).expect("room");
        forget(looper);
        bench.queue.sweep(Post(1), |_, _| committed);
        assert_eq!(bench.queue.sweep(Post(1), |_, _| committed), Swept::default());
        assert_eq!(bench.queue.spoilt_at_rest(), None);
        assert_eq!(rest(&bench), left);
        assert_whole(&bench);
    }
}

#[test]
fn a_queue_that_is_moved_keeps_the_order_of_results() {
    let bench = queue(SMALL);
    fill(&bench, 0..4);
    let mut looper = Looper::new(&bench, 1);
    let (returned, _) = looper.next();
    let (lease, _) = looper.next();
    looper.hand(vec![lease], &[10]);
    looper.taker.nack(returned);
    drop(looper);
    bench.queue.sweep_all(true, |_, _| 1);
    let wanted = Geometry { capacity: 6, ..SMALL };
    let dir = tempfile::tempdir().expect("a temporary folder");
    let moved = bench.queue.migrate(&dir.path().join("q"), &wanted).expect("moved");
    let mut receiver = moved.join(Post(5), 0).expect("a place");
    assert_eq!([(); 4].map(|()| read(&take(&mut receiver))), [0, 2, 3, 10]);
}

#[test]
fn large_items_take_the_room_of_small_ones_and_the_other_way_round() {
    let large = Geometry { max_item_bytes: 1 << 20, item_bytes: 8, ..TINY };
    let bench = queue(large);
    fill(&bench, 0..1);
    let (mut taker, mut sender) = (bench.member(1), bench.member(1));
    for (batch, len) in (1..).zip([1 << 20, 8, 4096, 300 << 10, 1 << 20, 5]) {
        let item: Vec<u8> = (0..len).map(|at| (at % 251) as u8).collect();
        let lease = taker.try_recv().expect("an item");
        let room = Some(taker.room_of(&lease));
        sender.stage(&item, batch, room, &FOR_EVER).expect("room");
        assert!(taker.settle(lease, batch));
        sender.note_batch(batch);
        taker.note_batch(batch);
        sender.roll_forward();
        taker.roll_forward();
        let lease = taker.try_recv().expect("an item");
        assert_eq!(taker.bytes(&lease), item);
        taker.give_back(lease);
    }
}

/// Several workers, each with its own items, in a queue that is always full.
#[test]
fn each_item_goes_round_exactly_once_a_round_beside_others_and_deaths() {
    let geometry = Geometry { capacity: 6, max_deliveries: None, ..TINY };
    let bench = queue(geometry);
    fill(&bench, 0..6);
    let mut seed = 7u64;
    let mut chance = |bound: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) % bound
    };
    let mut loopers: Vec<_> = (1..4).map(|post| Looper::new(&bench, post)).collect();
    let mut rounds = [0u64; 6];
    for step in 0..20_000u64 {
        let at = chance(3) as usize;
        let batch = loopers[at].batch;
        let mut taken = Vec::new();
        for _ in 0..1 + chance(3) {
            taken.extend(loopers[at].taker.try_recv());
        }
        let numbers: Vec<u64> = taken.iter().map(|lease| read(loopers[at].taker.bytes(lease))).collect();
        let results: Vec<u64> = numbers.iter().map(|number| number + 6).collect();
        let survives = chance(8) > 0;
        let commits = chance(2) > 0;
        if loopers[at].prepare(taken, &results).is_err() {
            panic!("step {step}: one item in, one item out");
        }
        if survives {
            loopers[at].sender.roll_forward();
            loopers[at].taker.roll_forward();
        } else {
            let post = at as u16 + 1;
            let committed = if commits { batch + 1 } else { batch };
            forget(std::mem::replace(&mut loopers[at], Looper::new(&bench, 20 + post)));
            bench.queue.sweep(Post(post), |_, _| committed);
            loopers[at] = Looper::new(&bench, post);
        }
        if survives || commits {
            for number in numbers {
                let (item, round) = (number % 6, number / 6);
                assert_eq!(rounds[item as usize], round, "step {step}: item {item}");
                rounds[item as usize] += 1;
            }
        }
        assert_eq!(bench.queue.depth().left(), 6);
        assert_eq!(bench.queue.spoilt(), None);
    }
    let (least, most) = (rounds.iter().min().expect("six"), rounds.iter().max().expect("six"));
    assert!(*least > 1000 && most - least < most / 4, "some items wait while others go round: {rounds:?}");
}
