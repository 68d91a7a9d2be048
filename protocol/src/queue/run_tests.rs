//! Tests of runs: sent, taken and acked in one go, each item is still its own.

use std::mem::forget;
use std::thread;

use super::tests::{FOR_EVER, SMALL, queue};
use super::*;
use crate::id::Post;

fn items(from: u8, to: u8) -> Vec<[u8; 1]> {
    (from..to).map(|n| [n]).collect()
}

/// Sends those for which there is room. Gives how many, and why not the others.
fn send(member: &mut Member, items: &[impl AsRef<[u8]>]) -> (usize, Result<(), Refused>) {
    let mut sent = 0;
    let all = member.try_send_many(items.len(), |n| items[n].as_ref(), &mut sent);
    (sent, all)
}

fn take(member: &mut Member, most: usize) -> (Vec<u8>, Vec<Lease>) {
    let mut leases = Vec::new();
    match member.try_recv_many(most, &mut leases) {
        Ok(()) | Err(Nothing::Empty) => {}
        Err(other) => panic!("{other:?}"),
    }
    (leases.iter().map(|lease| member.bytes(lease)[0]).collect(), leases)
}

#[test]
fn a_run_goes_in_as_far_as_there_is_room_and_comes_out_in_its_order() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 6)), (4, Err(Refused::Full)));
    let (taken, mut leases) = take(&mut receiver, 3);
    assert_eq!(taken, [0, 1, 2]);
    receiver.ack_many(&mut leases);
    assert_eq!(send(&mut sender, &items(4, 7)), (3, Ok(())));
    let (taken, mut leases) = take(&mut receiver, 64);
    assert_eq!(taken, [3, 4, 5, 6]);
    receiver.ack_many(&mut leases);
    let totals = bench.queue.totals();
    assert_eq!((totals.sent, totals.acked), (7, 7));
    assert_eq!(bench.queue.depth().free, 4);
}

#[test]
fn the_ids_of_a_run_are_those_of_as_many_single_sends() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    let first = sender.try_send(&[0]).expect("room");
    assert_eq!(send(&mut sender, &items(1, 3)).0, 2);
    assert_eq!(sender.next_item().0, first.0 + 3);
    let (_, leases) = take(&mut receiver, 3);
    assert!(leases.iter().map(|lease| lease.id().0).eq(first.0..first.0 + 3));
    for lease in leases {
        receiver.ack(lease);
    }
}

#[test]
fn one_that_is_too_large_stops_the_run_in_front_of_it() {
    let bench = queue(SMALL);
    let mut sender = bench.member(1);
    let items: [&[u8]; 3] = [&[1], &[0; 33], &[2]];
    assert_eq!(send(&mut sender, &items), (1, Err(Refused::TooLarge { len: 33, max: 32 })));
    assert_eq!(bench.queue.depth().ready, 1);
}

#[test]
fn a_closed_queue_takes_no_run_and_ends_when_the_last_one_is_acked() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 2)).0, 2);
    bench.queue.close();
    assert_eq!(send(&mut sender, &items(2, 3)), (0, Err(Refused::Closed)));
    let (_, mut leases) = take(&mut receiver, 64);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)), "two may still come back");
    receiver.ack_many(&mut leases);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Ended)));
}

#[test]
fn what_came_back_is_taken_before_the_rest_of_a_run() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 4)).0, 4);
    let (_, mut leases) = take(&mut receiver, 2);
    receiver.nack(leases.remove(0));
    receiver.ack_many(&mut leases);
    let (taken, mut leases) = take(&mut receiver, 64);
    assert_eq!((taken, leases[0].deliveries()), (vec![0], 2), "an item that failed comes by itself");
    receiver.ack_many(&mut leases);
    let (taken, mut leases) = take(&mut receiver, 64);
    assert_eq!(taken, [2, 3]);
    receiver.ack_many(&mut leases);
}

#[test]
fn a_slot_in_anothers_hands_is_skipped_by_a_run() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 4)).0, 4);
    let (_, mut leases) = take(&mut receiver, 4);
    let slow = leases.remove(1);
    receiver.ack_many(&mut leases);
    for round in 0..5 {
        assert_eq!(send(&mut sender, &items(round, round + 4)), (3, Err(Refused::Full)));
        let (taken, mut leases) = take(&mut receiver, 64);
        assert_eq!(taken, [round, round + 1, round + 2]);
        receiver.ack_many(&mut leases);
    }
    receiver.ack(slow);
    assert_eq!(bench.queue.totals().acked, 4 + 15);
}

#[test]
fn who_dies_with_a_run_in_hand_gives_all_of_it_back_and_the_counts_stay_true() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 4)).0, 4);
    let (_, mut leases) = take(&mut receiver, 4);
    let kept = leases.split_off(1);
    receiver.ack_many(&mut leases);
    forget((receiver, kept));
    let swept = bench.queue.sweep(Post(2), |_, _| 0);
    assert_eq!((swept.returned, bench.queue.totals().acked), (3, 1));
    let mut other = bench.member(3);
    for n in 1..4 {
        let (taken, mut leases) = take(&mut other, 64);
        assert_eq!((taken, leases[0].deliveries()), (vec![n], 2), "the items of a run that failed come one by one");
        other.ack_many(&mut leases);
    }
}

#[test]
fn of_a_run_that_kills_again_and_again_only_the_item_at_fault_runs_out_of_deliveries() {
    let bench = queue(Geometry { capacity: 20, ..SMALL });
    let mut sender = bench.member(1);
    assert_eq!(send(&mut sender, &items(0, 20)).0, 20);
    let (mut done, mut deaths, mut dead) = (Vec::new(), 0, 0);
    for post in 2..40 {
        let mut receiver = bench.member(post);
        loop {
            let (taken, mut leases) = take(&mut receiver, 20);
            if taken.contains(&7) {
                deaths += 1;
                forget((receiver, leases));
                dead += bench.queue.sweep(Post(post), |_, _| 0).dead;
                break;
            }
            if taken.is_empty() {
                break;
            }
            receiver.ack_many(&mut leases);
            done.extend(taken);
        }
    }
    assert_eq!((deaths, dead), (4, 1), "once with the run, then max_deliveries times by itself");
    done.sort_unstable();
    assert!(done.into_iter().eq((0..20).filter(|n| *n != 7)));
}

#[test]
fn a_run_that_is_given_back_as_failed_comes_one_by_one_and_a_run_that_was_not_begun_as_before() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    assert_eq!(send(&mut sender, &items(0, 4)).0, 4);
    let (_, leases) = take(&mut receiver, 2);
    leases.into_iter().for_each(|lease| receiver.give_back(lease));
    let (taken, mut leases) = take(&mut receiver, 2);
    assert_eq!((taken, leases[0].deliveries()), (vec![0, 1], 1));
    assert_eq!(receiver.fail_with_others(leases.remove(0), std::time::Duration::ZERO), Some(Returned::Late));
    receiver.nack(leases.remove(0));
    for (n, deliveries) in [(0, 2), (1, 2)] {
        let (taken, mut leases) = take(&mut receiver, 64);
        assert_eq!((taken, leases[0].deliveries()), (vec![n], deliveries));
        receiver.ack_many(&mut leases);
    }
    assert_eq!(take(&mut receiver, 64).0, [2, 3]);
}

#[test]
fn the_leases_of_another_member_are_not_acked_nor_counted() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver, mut other) = (bench.member(1), bench.member(2), bench.member(3));
    assert_eq!(send(&mut sender, &items(0, 2)).0, 2);
    let (_, mut leases) = take(&mut receiver, 2);
    other.ack_many(&mut leases);
    let totals = bench.queue.totals();
    assert_eq!((totals.acked, bench.queue.depth().leased), (0, 2));
}

#[test]
fn large_items_go_in_runs_as_well_and_give_their_memory_back() {
    const LARGE: usize = 300 << 10;
    let bench = queue(Geometry { max_item_bytes: 1 << 20, ..SMALL });
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    let items: Vec<Vec<u8>> = (0..4u8).map(|n| vec![n; LARGE]).collect();
    assert_eq!(send(&mut sender, &items), (4, Ok(())));
    let (taken, mut leases) = take(&mut receiver, 64);
    assert_eq!(taken, [0, 1, 2, 3]);
    assert!(leases.iter().all(|lease| lease.len() == LARGE));
    receiver.ack_many(&mut leases);
    assert_eq!(bench.queue.depth().free, 4);
}

#[test]
fn runs_of_many_threads_lose_nothing_and_keep_each_senders_order() {
    const EACH: u32 = 30_000;
    let bench = queue(Geometry { capacity: 50, ..SMALL });
    let mut taken: Vec<Vec<(u8, u32)>> = thread::scope(|scope| {
        let senders: Vec<_> = (0..3u8)
            .map(|who| {
                let mut member = bench.member(1 + u16::from(who));
                scope.spawn(move || {
                    let items: Vec<_> = (0..EACH).map(|n| [&[who][..], &n.to_le_bytes()].concat()).collect();
                    for run in items.chunks(1 + 13 * usize::from(who)) {
                        let mut sent = 0;
                        member.send_many(run.len(), |n| &run[n], &mut sent, &FOR_EVER).expect("sent");
                        assert_eq!(sent, run.len());
                    }
                })
            })
            .collect();
        let receivers: Vec<_> = (0..2u16)
            .map(|who| {
                let mut member = bench.member(10 + who);
                scope.spawn(move || {
                    let (mut taken, mut leases) = (Vec::new(), Vec::new());
                    while member.recv_many(1 + 20 * usize::from(who), &mut leases, &FOR_EVER).is_ok() {
                        for lease in &leases {
                            let bytes = member.bytes(lease);
                            taken.push((bytes[0], u32::from_le_bytes(bytes[1..5].try_into().expect("four bytes"))));
                        }
                        member.ack_many(&mut leases);
                    }
                    taken
                })
            })
            .collect();
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
        bench.queue.close();
        receivers.into_iter().map(|receiver| receiver.join().expect("no panic")).collect()
    });
    for each in &taken {
        for who in 0..3 {
            assert!(each.iter().filter(|(from, _)| *from == who).is_sorted(), "a sender's items changed places");
        }
    }
    let mut all = taken.remove(0);
    all.append(&mut taken.remove(0));
    all.sort_unstable();
    assert!(all.into_iter().eq((0..3).flat_map(|who| (0..EACH).map(move |n| (who, n)))));
    let totals = bench.queue.totals();
    assert_eq!((totals.sent, totals.acked), (3 * u64::from(EACH), 3 * u64::from(EACH)));
}
