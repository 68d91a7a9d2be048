//! Models of the end: no receiver leaves while an item may still come, or come back.

use super::bench::{Bench, Sent};
use super::{Part, explore, explore_deaths, together};

/// Takes until the end is seen, or too often in vain.
fn until_the_end(bench: &Bench, owner: u16, nacks: bool) -> Part {
    let bench = bench.clone();
    Box::new(move || {
        let (mut first_not_free, mut nacks) = (0, nacks);
        for _ in 0..4 {
            match bench.try_recv(owner) {
                Some(taken) if nacks => {
                    nacks = false;
                    bench.nack(owner, taken);
                }
                Some(taken) => bench.ack(owner, taken),
                None if bench.is_at_end(&mut first_not_free) => {
                    bench.has_ended();
                    return;
                }
                None => {}
            }
        }
    })
}

#[test]
fn the_end_is_not_seen_while_an_item_may_come_back() {
    explore("a nack before the end", || {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 0), Sent::Yes);
        bench.close();
        together(vec![until_the_end(&bench, 1, true), until_the_end(&bench, 2, false)]);
        bench.settle_up(7);
    });
}

#[test]
fn the_end_is_not_seen_while_the_dead_are_swept() {
    explore_deaths("a death before the end", 14, |death| {
        let bench = Bench::new(2, 8, 0);
        assert_eq!(bench.try_send(0, 0), Sent::Yes);
        bench.close();
        let mine = bench.clone();
        let dies: Part = Box::new(move || {
            let _ = death.cuts(|| {
                if let Some(taken) = mine.try_recv(1) {
                    mine.ack(1, taken);
                }
            });
            mine.sweep(1);
        });
        together(vec![until_the_end(&bench, 2, false), dies]);
        bench.settle_up(7);
    });
}

#[test]
fn a_send_that_meets_the_close_is_refused_or_received() {
    explore("a send meets the close", || {
        let bench = Bench::new(2, 8, 0);
        let (sends, closes) = (bench.clone(), bench.clone());
        together(vec![
            until_the_end(&bench, 1, false),
            Box::new(move || {
                let _ = sends.try_send(0, 0);
            }),
            Box::new(move || closes.close()),
        ]);
        bench.settle_up(7);
    });
}
