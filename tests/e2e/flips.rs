//! Random bit flips and pages of garbage in the files that a living supervisor has mapped: it survives every one, ends the
//! run with clear words when it notices, and the next run begins. Without it, the tests of the queue alone would have to
//! stand for the process that lives on it.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use brigade_tests::{Dice, Ended, Run, Sandbox, is_alive, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::pipelines::endless;

/// How many flips one run takes at the most, if it does not notice before.
const OF_A_RUN: u64 = 500;
/// What is said of state of another version.
const OTHER_VERSION: &str = "this version of Brigade knows format";

/// The files that the supervisor has mapped.
fn mapped(run: &Run, sandbox: &Sandbox) -> Vec<(PathBuf, File)> {
    let maps = std::fs::read_to_string(format!("/proc/{}/maps", run.pid())).unwrap_or_default();
    let state = sandbox.state().display().to_string();
    let mut paths: Vec<PathBuf> =
        maps.lines().filter_map(|line| line.find(&state).map(|at| PathBuf::from(&line[at..]))).collect();
    paths.sort();
    paths.dedup();
    let open = |path: PathBuf| Some((path.clone(), OpenOptions::new().read(true).write(true).open(path).ok()?));
    paths.into_iter().filter_map(open).collect()
}

/// Flips one bit, mostly among the words that all go by, or sometimes writes a page of garbage.
fn harm(file: &File, dice: &mut Dice) {
    let len = file.metadata().expect("it is there").len();
    let end = dice.one_of(&[4096, 16 << 10, len]).min(len);
    if dice.once_in(50) {
        let garbage: Vec<u8> = (0..4096).map(|_| dice.throw() as u8).collect();
        let at = dice.below(end) & !4095;
        file.write_all_at(&garbage[..garbage.len().min((len - at) as usize)], at).expect("written");
    } else {
        let (at, mut byte) = (dice.below(end), [0]);
        file.read_exact_at(&mut byte, at).expect("read");
        file.write_all_at(&[byte[0] ^ 1 << dice.below(8)], at).expect("written");
    }
}

/// One run, until it notices. Gives the number of flips that it met alive.
fn harmed(sandbox: &Sandbox, dice: &mut Dice) -> (u64, Ended) {
    let mut run = sandbox.run(&endless("replicas = 2\nstop_timeout = \"200ms\"\nbackoff = \"1ms\""));
    // A picture of its own: until it answers, that of the run before is shown.
    let is_at_work = |it: Value| it["pid"] == run.pid() && it["queues"][1]["acked"] != 0;
    until("it is at work, or refuses", || !is_alive(run.pid()) || run.try_status().is_some_and(is_at_work));
    let files = mapped(&run, sandbox);
    assert!(!files.is_empty() || !is_alive(run.pid()), "it has mapped nothing");
    let mut flips = 0;
    while flips < OF_A_RUN && run.is_running() && !files.is_empty() {
        for _ in 0..25 {
            harm(&files[dice.below(files.len() as u64) as usize].1, dice);
        }
        // What it does with that: it is asked, and it sweeps.
        if dice.once_in(2) {
            let _ = run.try_status();
        }
        if dice.once_in(4)
            && let Some(victim) = run.processes().first()
        {
            let _ = kill(Pid::from_raw(victim.pid), Signal::SIGKILL);
        }
        flips += if run.is_running() { 25 } else { 0 };
    }
    if run.is_running() {
        sandbox.ask(&["stop", "--now"]);
    }
    let ended = run.wait();
    run.assert_nobody_left();
    (flips, ended)
}

/// No signal, no panic, and words for what was wrong.
fn assert_in_order(ended: &Ended, sandbox: &Sandbox) {
    let code = ended.code.unwrap_or_else(|| panic!("killed by {:?}:\n{}", ended.signal, ended.err));
    assert!([0, 1, 3, 4].contains(&code), "exit code {code}:\n{}", ended.err);
    let clear =
        [OTHER_VERSION, "is spoilt", "is damaged", "is kept as", "is not a usable", "gave up", "restarted too often"];
    assert!(code != 1 || clear.iter().any(|words| ended.err.contains(words)), "{}", ended.err);
    assert!(!ended.err.contains("brigade panicked") && !ended.err.contains("thread 'main'"), "{}", ended.err);
    let logs = std::fs::read_dir(sandbox.state().join("logs")).into_iter().flatten().flatten();
    for log in logs.filter(|log| log.file_name().to_string_lossy().starts_with("brigade")) {
        let text = std::fs::read_to_string(log.path()).unwrap_or_default();
        assert!(!text.contains("panicked"), "{}", log.path().display());
    }
}

#[test]
fn a_living_supervisor_survives_ten_thousand_flips_in_what_it_has_mapped() {
    let mut dice = Dice::new(0xF11B);
    let (mut flips, mut noticed, mut runs) = (0, 0, 0);
    let mut sandbox = Sandbox::new();
    while flips < 10_000 {
        let (met, ended) = harmed(&sandbox, &mut dice);
        assert_in_order(&ended, &sandbox);
        flips += met;
        noticed += u64::from(ended.err.contains("spoilt"));
        runs += 1;
        // What was put aside is the next one's as well, for a while. A format that was hit together with its checksum is
        // taken for one of another version, which every further run refuses.
        let is_refused = ended.err.contains(OTHER_VERSION);
        if runs % 5 == 0 || is_refused {
            sandbox = Sandbox::new();
        }
    }
    eprintln!("{flips} flips in {runs} runs, {noticed} of which noticed");
    assert!(noticed > 20, "hardly any noticed: {noticed} of {runs}");
    let ended = sandbox.run(&crate::pipelines::finite(5, &["bucket", "pass"], "")).wait();
    assert!(ended.code == Some(0) || ended.err.contains("run again"), "{}", ended.err);
}
