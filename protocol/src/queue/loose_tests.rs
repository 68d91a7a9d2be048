//! What is promised of slots whose items wait for their time while the ring goes round, seen through members of one queue.

use std::time::Duration;

use super::tests::{FOR_EVER, queue};
use super::*;
use crate::shm::clock;

/// Longer than a test lasts.
const LONG: Duration = Duration::from_secs(3600);

fn item(sender: u64, number: u64) -> [u8; 16] {
    let mut item = [0; 16];
    item[..8].copy_from_slice(&sender.to_le_bytes());
    item[8..].copy_from_slice(&number.to_le_bytes());
    item
}

/// Random sends, receives and failures, in rings of all sizes: each item comes once, in the order of its sender if it has never
/// failed, and what is in the queue is never more than its capacity.
#[test]
fn items_keep_their_order_while_others_wait_in_loose_slots() {
    for capacity in [1, 2, 3, 5, 16, 64] {
        let bench = queue(Geometry { capacity, item_bytes: 16, max_item_bytes: 16, max_deliveries: None });
        let mut seed = u64::from(capacity);
        let mut chance = |bound: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % bound
        };
        let mut senders: Vec<_> = (0..3).map(|post| bench.member(post)).collect();
        let mut receivers: Vec<_> = (10..12).map(|post| bench.member(post)).collect();
        let (mut sent, mut last, mut left) = ([0u64; 3], [0u64; 3], 0u64);
        let mut loose = 0;
        for step in 0..30_000 {
            match chance(16) {
                0..7 => {
                    let sender = chance(3) as usize;
                    match senders[sender].try_send(&item(sender as u64, sent[sender] + 1)) {
                        Ok(_) => (sent[sender], left) = (sent[sender] + 1, left + 1),
                        Err(refused) => assert!(refused == Refused::Full && left > 0, "step {step}: {refused:?}"),
                    }
                }
                7..15 => {
                    let receiver = &mut receivers[chance(2) as usize];
                    let Ok(lease) = receiver.try_recv() else { continue };
                    let bytes = receiver.bytes(&lease);
                    let word = |at: usize| u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"));
                    let (sender, number) = (word(0) as usize, word(8));
                    let is_first = lease.deliveries() == 1;
                    if is_first {
                        assert!(number > last[sender], "step {step}: item {number} of sender {sender} came late");
                        last[sender] = number;
                    }
                    if is_first && chance(3) == 0 {
                        receiver.nack_after(lease, LONG);
                    } else {
                        receiver.ack(lease);
                        left -= 1;
                    }
                }
                _ => {
                    // The time of one slot's item has come.
                    let (ring, slot) = (&bench.queue.shared.ring, chance(capacity.into()) as usize);
                    loose += u32::from(ring.word(slot).is_loose());
                    if ring.delayed.due(slot) != 0 {
                        ring.delayed.set_due(slot, 1);
                        ring.promote(|| clock() + 1_000_000_000);
                    }
                }
            }
            assert_eq!(bench.queue.depth().left(), left, "step {step}");
            if step % 4 == 0 {
                assert_eq!(bench.queue.spoilt(), None, "step {step}");
            }
        }
        assert!(capacity == 1 || loose > 100, "{loose} slots were loose");
        for slot in 0..capacity as usize {
            bench.queue.shared.ring.delayed.set_due(slot, 1);
        }
        bench.queue.shared.ring.promote(|| clock() + 1_000_000_000);
        while left > 0 {
            let lease = receivers[0].try_recv().expect("what is left");
            receivers[0].ack(lease);
            left -= 1;
        }
        // Slots that were loose are laps ahead.
        for number in 0..6 * u64::from(capacity) {
            senders[0].try_send(&item(0, number)).expect("room");
            let lease = receivers[0].try_recv().expect("an item");
            receivers[0].ack(lease);
        }
        (0..capacity).for_each(|_| _ = senders[0].try_send(&item(0, 0)).expect("all of the room"));
    }
}

#[test]
fn a_slot_is_marked_once_however_often_the_ring_goes_round() {
    let bench = queue(Geometry { capacity: 4, item_bytes: 16, max_item_bytes: 16, max_deliveries: None });
    let mut member = bench.member(1);
    member.try_send(&item(0, 0)).expect("room");
    let lease = member.try_recv().expect("an item");
    member.nack_after(lease, LONG);
    let mut words = std::collections::HashSet::new();
    for number in 0..100 {
        member.send(&item(1, number), &FOR_EVER).expect("room");
        let lease = member.try_recv().expect("an item");
        member.ack(lease);
        words.insert(bench.queue.shared.ring.word(0).0);
    }
    assert_eq!(words.len(), 2, "before and after the mark");
    assert_eq!(bench.queue.spoilt(), None);
}
