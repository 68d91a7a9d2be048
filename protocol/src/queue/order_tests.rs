//! Tests of order: each sender's items come out as they went in, though hundreds are passed over, across the seam of the
//! ring, after deaths, and though some come back.

use std::cell::RefCell;
use std::collections::HashMap;
use std::thread;

use super::recovery::Fate;
use super::tests::{Bench, FOR_EVER, queue};
use super::*;
use crate::shm::clock;

const GEOMETRY: Geometry = Geometry { capacity: 1024, item_bytes: 16, max_item_bytes: 16, max_deliveries: None };

fn item(sender: u64, number: u64) -> Vec<u8> {
    [sender.to_le_bytes(), number.to_le_bytes()].concat()
}

fn read(bytes: &[u8]) -> (u64, u64) {
    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
    (word(0), word(8))
}

/// What a receiver has seen of each sender.
#[derive(Default)]
struct Seen(HashMap<u64, u64>);

impl Seen {
    /// An item has come: it must be the next one of its sender.
    fn comes(&mut self, bytes: &[u8]) {
        let (sender, number) = read(bytes);
        let next = self.0.entry(sender).or_default();
        assert_eq!(number, *next, "sender {sender}'s items changed places");
        *next += 1;
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }
}

/// Closes the queue in the end, also by a panic.
struct Closes<'a>(&'a Bench);

impl Drop for Closes<'_> {
    fn drop(&mut self) {
        self.0.queue.close();
    }
}

/// Moves the ends of an empty queue on.
fn advance(bench: &Bench, positions: usize) {
    let mut member = bench.member(90);
    for _ in 0..positions {
        member.try_send(&item(0, 0)).expect("room");
        let lease = member.try_recv().expect("an item");
        member.ack(lease);
    }
}

/// Items `from..to` of a sender become part of its batch.
fn stage(member: &mut Member, sender: u64, from: u64, to: u64) {
    (from..to).for_each(|number| member.stage(&item(sender, number), 1, None, &FOR_EVER).expect("room"));
}

fn commit(member: &mut Member) {
    member.note_batch(1);
    member.roll_forward();
}

/// Takes all that is there, up to `most` at a time.
fn drain(member: &mut Member, most: usize, seen: &mut Seen) {
    let mut leases = Vec::new();
    while member.try_recv_many(most, &mut leases).is_ok() {
        leases.iter().for_each(|lease| seen.comes(member.bytes(lease)));
        member.ack_many(&mut leases);
    }
}

#[test]
fn hundreds_of_late_items_of_two_senders_come_in_order_across_the_seam() {
    for (capacity, items, most) in [(1024, 65, 1), (1024, 500, 1), (1024, 500, 64), (16_384, 5_000, 1)] {
        let bench = queue(Geometry { capacity, ..GEOMETRY });
        advance(&bench, capacity as usize - 300);
        let (mut one, mut two, mut receiver) = (bench.member(1), bench.member(2), bench.member(3));
        for part in 0..5 {
            stage(&mut one, 1, items / 5 * part, items / 5 * (part + 1));
            stage(&mut two, 2, items / 5 * part, items / 5 * (part + 1));
        }
        assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)), "all are passed over");
        commit(&mut one);
        commit(&mut two);
        let mut seen = Seen::default();
        drain(&mut receiver, most, &mut seen);
        assert_eq!(seen.all(), 2 * items);
    }
}

#[test]
fn large_batches_of_two_threads_come_in_order_to_a_third() {
    const BATCHES: u64 = 40;
    for size in [100, 500] {
        let bench = queue(GEOMETRY);
        thread::scope(|scope| {
            // So that a failed check ends the senders, too, which wait for room.
            let _closed = Closes(&bench);
            for sender in 1..=2u16 {
                let mut member = bench.member(sender);
                scope.spawn(move || {
                    for number in 0..BATCHES * size {
                        if member.stage(&item(sender.into(), number), 1, None, &FOR_EVER).is_err() {
                            return member.roll_back();
                        }
                        if (number + 1) % size == 0 {
                            thread::yield_now(); // The receiver passes over what is staged.
                            commit(&mut member);
                        }
                    }
                });
            }
            let (mut receiver, mut seen) = (bench.member(3), Seen::default());
            while seen.all() < 2 * BATCHES * size {
                let lease = receiver.recv(&FOR_EVER).expect("an item");
                seen.comes(receiver.bytes(&lease));
                receiver.ack(lease);
            }
        });
    }
}

/// A receiver looks whenever the sweep asks whose a slot is, which it does in front of each change.
#[test]
fn a_sweep_publishes_a_batch_in_its_order_across_the_seam() {
    for passed_over in [false, true] {
        let bench = queue(GEOMETRY);
        advance(&bench, GEOMETRY.capacity as usize - 3);
        let (mut dead, receiver) = (bench.member(1), RefCell::new(bench.member(2)));
        stage(&mut dead, 1, 0, 6);
        if passed_over {
            assert!(matches!(receiver.borrow_mut().try_recv(), Err(Nothing::Empty)));
        }
        let seen = RefCell::new(Seen::default());
        let look = || drain(&mut receiver.borrow_mut(), 64, &mut seen.borrow_mut());
        let fate = |_, owner| {
            look();
            if owner == dead.index { Fate::Committed } else { Fate::Alive }
        };
        bench.queue.shared.ring.sweep(clock(), fate, |_, _| false);
        look();
        assert_eq!(seen.borrow().all(), 6);
        dead.share = Default::default(); // It is dead: nothing is left for its drop.
    }
}

#[test]
fn a_sweep_returns_what_was_leased_in_its_order_across_the_seam() {
    let bench = queue(GEOMETRY);
    advance(&bench, GEOMETRY.capacity as usize - 3);
    let (mut sender, mut dead, receiver) = (bench.member(1), bench.member(2), RefCell::new(bench.member(3)));
    (0..6).for_each(|number| _ = sender.try_send(&item(1, number)).expect("room"));
    let mut leases = Vec::new();
    dead.try_recv_many(6, &mut leases).expect("items");
    let seen = RefCell::new(Seen::default());
    let look = || drain(&mut receiver.borrow_mut(), 64, &mut seen.borrow_mut());
    let fate = |_, owner| {
        look();
        if owner == dead.index { Fate::Dead } else { Fate::Alive }
    };
    bench.queue.shared.ring.sweep(clock(), fate, |_, _| false);
    look();
    assert_eq!((seen.borrow().all(), leases.len()), (6, 6));
    dead.leases = 0;
}

/// Hundreds of late items in slots 0 to 499, the oldest in slot 0.
fn five_hundred_late() -> (Bench, Member) {
    let bench = queue(GEOMETRY);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    stage(&mut sender, 1, 0, 500);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)));
    commit(&mut sender);
    (bench, receiver)
}

#[test]
fn what_a_receiver_returns_is_the_next_that_it_takes_though_hundreds_are_late() {
    let (_bench, mut receiver) = five_hundred_late();
    for number in 0..500u64 {
        for try_number in 0..3 {
            let lease = receiver.try_recv().expect("an item");
            assert_eq!(read(receiver.bytes(&lease)), (1, number));
            match try_number {
                0 => _ = receiver.nack(lease),
                1 => receiver.give_back(lease),
                _ => _ = receiver.ack(lease),
            }
        }
    }
}

#[test]
fn what_another_receiver_returns_comes_before_the_sixteenth_part_of_what_is_late() {
    let (bench, mut receiver) = five_hundred_late();
    let mut other = bench.member(3);
    let lease = other.try_recv().expect("the oldest");
    let mine = receiver.try_recv().expect("the second");
    receiver.ack(mine);
    other.give_back(lease);
    let before = (0..500).position(|_| {
        let lease = receiver.try_recv().expect("an item");
        let (_, number) = read(receiver.bytes(&lease));
        receiver.ack(lease);
        number == 0
    });
    assert!(before.is_some_and(|before| before <= 500 / 16), "{before:?} came first");
}

/// The list names the slot, but another sender's item is in it, behind others of that sender.
#[test]
fn an_item_in_a_slot_that_was_used_again_since_comes_in_its_own_turn() {
    let bench = queue(Geometry { capacity: 64, ..GEOMETRY });
    let [mut one, mut two, mut receiver, mut other] = [1, 2, 3, 4].map(|post| bench.member(post));
    stage(&mut one, 1, 0, 32);
    stage(&mut two, 2, 0, 32);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)));
    commit(&mut one);
    let mut seen = Seen::default();
    for member in [&mut receiver, &mut other] {
        // The list of the first has the second item, too, which the other takes.
        let lease = member.try_recv().expect("an item");
        seen.comes(member.bytes(&lease));
        member.ack(lease);
    }
    stage(&mut two, 2, 32, 34);
    let ring = &bench.queue.shared.ring;
    for slot in [0, 1] {
        assert!(ring.change(slot, ring.word(slot), ring.word(slot).passed_over()));
    }
    commit(&mut two);
    drain(&mut receiver, 1, &mut seen);
    assert_eq!(seen.all(), 66);
}

#[test]
fn items_keep_their_order_when_the_queue_is_moved() {
    let bench = queue(GEOMETRY);
    advance(&bench, GEOMETRY.capacity as usize - 200);
    let [mut sender, mut receiver] = [1, 2].map(|post| bench.member(post));
    stage(&mut sender, 1, 0, 300);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)));
    commit(&mut sender);
    (300..600).for_each(|number| _ = sender.try_send(&item(1, number)).expect("room"));
    drop((sender, receiver));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let moved =
        bench.queue.migrate(&folder.path().join("q.queue"), &Geometry { capacity: 700, ..GEOMETRY }).expect("moved");
    let (mut receiver, mut seen) = (moved.join(crate::id::Post(1), 0).expect("a place"), Seen::default());
    drain(&mut receiver, 7, &mut seen);
    assert_eq!(seen.all(), 600);
}
