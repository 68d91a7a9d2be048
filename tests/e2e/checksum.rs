//! The example `checksum` against `sha256sum`, undisturbed and while its workers are killed.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use brigade_tests::{Run, Sandbox, holds_for_a_while, nasty_tree, workspace};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The lines of `sha256sum` over a tree, each with its line break.
pub(crate) fn expected(root: &Path) -> Vec<Vec<u8>> {
    let mut find = Command::new("sh");
    find.args(["-c", "find \"$1\" -type f -print0 | xargs -0 sha256sum", "sh"]).arg(root);
    let output = find.output().expect("find and sha256sum are there");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    sorted(&output.stdout)
}

pub(crate) fn sorted(text: &[u8]) -> Vec<Vec<u8>> {
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    lines.sort();
    lines
}

pub(crate) fn checksum(sandbox: &Sandbox, hash: &str) -> String {
    let example = std::fs::read_to_string(workspace().join("examples/checksum/pipeline.toml")).expect("the example");
    let wanted = "replicas = \"cpus\"         # one process per core\n";
    assert!(example.contains(wanted), "the example has changed: adapt this test");
    let example = example.replace(wanted, &format!("replicas = 4\n{hash}"));
    let manifest = sandbox.path("manifest");
    example
        .replace("\"checksums.txt\"", &format!("{manifest:?}"))
        .replace("\".\"", &format!("{:?}", sandbox.path("tree")))
}

#[test]
fn the_manifest_equals_that_of_sha256sum_on_a_nasty_tree() {
    the_manifest_equals_that_of_sha256sum(2_000);
}

#[test]
fn the_manifest_is_left_out_and_sha256sum_checks_all_that_it_lists() {
    let sandbox = Sandbox::new();
    std::fs::create_dir(sandbox.path("tree")).expect("a folder");
    sandbox.write("tree/one", "1");
    // As for a second run: it is there before the first file is read.
    let manifest = sandbox.write("tree/manifest", "");
    let text = checksum(&sandbox, "").replace(&format!("{:?}", sandbox.path("manifest")), &format!("{manifest:?}"));
    sandbox.run(&text).wait().with_code(0);
    let mut check = Command::new("sha256sum");
    let said = Sandbox::say({
        check.arg("-c").arg(&manifest);
        check
    });
    let all = format!("{}: OK\n", sandbox.path("tree/one").display());
    assert_eq!((said.code, said.out), (Some(0), all), "{}", said.err);
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn the_manifest_equals_that_of_sha256sum_on_20_000_files() {
    the_manifest_equals_that_of_sha256sum(20_000);
}

fn the_manifest_equals_that_of_sha256sum(files: usize) {
    let sandbox = Sandbox::new();
    let files = nasty_tree(&sandbox.path("tree"), files) as u64;
    let mut run = sandbox.run(&checksum(&sandbox, ""));
    let report = run.wait().with_code(0);
    let manifest = std::fs::read(sandbox.path("manifest")).expect("a manifest");
    assert!(sorted(&manifest) == expected(&sandbox.path("tree")), "the manifest differs from that of sha256sum");
    assert_eq!(report.verdict, "complete");
    for queue in ["paths", "sums"] {
        let numbers = &report.queues[queue];
        assert_eq!((numbers.sent, numbers.acked, numbers.left, numbers.dead), (files, files, 0, 0), "{queue}");
    }
    assert_eq!(report.stages["hash"].processed, files);
    assert_eq!(report.stages["report"].processed, files);
    run.assert_nobody_left();
}

/// A small generator of numbers: the same storm for the same seed.
fn next(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

/// Kills a `hash` at random, one `every` so often, for as long as the run lasts, `most` at the most. Gives the number of
/// kills.
fn storm(run: &mut Run, every: Duration, most: u64) -> u64 {
    let (mut seed, mut kills) = (0x9E37_79B9_7F4A_7C15, 0);
    let begun = Instant::now();
    while run.is_running() {
        assert!(begun.elapsed() < Duration::from_secs(300), "the run does not end");
        let hashes: Vec<_> =
            run.processes().into_iter().filter(|process| process.worker.starts_with("hash/")).collect();
        if !hashes.is_empty() && kills < most {
            let victim = &hashes[(next(&mut seed) % hashes.len() as u64) as usize];
            kills += u64::from(kill(Pid::from_raw(victim.pid), Signal::SIGKILL).is_ok());
        }
        holds_for_a_while(every, || true);
    }
    kills
}

#[test]
fn every_line_is_there_once_although_workers_are_killed() {
    every_line_is_there_once_in_a_storm(2_000, Duration::from_millis(4));
}

#[test]
#[ignore = "slow: run by .ci/slow"]
fn every_line_of_20_000_is_there_once_although_a_worker_is_killed_every_50_ms() {
    every_line_is_there_once_in_a_storm(20_000, Duration::from_millis(50));
}

fn every_line_is_there_once_in_a_storm(files: usize, every: Duration) {
    let sandbox = Sandbox::new();
    nasty_tree(&sandbox.path("tree"), files);
    let unlimited = "max_restarts = \"unlimited\"\nbackoff = \"10ms\"\nbackoff_max = \"50ms\"\n";
    let text =
        checksum(&sandbox, unlimited).replace("[queues.paths]", "[queues.paths]\nmax_deliveries = \"unlimited\"");
    let mut run = sandbox.run(&text);
    let kills = storm(&mut run, every, 400);
    let report = run.wait().with_code(0);
    eprintln!("{files} files, {kills} kills, {} restarts", report.stages["hash"].restarts);
    let manifest = std::fs::read(sandbox.path("manifest")).expect("a manifest");
    let (found, wanted) = (sorted(&manifest), expected(&sandbox.path("tree")));
    assert!(found == wanted, "{} lines instead of {}", found.len(), wanted.len());
    assert!(kills > 0, "nobody was killed: the tree is too small for this machine");
    // A kill at the very end needs no restart any more, and one in a start is one all the same.
    let restarts = report.stages["hash"].restarts;
    assert!(restarts > 0 && restarts <= kills, "{kills} kills and {restarts} restarts");
    assert_eq!(report.queues["paths"].left + report.queues["sums"].left, 0);
    run.assert_nobody_left();
}
