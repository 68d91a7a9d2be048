//! Everything is killed in the same instant, each process by its own pid, or the supervisor alone, again and again, until
//! `brigade run` comes to its end: the result is that of coreutils, as if nothing had happened.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use brigade_tests::{Dice, Run, Sandbox, holds_for_a_while, nasty_tree, until, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

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
    /// When the result has grown by any number of bytes up to this; in a third of the runs soon after their start.
    Growth(u64),
}

/// How far a pipeline is: bytes of checksum's manifest, or of what wordcount's manager has written.
fn size(sandbox: &Sandbox) -> u64 {
    let length = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
    let shared = std::fs::read_dir(sandbox.state().join("shared")).into_iter().flatten().flatten();
    length(&sandbox.path("manifest")) + shared.map(|entry| length(&entry.path())).sum::<u64>()
}

impl Moments {
    fn wait(self, sandbox: &Sandbox, run: &mut Run, dice: &mut Dice) {
        let time = match self {
            Self::Every(time) => time,
            // In its start, or in its resumption of the run before.
            Self::Growth(_) if dice.once_in(3) => Duration::from_micros(dice.below(100_000) >> dice.below(4)),
            Self::Growth(most) => {
                let goal = size(sandbox) + dice.below(most);
                return until("it has grown, or is over", || !run.is_running() || size(sandbox) >= goal);
            }
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
            moments.wait(sandbox, &mut run, &mut dice);
            if run.is_running() {
                done.processes_killed += victims.kill(&run, &mut dice);
            }
        }
        let ended = run.wait();
        run.assert_nobody_left();
        done.went_on += u64::from(ended.err.contains("continues an earlier run"));
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

/// Makes each regular file so much longer, with zeroes that take no disk: else the whole tree is hashed before the first
/// kill.
fn lengthen(folder: &Path, bytes: u64) {
    for entry in std::fs::read_dir(folder).expect("a folder of the tree") {
        let entry = entry.expect("an entry of the tree");
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            lengthen(&entry.path(), bytes);
        } else if kind.is_file() {
            let file = std::fs::File::options().write(true).open(entry.path()).expect("a file of the tree");
            file.set_len(file.metadata().expect("its length").len() + bytes).expect("a longer file");
        }
    }
}

/// Over a tree that is large enough to be met by a kill every 200 ms, some twenty times at the least.
fn checksum_of_large_files_is_exact(victims: Victims) {
    let sandbox = Sandbox::new();
    nasty_tree(&sandbox.path("tree"), 20_000);
    lengthen(&sandbox.path("tree"), 256 << 10);
    checksum_is_exact(&sandbox, victims, Moments::Every(Duration::from_millis(200)), (10, 1_000));
}

fn checksum_of_a_tree_is_exact(files: usize, victims: Victims, moments: Moments, bounds: (u64, u64)) {
    let sandbox = Sandbox::new();
    nasty_tree(&sandbox.path("tree"), files);
    checksum_is_exact(&sandbox, victims, moments, bounds);
}

/// The manifest equals that of sha256sum, line by line, once sorted; and no run was spared that could be killed.
fn checksum_is_exact(sandbox: &Sandbox, victims: Victims, moments: Moments, (least, most): (u64, u64)) {
    let unlimited = "max_restarts = \"unlimited\"\nbackoff = \"1ms\"\n";
    let text = checksum(sandbox, unlimited).replace("[queues.paths]", "[queues.paths]\nmax_deliveries = \"unlimited\"");
    let done = until_complete(sandbox, &text, victims, moments, most);
    eprintln!("checksum, {victims:?}, {moments:?}: {done:?}");
    assert!(done.broken_off >= least, "the tree is too small for this machine: {done:?}");
    let is_alone = victims == Victims::Supervisor;
    assert!(is_alone || done.processes_killed > done.broken_off, "hardly any worker was killed: {done:?}");
    let manifest = std::fs::read(sandbox.path("manifest")).expect("a manifest");
    let (found, wanted) = (sorted(&manifest), expected(&sandbox.path("tree")));
    let twice = found.windows(2).filter(|pair| pair[0] == pair[1]).count();
    assert_eq!(twice, 0, "lines that are there twice");
    assert!(found == wanted, "{} lines instead of {}", found.len(), wanted.len());
    let left: Vec<_> = std::fs::read_dir(sandbox.state().join("tmp")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn checksum_is_exact_although_everything_is_killed_at_once() {
    checksum_of_a_tree_is_exact(1_500, Victims::AllAtOnce, Moments::Growth(30_000), (3, 40));
}

#[test]
fn checksum_is_exact_although_everything_is_killed_one_after_the_other() {
    checksum_of_a_tree_is_exact(1_500, Victims::All, Moments::Growth(30_000), (3, 40));
}

#[test]
fn checksum_is_exact_although_its_supervisor_is_killed_again_and_again() {
    checksum_of_a_tree_is_exact(1_500, Victims::Supervisor, Moments::Growth(30_000), (3, 40));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_everything_is_killed_every_200_ms() {
    checksum_of_large_files_is_exact(Victims::All);
    checksum_of_large_files_is_exact(Victims::AllAtOnce);
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_everything_is_killed_at_random_moments() {
    let random = Moments::Growth(200_000);
    checksum_of_a_tree_is_exact(20_000, Victims::All, random, (10, 300));
    checksum_of_a_tree_is_exact(20_000, Victims::AllAtOnce, random, (10, 300));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn checksum_over_20_000_files_is_exact_although_its_supervisor_is_killed_every_200_ms() {
    checksum_of_large_files_is_exact(Victims::Supervisor);
}

/// So many files of words, each of which has what a shell may trip over: no line break at its end, capitals, and letters
/// beyond A to Z.
fn words(root: &Path, files: u64) {
    let mut dice = Dice::new(files);
    std::fs::create_dir_all(root).expect("a folder");
    for n in 0..files {
        let folder = root.join(format!("{}", n % 50));
        std::fs::create_dir_all(&folder).expect("a folder");
        let word = |dice: &mut Dice| match dice.below(600) {
            0 => "É-Clair".to_owned(),
            1 => "UPPER".to_owned(),
            number => {
                format!("w{}", ["a", "b", "c", "d", "e"].map(|letter| letter.repeat((number % 7) as usize)).concat())
                    + &"xyz"[..(number % 4) as usize]
                    + &"k".repeat((number / 28) as usize)
            }
        };
        let text: Vec<String> = (0..dice.below(60)).map(|_| word(&mut dice)).collect();
        std::fs::write(folder.join(format!("{n}")), text.join([" ", "\n", ", "][n as usize % 3])).expect("a file");
    }
}

/// What coreutils count.
fn counted(root: &Path) -> BTreeMap<String, u64> {
    let mut shell = Command::new("sh");
    let count = "find \"$1\" -type f -exec sh -c 'cat \"$1\"; echo' sh {} \\; | LC_ALL=C tr -cs A-Za-z '\\n' | \
                 tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c";
    shell.args(["-c", count, "sh"]).arg(root);
    let output = shell.output().expect("the tools are there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("letters and digits");
    let parse = |line: &str| {
        let (count, word) = line.trim().split_once(' ')?;
        Some((word.to_owned(), count.parse().ok()?))
    };
    text.lines().map(|line| parse(line).expect("a number and a word")).collect()
}

/// What the shared map of the pipeline has, and the list of the ten most frequent.
fn shared(sandbox: &Sandbox) -> (BTreeMap<String, u64>, Vec<(String, u64)>) {
    let ask = |name| {
        let said = sandbox.ask(&["shared", name, "--json"]);
        assert_eq!(said.code, Some(0), "{}", said.err);
        serde_json::from_str::<Value>(&said.out).expect("JSON")
    };
    let (map, list) = (ask("words"), ask("top"));
    let entries = map["entries"].as_array().expect("entries").iter();
    let entry = |entry: &Value| Some((entry["key"].as_str()?.to_owned(), entry["value"].as_u64()?));
    let items = list["items"].as_array().expect("items").iter();
    let item = |item: &Value| Some((item[0].as_str()?.to_owned(), item[1].as_u64()?));
    (
        entries.map(|it| entry(it).unwrap_or_else(|| panic!("{it}"))).collect(),
        items.map(|it| item(it).unwrap_or_else(|| panic!("{it}"))).collect(),
    )
}

/// Every word is counted as often as coreutils count it.
fn wordcount_is_exact(files: u64, victims: Victims, moments: Moments, (least, most): (u64, u64)) {
    let sandbox = Sandbox::new();
    let tree = sandbox.path("tree");
    words(&tree, files);
    let example = std::fs::read_to_string(workspace().join("examples/wordcount/pipeline.toml")).expect("the example");
    let wanted = ["replicas = \"cpus\"\n", "[queues.paths]", "dir = \".\""];
    assert!(wanted.iter().all(|wanted| example.contains(wanted)), "the example has changed: adapt this test");
    let text = example
        .replace(wanted[0], "replicas = 3\nmax_restarts = \"unlimited\"\nbackoff = \"1ms\"\n")
        .replace(wanted[1], "[queues.paths]\nmax_deliveries = \"unlimited\"\ncapacity = 64")
        .replace(wanted[2], &format!("dir = {tree:?}"));
    let done = until_complete(&sandbox, &text, victims, moments, most);
    eprintln!("wordcount, {files} files, {victims:?}, {moments:?}: {done:?}");
    assert!(done.broken_off >= least, "there are too few words for this machine: {done:?}");
    let wanted = counted(&tree);
    let (found, top) = shared(&sandbox);
    let wrong: Vec<_> = wanted.iter().filter(|(word, count)| found.get(*word) != Some(count)).collect();
    assert!(wrong.is_empty(), "{} of {} words, such as {:?}", wrong.len(), wanted.len(), &wrong[..wrong.len().min(5)]);
    assert_eq!(found.len(), wanted.len());
    let mut most: Vec<(String, u64)> = wanted.into_iter().collect();
    most.sort_by(|(a, m), (b, n)| (n, a).cmp(&(m, b)));
    assert_eq!(top, most[..10], "the ten most frequent");
}

#[test]
fn wordcount_is_exact_although_everything_is_killed_at_once() {
    wordcount_is_exact(600, Victims::AllAtOnce, Moments::Growth(50_000), (3, 40));
}

#[test]
fn wordcount_is_exact_although_everything_is_killed_one_after_the_other() {
    wordcount_is_exact(600, Victims::All, Moments::Growth(50_000), (3, 40));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn wordcount_over_20_000_files_is_exact_although_everything_is_killed_every_200_ms() {
    let every = Moments::Every(Duration::from_millis(200));
    wordcount_is_exact(20_000, Victims::All, every, (3, 300));
    wordcount_is_exact(20_000, Victims::AllAtOnce, every, (3, 300));
    wordcount_is_exact(20_000, Victims::Supervisor, every, (3, 300));
}
