//! What a transaction promises, over members of real queues and a real page.

use super::*;
use crate::id::Post;
use crate::page::Page;
use crate::queue::{Geometry, Nothing, Queue};

const POST: Post = Post(1);
const FREE: &dyn Fn() -> bool = &|| false;

struct Bench {
    _dir: tempfile::TempDir,
    lane: Lane,
    from: [Queue; 2],
    to: Queue,
    inputs: Vec<Member>,
    outputs: Vec<Member>,
}

/// Two queues to take from, with two items each, and one of so many slots to send to.
fn bench(room: u32) -> Bench {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let queue = |name: &str, capacity| {
        let geometry = Geometry { capacity, item_bytes: 8, max_item_bytes: 8, max_deliveries: Some(3) };
        Queue::create(&dir.path().join(name), &geometry).expect("created")
    };
    let (from, to) = ([queue("a", 4), queue("b", 4)], queue("to", room));
    for queue in &from {
        let mut feeder = queue.join(Post(9), 0).expect("a place");
        for n in 0..2u8 {
            feeder.try_send(&[n]).expect("room");
        }
    }
    let page = Page::create(&dir.path().join("page"), POST, 1).expect("created");
    let join = |queue: &Queue| queue.join(POST, 0).expect("a place");
    let (inputs, outputs) = (from.iter().map(join).collect(), vec![join(&to)]);
    Bench { lane: page.lane(0), _dir: dir, from, to, inputs, outputs }
}

impl Bench {
    fn take(&mut self) -> Vec<(usize, Lease)> {
        (0..2).map(|input| (input, self.inputs[input].try_recv().expect("an item"))).collect()
    }

    fn commit(&mut self, taken: &mut Vec<(usize, Lease)>, results: usize) -> Result<(), NotCommitted<()>> {
        let results: Vec<_> = (0..results).map(|n| (0, n..n + 1)).collect();
        let mut transaction = Transaction {
            lane: &self.lane,
            inputs: &mut self.inputs,
            taken,
            outputs: &mut self.outputs,
            results: &results,
            bytes: &[10, 11, 12, 13],
            checkpoint: Some(b"here"),
            changes_shared: false,
            is_last: false,
        };
        transaction.commit(|_| Ok(()), FREE)
    }

    /// Acked at the first, at the second, and sent.
    fn totals(&self) -> (u64, u64, u64) {
        (self.from[0].totals().acked, self.from[1].totals().acked, self.to.totals().sent)
    }
}

#[test]
fn items_of_two_queues_results_and_a_checkpoint_become_true_together() {
    let mut bench = bench(4);
    let mut taken = bench.take();
    assert_eq!((bench.totals(), bench.lane.checkpoint()), ((0, 0, 0), None));
    assert_eq!(bench.commit(&mut taken, 2), Ok(()));
    assert!(taken.is_empty());
    assert_eq!((bench.totals(), bench.lane.checkpoint().as_deref()), ((1, 1, 2), Some(&b"here"[..])));
    assert_eq!(bench.lane.committed(), 1);
}

#[test]
fn without_room_for_all_results_nothing_happens_and_the_items_stay_in_hand() {
    let mut bench = bench(2);
    bench.outputs[0].try_send(&[1]).expect("room");
    let mut taken = bench.take();
    assert_eq!(bench.commit(&mut taken, 2), Err(NotCommitted::Refused(Refused::Timeout)));
    assert_eq!((taken.len(), bench.totals(), bench.lane.committed()), (2, (0, 0, 1), 0));
    assert_eq!((bench.to.depth().staged, bench.to.depth().free), (0, 1));
    // The ring comes round to the slot that was given back when the item before it has been taken.
    let mut other = bench.to.join(Post(2), 0).expect("a place");
    let lease = other.try_recv().expect("the item");
    other.ack(lease);
    assert_eq!(bench.commit(&mut taken, 2), Ok(()));
    assert_eq!(bench.totals(), (1, 1, 3));
}

#[test]
fn an_item_whose_lease_is_gone_stops_the_commit() {
    let mut bench = bench(4);
    let mut taken = bench.take();
    // A sweep of a living worker, which must never be, has given its items at the second queue to another one.
    let mut other = bench.from[1].join(Post(2), 0).expect("a place");
    bench.from[1].sweep(POST, |_, _| 0);
    let stolen = other.try_recv().expect("the item");
    assert_eq!(bench.commit(&mut taken, 2), Err(NotCommitted::LeaseGone(1)));
    assert_eq!((bench.totals(), bench.lane.committed(), bench.lane.checkpoint()), ((0, 0, 0), 0, None));
    assert_eq!(taken.iter().map(|(input, _)| *input).collect::<Vec<_>>(), [0], "what is left is still in hand");
    assert_eq!((bench.from[0].depth().leased, bench.to.depth().free), (1, 4));
    other.ack(stolen);
    assert_eq!(bench.commit(&mut taken, 1), Ok(()));
    assert_eq!(bench.totals(), (1, 1, 1));
}

#[test]
fn changes_that_cannot_be_prepared_and_a_checkpoint_that_is_too_large_stop_the_commit() {
    let mut bench = bench(4);
    let mut taken = bench.take();
    let large = vec![0; crate::page::MAX_CHECKPOINT + 1];
    for (changes_shared, expected) in
        [(true, NotCommitted::NotPrepared("no")), (false, NotCommitted::CheckpointTooLarge)]
    {
        let mut transaction = Transaction {
            lane: &bench.lane,
            inputs: &mut bench.inputs,
            taken: &mut taken,
            outputs: &mut bench.outputs,
            results: &[(0, 0..1)],
            bytes: &[7],
            checkpoint: Some(&large),
            changes_shared,
            is_last: false,
        };
        assert_eq!(transaction.commit(|_| Err("no"), FREE), Err(expected));
        assert_eq!((taken.len(), bench.totals(), bench.lane.committed()), (2, (0, 0, 0), 0));
        assert_eq!((bench.from[0].depth().leased, bench.to.depth().free), (1, 4));
    }
    assert!(matches!(bench.to.join(Post(2), 0).expect("a place").try_recv(), Err(Nothing::Empty)));
}

#[test]
fn a_transaction_that_wants_all_of_a_queue_gets_its_turn_beside_busy_senders() {
    const ROOM: u32 = 16;
    let mut bench = bench(ROOM);
    let queue = bench.to.clone();
    let is_over = &std::sync::atomic::AtomicBool::new(false);
    let over = || is_over.load(std::sync::atomic::Ordering::Relaxed);
    std::thread::scope(|scope| {
        for post in 2..6 {
            let mut sender = queue.join(Post(post), 0).expect("a place");
            scope.spawn(move || {
                let wait = Wait { deadline: None, interrupted: &over };
                while !over() {
                    let _ = sender.send(&[0], &wait);
                }
            });
        }
        let mut receiver = queue.join(Post(7), 0).expect("a place");
        let taker = scope.spawn(move || {
            let mut large = 0;
            while let Ok(lease) = receiver.recv(&Wait { deadline: None, interrupted: &over }) {
                large += u64::from(receiver.bytes(&lease) == [9]);
                // Slower than the senders, so that the queue is full all the time.
                std::thread::sleep(Duration::from_millis(3));
                receiver.ack(lease);
            }
            large
        });
        let results: Vec<_> = (0..ROOM as usize).map(|_| (0, 0..1)).collect();
        let (mut committed, mut tries) = (0, 0);
        while committed < 5 {
            let mut transaction = Transaction {
                lane: &bench.lane,
                inputs: &mut bench.inputs,
                taken: &mut Vec::new(),
                outputs: &mut bench.outputs,
                results: &results,
                bytes: &[9],
                checkpoint: None,
                changes_shared: false,
                is_last: false,
            };
            tries += 1;
            committed += u64::from(transaction.commit(|_| Ok::<_, ()>(()), FREE).is_ok());
        }
        assert!(tries < 100, "without a turn it takes about 200 tries, with one about 20; {tries}");
        // All of them are taken before the receiver is told to end.
        while queue.totals().sent > queue.totals().acked + u64::from(ROOM) {
            std::thread::yield_now();
        }
        is_over.store(true, std::sync::atomic::Ordering::Relaxed);
        queue.wake_all();
        let mut large = taker.join().expect("no panic");
        let mut rest = queue.join(Post(8), 0).expect("a place");
        while let Ok(lease) = rest.try_recv() {
            large += u64::from(rest.bytes(&lease) == [9]);
            rest.ack(lease);
        }
        assert_eq!(large, 5 * u64::from(ROOM));
    });
}
