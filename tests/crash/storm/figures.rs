//! The figures of a storm: what was done, and what came of it. Without them, nobody could say how much a storm was.

use std::fmt;
use std::iter::Sum;
use std::time::Duration;

/// What a storm did, and what came of it. (0 items lost and 0 done twice but by plain handles, or it fails.)
#[derive(Default)]
pub struct Figures {
    pub items: u64,
    pub worker_kills: u64,
    pub supervisor_kills: u64,
    /// Workers that were stopped for a while.
    pub pauses: u64,
    pub redelivered: u64,
    /// Dead letters there were, all of which were done in the end.
    pub letters: u64,
    /// Times that dead letters were sent again.
    pub retries: u64,
    /// Items that a plain stage has sent again.
    pub again: u64,
    /// Stages that a reload gave another name.
    pub renames: u64,
    pub time: Duration,
}

impl Sum for Figures {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |a, b| Self {
            items: a.items + b.items,
            worker_kills: a.worker_kills + b.worker_kills,
            supervisor_kills: a.supervisor_kills + b.supervisor_kills,
            pauses: a.pauses + b.pauses,
            redelivered: a.redelivered + b.redelivered,
            letters: a.letters + b.letters,
            retries: a.retries + b.retries,
            again: a.again + b.again,
            renames: a.renames + b.renames,
            time: a.time + b.time,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, worker_kills, supervisor_kills, pauses, redelivered, letters, retries, again, renames, time } =
            self;
        write!(
            f,
            "{items} items, {worker_kills} worker kills, {supervisor_kills} supervisor kills, {pauses} pauses, \
             {redelivered} redelivered, {letters} dead letters ({retries} retries), {again} again by plain handles, \
             {renames} stages renamed, 0 lost, 0 doubles, {:.1} s",
            time.as_secs_f64()
        )
    }
}

impl Figures {
    /// A row of the table in the README. `seeds`: such as `1 to 22`.
    pub fn row(&self, seeds: &str) -> String {
        let Self {
            items,
            worker_kills,
            supervisor_kills,
            pauses,
            redelivered,
            letters,
            again,
            time,
            renames,
            retries: _,
        } = self;
        format!(
            "| {seeds} | {items} | {worker_kills} | {pauses} | {supervisor_kills} | {redelivered} | {letters} | {again} | {renames} | \
             0 | 0 | {:.0} s |",
            time.as_secs_f64()
        )
    }
}

/// The head of that table.
pub const HEAD: &str = "| seeds | items | worker kills | stops | supervisor kills | redelivered | dead letters | sent again by plain \
                        handles | renamed | lost | done twice | time |\n|---|---|---|---|---|---|---|---|---|---|---|---|";
