//! What a sweep leaves behind: who is awake, whose the places are, and what is said to have been done.

use std::mem::forget;
use std::thread;
use std::time::{Duration, Instant};

use super::hint::Cursor;
use super::tests::{FOR_EVER, SMALL, queue, take};
use super::*;
use crate::id::Post;

#[test]
fn a_receiver_that_slept_beside_an_item_is_woken() {
    let bench = queue(SMALL);
    thread::scope(|scope| {
        let mut sleeper = bench.member(1);
        let taken = scope.spawn(move || {
            let lease = sleeper.recv(&FOR_EVER).expect("an item");
            let bytes = sleeper.bytes(&lease).to_vec();
            sleeper.ack(lease);
            bytes
        });
        let shared = &bench.queue.shared;
        let begun = Instant::now();
        while !shared.items.sleepers().has_sleepers() {
            assert!(begun.elapsed() < Duration::from_secs(60), "it does not go to sleep");
            thread::yield_now();
        }
        // A sender that dies before it tells anybody of its item.
        let sender = bench.member(2);
        let held = shared.ring.claim(sender.index, &mut Cursor::default()).expect("room");
        assert!(bench.queue.write(held.slot, sender.next_item(), b"item"));
        assert!(shared.ring.publish(held, sender.index));
        forget(sender);
        thread::sleep(Duration::from_millis(20));
        assert!(!taken.is_finished(), "nobody has woken it");
        bench.queue.sweep(Post(2), |_, _| 0);
        assert_eq!(taken.join().expect("no panic"), b"item");
    });
}

#[test]
fn whoever_sleeps_at_an_empty_queue_sleeps_on() {
    let bench = queue(SMALL);
    let ticket = bench.queue.shared.items.sleepers().prepare();
    forget(bench.member(2));
    bench.queue.sweep(Post(2), |_, _| 0);
    assert!(bench.queue.shared.items.sleepers().has_sleepers(), "there is nothing to wake up for");
    bench.queue.close();
    forget(bench.member(2));
    let again = bench.queue.shared.items.sleepers().prepare();
    bench.queue.sweep(Post(2), |_, _| 0);
    assert!(!bench.queue.shared.items.sleepers().has_sleepers(), "the end may have come");
    let _ = (ticket, again);
}

#[test]
fn whoever_relied_on_one_who_died_on_the_lookout_is_woken() {
    let bench = queue(SMALL);
    let items = &bench.queue.shared.items;
    let asleep = items.sleepers().prepare();
    assert!(items.go_out());
    forget(bench.member(2));
    bench.member(1).try_send(b"x").expect("room");
    assert_eq!(items.sleepers().prepare(), asleep, "one is awake, and will come");
    bench.queue.sweep(Post(2), |_, _| 0);
    assert_ne!(items.sleepers().prepare(), asleep);
    assert!(items.go_out(), "nobody is out");
}

#[test]
fn what_a_member_has_done_is_its_own_until_the_sweep_and_never_the_next_owners() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    (0..3).for_each(|n| _ = sender.try_send(&[n]).expect("room"));
    take(&mut receiver);
    take(&mut receiver);
    let work = |post| {
        let all: Vec<_> = bench.queue.work().filter(|it| it.post == Post(post)).map(|it| (it.sent, it.acked)).collect();
        all
    };
    assert_eq!((work(1), work(2)), (vec![(3, 0)], vec![(0, 2)]));
    // One that is dropped leaves its place, with what it did, to the next one of its thread, and to nobody else.
    let index = sender.index;
    drop(sender);
    assert_ne!(bench.member(3).index, index);
    let mut again = bench.member(1);
    assert_eq!(again.index, index);
    again.try_send(&[3]).expect("room");
    assert_eq!(work(1), [(4, 0)]);
    forget(again);
    let swept = bench.queue.sweep(Post(1), |_, _| 0);
    assert_eq!((swept.sent, swept.acked, swept.is_clean()), (4, 0, true));
    assert_eq!(work(1), []);
    let next = bench.member(4);
    assert_eq!((next.index, work(4)), (index, vec![(0, 0)]));
    assert_eq!(bench.queue.totals().sent, 4, "the queue itself counts on");
}

#[test]
fn an_ack_that_was_made_and_not_counted_is_the_dead_ones() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    sender.try_send(b"one").expect("room");
    let lease = receiver.try_recv().expect("an item");
    // It dies between the change of the slot and its count.
    receiver.place.note(place::Count::Acked, 1);
    assert!(bench.queue.shared.ring.ack(lease.held, receiver.index));
    forget(receiver);
    let swept = bench.queue.sweep(Post(2), |_, _| 0);
    assert_eq!((swept.acked, swept.returned), (1, 0));
}
