//! Models of the lookout: while one of the sleepers is awake, the others are left asleep, and none of them sleeps beside
//! something that it could have.

use std::time::Duration;

use super::bench::{Bench, Sent};
use super::{Moment, Part, explore, explore_deaths, together};
use crate::shm::{EventCount, Lookout, Words};
use crate::sync::Ordering;

/// A store of tokens with a lookout: what it is for, at its smallest.
#[derive(Clone)]
struct Store {
    tokens: Words,
    comers: Lookout,
}

impl Store {
    fn new() -> Self {
        Self { tokens: Words::on_heap(1), comers: Lookout::new(EventCount::on_heap(), Words::on_heap(1)) }
    }

    fn has_some(&self) -> bool {
        self.tokens.at(0).load(Ordering::Acquire) > 0
    }

    fn try_take(&self) -> bool {
        let mut tokens = self.tokens.at(0).load(Ordering::Acquire);
        while tokens > 0 {
            match self.tokens.at(0).compare_exchange(tokens, tokens - 1, Ordering::SeqCst, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => tokens = now,
            }
        }
        false
    }

    /// As `recv_any`.
    fn take(&self) {
        let mut out = false;
        while !self.try_take() {
            out |= self.comers.go_out();
            if self.try_take() {
                break;
            }
            if out {
                self.comers.come_in();
            }
            let ticket = self.comers.sleepers().prepare();
            if self.try_take() {
                break;
            }
            out = true;
            self.comers.sleepers().wait(ticket, Duration::ZERO);
        }
        if out {
            self.comers.come_in();
            if self.has_some() {
                self.comers.call();
            }
        }
    }

    fn put(&self) {
        self.tokens.at(0).fetch_add(1, Ordering::SeqCst);
        self.comers.call();
    }

    /// As the sweep.
    fn sweep(&self) {
        self.comers.come_in();
        if self.has_some() {
            self.comers.call_all();
        }
    }

    fn takes(&self, times: usize) -> Part {
        let store = self.clone();
        Box::new(move || (0..times).for_each(|_| store.take()))
    }

    fn puts(&self, times: usize) -> Part {
        let store = self.clone();
        Box::new(move || (0..times).for_each(|_| store.put()))
    }

    /// Swept after its death.
    fn until(&self, death: Moment, act: impl FnOnce(&Self) + Send + 'static) -> Part {
        let store = self.clone();
        Box::new(move || {
            let _ = death.cuts(|| act(&store));
            store.sweep();
        })
    }
}

fn takers_and_putters(takers: usize, putters: usize, tokens: usize) {
    let store = Store::new();
    let takes = (0..takers).map(|_| store.takes(tokens / takers));
    together(takes.chain((0..putters).map(|_| store.puts(tokens / putters))).collect());
}

#[test]
fn who_is_called_calls_the_next() {
    explore("2 takers, 1 putter, 2 tokens", || takers_and_putters(2, 1, 2));
}

#[test]
fn one_taker_takes_all_that_two_put() {
    explore("1 taker, 2 putters, 2 tokens", || takers_and_putters(1, 2, 2));
}

#[test]
fn two_take_what_two_put() {
    explore("2 takers, 2 putters, 2 tokens", || takers_and_putters(2, 2, 2));
}

#[test]
#[cfg(model_shuttle)]
fn many_take_what_many_put() {
    explore("3 takers, 3 putters, 6 tokens", || takers_and_putters(3, 3, 6));
}

/// It may have been the one who was out, or called; and may have taken one of the two.
#[test]
fn a_taker_dies_at_any_step() {
    explore_deaths("a taker dies on the lookout", 14, |death| {
        let store = Store::new();
        together(vec![store.until(death, Store::take), store.takes(1), store.puts(2)]);
    });
}

/// It may have said that one is out, and not woken any.
#[test]
fn a_caller_dies_at_any_step() {
    explore_deaths("a caller dies", 8, |death| {
        let store = Store::new();
        together(vec![store.until(death, Store::put), store.takes(1), store.puts(1)]);
    });
}

fn takes_one(bench: &Bench, owner: u16) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let taken = bench.recv(owner, || false).expect("an item");
        bench.ack(owner, taken);
    })
}

#[test]
fn as_many_receivers_are_called_as_there_are_items() {
    explore("2 receivers asleep, 1 sender, 2 items", || {
        let bench = Bench::new(2, 8, 0);
        let sends = bench.clone();
        together(vec![
            takes_one(&bench, 4),
            takes_one(&bench, 5),
            Box::new(move || (0..2).for_each(|number| assert_eq!(sends.try_send(0, number), Sent::Yes))),
        ]);
        bench.settle_up(7);
    });
}

#[test]
fn a_receiver_is_called_for_an_item_that_came_back_as_well() {
    explore("2 receivers asleep, 1 item is sent and 1 comes back", || {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 0), Sent::Yes);
        let taken = bench.try_recv(3).expect("an item");
        let (sends, returns) = (bench.clone(), bench.clone());
        together(vec![
            takes_one(&bench, 4),
            takes_one(&bench, 5),
            Box::new(move || assert_eq!(sends.try_send(0, 1), Sent::Yes)),
            Box::new(move || returns.give_back(3, taken)),
        ]);
        bench.settle_up(7);
    });
}
