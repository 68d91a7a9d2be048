//! Everything is killed in the same instant, each process by its own pid, or the supervisor alone, again and again, until
//! `brigade run` comes to its end: the result is that of coreutils, as if nothing had happened.

use std::time::Duration;

use brigade_tests::{Dice, Run, Sandbox, holds_for_a_while, nasty_tree};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::checksum::{checksum, expected, sorted};

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victims {
    /// The supervisor; its workers must follow it.
    Supervisor,
    /// Supervisor, workers and manager, one after the other as fast as it goes, in any order.
    All,
    /// The same, but all are stopped before the first is killed: nobody sees the death of another.
    AllAtOnce,
}

impl Victims {
    fn kill(self, run: &Run, dice: &mut Dice) -> u64 {
        let send = |pid: i32, signal| kill(Pid::from_raw(pid), signal).is_ok();
        if self == Self::Supervisor {
            return u64::from(send(run.pid(), Signal::SIGKILL));
        }
        if self == Self::AllAtOnce {
            // It first: then nobody is started any more, and the list is whole.
            send(run.pid(), Signal::SIGSTOP);
        }
        let mut pids: Vec<i32> = run.processes().into_iter().map(|process| process.pid).collect();
        if self == Self::AllAtOnce {
            pids.iter().for_each(|pid| _ = send(*pid, Signal::SIGSTOP));
        }
        pids.push(run.pid());
        let first = dice.below(pids.len() as u64) as usize;
        pids.rotate_left(first);
        pids.into_iter().map(|pid| u64::from(send(pid, Signal::SIGKILL))).sum()
    }
}

/// When they are killed.
#[derive(Clone, Copy, Debug)]
enum Moments {
    /// Always after the same time.
    Every(Duration),
    /// At any time up to this.
    Within(Duration),
}

impl Moments {
    fn wait(self, run: &mut Run, dice: &mut Dice) {
        let time = match self {
            Self::Every(time) => time,
            // Often soon: in its start, or in its resumption of the run before.
            Self::Within(time) => Duration::from_micros(dice.below(time.as_micros() as u64) >> dice.below(3)),
        };
        holds_for_a_while(time, || run.is_running());
    }
}

/// What was done until a run was complete.
#[derive(Debug, Default)]
struct Done {
    runs: u64,
    processes_killed: u64,
    /// Runs that ended by the death of their supervisor.
    broken_off: u64,
    /// Of these, how many found something of an earlier one to go on with.
    went_on: u64,
}

/// Calls `brigade run` again and again, and kills, until one is complete. Who is never left alone long enough to come to
/// the end is left alone in the end: after `most` runs.
fn until_complete(sandbox: &Sandbox, text: &str, victims: Victims, moments: Moments, most: u64) -> Done {
    let mut dice = Dice::new(most);
    let mut done = Done::default();
    loop {
        let mut run = sandbox.run(text);
        done.runs += 1;
        if done.runs <= most {
            moments.wait(&mut run, &mut dice);
            if run.is_running() {
                done.processes_killed += victims.kill(&run, &mut dice);
            }
        }
        let ended = run.wait();
        run.assert_nobody_left();
        done.went_on += u64::from(ended.err.contains("goes on with an earlier run"));
        match (ended.code, ended.signal) {
            (Some(0), None) => {
                let report = ended.with_code(0);
                assert_eq!(report.verdict, "complete");
                for (name, queue) in &report.queues {
                    assert_eq!((queue.left, queue.dead, queue.acked), (0, 0, queue.sent), "queue {name}");
                }
                return done;
            }
            (None, Some(9)) => done.broken_off += 1,
            (code, signal) => panic!("run {}: {code:?}, {signal:?}\n{}", done.runs, ended.err),
        }
    }
}

/// The manifest equals that of sha256sum, line by line, once sorted; and no run was spared that could be killed.
fn checksum_is_exact(files: usize, victims: Victims, moments: Moments, (least, most): (u64, u64)) {
    let sandbox = Sandbox::new();
    nasty_tree(&sandbox.path("tree"), files);
    let unlimited = "max_restarts = \"unlimited\"\nbackoff = \"1ms\"\n";
    let text =
        checksum(&sandbox, unlimited).replace("[queues.paths]", "[queues.paths]\nmax_deliveries = \"unlimited\"");
    let done = until_complete(&sandbox, &text, victims, moments, most);
    eprintln!("checksum, {files} files, {victims:?}, {moments:?}: {done:?}");
    assert!(done.broken_off >= least, "the tree is too small for this machine: {done:?}");
    let manifest = std::fs::read(sandbox.path("manifest")).expect("a manifest");
    let (found, wanted) = (sorted(&manifest), expected(&sandbox.path("tree")));
    let twice = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(twice, 0, "lines that are there twice");
    assert!(found == wanted, "{} lines instead of {}", found.len(), wanted.len());
    let left: Vec<_> = std::fs::read_dir(sandbox.state().join("tmp")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

const SOON: Moments = Moments::Within(Duration::from_millis(150));

#[test]
fn checksum_is_exact_although_everything_is_killed_at_once() {
    checksum_is_exact(1_500, Victims::AllAtOnce, SOON, (3, 40));
}

#[test]
fn checksum_is_exact_although_everything_is_killed_one_after_the_other() {
    checksum_is_exact(1_500, Victims::All, SOON, (3, 40));
}

#[test]
fn checksum_is_exact_although_its_supervisor_is_killed_again_and_again() {
    checksum_is_exact(1_500, Victims::Supervisor, SOON, (3, 40));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_everything_is_killed_every_200_ms() {
    let every = Moments::Every(Duration::from_millis(200));
    checksum_is_exact(20_000, Victims::All, every, (3, 300));
    checksum_is_exact(20_000, Victims::AllAtOnce, every, (3, 300));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_everything_is_killed_at_random_moments() {
    let random = Moments::Within(Duration::from_millis(400));
    checksum_is_exact(20_000, Victims::All, random, (5, 300));
    checksum_is_exact(20_000, Victims::AllAtOnce, random, (5, 300));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_its_supervisor_is_killed_every_200_ms() {
    checksum_is_exact(20_000, Victims::Supervisor, Moments::Every(Duration::from_millis(200)), (3, 300));
}
