//! What a batch promises, seen through members of two queues, within one process.

use std::mem::forget;

use super::tests::{FOR_EVER, SMALL, queue, take};
use super::*;
use crate::id::Post;

#[test]
fn a_batch_is_seen_all_at_once_or_not_at_all() {
    let bench = queue(SMALL);
    let more = queue(SMALL);
    let (mut feeder, mut taker, mut hander, mut watcher) =
        (bench.member(1), bench.member(2), more.member(2), more.member(3));
    for i in 0..2 {
        feeder.try_send(&[i]).expect("room");
    }
    let leases = [taker.try_recv().expect("an item"), taker.try_recv().expect("an item")];
    for i in 0..2 {
        hander.stage(&[10 + i], 1, None, &FOR_EVER).expect("room");
    }
    assert!(matches!(watcher.try_recv(), Err(Nothing::Empty)));
    for lease in leases {
        assert!(taker.settle(lease, 1));
    }
    taker.note_batch(1);
    hander.note_batch(1);
    assert_eq!((bench.queue.totals().acked, more.queue.totals().sent), (0, 0));
    taker.roll_forward();
    hander.roll_forward();
    assert_eq!((bench.queue.totals().acked, more.queue.totals().sent), (2, 2));
    assert_eq!([take(&mut watcher), take(&mut watcher)], [[10], [11]]);
    assert_eq!((bench.queue.depth().free, more.queue.depth().free), (4, 4));
}

#[test]
fn the_sweep_finishes_a_committed_batch_and_undoes_any_other() {
    for (committed, acked, sent) in [(7, 1, 1), (6, 0, 0)] {
        let bench = queue(SMALL);
        let more = queue(SMALL);
        let (mut feeder, mut taker, mut hander) = (bench.member(1), bench.member(2), more.member(2));
        feeder.try_send(&[1]).expect("room");
        let lease = taker.try_recv().expect("an item");
        hander.stage(&[2], 7, None, &FOR_EVER).expect("room");
        assert!(taker.settle(lease, 7));
        taker.note_batch(7);
        hander.note_batch(7);
        forget((taker, hander));
        for queue in [&bench.queue, &more.queue] {
            queue.sweep(Post(2), |post, lane| if (post, lane) == (Post(2), 0) { committed } else { 0 });
            assert_eq!(queue.sweep(Post(2), |_, _| 0), Swept::default());
        }
        assert_eq!((bench.queue.totals().acked, more.queue.totals().sent), (acked, sent));
        assert_eq!((bench.queue.depth().late, more.queue.depth().ready), (1 - acked, sent));
        assert_eq!(more.queue.depth().free, 4 - sent);
    }
}

#[test]
fn a_batch_larger_than_its_queue_is_refused_and_can_be_taken_back() {
    let bench = queue(SMALL);
    let mut member = bench.member(1);
    for i in 0..4 {
        member.stage(&[i], 1, None, &FOR_EVER).expect("room");
    }
    assert_eq!(member.stage(&[4], 1, None, &FOR_EVER), Err(Refused::Full));
    member.roll_back();
    assert_eq!(bench.queue.depth().free, 4);
    member.try_send(&[5]).expect("room");
}
