//! What a transaction promises, over members of real queues and a real page.

use super::*;
use crate::id::Post;
use crate::page::Page;
use crate::queue::{Geometry, Nothing, Queue};

const POST: Post = Post(1);
const FREE: &dyn Fn(usize) -> bool = &|_| false;

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
            shares_lane: false,
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
            shares_lane: false,
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
                shares_lane: false,
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

/// A transaction with one result for each of these outputs, in this order; its only item is byte 7. `waits` is called with the
/// output for which it waits, and ends it.
fn commit_to(bench: &mut Bench, ports: &[usize], waits: impl Fn(usize) -> bool) -> Result<(), NotCommitted<()>> {
    let results: Vec<_> = ports.iter().map(|port| (*port, 0..1)).collect();
    let mut transaction = Transaction {
        lane: &bench.lane,
        inputs: &mut bench.inputs,
        taken: &mut Vec::new(),
        outputs: &mut bench.outputs,
        results: &results,
        bytes: &[7],
        checkpoint: None,
        changes_shared: false,
        shares_lane: true,
        is_last: false,
    };
    transaction.commit(|_| Ok(()), &waits)
}

/// A bench with two outputs of one slot, and the numbers of the outputs in the order of claiming.
fn two_outputs() -> (Bench, [usize; 2]) {
    let mut bench = bench(1);
    let geometry = Geometry { capacity: 1, item_bytes: 8, max_item_bytes: 8, max_deliveries: None };
    let second = Queue::create(&bench._dir.path().join("second"), &geometry).expect("created");
    bench.outputs.push(second.join(POST, 0).expect("a place"));
    let mut order = [0, 1];
    order.sort_by_key(|port| bench.outputs[*port].queue().life());
    (bench, order)
}

#[test]
fn room_is_claimed_in_the_same_order_whatever_was_sent_first() {
    let (mut bench, [first, second]) = two_outputs();
    let other = bench.outputs[first].queue().clone();
    other.join(Post(2), 0).expect("a place").try_send(&[1]).expect("room");
    let later = bench.outputs[second].queue().clone();
    for ports in [[first, second], [second, first]] {
        let waits = |port| {
            assert_eq!(port, first, "the first queue is full");
            assert_eq!(later.depth().staged, 0, "it holds room in the second queue while it waits for the first");
            true
        };
        assert_eq!(commit_to(&mut bench, &ports, waits), Err(NotCommitted::Refused(Refused::Interrupted)));
    }
}

#[test]
fn the_turn_at_a_full_queue_comes_with_that_at_the_queues_claimed_before() {
    let (mut bench, [first, second]) = two_outputs();
    let mut others = [first, second].map(|port| bench.outputs[port].queue().join(Post(2), 0).expect("a place"));
    others[1].try_send(&[1]).expect("room");
    let full = Err(NotCommitted::Refused(Refused::Timeout));
    assert_eq!(commit_to(&mut bench, &[second, first], FREE), full);
    assert_eq!([first, second].map(|port| bench.outputs[port].has_turn()), [true, true]);
    assert_eq!(others[0].try_send(&[1]), Err(Refused::Full), "it would take the room that the turn is for");
    // A transaction that cannot have the first turn leaves the second one alone.
    bench.outputs.iter_mut().for_each(Member::end_turn);
    others[0].take_turn();
    assert_eq!(commit_to(&mut bench, &[second, first], FREE), full);
    assert_eq!([first, second].map(|port| bench.outputs[port].has_turn()), [false, false]);
}

#[test]
fn a_transaction_of_one_result_takes_no_turn() {
    let (mut bench, _) = two_outputs();
    bench.outputs[0].try_send(&[1]).expect("room");
    assert_eq!(commit_to(&mut bench, &[0], FREE), Err(NotCommitted::Refused(Refused::Timeout)));
    assert!(!bench.outputs[0].has_turn(), "others would wait for a member that holds no room");
}
