//! What came out of a storm, against what went in.

use std::io::{BufRead, BufReader};
use std::path::Path;

use brigade_tests::size_in_storm;

/// Checks that the lines of the sink's file are items `0..n`, each once and with its size; in order, if that is promised.
#[track_caller]
pub fn assert_exact(path: &Path, seed: u64, n: u64, in_order: bool) {
    let file = std::fs::File::open(path).expect("the sink has made its file");
    let mut times = vec![0u8; n as usize];
    let (mut foreign, mut disordered, mut last) = (Vec::new(), Vec::new(), None);
    for line in BufReader::new(file).lines() {
        let line = line.expect("the sink writes text");
        let numbers =
            line.split_once(' ').and_then(|(n, len)| Some((n.parse::<u64>().ok()?, len.parse::<usize>().ok()?)));
        let known = numbers.filter(|(item, len)| *item < n && *len == size_in_storm(seed, *item));
        let Some((item, _)) = known else {
            foreign.push(line);
            continue;
        };
        times[item as usize] = times[item as usize].saturating_add(1);
        if last.is_some_and(|last| item < last) {
            disordered.push((last.unwrap_or(0), item));
        }
        last = Some(item);
    }
    let having = |fits: fn(u8) -> bool| -> Vec<usize> {
        times.iter().enumerate().filter(|(_, times)| fits(**times)).map(|(item, _)| item).collect()
    };
    let (lost, doubles) = (having(|times| times == 0), having(|times| times > 1));
    assert!(
        lost.is_empty() && doubles.is_empty() && foreign.is_empty(),
        "seed {seed}, {n} items: {} lost {:?}, {} doubles {:?}, {} foreign lines {:?}",
        lost.len(),
        &lost[..lost.len().min(20)],
        doubles.len(),
        &doubles[..doubles.len().min(20)],
        foreign.len(),
        &foreign[..foreign.len().min(20)],
    );
    assert!(!in_order || disordered.is_empty(), "seed {seed}: out of order (last, next): {disordered:?}");
}
