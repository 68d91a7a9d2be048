//! What the queue promises, seen through its members, within one process. Deaths are real in the crash tests; here a
//! member that is forgotten stands for a dead one.

use std::collections::HashMap;
use std::mem::forget;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::hint::Cursor;
use super::*;
use crate::id::Post;

pub const SMALL: Geometry = Geometry { capacity: 4, item_bytes: 32, max_item_bytes: 32, max_deliveries: Some(3) };

pub const FOR_EVER: Wait<'static> = Wait { deadline: None, interrupted: &|| false };

pub struct Bench {
    dir: tempfile::TempDir,
    pub queue: Queue,
}

pub fn queue(geometry: Geometry) -> Bench {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let queue = Queue::create(&dir.path().join("q.queue"), &geometry).expect("created");
    Bench { dir, queue }
}

impl Bench {
    pub fn member(&self, post: u16) -> Member {
        self.queue.join(Post(post), 0).expect("a free place")
    }
}

pub fn take(member: &mut Member) -> Vec<u8> {
    let lease = member.try_recv().expect("an item");
    let bytes = member.bytes(&lease).to_vec();
    member.ack(lease);
    bytes
}

#[test]
fn items_come_out_in_the_order_in_which_they_went_in() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    for round in 0..50u8 {
        for i in 0..4 {
            sender.try_send(&[round, i]).expect("room");
        }
        assert_eq!(sender.try_send(&[0]), Err(Refused::Full));
        for i in 0..4 {
            assert_eq!(take(&mut receiver), [round, i]);
        }
        assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)));
    }
    let totals = bench.queue.totals();
    assert_eq!((totals.sent, totals.acked), (200, 200));
}

#[test]
fn what_is_leased_still_counts_against_the_capacity() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    for i in 0..4 {
        sender.try_send(&[i]).expect("room");
    }
    let leases: Vec<_> = (0..4).map(|_| receiver.try_recv().expect("an item")).collect();
    assert_eq!(sender.try_send(&[9]), Err(Refused::Full));
    assert_eq!(bench.queue.depth().leased, 4);
    for lease in leases {
        receiver.ack(lease);
    }
    sender.try_send(&[9]).expect("room");
}

#[test]
fn one_slow_item_holds_up_nobody() {
    let bench = queue(SMALL);
    let (mut sender, mut slow, mut quick) = (bench.member(1), bench.member(2), bench.member(3));
    sender.try_send(&[255]).expect("room");
    let slow_lease = slow.try_recv().expect("the slow item");
    for i in 0..100u8 {
        sender.try_send(&[i]).expect("three slots go round");
        assert_eq!(take(&mut quick), [i]);
    }
    assert_eq!(slow.bytes(&slow_lease), [255]);
    slow.ack(slow_lease);
    assert_eq!(bench.queue.depth().free, 4);
    for i in 0..4 {
        sender.try_send(&[i]).expect("all four slots are back");
    }
}

#[test]
fn what_comes_back_goes_to_the_front_and_counts_its_deliveries() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    let id = sender.try_send(b"a").expect("room");
    sender.try_send(b"b").expect("room");
    let lease = receiver.try_recv().expect("an item");
    assert_eq!(lease.deliveries(), 1);
    assert_eq!(receiver.nack(lease), Some(Returned::Late));
    let lease = receiver.try_recv().expect("an item");
    assert_eq!((lease.id(), lease.deliveries(), receiver.bytes(&lease)), (id, 2, &b"a"[..]));
    receiver.give_back(lease);
    let lease = receiver.try_recv().expect("an item");
    assert_eq!((lease.id(), lease.deliveries()), (id, 2));
    receiver.ack(lease);
    assert_eq!(take(&mut receiver), b"b");
}

#[test]
fn an_item_without_deliveries_left_is_dead_and_is_put_aside() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    let id = sender.try_send(b"poison").expect("room");
    for _ in 0..2 {
        let lease = receiver.try_recv().expect("an item");
        receiver.nack(lease);
    }
    let lease = receiver.try_recv().expect("the third time");
    assert_eq!(receiver.nack(lease), Some(Returned::Dead));
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)));
    assert_eq!((bench.queue.deaths(), bench.queue.depth().dead), (1, 1));
    assert!(bench.queue.take_dead(|_| Err(std::io::Error::other("disk full"))).is_err());
    let mut kept = Vec::new();
    let count = bench.queue.take_dead(|items| {
        kept.extend(items.iter().map(|item| (item.id, item.deliveries, item.bytes.to_vec())));
        Ok(())
    });
    assert_eq!(count.expect("kept"), 1);
    assert_eq!(kept, [(id, 3, b"poison".to_vec())]);
    assert_eq!(bench.queue.totals(), Totals { sent: 1, acked: 0, returned: 2, buried: 1 });
    assert_eq!(bench.queue.depth().free, 4);
}

#[test]
fn a_sweep_gives_back_what_the_dead_held_and_nothing_else() {
    let bench = queue(SMALL);
    let (mut sender, mut dead, mut living) = (bench.member(1), bench.member(2), bench.member(3));
    for i in 0..3 {
        sender.try_send(&[i]).expect("room");
    }
    let lost = dead.try_recv().expect("an item");
    let kept = living.try_recv().expect("an item");
    forget((dead, lost));
    let swept = bench.queue.sweep(Post(2), |_, _| 0);
    assert_eq!((swept.returned, swept.dead, swept.rolled_back), (1, 0, 0));
    assert_eq!(bench.queue.sweep(Post(2), |_, _| 0), Swept::default());
    assert_eq!(take(&mut living), [0]);
    assert_eq!(take(&mut living), [2]);
    living.ack(kept);
    assert_eq!(bench.queue.totals(), Totals { sent: 3, acked: 3, returned: 1, buried: 0 });
}

#[test]
fn a_half_filled_slot_of_a_dead_sender_is_passed_and_freed() {
    let bench = queue(SMALL);
    let (dead, mut sender, mut receiver) = (bench.member(1), bench.member(2), bench.member(3));
    bench.queue.shared.ring.claim(dead.index, &mut Cursor::default()).expect("a slot");
    forget(dead);
    sender.try_send(b"next").expect("room");
    assert_eq!(take(&mut receiver), b"next");
    assert_eq!(bench.queue.sweep(Post(1), |_, _| 0).rolled_back, 1);
    assert_eq!(bench.queue.depth().free, 4);
    for i in 0..20u8 {
        sender.try_send(&[i]).expect("room");
        assert_eq!(take(&mut receiver), [i]);
    }
}

#[test]
fn items_that_were_passed_over_keep_the_order_of_their_sender() {
    let bench = queue(SMALL);
    let (mut other, sender, mut receiver) = (bench.member(1), bench.member(2), bench.member(3));
    for i in 0..3 {
        other.try_send(&[i]).expect("room");
        assert_eq!(take(&mut receiver), [i]);
    }
    // Slot 3, then slot 0: the older item has the higher slot.
    let ring = &bench.queue.shared.ring;
    let mut cursor = Cursor::default();
    let held = ["slot 3", "slot 0"].map(|slot| ring.claim(sender.index, &mut cursor).expect(slot));
    assert_eq!(held.map(|held| held.slot), [3, 0]);
    assert!(matches!(receiver.try_recv(), Err(Nothing::Empty)), "both are passed over");
    for held in held {
        assert!(ring.publish(held, sender.index));
    }
    let slots = [(); 2].map(|()| {
        let lease = receiver.try_recv().expect("an item");
        let slot = lease.held.slot;
        receiver.ack(lease);
        slot
    });
    assert_eq!(slots, [3, 0]);
}

#[test]
fn the_end_is_seen_only_when_nothing_can_come_back() {
    let bench = queue(SMALL);
    let (mut sender, mut one, mut two) = (bench.member(1), bench.member(2), bench.member(3));
    sender.try_send(b"x").expect("room");
    drop(sender);
    let lease = one.try_recv().expect("an item");
    bench.queue.close();
    assert!(matches!(two.try_recv(), Err(Nothing::Empty)));
    one.nack(lease);
    assert_eq!(take(&mut two), b"x");
    assert!(matches!(two.try_recv(), Err(Nothing::Ended)));
    assert!(matches!(one.try_recv(), Err(Nothing::Ended)));
    assert_eq!(bench.member(4).try_send(b"y"), Err(Refused::Closed));
}

#[test]
fn large_items_lie_in_their_own_region_and_too_large_ones_are_refused() {
    let bench = queue(Geometry { max_item_bytes: 1 << 20, ..SMALL });
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    for len in [0usize, 32, 33, 4096, 300_000, 1 << 20] {
        let item: Vec<u8> = (0..len).map(|i| i as u8).collect();
        sender.try_send(&item).expect("room");
        assert_eq!(take(&mut receiver), item);
    }
    let too_large = vec![0; (1 << 20) + 1];
    assert_eq!(sender.try_send(&too_large), Err(Refused::TooLarge { len: (1 << 20) + 1, max: 1 << 20 }));
}

#[test]
fn a_member_dropped_with_leases_gives_them_back() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    sender.try_send(b"x").expect("room");
    let _lease = receiver.try_recv().expect("an item");
    drop(receiver);
    assert_eq!(take(&mut sender), b"x");
}

#[test]
fn a_member_dropped_with_a_last_delivery_tells_of_the_dead_letter() {
    let bench = queue(SMALL);
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    sender.try_send(b"poison").expect("room");
    for _ in 0..2 {
        let lease = receiver.try_recv().expect("an item");
        receiver.nack(lease);
    }
    let _lease = receiver.try_recv().expect("the third time");
    drop(receiver);
    assert_eq!((bench.queue.deaths(), bench.queue.depth().dead), (1, 1));
}

#[test]
fn the_lease_of_another_member_cannot_be_ended() {
    let bench = queue(SMALL);
    let (mut sender, mut one, mut two) = (bench.member(1), bench.member(2), bench.member(3));
    for i in 0..3 {
        sender.try_send(&[i]).expect("room");
    }
    let (acked, nacked, given) = (one.try_recv(), one.try_recv(), one.try_recv());
    two.ack(acked.expect("an item"));
    assert_eq!(two.nack(nacked.expect("an item")), None);
    two.give_back(given.expect("an item"));
    assert_eq!((bench.queue.depth().leased, bench.queue.totals().acked), (3, 0));
    drop((one, two));
    assert_eq!(bench.queue.depth().late, 3);
}

#[test]
fn a_large_item_that_is_done_does_not_come_again_without_its_bytes() {
    let bench = queue(Geometry { max_item_bytes: 1 << 20, ..SMALL });
    let (mut sender, mut dead, mut living) = (bench.member(1), bench.member(2), bench.member(3));
    sender.try_send(&vec![7; 1 << 20]).expect("room");
    let lease = dead.try_recv().expect("the item");
    // It died after the commit, and while it gave the bytes back.
    assert!(bench.queue.shared.ring.ack_unfreed(lease.held, dead.index));
    forget((dead, lease));
    assert_eq!(bench.queue.sweep(Post(2), |_, _| 0), Swept { rolled_back: 1, ..Swept::default() });
    assert!(matches!(living.try_recv(), Err(Nothing::Empty)));
    assert_eq!(bench.queue.depth().free, 4);
}

#[test]
fn a_large_dead_letter_is_whole_however_often_it_is_handed_over() {
    let bench = queue(Geometry { max_item_bytes: 1 << 20, max_deliveries: Some(1), ..SMALL });
    let (mut sender, mut receiver) = (bench.member(1), bench.member(2));
    sender.try_send(&vec![7; 1 << 20]).expect("room");
    let lease = receiver.try_recv().expect("the item");
    let slot = lease.held.slot;
    assert_eq!(receiver.nack(lease), Some(Returned::Dead));
    assert_eq!(bench.queue.take_dead(|_| Ok(())).expect("kept"), 1);
    // What the next run would see if the supervisor had died just before it freed the slot.
    let (_, offset, len) = bench.queue.content(slot);
    assert!(bench.queue.shared.region.bytes(offset, len).iter().all(|byte| *byte == 7));
}

#[test]
fn waiting_ends_at_the_deadline_or_when_it_is_interrupted() {
    let bench = queue(SMALL);
    let mut member = bench.member(1);
    let soon = || Some(Instant::now() + Duration::from_millis(20));
    assert!(matches!(member.recv(&Wait { deadline: soon(), interrupted: &|| false }), Err(Nothing::Timeout)));
    assert!(matches!(member.recv(&Wait { deadline: None, interrupted: &|| true }), Err(Nothing::Interrupted)));
    for i in 0..4 {
        member.try_send(&[i]).expect("room");
    }
    assert_eq!(member.send(b"x", &Wait { deadline: soon(), interrupted: &|| false }), Err(Refused::Timeout));
    assert_eq!(member.send(b"x", &Wait { deadline: None, interrupted: &|| true }), Err(Refused::Interrupted));
}

#[test]
fn what_is_no_queue_is_refused_with_the_reason() {
    let bench = queue(SMALL);
    let path = bench.dir.path().join("q.queue");
    assert_eq!(Queue::open(&path).expect("its own file").geometry(), SMALL);
    let why = |bytes: &[u8]| {
        let path = bench.dir.path().join("bad.queue");
        std::fs::write(&path, bytes).expect("written");
        Queue::open(&path).expect_err("refused").to_string()
    };
    let good = std::fs::read(&path).expect("read");
    assert!(why(b"short").contains("too short"));
    assert!(why(&[7; 8192]).contains("does not begin"));
    let mut flipped = good.clone();
    flipped[33] ^= 1;
    assert!(why(&flipped).contains("checksum"));
    assert!(why(&good[..good.len() - 4096]).contains("bytes instead of"));
}

#[test]
fn many_threads_lose_nothing_double_nothing_and_keep_each_senders_order() {
    const SENDERS: u64 = 3;
    const EACH: u64 = 20_000;
    for capacity in [1, 2, 64] {
        let bench = queue(Geometry { capacity, ..SMALL });
        let failures = AtomicU64::new(0);
        let mut seen: Vec<Vec<u64>> = Vec::new();
        thread::scope(|scope| {
            let senders: Vec<_> = (0..SENDERS)
                .map(|s| {
                    let mut member = bench.member(1 + s as u16);
                    scope.spawn(move || {
                        for i in 0..EACH {
                            member.send(&(s << 32 | i).to_le_bytes(), &FOR_EVER).expect("sent");
                        }
                    })
                })
                .collect();
            let receivers: Vec<_> = (0..3)
                .map(|r| {
                    let mut member = bench.member(100 + r);
                    let failures = &failures;
                    scope.spawn(move || {
                        let mut seen = Vec::new();
                        while let Ok(lease) = member.recv(&FOR_EVER) {
                            let item = u64::from_le_bytes(member.bytes(&lease).try_into().expect("eight bytes"));
                            if item % 97 == 0 && lease.deliveries() == 1 {
                                failures.fetch_add(1, Ordering::Relaxed);
                                member.nack(lease);
                            } else {
                                seen.push(if lease.deliveries() == 1 { item } else { item | 1 << 63 });
                                member.ack(lease);
                            }
                        }
                        seen
                    })
                })
                .collect();
            for sender in senders {
                sender.join().expect("sent all");
            }
            bench.queue.close();
            seen = receivers.into_iter().map(|r| r.join().expect("received")).collect();
        });
        let mut times: HashMap<u64, u32> = HashMap::new();
        for one in &seen {
            let mut last: HashMap<u64, u64> = HashMap::new();
            for item in one {
                *times.entry(item & !(1 << 63)).or_default() += 1;
                if item >> 63 == 0
                    && let Some(before) = last.insert(item >> 32, *item)
                {
                    assert!(before < *item, "sender {} out of order at one receiver", item >> 32);
                }
            }
        }
        assert_eq!(times.len() as u64, SENDERS * EACH);
        assert!(times.values().all(|n| *n == 1));
        let totals = bench.queue.totals();
        assert_eq!((totals.sent, totals.acked), (SENDERS * EACH, SENDERS * EACH));
        assert_eq!(totals.returned, failures.load(Ordering::Relaxed));
    }
}
