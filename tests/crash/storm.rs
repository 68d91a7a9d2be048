//! The storm: a pipeline of the seed's making, whose workers and supervisor are killed and stopped at random while it
//! works, until it is complete. Every item must have come out once and whole.
//!
//! `STORM_SEED` chooses the storm (it is printed, and the same seed draws the same decisions). `.ci/storm [SEED] [MINUTES]`
//! runs the long one, by the release build.

mod decision;
mod end;
mod figures;
mod ledger;
mod plan;
mod rename;
mod weather;

use std::time::{Duration, Instant};

use brigade_tests::Dice;

use figures::{Figures, HEAD};
use plan::Plan;
use weather::Weather;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{variable}={text} is no number")))
}

/// One pipeline, disturbed until so many workers were killed, and then left to come to its end.
fn rage(seed: u64, worker_kills: u64, pace: u64) -> Figures {
    let plan = Plan::draw(&mut Dice::new(seed));
    eprintln!("seed {seed}: {plan}");
    // So that a slow one does not take all the time of a long storm.
    let pace = if plan.is_slow() { pace / 50 + 1 } else { pace };
    let begun = Instant::now();
    let mut figures = Weather::new(seed, &plan, pace).rage(worker_kills);
    figures.time = begun.elapsed();
    eprintln!("seed {seed}: {figures}");
    figures
}

#[test]
fn every_item_comes_out_once_in_a_storm() {
    let seed = number("STORM_SEED").unwrap_or(1);
    eprintln!("STORM_SEED={seed}");
    let all: Figures = (seed..seed + 6).map(|seed| rage(seed, 35, 200)).sum();
    eprintln!("in all: {all}");
    assert!(all.worker_kills >= 200 && all.supervisor_kills > 0, "that was no storm: {all}");
}

/// What a long storm is to come to, at the least.
struct Goal {
    time: Duration,
    worker_kills: u64,
    supervisor_kills: u64,
    items: u64,
}

impl Goal {
    fn of_the_environment() -> Self {
        let or_none = |variable| number(variable).unwrap_or(0);
        let goal = Self {
            time: Duration::from_secs(60 * or_none("STORM_MINUTES")),
            worker_kills: or_none("STORM_KILLS"),
            supervisor_kills: or_none("STORM_SUPERVISOR_KILLS"),
            items: or_none("STORM_ITEMS"),
        };
        let is_set = goal.time > Duration::ZERO || goal.worker_kills + goal.supervisor_kills + goal.items > 0;
        assert!(is_set, "say how long: STORM_MINUTES, STORM_KILLS, STORM_SUPERVISOR_KILLS, STORM_ITEMS");
        goal
    }

    fn is_met(&self, all: &Figures) -> bool {
        all.time >= self.time
            && all.worker_kills >= self.worker_kills
            && all.supervisor_kills >= self.supervisor_kills
            && all.items >= self.items
    }

    /// How many acks to wait for, at the most, so that items and kills come to their goals together.
    fn pace(&self, all: &Figures, before: u64) -> u64 {
        if self.worker_kills == 0 || self.items == 0 || all.items == 0 || all.worker_kills == 0 {
            return before;
        }
        let items_left = self.items.saturating_sub(all.items).max(1) as f64;
        let kills_left = self.worker_kills.saturating_sub(all.worker_kills).max(1) as f64;
        let wanted = before as f64 * (items_left / kills_left) / (all.items as f64 / all.worker_kills as f64);
        wanted.clamp(before as f64 / 1.5, before as f64 * 1.5).clamp(2_000.0, 100_000.0) as u64
    }
}

#[test]
#[ignore = "slow: run by .ci/storm"]
fn every_item_comes_out_once_in_a_long_storm() {
    let first = number("STORM_SEED").unwrap_or(1000);
    let goal = Goal::of_the_environment();
    let mut pace = number("STORM_PACE").unwrap_or(30_000);
    let mut all = Figures::default();
    for seed in first.. {
        all = [all, rage(seed, 200, pace)].into_iter().sum();
        eprintln!("in all, at a pace of {pace}: {all}");
        if goal.is_met(&all) {
            eprintln!("\n{HEAD}\n{}", all.row(&format!("{first} to {seed}")));
            break;
        }
        pace = goal.pace(&all, pace);
    }
}
