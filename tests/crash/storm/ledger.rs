//! What came out of a storm, against what went in.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::path::Path;

use brigade_protocol::id::ItemKey;
use brigade_tests::size_in_storm;

/// What is promised of the lines.
#[derive(Clone, Copy, Debug)]
pub struct Promise {
    /// So many items went in.
    pub items: u64,
    /// So many lines came out again, because a plain stage had sent an item and died before its ack. 0: none.
    pub again: u64,
    /// The items of each source are in order, if their numbers are the same modulo this. 0: no order is promised.
    pub classes: u64,
}

/// The number of the first item of the second source.
pub const OTHERS: u64 = 1 << 40;

/// How often each item of one source was there, by its number, and which one was the last.
#[derive(Default)]
struct Source {
    times: Vec<u8>,
    /// Of each class.
    last: [Option<u64>; 2],
}

/// Number, size and key of an item.
fn read(line: &str) -> Option<(u64, usize, ItemKey)> {
    let mut words = line.split(' ');
    let item = (words.next()?.parse().ok()?, words.next()?.parse().ok()?, words.next()?.parse().ok()?);
    words.next().is_none().then_some(item)
}

/// Checks that the lines of the sink's file are items from 0 and from [`OTHERS`] on, so many in all, each once and with its
/// size, but for those that came again; those of each class of each source in order, if that is promised.
/// No two lines have the same key.
#[track_caller]
pub fn assert_exact(path: &Path, seed: u64, promise: Promise) {
    let Promise { items: n, again, classes } = promise;
    let file = std::fs::File::open(path).expect("the sink has made its file");
    let mut sources = [Source::default(), Source::default()];
    let (mut foreign, mut disordered) = (Vec::new(), Vec::new());
    let (mut keys, mut lines) = (HashSet::new(), 0);
    for line in BufReader::new(file).lines() {
        let line = line.expect("the sink writes text");
        let known = read(&line).filter(|(item, len, _)| item % OTHERS < n && *len == size_in_storm(seed, *item));
        let Some((item, _, key)) = known else {
            foreign.push(line);
            continue;
        };
        lines += 1;
        keys.insert(key);
        let (Source { times, last }, item) = (&mut sources[usize::from(item >= OTHERS)], item % OTHERS);
        times.resize(times.len().max(item as usize + 1), 0);
        times[item as usize] = times[item as usize].saturating_add(1);
        let last = &mut last[(item % classes.max(1)) as usize];
        if let Some(last) = last.replace(item).filter(|last| item < *last) {
            disordered.push((last, item));
        }
    }
    let all = || sources.iter().flat_map(|source| source.times.iter().enumerate());
    let having = |fits: fn(u8) -> bool| -> Vec<usize> {
        all().filter(|(_, times)| fits(**times)).map(|(item, _)| item).collect()
    };
    let (lost, doubles) = (having(|times| times == 0), having(|times| times > 1));
    let surplus: u64 = all().map(|(_, times)| u64::from(times.saturating_sub(1))).sum();
    assert!(
        lost.is_empty() && all().count() as u64 == n && surplus == again && foreign.is_empty(),
        "seed {seed}, {n} items, {} found: {} lost {:?}, {surplus} again instead of {again} {:?}, {} foreign lines {:?}",
        all().count(),
        lost.len(),
        &lost[..lost.len().min(20)],
        &doubles[..doubles.len().min(20)],
        foreign.len(),
        &foreign[..foreign.len().min(20)],
    );
    assert_eq!(keys.len(), lines, "seed {seed}: a key was given to several items");
    assert!(classes == 0 || disordered.is_empty(), "seed {seed}: out of order (last, next): {disordered:?}");
}
