//! Items that are written into their slots piece by piece.

use std::io::Write;

use super::place::Count;
use super::tests::{SMALL, queue, take};
use super::*;
use crate::id::Post;

const LARGE: Geometry = Geometry { capacity: 2, item_bytes: 32, max_item_bytes: 100_000, max_deliveries: None };

fn written(draft: &mut Draft<'_>, pieces: &[&[u8]]) {
    pieces.iter().for_each(|piece| draft.write_all(piece).expect("it only counts what has no room"));
}

#[test]
fn pieces_become_one_item() {
    let bench = queue(SMALL);
    let mut sender = bench.member(1);
    let mut draft = sender.try_draft(&bench.queue).expect("room");
    written(&mut draft, &[b"of ", b"", b"three"]);
    assert_eq!(bench.queue.depth().ready, 0, "nobody sees it before it is sent");
    sender.send_draft(&mut draft).expect("it fits");
    assert_eq!(take(&mut bench.member(2)), b"of three");
}

#[test]
fn an_item_grows_out_of_its_slot_piece_by_piece() {
    let bench = queue(LARGE);
    let mut sender = bench.member(1);
    let mut receiver = bench.member(2);
    for length in [1, 31, 32, 33, 64, 65, 1000, 65_537, 100_000] {
        let bytes: Vec<u8> = (0..length).map(|n: u32| (n % 251) as u8).collect();
        for size in [7, 40, 100_000] {
            let mut draft = sender.try_draft(&bench.queue).expect("room");
            bytes.chunks(size).for_each(|piece| written(&mut draft, &[piece]));
            sender.send_draft(&mut draft).expect("it fits");
            assert!(take(&mut receiver) == bytes, "{length} bytes, {size} at a time");
        }
    }
}

#[test]
fn one_that_is_too_large_is_refused_with_its_whole_length_and_its_slot_is_free_again() {
    for geometry in [SMALL, LARGE] {
        let bench = queue(geometry);
        let mut sender = bench.member(1);
        let max = geometry.max_item_bytes as usize;
        for _ in 0..2 * geometry.capacity {
            let mut draft = sender.try_draft(&bench.queue).expect("room");
            written(&mut draft, &[&vec![1; max], b"and", b" more"]);
            assert_eq!(sender.send_draft(&mut draft).expect_err("too large"), Refused::TooLarge { len: max + 8, max });
        }
        assert_eq!(bench.queue.depth().free, u64::from(geometry.capacity));
        assert_eq!(bench.queue.totals().sent, 0);
    }
}

#[test]
fn others_send_and_take_while_one_is_being_written_and_it_keeps_its_place_at_the_front() {
    let bench = queue(SMALL);
    let (mut slow, mut quick) = (bench.member(1), bench.member(2));
    let mut draft = slow.try_draft(&bench.queue).expect("room");
    slow.try_send(b"by the same sender meanwhile").expect("room");
    quick.try_send(b"quick").expect("room");
    let mut receiver = bench.member(3);
    assert_eq!(take(&mut receiver), b"by the same sender meanwhile", "receivers pass it by");
    assert_eq!(take(&mut receiver), b"quick");
    quick.try_send(b"later").expect("room");
    written(&mut draft, &[b"slow"]);
    slow.send_draft(&mut draft).expect("it fits");
    assert_eq!(take(&mut receiver), b"slow");
    assert_eq!(take(&mut receiver), b"later");
}

#[test]
fn a_draft_that_is_dropped_is_as_if_it_had_not_been() {
    let bench = queue(SMALL);
    let mut sender = bench.member(1);
    for _ in 0..2 * SMALL.capacity {
        written(&mut sender.try_draft(&bench.queue).expect("room"), &[b"never mind"]);
    }
    assert_eq!(bench.queue.depth().free, u64::from(SMALL.capacity));
    let draft = sender.try_draft(&bench.queue).expect("room");
    bench.queue.close();
    assert!(matches!(sender.try_draft(&bench.queue), Err(Refused::Closed)));
    assert_eq!(bench.member(2).try_recv().expect_err("nothing is there yet"), Nothing::Empty);
    drop(draft);
    assert_eq!(bench.member(2).try_recv().expect_err("nothing comes any more"), Nothing::Ended);
}

#[test]
fn the_sweep_frees_the_draft_of_the_dead() {
    let bench = queue(SMALL);
    let mut dead = bench.member(7);
    let mut draft = dead.try_draft(&bench.queue).expect("room");
    written(&mut draft, &[b"half an it"]);
    std::mem::forget((draft, dead));
    bench.queue.sweep(Post(7), |_, _| 0);
    assert_eq!(bench.queue.depth().free, u64::from(SMALL.capacity));
    assert_eq!(bench.queue.totals().sent, 0);
}

#[test]
fn what_is_sent_beside_a_draft_is_counted_although_its_sender_dies_before_it_could() {
    let bench = queue(SMALL);
    let mut dead = bench.member(7);
    let draft = dead.try_draft(&bench.queue).expect("room");
    let held = dead.claim().expect("room");
    assert!(bench.queue.write(held.slot, dead.next_item(), b"beside it"));
    // As `Member::send_filled`, up to where it has changed the slot and not counted it.
    dead.place.note(Count::Sent, 1 + dead.drafts());
    assert!(bench.queue.shared.ring.publish(held, dead.index));
    std::mem::forget((draft, dead));
    bench.queue.sweep(Post(7), |_, _| 0);
    assert_eq!((bench.queue.totals().sent, bench.queue.depth().ready), (1, 1));
}

#[test]
fn drafts_are_counted_as_long_as_they_are_open() {
    let bench = queue(SMALL);
    let mut sender = bench.member(1);
    let draft = sender.try_draft(&bench.queue).expect("room");
    assert_eq!(sender.drafts(), 1);
    drop(draft);
    let mut draft = sender.try_draft(&bench.queue).expect("room");
    sender.send_draft(&mut draft).expect("sent");
    drop(draft);
    assert_eq!(sender.drafts(), 0);
}
