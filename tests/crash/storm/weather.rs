//! What is done to the pipeline of a storm, and what is looked at on the way: one disturbance after another, each when
//! items have moved since the one before it.

use std::time::{Duration, Instant};

use brigade_tests::{PATIENCE, Run, Sandbox, holds_for_a_while};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::storm::decision::{Decision, Deed};
use crate::storm::end::End;
use crate::storm::figures::Figures;
use crate::storm::plan::{Plan, Work};
use crate::storm::rename::Names;

/// When something has moved in this time, it need not be as much as was drawn: else a storm over a pipeline that is slow by its
/// nature (queues of one item, shared state) would take most of the time of a long one.
const LONG: Duration = Duration::from_millis(500);

/// A storm over one pipeline.
pub struct Weather<'a> {
    seed: u64,
    plan: &'a Plan,
    /// How many disturbances were drawn.
    decisions: u64,
    /// So many acks, at the most, are waited for between two disturbances.
    pace: u64,
    names: Names,
    sandbox: Sandbox,
    run: Run,
    acked: u64,
    /// Descriptors of this supervisor when all workers were ready for the first time.
    /// Those of the supervisor after its start: what each is.
    descriptors: Option<Vec<String>>,
    /// Of this supervisor.
    manager_kills: u64,
    /// The source has been told that it is enough.
    is_ending: bool,
    figures: Figures,
}

impl<'a> Weather<'a> {
    pub fn new(seed: u64, plan: &'a Plan, pace: u64) -> Self {
        let sandbox = Sandbox::new();
        std::fs::create_dir(sandbox.path("tmp")).expect("a folder in the sandbox");
        let names = Names::new(plan);
        let run = start(&sandbox, &names.text(plan, seed));
        Self {
            seed,
            plan,
            decisions: 0,
            pace,
            names,
            sandbox,
            run,
            acked: 0,
            descriptors: None,
            manager_kills: 0,
            is_ending: false,
            figures: Figures::default(),
        }
    }

    /// Disturbs until so many workers were killed, lets the source come to its end, and checks all that is left.
    pub fn rage(mut self, worker_kills: u64) -> Figures {
        while self.figures.worker_kills < worker_kills {
            self.disturb();
            self.assert_not_over();
        }
        self.sandbox.write("mended", "");
        if self.plan.has(Work::Poison) {
            // As far as there is room beside what the source sends; the rest when it has ended.
            (0..20).for_each(|_| self.retry());
        }
        self.await_calm();
        self.sandbox.write("enough", "");
        self.is_ending = true;
        // While it drains as well; but it must be able to end.
        let last = self.figures.worker_kills + 5;
        while self.figures.worker_kills < last && self.run.is_running() {
            self.disturb();
        }
        self.check_end()
    }

    /// The source has not come to its end: nobody else may have ended the run.
    fn assert_not_over(&mut self) {
        if !self.run.is_running() {
            let ended = self.run.wait();
            panic!("seed {}: it ended by itself with {:?}:\n{}", self.seed, ended.code, ended.err);
        }
    }

    fn disturb(&mut self) {
        let decision = Decision::draw(self.seed, self.decisions, self.pace);
        self.decisions += 1;
        let Some(status) = self.await_progress(decision.acks) else { return };
        let ready = workers(&status, |state| state == "ready" || state == "draining");
        self.count_descriptors(&status);
        let choice = decision.choice;
        let victim = (!ready.is_empty()).then(|| ready[(choice % ready.len() as u64) as usize]);
        match (decision.deed, victim) {
            (Deed::KillWorker, Some(victim)) => self.kill_worker(victim),
            (Deed::Pause, Some(victim)) => self.pause(victim, choice),
            (Deed::KillReady, _) => {
                ready.iter().for_each(|victim| self.kill_worker(*victim));
                self.kill_manager();
            }
            (Deed::KillSupervisor, _) => {
                let _ = kill(Pid::from_raw(self.run.pid()), Signal::SIGKILL);
                self.go_on(decision.start_dies);
            }
            (Deed::KillAll, _) => {
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
                self.go_on(decision.start_dies);
            }
            // Not while it may come to its end by itself: what is then sent again is not in its report.
            (Deed::Retry, _) if !self.is_ending => self.retry(),
            (Deed::Rename, _) if !self.is_ending => {
                let was_renamed = self.names.rename(&self.sandbox, self.plan, self.seed, choice);
                self.figures.renames += u64::from(was_renamed);
            }
            (Deed::KillWorker | Deed::Pause | Deed::Rename | Deed::Retry, _) => {}
        }
    }

    /// What cannot be sent again now (the queue is full, nobody answers yet) stays a letter.
    fn retry(&mut self) {
        let said = self.sandbox.ask(&["dead", "retry", "--all"]);
        assert!(said.code.is_some(), "seed {}: the command was killed: {}", self.seed, said.err);
        self.figures.retries +=
            said.out.lines().filter(|line| line.contains(" sent again ") && !line.starts_with("0 ")).count() as u64;
    }

    fn kill_worker(&mut self, pid: i32) {
        self.figures.worker_kills += u64::from(kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok());
    }

    /// One that dies more than five times in a minute ends the run.
    fn kill_manager(&mut self) {
        let is_manager = |process: &brigade_tests::Process| process.worker.starts_with("manager/");
        if let Some(manager) = self.run.processes().into_iter().find(is_manager)
            && self.manager_kills < 4
        {
            self.manager_kills += 1;
            let _ = kill(Pid::from_raw(manager.pid), Signal::SIGKILL);
        }
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
    fn go_on(&mut self, start_dies: Option<u64>) {
        let ended = self.run.wait();
        if ended.code == Some(0) || self.sandbox.path("report.json").exists() {
            return; // It was faster: the run is complete.
        }
        assert_eq!(ended.signal, Some(9), "seed {}: the supervisor ended by itself:\n{}", self.seed, ended.err);
        self.figures.supervisor_kills += 1;
        self.run.assert_nobody_left();
        (self.descriptors, self.manager_kills) = (None, 0);
        self.run = start(&self.sandbox, &self.names.text(self.plan, self.seed));
        if let Some(wait) = start_dies {
            holds_for_a_while(Duration::from_millis(wait), || true);
            if self.run.is_running() {
                let _ = kill(Pid::from_raw(self.run.pid()), Signal::SIGKILL);
                self.go_on(None);
            }
        }
    }

    /// Waits until so many items were acked in all queues, or some in a long time. `None` if the run is over.
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
                let is_long = begun.elapsed() > LONG && acked > self.acked;
                if acked >= self.acked + wanted || is_long {
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
        let Some(all) = all_ready(status) else { return };
        let Some(now) = descriptors(self.run.pid()) else { return };
        if let Some(first) = &self.descriptors {
            // A question from outside, and a worker that says hello, have some for a moment.
            assert!(now.len() <= first.len() + 12, "seed {}: from {first:?} to {now:?}", self.seed);
        } else if self.run.try_status().as_ref().and_then(all_ready) == Some(all) {
            self.descriptors = Some(now); // Nobody has died meanwhile, of a poison, say.
        }
    }

    /// When nobody is killed any more, the supervisor has no more descriptors than after its start. (The manager, if it is
    /// asked for only later, has some.)
    fn await_calm(&mut self) {
        let Some(first) = &self.descriptors else { return };
        let spare = if self.plan.has(Work::Tally) { 6 } else { 0 };
        let begun = Instant::now();
        while let Some(now) = descriptors(self.run.pid()).filter(|now| now.len() > first.len() + spare) {
            let seed = self.seed;
            assert!(begun.elapsed() < PATIENCE, "seed {seed}: after its start it had {first:?}, and now {now:?}");
            holds_for_a_while(Duration::from_millis(2), || true);
        }
    }

    fn check_end(mut self) -> Figures {
        let ended = self.run.wait();
        let report = if ended.signal == Some(9) { ended.report() } else { ended.with_code(0) };
        let redelivered: u64 = report.queues.values().map(|queue| queue.redelivered).sum();
        self.figures.redelivered = redelivered;
        self.run.assert_nobody_left();
        let (worker_kills, supervisor_kills) = (self.figures.worker_kills, self.figures.supervisor_kills);
        let end = End { seed: self.seed, plan: self.plan, sandbox: &self.sandbox };
        end.check(&report, worker_kills, supervisor_kills, &mut self.figures, || {
            start(&self.sandbox, &self.names.text(self.plan, self.seed))
        });
        self.figures
    }
}

fn start(sandbox: &Sandbox, text: &str) -> Run {
    sandbox.run_with(text, |command| {
        command.env("TMPDIR", sandbox.path("tmp"));
    })
}

fn acked(status: &Value) -> u64 {
    status["queues"].as_array().into_iter().flatten().filter_map(|queue| queue["acked"].as_u64()).sum()
}

/// The processes of the workers in such a state.
fn workers(status: &Value, fits: impl Fn(&str) -> bool) -> Vec<i32> {
    // The manager may not die as often as they.
    let stages = status["stages"].as_array().into_iter().flatten().filter(|stage| stage["name"] != "manager");
    let workers = stages.flat_map(|stage| stage["workers"].as_array().into_iter().flatten());
    let fitting = workers.filter(|worker| worker["state"].as_str().is_some_and(&fits));
    fitting.filter_map(|worker| i32::try_from(worker["pid"].as_i64()?).ok()).collect()
}

/// All processes, if all workers are ready. One who has no process yet, or not any more, has its descriptors still to come.
fn all_ready(status: &Value) -> Option<Vec<i64>> {
    let stages = status["stages"].as_array().into_iter().flatten();
    let workers = stages.flat_map(|stage| stage["workers"].as_array().into_iter().flatten());
    workers.map(|worker| worker["pid"].as_i64().filter(|_| worker["state"] == "ready")).collect()
}

fn descriptors(pid: i32) -> Option<Vec<String>> {
    let all = std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten();
    // One that is closed before it is looked at is none.
    let links = all.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    Some(links.map(|link| link.display().to_string()).collect())
}
