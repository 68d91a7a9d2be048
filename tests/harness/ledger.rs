//! The ledger: files to which test workers append what they did, a line at a time, so that a test can check the fate of
//! every item, whoever was killed.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// Names the ledger to a worker.
const LEDGER_ENV: &str = "LEDGER";

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Such as `sink/0`.
    pub worker: String,
    /// Which run of it.
    pub incarnation: u32,
    /// Its process.
    pub pid: i32,
    /// What it did, such as `took`.
    pub deed: String,
    /// With which item.
    pub item: u64,
}

/// The reader's side.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
}

impl Ledger {
    /// At this path; it need not be there yet.
    pub fn at(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// All lines so far. What somebody is still writing, or was killed while writing, does not count.
    pub fn entries(&self) -> Vec<Entry> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        whole.lines().filter_map(parse).collect()
    }

    /// How often each item met this deed.
    pub fn times(&self, deed: &str) -> BTreeMap<u64, u64> {
        let mut times = BTreeMap::new();
        for entry in self.entries().into_iter().filter(|entry| entry.deed == deed) {
            *times.entry(entry.item).or_insert(0) += 1;
        }
        times
    }

    /// How many lines have this deed.
    pub fn count(&self, deed: &str) -> usize {
        self.entries().iter().filter(|entry| entry.deed == deed).count()
    }

    /// Checks that items `0..n` met this deed at least once, and no others did.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn assert_each(&self, deed: &str, n: u64) {
        let times = self.times(deed);
        let missing: Vec<u64> = (0..n).filter(|item| !times.contains_key(item)).collect();
        assert!(missing.is_empty(), "items {missing:?} were never {deed}");
        assert_eq!(times.len() as u64, n, "items beyond {n} were {deed}");
    }

    /// Checks that items `0..n` met this deed exactly once, and no others did.
    ///
    /// # Panics
    ///
    /// If not.
    #[track_caller]
    pub fn assert_once(&self, deed: &str, n: u64) {
        self.assert_each(deed, n);
        let twice: Vec<_> = self.times(deed).into_iter().filter(|(_, times)| *times > 1).collect();
        assert!(twice.is_empty(), "items were {deed} more than once: {twice:?}");
    }
}

fn parse(line: &str) -> Option<Entry> {
    let mut words = line.split(' ');
    let entry = Entry {
        worker: words.next()?.to_owned(),
        incarnation: words.next()?.parse().ok()?,
        pid: words.next()?.parse().ok()?,
        deed: words.next()?.to_owned(),
        item: words.next()?.parse().ok()?,
    };
    (words.next() == Some(".")).then_some(entry)
}

/// The worker's side: appends one line, in one write, to the file that `LEDGER` names, if it names one.
///
/// # Panics
///
/// When that fails.
pub fn note(deed: &str, item: u64) {
    let Some(path) = std::env::var_os(LEDGER_ENV) else { return };
    let var = |name| std::env::var(name).unwrap_or_default();
    let (worker, incarnation) = (var("BRIGADE_WORKER"), var("BRIGADE_INCARNATION"));
    // A line break before it as well: the line of somebody who is killed in the middle of it is nobody else's.
    let line = format!("\n{worker} {incarnation} {} {deed} {item} .\n", std::process::id());
    let mut file = OpenOptions::new().create(true).append(true).open(path).expect("the ledger opens");
    file.write_all(line.as_bytes()).expect("the ledger takes a line");
}

/// For the worker: it dies at the point of the queue that `DIE_AT` names, and stands still at that of `STAND_STILL_AT`
/// (both as `BRIGADE_CRASH` is written), in the first run of its post only. What was meant for the supervisor and was
/// inherited from it does not count.
///
/// # Panics
///
/// When the program cannot start itself anew with the environment that this needs.
pub fn crash_only_in_the_first_run() {
    const MEANT: [(&str, &str); 2] = [("DIE_AT", "BRIGADE_CRASH"), ("STAND_STILL_AT", "BRIGADE_PAUSE")];
    const SETTLED: &str = "CRASHES_SETTLED";
    let names = MEANT.iter().flat_map(|(wish, variable)| [*wish, *variable]);
    if std::env::var_os(SETTLED).is_some() || names.clone().all(|name| std::env::var_os(name).is_none()) {
        return;
    }
    let first = std::env::var("BRIGADE_INCARNATION").is_ok_and(|incarnation| incarnation == "1");
    let mut again = std::process::Command::new(std::env::current_exe().expect("a program knows its own path"));
    again.args(std::env::args_os().skip(1)).env(SETTLED, "1");
    for (wish, variable) in MEANT {
        again.env_remove(variable);
        if let Some(value) = std::env::var_os(wish).filter(|_| first) {
            again.env(variable, value);
        }
    }
    panic!("cannot start anew: {}", again.exec());
}
