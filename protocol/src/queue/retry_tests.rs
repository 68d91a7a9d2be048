//! Retries with a delay, seen through the members of a queue, within one process.

use std::mem::forget;
use std::thread;
use std::time::{Duration, Instant};

use super::tests::{FOR_EVER, SMALL, queue, take};
use super::*;
use crate::id::{ItemId, Post};
use crate::retry::LONGEST_WAIT;
use crate::shm::{clock, recently};

const LONG: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(30);

/// A queue whose only item has failed, and waits.
fn failed(wait: Duration) -> (super::tests::Bench, Member, ItemId) {
    let bench = queue(SMALL);
    let id = bench.member(1).try_send(b"x").expect("room");
    let mut member = bench.member(2);
    let lease = member.try_recv().expect("an item");
    assert_eq!(member.nack_after(lease, wait), Some(Returned::Late));
    (bench, member, id)
}

/// The time passes: the only item of the queue, in its first slot, is due.
fn pass_time(bench: &super::tests::Bench) {
    let ring = &bench.queue.shared.ring;
    ring.delayed.set_due(0, clock());
    while ring.until_due(clock).is_some_and(|left| !left.is_zero()) || !ring.may_promote(recently) {
        thread::yield_now();
    }
}

#[test]
fn an_item_that_is_to_wait_does_not_come_before_its_time_and_then_comes_by_itself() {
    let begun = Instant::now();
    let (_bench, mut member, id) = failed(SHORT);
    assert!(matches!(member.try_recv(), Err(Nothing::Empty)));
    let lease = member.recv(&FOR_EVER).expect("the item again");
    assert!(begun.elapsed() >= SHORT);
    assert_eq!((lease.id(), lease.deliveries(), member.bytes(&lease)), (id, 2, &b"x"[..]));
}

#[test]
fn others_pass_by_while_an_item_waits_and_it_comes_before_them_when_it_is_due() {
    let (bench, mut member, _) = failed(LONG);
    for i in 0..100u8 {
        member.try_send(&[i]).expect("three slots go round");
        assert_eq!(take(&mut member), [i]);
    }
    member.try_send(b"y").expect("room");
    pass_time(&bench);
    assert_eq!([take(&mut member), take(&mut member)], [b"x", b"y"]);
    assert_eq!(bench.queue.depth().free, 4);
}

#[test]
fn what_waits_counts_against_the_capacity_and_holds_back_the_end() {
    let (bench, mut member, _) = failed(LONG);
    for i in 0..3 {
        member.try_send(&[i]).expect("room");
    }
    assert_eq!(member.try_send(b"more"), Err(Refused::Full));
    assert_eq!((bench.queue.depth().retry, bench.queue.depth().late, bench.queue.depth().left()), (1, 0, 4));
    bench.queue.close();
    assert_eq!([take(&mut member), take(&mut member), take(&mut member)], [[0], [1], [2]]);
    assert!(matches!(member.try_recv(), Err(Nothing::Empty)), "not the end yet");
    assert_eq!(bench.queue.idle_stamp(), None);
    pass_time(&bench);
    assert_eq!(take(&mut member), b"x");
    assert!(matches!(member.try_recv(), Err(Nothing::Ended)));
}

#[test]
fn the_last_delivery_does_not_wait_to_be_dead() {
    let bench = queue(Geometry { max_deliveries: Some(1), ..SMALL });
    let mut member = bench.member(1);
    member.try_send(b"x").expect("room");
    let lease = member.try_recv().expect("an item");
    assert_eq!(member.nack_after(lease, LONG), Some(Returned::Dead));
    assert_eq!((bench.queue.depth().dead, bench.queue.depth().retry), (1, 0));
    assert_eq!(bench.queue.take_dead(|_| Ok(())).expect("kept"), 1);
    member.try_send(b"y").expect("room");
    assert_eq!(take(&mut member), b"y");
}

#[test]
fn an_item_waits_for_its_failure_and_not_for_the_death_of_a_worker_after_it() {
    let (bench, mut member, _) = failed(LONG);
    pass_time(&bench);
    let lease = member.try_recv().expect("it is due");
    forget((member, lease));
    assert_eq!(bench.queue.sweep(Post(2), |_, _| 0).returned, 1);
    assert_eq!(take(&mut bench.member(3)), b"x");
}

#[test]
fn an_item_comes_at_once_when_its_worker_died_between_the_due_time_and_the_failure() {
    let bench = queue(SMALL);
    let mut member = bench.member(1);
    member.try_send(b"x").expect("room");
    let lease = member.try_recv().expect("an item");
    bench.queue.shared.ring.delayed.set_due(lease.held.slot, clock() + LONG.as_nanos() as u64);
    forget((member, lease));
    bench.queue.sweep(Post(1), |_, _| 0);
    assert_eq!(take(&mut bench.member(3)), b"x");
}

#[test]
fn what_was_given_back_unstarted_after_a_wait_comes_at_once() {
    let (bench, mut member, _) = failed(LONG);
    pass_time(&bench);
    let lease = member.try_recv().expect("it is due");
    member.give_back(lease);
    let lease = member.try_recv().expect("at once");
    assert_eq!(lease.deliveries(), 2);
    member.ack(lease);
}

#[test]
fn the_sweep_finds_what_waits_and_lets_it_wait() {
    let (bench, mut member, _) = failed(LONG);
    let ring = &bench.queue.shared.ring;
    // Its worker died before the hint: nobody knows of the item.
    ring.delayed.lane.withdraw(0);
    assert_eq!(ring.until_due(clock), None);
    bench.queue.sweep(Post(9), |_, _| 0);
    assert!(ring.until_due(clock).is_some_and(|left| left > LONG / 2));
    assert!(matches!(member.try_recv(), Err(Nothing::Empty)));
    pass_time(&bench);
    assert_eq!(take(&mut member), b"x");
}

#[test]
fn a_wrong_hint_brings_no_item_before_its_time() {
    let (bench, mut member, _) = failed(LONG);
    let ring = &bench.queue.shared.ring;
    ring.late.hint(0);
    ring.delayed.lane.withdraw(0);
    assert!(matches!(member.try_recv(), Err(Nothing::Empty)));
    assert!(ring.until_due(clock).is_some(), "it was put back");
    // A hint at a slot that holds no such item goes away.
    ring.delayed.lane.hint(3);
    pass_time(&bench);
    assert_eq!(take(&mut member), b"x");
    ring.delayed.lane.hint(3);
    let mut hints = 1;
    while hints > 0 {
        assert!(matches!(member.try_recv(), Err(Nothing::Empty)));
        hints = 0;
        ring.delayed.lane.visit(|_| hints += 1);
    }
}

#[test]
fn garbage_for_a_time_is_no_reason_to_wait() {
    let (bench, mut member, _) = failed(LONG);
    let ring = &bench.queue.shared.ring;
    ring.delayed.set_due(0, u64::MAX);
    assert_eq!(bench.queue.depth().late, 1);
    let lease = member.recv(&FOR_EVER).expect("the item");
    member.ack(lease);
    // Nor is a wish that is longer than any may be.
    member.try_send(b"y").expect("room");
    let lease = member.try_recv().expect("an item");
    let slot = lease.held.slot;
    member.nack_after(lease, Duration::MAX);
    assert!(ring.delayed.due(slot) <= clock() + LONGEST_WAIT.as_nanos() as u64);
    assert_eq!(bench.queue.depth().retry, 1);
}

#[test]
fn what_waits_goes_on_waiting_in_a_queue_of_other_numbers() {
    let (bench, member, id) = failed(LONG);
    drop(member);
    let path = tempfile::tempdir().expect("a temporary folder");
    let path = path.path().join("q.queue");
    let wide = Geometry { capacity: 7, ..SMALL };
    let moved = bench.queue.migrate(&path, &wide).expect("moved");
    assert_eq!((moved.depth().retry, moved.depth().late, moved.spoilt_at_rest()), (1, 0, None));
    let mut member = moved.join(Post(1), 0).expect("a place");
    assert!(matches!(member.try_recv(), Err(Nothing::Empty)));
    moved.shared.ring.delayed.set_due(0, clock());
    let lease = member.recv(&FOR_EVER).expect("it is due");
    assert_eq!((lease.id(), lease.deliveries()), (id, 2));
}

/// Nine tenths of the slots wait, in one block or between the others; gives a member that has let them wait.
fn nine_tenths_wait(capacity: u32, in_one_block: bool) -> (super::tests::Bench, Member) {
    let bench = queue(Geometry { capacity, item_bytes: 8, max_item_bytes: 8, max_deliveries: None });
    let mut member = bench.member(1);
    let free = (capacity / 10) as usize;
    (0..capacity).for_each(|_| _ = member.try_send(b"waits").expect("room"));
    let mut leases = Vec::new();
    member.try_recv_many(capacity as usize, &mut leases).expect("items");
    for (n, lease) in leases.into_iter().enumerate() {
        if if in_one_block { n < free } else { n % 10 == 0 && n / 10 < free } {
            member.ack(lease);
        } else {
            member.nack_after(lease, LONG);
        }
    }
    (bench, member)
}

#[test]
fn items_go_round_a_large_queue_while_nine_tenths_of_it_wait() {
    for (capacity, in_one_block) in [(1_024, true), (1_024, false), (131_072, true), (131_072, false)] {
        let (bench, mut member) = nine_tenths_wait(capacity, in_one_block);
        let free = u64::from(capacity / 10);
        for round in 0..3 {
            for n in 0..free {
                member.try_send(&(round * free + n).to_le_bytes()).expect("room");
            }
            assert_eq!(member.try_send(b"more"), Err(Refused::Full));
            for n in 0..free {
                assert_eq!(take(&mut member), (round * free + n).to_le_bytes());
            }
        }
        assert_eq!(bench.queue.depth().retry, u64::from(capacity) - free);
        assert_eq!(bench.queue.spoilt(), None);
    }
}

#[test]
fn a_sender_that_waits_beside_much_that_is_delayed_hears_a_stop() {
    let (bench, mut member) = nine_tenths_wait(131_072, true);
    while member.try_send(b"more") != Err(Refused::Full) {}
    let stop = std::sync::atomic::AtomicBool::new(false);
    thread::scope(|scope| {
        let mut sender = bench.member(2);
        let stop = &stop;
        let sends = scope.spawn(move || {
            let interrupted = || stop.load(std::sync::atomic::Ordering::SeqCst);
            sender.send(b"more", &Wait { deadline: None, interrupted: &interrupted })
        });
        // Something changes all the time at the head, but no slot becomes free.
        for _ in 0..50 {
            let lease = member.try_recv().expect("an item");
            member.give_back(lease);
        }
        stop.store(true, std::sync::atomic::Ordering::SeqCst);
        bench.queue.wake_all();
        assert_eq!(sends.join().expect("no panic"), Err(Refused::Interrupted));
    });
}

#[test]
fn many_threads_that_let_items_wait_lose_none_and_double_none() {
    const ITEMS: u64 = 2_000;
    let bench = queue(Geometry { capacity: 256, ..SMALL });
    let mut seen: Vec<u64> = Vec::new();
    thread::scope(|scope| {
        let mut sender = bench.member(1);
        let receivers: Vec<_> = (0..3)
            .map(|r| {
                let mut member = bench.member(100 + r);
                scope.spawn(move || {
                    let mut seen = Vec::new();
                    while let Ok(lease) = member.recv(&FOR_EVER) {
                        let item = u64::from_le_bytes(member.bytes(&lease).try_into().expect("eight bytes"));
                        if u64::from(lease.deliveries()) <= item % 3 {
                            member.nack_after(lease, Duration::from_micros(item % 7 * 2_000));
                        } else {
                            seen.push(item);
                            member.ack(lease);
                        }
                    }
                    seen
                })
            })
            .collect();
        (0..ITEMS).for_each(|i| _ = sender.send(&i.to_le_bytes(), &FOR_EVER).expect("sent"));
        bench.queue.close();
        seen = receivers.into_iter().flat_map(|receiver| receiver.join().expect("received")).collect();
    });
    seen.sort_unstable();
    assert!(seen.iter().copied().eq(0..ITEMS), "{} items", seen.len());
    assert_eq!(bench.queue.totals().returned, (0..ITEMS).map(|item| item % 3).sum::<u64>());
}
