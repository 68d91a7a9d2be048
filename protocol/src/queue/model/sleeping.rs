//! Models of sleeping: who waits for something is woken when it comes. A sleep in a model never ends by itself, so a
//! wake-up lost is a deadlock, which the checker reports.

use std::time::Duration;

use super::bench::{Bench, Sent};
use super::{Part, explore, together};
use crate::shm::{EventCount, Words};
use crate::sync::Ordering;

const NO_LIMIT: Duration = Duration::ZERO;

/// A store of tokens with an event count: what the event count is for, at its smallest.
#[derive(Clone)]
struct Store {
    tokens: Words,
    event: EventCount,
}

impl Store {
    fn new() -> Self {
        Self { tokens: Words::on_heap(1), event: EventCount::on_heap() }
    }

    fn try_take(&self) -> bool {
        let mut tokens = self.tokens.at(0).load(Ordering::Acquire);
        while tokens > 0 {
            let less = self.tokens.at(0).compare_exchange(tokens, tokens - 1, Ordering::SeqCst, Ordering::Acquire);
            match less {
                Ok(_) => return true,
                Err(now) => tokens = now,
            }
        }
        false
    }

    fn take(&self) {
        while !self.try_take() {
            let ticket = self.event.prepare();
            if self.try_take() {
                return;
            }
            self.event.wait(ticket, NO_LIMIT);
        }
    }

    fn put(&self) {
        self.tokens.at(0).fetch_add(1, Ordering::SeqCst);
        self.event.notify();
    }
}

fn sleepers_and_wakers(sleepers: usize, wakers: usize, tokens: usize) {
    let store = Store::new();
    let mut parts: Vec<Part> = Vec::new();
    for _ in 0..sleepers {
        let store = store.clone();
        parts.push(Box::new(move || (0..tokens / sleepers).for_each(|_| store.take())));
    }
    for _ in 0..wakers {
        let store = store.clone();
        parts.push(Box::new(move || (0..tokens / wakers).for_each(|_| store.put())));
    }
    together(parts);
}

#[test]
fn one_sleeper_is_woken_by_one_waker() {
    explore("1 sleeper, 1 waker, 2 tokens", || sleepers_and_wakers(1, 1, 2));
}

#[test]
fn two_sleepers_are_woken_by_one_waker() {
    explore("2 sleepers, 1 waker, 2 tokens", || sleepers_and_wakers(2, 1, 2));
}

#[test]
fn one_sleeper_is_woken_by_two_wakers() {
    explore("1 sleeper, 2 wakers, 2 tokens", || sleepers_and_wakers(1, 2, 2));
}

#[test]
fn two_sleepers_are_woken_by_two_wakers() {
    explore("2 sleepers, 2 wakers, 2 tokens", || sleepers_and_wakers(2, 2, 2));
}

#[test]
#[cfg(model_shuttle)]
fn many_sleepers_are_woken_by_many_wakers() {
    explore("3 sleepers, 3 wakers, 6 tokens", || sleepers_and_wakers(3, 3, 6));
}

/// A change for all wakes all, though another notification clears the bit at the same time. (With the bit cleared alone,
/// and the sequence as it was, one sleeper could set the bit again and another sleep on its old ticket.)
#[test]
fn a_change_for_all_wakes_all() {
    explore("2 sleepers, 1 change for all, 1 notification", || {
        let store = Store::new();
        let mut parts: Vec<Part> = Vec::new();
        for _ in 0..2 {
            let store = store.clone();
            parts.push(Box::new(move || {
                while store.tokens.at(0).load(Ordering::Acquire) == 0 {
                    let ticket = store.event.prepare();
                    if store.tokens.at(0).load(Ordering::Acquire) != 0 {
                        return;
                    }
                    store.event.wait(ticket, NO_LIMIT);
                }
            }));
        }
        let other = store.clone();
        parts.push(Box::new(move || other.event.notify()));
        parts.push(Box::new(move || {
            store.tokens.at(0).fetch_or(1, Ordering::SeqCst);
            store.event.notify_all();
        }));
        together(parts);
    });
}

/// As `recv_any`: one sleeps at two stores at once and may be woken by both, but takes only from the first; the other
/// wake-up was meant for somebody else, too.
#[test]
fn a_wakeup_that_was_taken_along_is_passed_on() {
    explore("1 sleeper at two stores, 1 at the second", || {
        let (first, second) = (Store::new(), Store::new());
        let (one, other) = (first.clone(), second.clone());
        let any: Part = Box::new(move || {
            while !one.try_take() {
                let tickets = [&one, &other].map(|store| (store.event.clone(), store.event.prepare()));
                if one.try_take() {
                    break;
                }
                EventCount::wait_any(&tickets, NO_LIMIT);
            }
            if other.tokens.at(0).load(Ordering::Acquire) > 0 {
                other.event.notify();
            }
        });
        let puts = second.clone();
        together(vec![
            any,
            Box::new(move || second.take()),
            Box::new(move || {
                first.put();
                puts.put();
            }),
        ]);
    });
}

/// A bit left behind by one that was killed asleep harms nobody.
#[test]
fn a_dead_sleeper_leaves_nothing_that_harms() {
    explore("a dead sleeper's bit", || {
        let store = Store::new();
        let _died_asleep = store.event.prepare();
        let (takes, puts) = (store.clone(), store);
        together(vec![Box::new(move || takes.take()), Box::new(move || puts.put())]);
    });
}

fn send(bench: &Bench, owner: u16, number: u64) {
    while bench.try_send(owner, number) != Sent::Yes {
        let ticket = bench.room().prepare();
        match bench.try_send(owner, number) {
            Sent::Yes => return,
            Sent::Full | Sent::Closed => bench.room().wait(ticket, NO_LIMIT),
        }
    }
}

fn recv_until_the_end(bench: &Bench, owner: u16) {
    let mut first_not_free = 0;
    while let Some(taken) = bench.recv(owner, || bench.is_at_end(&mut first_not_free)) {
        bench.ack(owner, taken);
    }
    bench.has_ended();
}

/// One slot of three is freed while two items wait, too many to wake the sender; then somebody takes both and keeps them
/// until the sender's next item has come. Whoever finds nothing more must wake the sender before it sleeps.
#[test]
#[cfg(model_shuttle)]
fn a_sender_does_not_sleep_beside_room_while_the_receivers_wait_for_it() {
    explore("3 slots, the backlog falls by leases", || {
        let (bench, has_come) = (Bench::new(3, 8, 0), Store::new());
        for number in 0..3 {
            assert_eq!(bench.try_send(0, number), Sent::Yes);
        }
        let first = bench.try_recv(4).expect("the first item");
        let (sends, takes, keeps) = (bench.clone(), bench.clone(), bench.clone());
        let came = has_come.clone();
        together(vec![
            Box::new(move || {
                takes.ack(4, first);
                while let Some(taken) = takes.recv(4, || false) {
                    let is_next = taken.item == 3;
                    takes.ack(4, taken);
                    if is_next {
                        return came.put();
                    }
                }
            }),
            Box::new(move || send(&sends, 0, 3)),
            Box::new(move || {
                let mut kept = Vec::new();
                for taken in (0..2).filter_map(|_| keeps.try_recv(5)) {
                    if taken.item == 3 {
                        keeps.give_back(5, taken);
                    } else {
                        kept.push(taken);
                    }
                }
                has_come.take();
                kept.into_iter().for_each(|taken| keeps.ack(5, taken));
            }),
        ]);
        bench.settle_up(7);
    });
}

/// Everybody waits for each other, and all come to the end.
fn all_sleep(capacity: u32, senders: u16, items: u64, receivers: u16) {
    let bench = Bench::new(capacity, 8, 0);
    let mut parts: Vec<Part> = Vec::new();
    for owner in 0..receivers {
        let bench = bench.clone();
        parts.push(Box::new(move || recv_until_the_end(&bench, 4 + owner)));
    }
    let left = Words::on_heap(1);
    left.at(0).store(u64::from(senders), Ordering::SeqCst);
    for owner in 0..senders {
        let (bench, left) = (bench.clone(), left.clone());
        parts.push(Box::new(move || {
            (0..items).for_each(|number| send(&bench, owner, number));
            if left.at(0).fetch_add(u64::MAX, Ordering::SeqCst) == 1 {
                bench.close();
            }
        }));
    }
    together(parts);
    bench.settle_up(7);
}

#[test]
fn a_receiver_sleeps_until_the_item_and_until_the_end() {
    explore("1 slot, 1 item, asleep", || all_sleep(1, 1, 1, 1));
}

#[test]
fn a_sender_sleeps_until_there_is_room() {
    explore("1 slot, 2 items, asleep", || all_sleep(1, 1, 2, 1));
}

#[test]
#[cfg(model_shuttle)]
fn many_sleep_and_all_come_to_the_end() {
    for capacity in 1..=3 {
        explore("1 to 3 slots, 2 senders, 2 items each, 1 receiver", move || all_sleep(capacity, 2, 2, 1));
        explore("1 to 3 slots, 2 senders, 3 items each, 3 receivers", move || all_sleep(capacity, 2, 3, 3));
    }
}
