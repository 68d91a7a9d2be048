//! Models of the queue: its own code, run under loom (every interleaving up to a bound on preemptions, with weak memory)
//! and under shuttle (random and PCT schedules, larger shapes). Without them a race would be found by its victims.
//!
//! What is modelled and what is not, the bounds, and what they cost stands in `model/README.md`. Run them with
//! `.ci/model quick` or `.ci/model slow`; `.ci/mutants` shows that they notice faults.

mod batches;
mod bench;
mod closing;
mod deaths;
mod ledger;
mod line;
mod loops;
mod loose;
mod order;
mod rest;
mod retries;
mod runs;
mod sending;
mod sharing;
mod sleeping;
mod waiting;
mod watching;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use crate::sync::dies_after;

/// What a thread of a story does.
type Part = Box<dyn FnOnce() + Send>;

/// Runs all parts at once, each in a thread of its own. The calling thread only waits: if it had a part, each story in
/// which another one begins would cost a preemption before anything has happened.
fn together(parts: Vec<Part>) {
    #[cfg(model_loom)]
    let threads: Vec<_> = parts.into_iter().map(loom::thread::spawn).collect();
    #[cfg(model_shuttle)]
    let threads: Vec<_> = parts.into_iter().map(shuttle::thread::spawn).collect();
    for thread in threads {
        thread.join().expect("its checks held");
    }
}

fn setting(name: &str, default: u32) -> u32 {
    std::env::var(name).map_or(default, |value| value.parse().expect("a number in the environment"))
}

/// When somebody in a story dies: in front of one of its steps.
#[derive(Clone)]
struct Moment {
    step: u32,
    has_come: Arc<AtomicBool>,
}

impl Moment {
    fn before(step: u32) -> Self {
        Self { step, has_come: Arc::default() }
    }

    /// Acts until the moment has come. `None` if it came before the end.
    fn cuts<T>(&self, act: impl FnOnce() -> T) -> Option<T> {
        let end = dies_after(self.step, act);
        if end.is_none() {
            self.has_come.store(true, Ordering::Relaxed);
        }
        end
    }
}

/// What the checker has seen of a story.
struct Tally {
    name: String,
    start: Instant,
    executions: Arc<AtomicU64>,
}

impl Tally {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), start: Instant::now(), executions: Arc::default() }
    }

    /// The story, counted.
    fn counted(&self, story: impl Fn() + Send + Sync + 'static) -> impl Fn() + Send + Sync + 'static {
        let executions = Arc::clone(&self.executions);
        move || {
            executions.fetch_add(1, Ordering::Relaxed);
            story();
        }
    }

    fn print(&self, how_far: &str) {
        let (executions, seconds) = (self.executions.load(Ordering::Relaxed), self.start.elapsed().as_secs_f64());
        println!("{}: {executions} executions in {seconds:.1} s{how_far}", self.name);
    }
}

/// Tells a story in which nobody dies in all ways that the checker knows, and says how many those were.
fn explore(name: &str, story: impl Fn() + Clone + Send + Sync + 'static) {
    explore_deaths(name, NOBODY, move |_| story());
}

/// In place of a number of steps: nobody dies.
const NOBODY: u32 = 0;

/// Tells a story in which somebody dies in front of each of its steps, until it has come to its end in all executions.
/// They are about `steps`: that many share the executions which a story may have.
#[cfg(model_loom)]
fn explore_deaths(name: &str, steps: u32, story: impl Fn(Moment) + Clone + Send + Sync + 'static) {
    let tally = Tally::new(name);
    let executions = setting("MODEL_EXECUTIONS", 10_000);
    // A story without a death is small, and what it shows is worth all of its executions.
    let most = if steps == NOBODY { 15 * executions } else { executions / steps };
    let mut how_far = String::new();
    for preemptions in 1..=setting("MODEL_PREEMPTIONS", 2) {
        let (mut reached, mut cut) = (0, 0);
        loop {
            let (moment, story) = (Moment::before(reached), story.clone());
            let has_come = Arc::clone(&moment.has_come);
            cut += u32::from(!check(preemptions, most, tally.counted(move || story(moment.clone()))));
            reached += 1;
            if !has_come.load(Ordering::Relaxed) {
                break;
            }
        }
        how_far += &format!("; {preemptions} preemptions: {} of {reached} whole", reached - cut);
    }
    tally.print(&how_far);
}

/// Tells a story in which somebody dies in front of one step by chance, of about so many.
#[cfg(model_shuttle)]
fn explore_deaths(name: &str, steps: u32, story: impl Fn(Moment) + Clone + Send + Sync + 'static) {
    let tally = Tally::new(name);
    let rounds = setting("MODEL_ROUNDS", 10_000) as usize / 2;
    let again = story.clone();
    shuttle::check_random(tally.counted(move || story(Moment::before(chance(steps.max(1))))), rounds);
    shuttle::check_pct(tally.counted(move || again(Moment::before(chance(steps.max(1))))), rounds, 3);
    tally.print("");
}

/// Tells a story with so many preemptions at most, and not (much) oftener than `most` times; false if that was too few.
/// The bounds rise from one: else a story that is cut off would have been told with late preemptions only.
#[cfg(model_loom)]
fn check(preemptions: u32, most: u32, story: impl Fn() + Send + Sync + 'static) -> bool {
    const LOOK: usize = 50;
    let told = Arc::new(AtomicU64::new(0));
    let times = Arc::clone(&told);
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions as usize);
    builder.max_branches = 10_000;
    builder.max_permutations = Some(most as usize);
    builder.checkpoint_interval = LOOK; // How often it counts.
    builder.check(move || {
        times.fetch_add(1, Ordering::Relaxed);
        story();
    });
    told.load(Ordering::Relaxed) as usize + LOOK < most as usize
}

/// A moment that does not come.
fn never() -> Moment {
    Moment::before(u32::MAX)
}

/// A moment among the first so many steps; with loom, which knows no chance, it does not come.
fn by_chance(steps: u32) -> Moment {
    #[cfg(model_loom)]
    let moment = Moment { step: u32::MAX - steps, ..never() };
    #[cfg(model_shuttle)]
    let moment = Moment::before(chance(steps.max(1)));
    moment
}

/// Any number below `bound`.
#[cfg(model_shuttle)]
fn chance(bound: u32) -> u32 {
    shuttle::rand::Rng::gen_range(&mut shuttle::rand::thread_rng(), 0..bound)
}
