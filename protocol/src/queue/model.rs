//! Models of the queue: its own code, run under loom (every interleaving up to a bound on preemptions, with weak memory)
//! and under shuttle (random and PCT schedules, larger shapes). Without them a race would be found by its victims.
//!
//! Modelled: the state words, claim and publish, lease, ack, nack and giving back, laps bumped, slots passed over, the late
//! lane, the sweep, the counts with their notes, the close and the end of the stream, and the event count over a
//! kernel of the model's own, in which a sleep never ends by itself. A payload is one relaxed word per slot, so that an
//! ordering too weak shows as a wrong item. A death cuts a member short in front of any one of its atomic steps; its
//! sweep then races with the living, and may be cut short as well.
//!
//! Batches: a move from one queue to another by one commit, cut short in front of any step, and its sweep.
//!
//! Retries: items that wait for their time, with a time that goes on by being looked at.
//!
//! Not modelled: batches of several items, large regions, several processes (the checkers see threads), clocks: a limit on a sleep,
//! and patience in its real length. loom orders SeqCst fences, but takes SeqCst accesses for
//! acquiring and releasing ones; in its builds a fence stands before each SeqCst load, which is a little stronger than
//! the truth. shuttle knows sequential consistency only.
//!
//! Run them with `.ci/model quick` or `.ci/model slow`.

mod batches;
mod bench;
mod closing;
mod deaths;
mod retries;
mod sharing;
mod sleeping;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// What a thread of a story does.
type Part = Box<dyn FnOnce() + Send>;

/// Runs all parts at once, the first of them in the calling thread.
fn together(mut parts: Vec<Part>) {
    let own = parts.remove(0);
    #[cfg(model_loom)]
    let others: Vec<_> = parts.into_iter().map(loom::thread::spawn).collect();
    #[cfg(model_shuttle)]
    let others: Vec<_> = parts.into_iter().map(shuttle::thread::spawn).collect();
    own();
    for other in others {
        other.join().expect("its checks held");
    }
}

fn setting(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number in the environment"))
}

/// Tells a story of so many parties in all ways that the checker knows, and says how many those were.
fn explore(name: &str, parties: usize, story: impl Fn() + Send + Sync + 'static) {
    let (times, start) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let told = Arc::clone(&times);
    let story = move || {
        told.fetch_add(1, Ordering::Relaxed);
        story();
    };
    check(parties, story);
    println!("{name}: {} executions in {:.1} s", times.load(Ordering::Relaxed), start.elapsed().as_secs_f64());
}

#[cfg(model_loom)]
fn check(parties: usize, story: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    // Two parties have so few ways to meet that they may interrupt each other more often.
    let more = if parties == 2 { 2 } else { 0 };
    builder.preemption_bound = Some(setting("MODEL_PREEMPTIONS", 2) + more);
    builder.max_branches = 10_000;
    builder.check(story);
}

#[cfg(model_shuttle)]
fn check(_parties: usize, story: impl Fn() + Send + Sync + 'static) {
    let (rounds, story) = (setting("MODEL_ROUNDS", 20_000), Arc::new(story));
    let again = Arc::clone(&story);
    shuttle::check_random(move || again(), rounds / 2);
    shuttle::check_pct(move || story(), rounds / 2, 3);
}

/// Tells a story in which somebody dies in front of step number 0, 1, … of `steps`: with loom in all of them, with
/// shuttle in one by chance each time.
fn explore_deaths(name: &str, parties: usize, steps: u32, story: impl Fn(u32) + Clone + Send + Sync + 'static) {
    #[cfg(model_loom)]
    for step in 0..steps {
        let story = story.clone();
        explore(&format!("{name}, step {step}"), parties, move || story(step));
    }
    #[cfg(model_shuttle)]
    explore(name, parties, move || story(chance(steps)));
}

/// A number below `bound`: any with shuttle, 0 with loom.
#[cfg(model_loom)]
fn chance(_bound: u32) -> u32 {
    0
}

/// A number below `bound`: any with shuttle, 0 with loom.
#[cfg(model_shuttle)]
fn chance(bound: u32) -> u32 {
    shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..bound)
}
