//! The end of a storm: what is dead is sent again until nothing is, and then every count and every line must be as
//! promised. Without it a storm would show that nothing hangs, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use brigade_tests::{Report, Run, Sandbox, goes_round_in_storm, hops_in_storm};
use serde_json::Value;

use crate::storm::figures::Figures;
use crate::storm::ledger::{Promise, assert_exact};
use crate::storm::plan::{Plan, Work};

/// A pipeline that was complete.
pub struct End<'a> {
    pub seed: u64,
    pub plan: &'a Plan,
    pub sandbox: &'a Sandbox,
}

/// The dead letters, by queue.
fn letters(sandbox: &Sandbox) -> BTreeMap<String, u64> {
    let said = sandbox.ask(&["dead", "list", "--json"]);
    let list: Vec<Value> = serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err));
    let mut count = BTreeMap::new();
    for letter in list {
        *count.entry(letter["queue"].as_str().expect("a name").to_owned()).or_insert(0) += 1;
    }
    count
}

impl End<'_> {
    /// Checks counts, sums and lines of the run that was complete, and of those that `again` starts for what is still dead.
    pub fn check(
        &self,
        report: &Report,
        worker_kills: u64,
        supervisor_kills: u64,
        figures: &mut Figures,
        again: impl Fn() -> Run,
    ) {
        let (n, lines) = self.check_counts(report, worker_kills, supervisor_kills);
        (figures.items, figures.again) = (n, lines + self.still_dead() - n);
        figures.letters = report.queues.values().map(|queue| queue.dead).sum();
        let all = self.finish(again);
        let again = figures.again;
        assert_exact(&all, self.seed, Promise { items: n, again, classes: self.plan.ordered_classes() });
        self.check_shared(n, again);
        self.check_files();
    }

    fn still_dead(&self) -> u64 {
        letters(self.sandbox).values().sum()
    }

    /// The counts of each queue, and of each against the one before it. Gives the number of items that the source made, and
    /// of lines that the sink wrote in this run.
    fn check_counts(&self, report: &Report, worker_kills: u64, supervisor_kills: u64) -> (u64, u64) {
        let Self { seed, plan, sandbox } = self;
        assert_eq!((report.exit_code, report.lost, report.verdict.as_str()), (0, 0, "complete"), "seed {seed}");
        let letters = letters(sandbox);
        for (name, queue) in &report.queues {
            assert_eq!((queue.left, queue.acked + queue.dead), (0, queue.sent), "seed {seed}: {name}: {report:?}");
        }
        // What was sent by others than those who send letters again.
        let net = |name: &String| {
            let queue = &report.queues[name];
            let still_dead = letters.get(name).copied().unwrap_or(0);
            assert!(still_dead <= queue.dead, "seed {seed}: {name} has {still_dead} letters: {report:?}");
            queue.sent - (queue.dead - still_dead)
        };
        let all_sent = |taker| plan.inputs(taker).iter().map(net).sum::<u64>();
        let acked = |taker| plan.inputs(taker).iter().map(|name| report.queues[name].acked).sum::<u64>();
        // What a stage has sent to its own queue.
        let rounds = |taker: usize| match plan.middle.get(taker) {
            Some(stage) if stage.work == Work::Round => acked(taker) - all_sent(taker + 1),
            _ => 0,
        };
        let sent = |taker| all_sent(taker) - rounds(taker);
        for (nth, stage) in plan.middle.iter().enumerate() {
            let (took, made) = (acked(nth) - rounds(nth), sent(nth + 1));
            if stage.work == Work::Plain {
                // At each death a worker may have sent as many as it takes at once, and not have acked them.
                let again = 64 * (worker_kills + supervisor_kills * stage.replicas);
                assert!((took..=took + again).contains(&made), "seed {seed}: m{nth} took {took}, made {made}");
            } else {
                assert_eq!(took, made, "seed {seed}: m{nth} took and made: {report:?}");
            }
        }
        let n = sent(0);
        self.check_loops(report, n, rounds);
        (n, acked(plan.takers() - 1))
    }

    /// Every item went round a loop as often as it must: not looked at behind a stage that has sent some again, or not yet.
    fn check_loops(&self, report: &Report, n: u64, rounds: impl Fn(usize) -> u64) {
        let Self { seed, plan, .. } = self;
        let Some(nth) = plan.middle.iter().position(|stage| stage.work.is_loop()) else { return };
        if plan.middle[..nth].iter().any(|stage| matches!(stage.work, Work::Plain | Work::Poison)) {
            return;
        }
        let hops = |fits: fn(u64) -> bool| -> u64 {
            (0..n).filter(|item| fits(*item)).map(|item| u64::from(hops_in_storm(*seed, item))).sum()
        };
        if plan.middle[nth].work == Work::Round {
            assert_eq!(rounds(nth), hops(|_| true), "seed {seed}: rounds of m{nth}: {report:?}");
        } else {
            let wanted = hops(goes_round_in_storm);
            let acked = ["l", "k"].map(|queue| report.queues[queue].acked);
            assert_eq!(acked, [wanted; 2], "seed {seed}: rounds of m{nth}: {report:?}");
        }
    }

    /// Has what is still dead done by further runs, and gives the file with all lines: each run continues the one before.
    fn finish(&self, again: impl Fn() -> Run) -> PathBuf {
        let has_pages = |sandbox: &Sandbox| {
            std::fs::read_dir(sandbox.state().join("pages")).is_ok_and(|mut pages| pages.next().is_some())
        };
        if has_pages(self.sandbox) {
            // Killed behind its report: there is something to go on with, and nothing to do.
            again().wait().with_code(0);
        }
        for _ in 0..100 {
            if self.still_dead() == 0 {
                return self.sandbox.path("kept");
            }
            let said = self.sandbox.ask(&["dead", "retry", "--all"]);
            assert!(said.out.contains("sent again"), "seed {}: {}{}", self.seed, said.out, said.err);
            // This run continues the one that was complete: its source is complete, and the sink goes on with its file.
            let mut run = again();
            let report = run.wait().with_code(0);
            run.assert_nobody_left();
            for (name, queue) in &report.queues {
                assert_eq!((queue.left, queue.acked + queue.dead), (0, queue.sent), "seed {}: {name}", self.seed);
            }
        }
        panic!("seed {}: letters that are never done: {:?}", self.seed, letters(self.sandbox));
    }

    /// The shared counters have counted every item once, in every stage that counts.
    fn check_shared(&self, n: u64, again: u64) {
        let stages = self.plan.middle.iter().filter(|stage| stage.work == Work::Tally).count() as u64;
        if stages == 0 || again > 0 {
            return; // What a plain stage had sent again is counted again behind it.
        }
        let value = |name| {
            let said = self.sandbox.ask(&["shared", name, "--json"]);
            let counter: Value =
                serde_json::from_str(&said.out).unwrap_or_else(|error| panic!("{error}: {}", said.err));
            counter["value"].as_u64()
        };
        assert_eq!(value("items"), Some(n * stages), "seed {}", self.seed);
        if !self.plan.is_straight {
            // Of two sources, how many items each has made is not known here.
            assert_eq!(value("numbers"), Some(n * n.saturating_sub(1) / 2 * stages), "seed {}", self.seed);
        }
    }

    /// Nothing lies in folders for temporary files, and nobody has panicked.
    fn check_files(&self) {
        let Self { seed, sandbox, plan: _ } = self;
        for folder in [sandbox.path("tmp"), sandbox.state().join("tmp")] {
            let left = files_below(&folder);
            assert!(left.is_empty(), "seed {seed}: left in a folder for temporary files: {left:?}");
        }
        let panics = files_below(&sandbox.state()).into_iter().filter(|path| {
            path.extension().is_some_and(|extension| extension == "jsonl" || extension == "log")
                && std::fs::read_to_string(path).is_ok_and(|text| text.contains("panicked"))
        });
        let panics: Vec<_> = panics.collect();
        assert!(panics.is_empty(), "seed {seed}: somebody panicked: {panics:?}");
    }
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_below(&path)),
            path => files.push(path),
        }
    }
    files
}
