//! What is done to the pipeline of a storm, and what is looked at on the way: one disturbance after another, each when
//! items have moved since the one before it.

use std::fmt;
use std::iter::Sum;
use std::time::{Duration, Instant};

use brigade_tests::{Dice, PATIENCE, Run, Sandbox, holds_for_a_while};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::storm::ledger::assert_exact;
use crate::storm::plan::Plan;

/// What a storm did, and what came of it. (0 items lost and 0 done twice, or it fails.)
#[derive(Default)]
pub struct Figures {
    pub items: u64,
    pub worker_kills: u64,
    pub supervisor_kills: u64,
    pub pauses: u64,
    pub redelivered: u64,
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
            time: a.time + b.time,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { items, worker_kills, supervisor_kills, pauses, redelivered, time } = self;
        write!(
            f,
            "{items} items, {worker_kills} worker kills, {supervisor_kills} supervisor kills, {pauses} pauses, \
             {redelivered} redelivered, 0 lost, 0 doubles, {:.1} s",
            time.as_secs_f64()
        )
    }
}

/// A storm over one pipeline.
pub struct Weather<'a> {
    seed: u64,
    plan: &'a Plan,
    dice: Dice,
    /// So many acks, at the most, are waited for between two disturbances.
    pace: u64,
    sandbox: Sandbox,
    run: Run,
    acked: u64,
    /// Descriptors of this supervisor when all workers were ready, the first time and the last.
    descriptors: Option<(usize, usize)>,
    figures: Figures,
}

impl<'a> Weather<'a> {
    pub fn new(seed: u64, plan: &'a Plan, dice: Dice, pace: u64) -> Self {
        let sandbox = Sandbox::new();
        std::fs::create_dir(sandbox.path("tmp")).expect("a folder in the sandbox");
        let run = start(&sandbox, plan, seed);
        Self { seed, plan, dice, pace, sandbox, run, acked: 0, descriptors: None, figures: Figures::default() }
    }

    /// Disturbs until so many workers were killed, lets the source come to its end, and checks all that is left.
    pub fn rage(mut self, worker_kills: u64) -> Figures {
        while self.figures.worker_kills < worker_kills {
            self.disturb();
        }
        self.sandbox.write("enough", "");
        // While it drains as well; but it must be able to end.
        let last = self.figures.worker_kills + 5;
        while self.figures.worker_kills < last && self.run.is_running() {
            self.disturb();
        }
        self.check_end()
    }

    fn disturb(&mut self) {
        let wanted = self.dice.below(self.pace);
        let Some(status) = self.await_progress(wanted) else { return };
        let ready = workers(&status, |state| state == "ready" || state == "draining");
        self.count_descriptors(&status);
        let (deed, choice) = (self.dice.below(100), self.dice.throw());
        let victim = (!ready.is_empty()).then(|| ready[(choice % ready.len() as u64) as usize]);
        match (deed, victim) {
            (0..82, Some(victim)) => self.kill_worker(victim),
            (82..88, Some(victim)) => self.pause(victim, choice),
            (88..92, _) => ready.iter().for_each(|victim| self.kill_worker(*victim)),
            (92..97, _) => {
                let _ = kill(Pid::from_raw(self.run.pid()), Signal::SIGKILL);
                self.go_on();
            }
            (97.., _) => {
                let mut all: Vec<i32> = self.run.processes().into_iter().map(|process| process.pid).collect();
                all.push(self.run.pid());
                let first = (choice % all.len() as u64) as usize;
                all.rotate_left(first);
                if !self.run.is_running() {
                    return;
                }
                for pid in all {
                    let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
                }
                self.go_on();
            }
            (_, None) => {}
        }
    }

    fn kill_worker(&mut self, pid: i32) {
        self.figures.worker_kills += u64::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
    }

    /// A worker stands still for a while, and dies there or goes on.
    fn pause(&mut self, pid: i32, choice: u64) {
        if kill(Pid::from_raw(pid), Signal::SIGSTOP).is_err() {
            return;
        }
        self.figures.pauses += 1;
        holds_for_a_while(Duration::from_millis(choice % 50), || true);
        if choice.is_multiple_of(3) {
            self.kill_worker(pid);
        } else {
            let _ = kill(Pid::from_raw(pid), Signal::SIGCONT);
        }
    }

    /// The supervisor was killed: nobody of it may live on, and a new one goes on, or dies in its start as well.
    fn go_on(&mut self) {
        let ended = self.run.wait();
        if ended.code == Some(0) || self.sandbox.path("report.json").exists() {
            return; // It was faster: the run is complete.
        }
        assert_eq!(ended.signal, Some(9), "seed {}: the supervisor ended by itself:\n{}", self.seed, ended.err);
        self.figures.supervisor_kills += 1;
        self.run.assert_nobody_left();
        self.descriptors = None;
        self.run = start(&self.sandbox, self.plan, self.seed);
        if self.dice.once_in(3) {
            let wait = self.dice.below(60);
            holds_for_a_while(Duration::from_millis(wait), || true);
            if self.run.is_running() {
                let _ = kill(Pid::from_raw(self.run.pid()), Signal::SIGKILL);
                self.go_on();
            }
        }
    }

    /// Waits until so many items were acked in any of the queues. `None` if the run is over.
    fn await_progress(&mut self, wanted: u64) -> Option<Value> {
        let (begun, mut told) = (Instant::now(), false);
        loop {
            if !self.run.is_running() {
                return None;
            }
            let status = self.run.try_status().filter(|status| status["pid"] == self.run.pid());
            if let Some(status) = status {
                let acked = acked(&status);
                assert!(acked >= self.acked, "seed {}: it began anew", self.seed);
                if acked >= self.acked + wanted {
                    self.acked = acked;
                    return Some(status);
                }
                if !told && begun.elapsed() > Duration::from_secs(4) {
                    told = true;
                    let queues = &status["queues"];
                    eprintln!("seed {}: little moves at {} of {}+{wanted}: {queues}", self.seed, acked, self.acked);
                    if std::env::var_os("STORM_HALT").is_some() {
                        eprintln!("halted: look at {}", self.sandbox.folder().display());
                        holds_for_a_while(Duration::from_secs(300), || true);
                    }
                }
                let is_hung = begun.elapsed() > PATIENCE;
                assert!(!is_hung, "seed {}: nothing moves, {}: {status:#}", self.seed, self.plan);
            }
            assert!(begun.elapsed() < 2 * PATIENCE, "seed {}: the supervisor does not answer", self.seed);
            holds_for_a_while(Duration::from_millis(2), || true);
        }
    }

    fn count_descriptors(&mut self, status: &Value) {
        // Also of one who has no process yet: its descriptors are still to come.
        let not_all =
            status.pointer("/stages").and_then(Value::as_array).into_iter().flatten().any(|stage| {
                stage["workers"].as_array().into_iter().flatten().any(|worker| worker["state"] != "ready")
            });
        if not_all {
            return;
        }
        if let Ok(all) = std::fs::read_dir(format!("/proc/{}/fd", self.run.pid())) {
            let now = all.count();
            let first = self.descriptors.map_or(now, |(first, _)| first);
            self.descriptors = Some((first, now));
            // A question from outside, and a worker that says hello, have some for a moment.
            assert!(now <= first + 12, "seed {}: from {first} to {now} descriptors", self.seed);
        }
    }

    fn check_end(mut self) -> Figures {
        let seed = self.seed;
        let ended = self.run.wait();
        let report = if ended.signal == Some(9) { ended.report() } else { ended.with_code(0) };
        assert_eq!((report.exit_code, report.lost), (0, 0), "seed {seed}");
        assert_eq!(report.verdict, "complete", "seed {seed}");
        let n = report.queues["q0"].sent;
        for (name, queue) in &report.queues {
            let numbers = (queue.sent, queue.acked, queue.left, queue.dead);
            assert_eq!(numbers, (n, n, 0, 0), "seed {seed}: {name} sent, acked, left, dead");
            self.figures.redelivered += queue.redelivered;
        }
        assert_exact(&self.sandbox.path("kept"), seed, n, self.plan.is_straight);
        self.figures.items = n;
        self.run.assert_nobody_left();
        let left = files_below(&self.sandbox.path("tmp"));
        assert!(left.is_empty(), "seed {seed}: left in the folder for temporary files: {left:?}");
        let panics = files_below(&self.sandbox.state()).into_iter().filter(|path| {
            path.extension().is_some_and(|extension| extension == "jsonl" || extension == "log")
                && std::fs::read_to_string(path).is_ok_and(|text| text.contains("panicked"))
        });
        let panics: Vec<_> = panics.collect();
        assert!(panics.is_empty(), "seed {seed}: somebody panicked: {panics:?}");
        self.figures
    }
}

fn start(sandbox: &Sandbox, plan: &Plan, seed: u64) -> Run {
    sandbox.run_with(&plan.text(seed), |command| {
        command.env("TMPDIR", sandbox.path("tmp"));
    })
}

fn acked(status: &Value) -> u64 {
    status["queues"].as_array().into_iter().flatten().filter_map(|queue| queue["acked"].as_u64()).sum()
}

/// The processes of those in such a state.
fn workers(status: &Value, fits: impl Fn(&str) -> bool) -> Vec<i32> {
    let stages = status["stages"].as_array().into_iter().flatten();
    let workers = stages.flat_map(|stage| stage["workers"].as_array().into_iter().flatten());
    let fitting = workers.filter(|worker| worker["state"].as_str().is_some_and(&fits));
    fitting.filter_map(|worker| i32::try_from(worker["pid"].as_i64()?).ok()).collect()
}

fn files_below(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.path() {
            path if path.is_dir() => files.extend(files_below(&path)),
            path => files.push(path),
        }
    }
    files
}
