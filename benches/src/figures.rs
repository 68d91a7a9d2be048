//! The figures that Brigade is to reach, each a ratio within one run, and whether it did.

use crate::case::Outcome;
use crate::suite::{
    BRIGADE, BY_HAND, CHANNEL, CHANNEL_TYPED, CROSSBEAM, EXACTLY_ONCE, LOG, LOG_COUNTED, PYTHON, REDIS, RING, STRUCTS,
    STRUCTS_IN_PLACE, TYPED, ZEROMQ,
};

/// At least so many times better, and the stretch aim. Of times, 100 is a hundredth of the other's.
struct Figure(&'static str, &'static str, &'static [&'static str], f64, f64);

const FIGURES: &[Figure] = &[
    Figure("one-64B", BRIGADE, &[PYTHON], 50.0, 110.0),
    Figure("one-64B", BRIGADE, &[CHANNEL, CHANNEL_TYPED], 12.0, 25.0),
    Figure("one-64B", BRIGADE, &[ZEROMQ], 2.5, 5.5),
    Figure("one-64B", BRIGADE, &[RING], 0.5, 1.0),
    Figure("batch-64B", BRIGADE, &[PYTHON], 200.0, 400.0),
    Figure("batch-64B", BRIGADE, &[CHANNEL], 45.0, 90.0),
    Figure("batch-64B", BRIGADE, &[ZEROMQ], 10.0, 20.0),
    Figure("batch-64B", BRIGADE, &[RING], 0.25, 0.5),
    Figure("one-64KiB", BRIGADE, &[PYTHON], 20.0, 35.0),
    Figure("one-64KiB", BRIGADE, &[CHANNEL, CHANNEL_TYPED], 4.5, 9.0),
    Figure("one-64KiB", BRIGADE, &[ZEROMQ], 15.0, 30.0),
    Figure("one-64KiB", BRIGADE, &[RING], 0.6, 1.0),
    Figure("place-64KiB", BRIGADE, &[PYTHON], 30.0, 50.0),
    Figure("place-64KiB", BRIGADE, &[CHANNEL], 6.0, 12.0),
    Figure("place-64KiB", BRIGADE, &[ZEROMQ], 20.0, 40.0),
    Figure("place-64KiB", BRIGADE, &[RING], 0.8, 1.0),
    Figure("place-64KiB", BRIGADE, &[CROSSBEAM], 1.0, 1.0),
    Figure("trip-asleep", "Brigade, recv", &[PYTHON], 1.0 / 0.8, 1.0 / 0.65),
    Figure("trip-asleep", "Brigade, recv", &[CHANNEL], 1.0, 1.0 / 0.9),
    Figure("trip-asleep", "Brigade, recv", &[ZEROMQ], 1.0 / 0.7, 1.0 / 0.55),
    Figure("trip-asleep", "Brigade, recv", &[RING], 1.0 / 1.1, 1.0),
    Figure("trip-awake", "Brigade, try_recv", &[PYTHON], 100.0, 333.0),
    Figure("trip-awake", "Brigade, try_recv", &[CHANNEL], 50.0, 250.0),
    Figure("trip-awake", "Brigade, try_recv", &[ZEROMQ], 100.0, 500.0),
    Figure("trip-awake", "Brigade, try_recv", &[RING], 1.0 / 3.0, 1.0 / 1.5),
    Figure("typed", TYPED, &[BRIGADE], 0.6, 1.0),
    Figure("typed", STRUCTS, &[BRIGADE], 0.6, 1.0),
    Figure("typed", STRUCTS_IN_PLACE, &[BRIGADE], 0.6, 1.0),
    Figure("hand-on", EXACTLY_ONCE, &[BY_HAND], 0.5, 1.0),
    Figure("pipeline", EXACTLY_ONCE, &["Python, three stages"], 20.0, 20.0),
    Figure("log", LOG_COUNTED, &[LOG], 1.0 / 1.3, 1.0),
    Figure("batch-64B", BRIGADE, &[REDIS], 40.0, 40.0),
    Figure("tasks", "Brigade, two workers", &["Python Pool.map, chunksize 1"], 5.0, 5.0),
    Figure("start", "Brigade, from its start to ready", &["fork, exec, hello over ipc-channel"], 1.0 / 1.5, 1.0),
    Figure("list-push", "Brigade, SharedList::push", &["Python Manager().list.append"], 20.0, 20.0),
    Figure("list-extend", "Brigade, SharedList::extend", &["Python Manager().list.append"], 200.0, 200.0),
];

/// Prints what can be told of them from these cases. Against several, the best of them counts.
pub fn print(outcomes: &[Outcome]) {
    let mut told = false;
    for Figure(case, mine, theirs, least, stretch) in FIGURES {
        let Some(outcome) = outcomes.iter().find(|outcome| outcome.id == *case) else { continue };
        if !told {
            println!("\nFigures to reach: how many times better, in this run\n");
            println!("{:<14} {:<34} {:<44} {:>8} {:>8} {:>8}", "case", "", "than", "is", "aim", "stretch");
            told = true;
        }
        let ratios = theirs.iter().filter_map(|other| outcome.ratio(mine, other).map(|ratio| (*other, ratio)));
        match ratios.min_by(|a, b| a.1.total_cmp(&b.1)) {
            Some((other, ratio)) => {
                let verdict = if ratio >= *stretch {
                    "reached, and the stretch"
                } else if ratio >= *least {
                    "reached"
                } else {
                    "not reached"
                };
                println!("{case:<14} {mine:<34} {other:<44} {ratio:>8.2} {least:>8.2} {stretch:>8.2}  {verdict}");
            }
            None => {
                println!("{case:<14} {mine:<34} {:<44} {:>8} {least:>8.2} {stretch:>8.2}  not measured", theirs[0], "")
            }
        }
    }
}
