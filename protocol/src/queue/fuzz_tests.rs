//! Garbage in a mapped file: whatever stands there, the supervisor's part of the queue neither panics nor hangs.

use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Geometry, Queue, Wait};
use crate::id::Post;
use crate::page::Page;
use crate::shm::survive_cut_files;

/// A small generator: a seed gives the same garbage everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.roll() % bound as u64) as usize
    }
}

/// Everything that the supervisor does with a queue.
fn supervise(queue: &Queue) {
    let _ = (queue.depth().left(), queue.totals(), queue.idle_stamp(), queue.len(), queue.is_closed(), queue.deaths());
    let _ = (queue.spoilt(), queue.spoilt_at_rest());
    queue.close();
    queue.wake_all();
    queue.sweep(Post(1), |_, lane| u64::from(lane));
    queue.sweep_all(true, |post, _| u64::from(post.0));
    let _ = queue.take_dead(|items| {
        if items.iter().any(|item| item.id.0 % 7 == 0) { Err(std::io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    });
    queue.reopen();
}

const GEOMETRY: Geometry = Geometry { capacity: 67, item_bytes: 32, max_item_bytes: 5000, max_deliveries: Some(3) };

fn used_queue(path: &std::path::Path) -> Queue {
    let queue = Queue::create(path, &GEOMETRY).expect("made");
    let mut member = queue.join(Post(1), 0).expect("a place");
    for n in 0..40u16 {
        member.try_send(&vec![7; usize::from(n) * 3]).expect("room");
    }
    for _ in 0..10 {
        let lease = member.try_recv().expect("an item");
        member.nack(lease);
    }
    for _ in 0..5 {
        let lease = member.try_recv().expect("an item");
        member.ack(lease);
    }
    let _ = member.try_recv().expect("an item");
    std::mem::forget(member); // It dies with a lease.
    assert_eq!(queue.spoilt(), None);
    queue
}

#[test]
fn no_flipped_bit_and_no_page_of_garbage_makes_the_supervisors_part_panic_or_hang() {
    survive_cut_files().expect("a handler");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("q.queue");
    let queue = used_queue(&path);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    let whole = std::fs::read(&path).expect("read");
    // The places are most of the file: aim at the words before them, too.
    let layout = GEOMETRY.layout();
    let mut dice = Dice(0x00B1_6ADE);
    let (mut told, mut flips) = (0, 0);
    for round in 0..2_500 {
        if round % 16 == 0 {
            file.write_all_at(&whole[..layout.members + 4096], 0).expect("mended");
        }
        let end = [layout.members, layout.members + 2048, layout.slots, layout.total][dice.below(4)];
        if round % 100 == 99 {
            let garbage: Vec<u8> = (0..4096).map(|_| dice.roll() as u8).collect();
            let at = dice.below(end) & !4095;
            file.write_all_at(&garbage[..garbage.len().min(layout.total - at)], at as u64).expect("written");
        } else {
            for _ in 0..=dice.below(8) {
                flips += 1;
                let at = dice.below(end) as u64;
                let mut byte = [0];
                file.read_exact_at(&mut byte, at).expect("read");
                file.write_all_at(&[byte[0] ^ 1 << dice.below(8)], at).expect("written");
            }
        }
        told += u32::from(queue.spoilt().is_some());
        supervise(&queue);
    }
    assert!(flips > 10_000 && told > 1_000, "{flips} flips, hardly any noticed: {told}");
}

#[test]
fn what_is_written_over_the_state_of_a_queue_is_told() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("q.queue");
    let queue = used_queue(&path);
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    let whole = std::fs::read(&path).expect("read");
    let layout = GEOMETRY.layout();
    for (name, at) in [
        ("header", 0),
        ("head", 4 * 128),
        ("tail", 5 * 128),
        ("first slot", layout.states),
        ("last slot", layout.states + 66 * 8),
    ] {
        file.write_all_at(&[0xA5; 8], at as u64).expect("written");
        assert!(queue.spoilt().is_some(), "nobody notices garbage in its {name}");
        file.write_all_at(&whole[at..at + 8], at as u64).expect("mended");
        assert_eq!(queue.spoilt(), None);
    }
}

#[test]
fn a_queue_whose_file_is_cut_short_is_told_and_kills_nobody() {
    survive_cut_files().expect("a handler");
    let dir = tempfile::tempdir().expect("a temporary folder");
    for len in [0, 4096, 8192, 400_000] {
        let path = dir.path().join(format!("{len}.queue"));
        let queue = used_queue(&path);
        std::fs::OpenOptions::new().write(true).open(&path).expect("opened").set_len(len).expect("cut");
        assert!(queue.spoilt().is_some());
        supervise(&queue);
        assert!(queue.spoilt().is_some());
    }
}

#[test]
fn no_garbage_in_a_page_makes_the_supervisors_part_panic_or_hang() {
    survive_cut_files().expect("a handler");
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("1.page");
    let page = Page::create(&path, Post(1), 3).expect("made");
    let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).expect("opened");
    let whole = std::fs::read(&path).expect("read");
    let mut dice = Dice(7);
    for round in 0..10_000 {
        if round % 64 == 0 {
            file.write_all_at(&whole, 0).expect("mended");
        }
        let at = dice.below(whole.len() - 64);
        let garbage: Vec<u8> = (0..=dice.below(64)).map(|_| dice.roll() as u8).collect();
        file.write_all_at(&garbage, at as u64).expect("written");
        let _ = (page.post(), page.incarnation(), page.stop(), page.spoilt());
        for lane in 0..page.lanes() {
            let lane = page.lane(lane);
            let _ = (lane.checkpoint(), lane.committed(), lane.holds(), lane.has_finished());
        }
        if round % 8 == 0 {
            let _ = Page::open(&path);
        }
        page.ask_stop(crate::page::StopWord::Drain);
    }
    file.write_all_at(&whole, 0).expect("mended");
    assert_eq!(page.spoilt(), None);
    file.set_len(100).expect("cut");
    let _ = page.lane(2).checkpoint();
    assert!(page.spoilt().is_some());
}

#[test]
fn items_move_into_a_queue_of_other_numbers_in_order_with_their_ids_and_deliveries() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let path = dir.path().join("q.queue");
    let queue = used_queue(&path);
    queue.sweep_all(true, |_, _| 0);
    let (depth, totals) = (queue.depth(), queue.totals());
    let small = Geometry { capacity: 20, ..GEOMETRY };
    assert!(queue.migrate(&path, &small).expect_err("too small").to_string().contains("capacity is 20 now"));
    let narrow = Geometry { item_bytes: 8, max_item_bytes: 64, ..GEOMETRY };
    assert!(queue.migrate(&path, &narrow).expect_err("too small").to_string().contains("max_item_bytes is 64 now"));
    let capacity = (depth.left() + depth.dead) as u32;
    let wide = Geometry { capacity, item_bytes: 64, max_item_bytes: 200, ..GEOMETRY };
    drop(queue.migrate(&path, &wide).expect("moved"));
    let moved = Queue::open(&path).expect("opened");
    assert_eq!((moved.geometry(), moved.spoilt_at_rest()), (wide, None));
    let (now, sums) = (moved.depth(), moved.totals());
    assert_eq!((now.ready, now.late, now.dead, now.free, sums), (depth.ready, depth.late, depth.dead, 0, totals));
    let drain = |queue: &Queue| {
        let mut member = queue.join(Post(2), 0).expect("a place");
        std::iter::from_fn(|| {
            let lease = member.try_recv().ok()?;
            let seen = (lease.id(), member.bytes(&lease).to_vec(), lease.deliveries());
            member.ack(lease);
            Some(seen)
        })
        .collect::<Vec<_>>()
    };
    assert_eq!(drain(&queue), drain(&moved));
    assert_eq!((moved.spoilt_at_rest(), moved.totals().acked), (None, totals.sent - depth.dead));
    assert!(depth.dead > 0 && depth.late > 0);
    moved.take_dead(|_| Ok(())).expect("taken");
    let mut member = moved.join(Post(2), 0).expect("a place");
    (0..50).for_each(|_| {
        member.try_send(b"goes on").expect("room");
        let lease = member.try_recv().expect("an item");
        member.ack(lease);
    });
}

#[test]
fn nothing_is_called_spoilt_that_comes_of_keeping_the_rules() {
    const ITEMS: u32 = 60_000;
    let dir = tempfile::tempdir().expect("a temporary folder");
    let geometry = Geometry { capacity: 3, item_bytes: 8, max_item_bytes: 8, max_deliveries: Some(3) };
    let queue = Queue::create(&dir.path().join("q.queue"), &geometry).expect("made");
    let done = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let wait = Wait { deadline: None, interrupted: &|| false };
                let mut member = queue.join(Post(1), 0).expect("a place");
                for n in 0..ITEMS / 2 {
                    member.send(&n.to_le_bytes(), &wait).expect("sent");
                }
            });
        }
        for seed in 1..4 {
            let (queue, done) = (&queue, &done);
            scope.spawn(move || {
                let mut dice = Dice(seed);
                let mut member = queue.join(Post(2), 0).expect("a place");
                let mut slow = None;
                while done.load(Ordering::Relaxed) < ITEMS {
                    let Ok(lease) = member.try_recv() else {
                        slow.take().into_iter().for_each(|lease| {
                            member.ack(lease);
                            done.fetch_add(1, Ordering::Relaxed);
                        });
                        std::thread::yield_now();
                        continue;
                    };
                    match dice.below(8) {
                        0 if lease.deliveries() < 3 => drop(member.nack(lease)),
                        1 => member.give_back(lease),
                        2 if slow.is_none() => slow = Some(lease),
                        _ => {
                            member.ack(lease);
                            done.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
            });
        }
        while done.load(Ordering::Relaxed) < ITEMS {
            assert_eq!(queue.spoilt(), None);
        }
    });
    assert_eq!(queue.spoilt_at_rest(), None);
}
