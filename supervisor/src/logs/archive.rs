//! Compresses log files that were put aside, and removes the oldest. Without it, logs would fill the disk in the course of
//! time; without a thread of its own, compressing would hold up the workers that write.
//!
//! A file is compressed beside the one that it comes from, brought to the disk, and only then given its name; the plain
//! one goes last. So after a death at any moment each file is there whole, as one or the other.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, SystemTime};

use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;

use super::rotate::Rotation;
use super::shelf::{self, Dropped};
use crate::config::plan::LogPlan;

/// Bytes that are compressed between two looks at what else there is to do.
const STEP: usize = 256 * 1024;
/// The longest time between two looks for files that have become too old.
const ROUND: Duration = Duration::from_secs(3600);
/// How long the end waits for a disk that does not answer.
const SLOW_DISK_WAIT: Duration = Duration::from_secs(5);

/// The thread that looks after old log files.
#[derive(Debug)]
pub struct Archive {
    rotation: Rotation,
    ending: Arc<AtomicBool>,
    bell: Sender<()>,
    /// Closed when the thread has ended.
    over: Receiver<()>,
}

impl Archive {
    /// Starts the thread, which first does what is left to do from an earlier run.
    ///
    /// # Errors
    /// When the system has no threads left.
    pub fn start(dir: &Path, plan: &LogPlan) -> io::Result<Self> {
        let (bell, rings) = mpsc::channel();
        let (alive, over) = mpsc::channel();
        let rotation =
            Rotation { max_bytes: plan.max_file_bytes, max_age: plan.max_file_age, bell: Some(bell.clone()) };
        let ending = Arc::new(AtomicBool::new(false));
        let mut keeper =
            Keeper { dir: dir.to_owned(), plan: plan.clone(), ending: Arc::clone(&ending), rings, full: false };
        thread::Builder::new().name("old logs".to_owned()).spawn(move || {
            keeper.run();
            drop(alive);
        })?;
        Ok(Self { rotation, ending, bell, over })
    }

    /// By which files are put aside so that this thread hears of it.
    pub fn rotation(&self) -> Rotation {
        self.rotation.clone()
    }
}

impl Drop for Archive {
    /// The limits are kept at the end as well; what is not compressed by then stays for the next run.
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        if self.bell.send(()).is_ok() && self.over.recv_timeout(SLOW_DISK_WAIT) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the disk does not answer; old logs may be more than allowed until the next run");
        }
    }
}

struct Keeper {
    dir: PathBuf,
    plan: LogPlan,
    ending: Arc<AtomicBool>,
    rings: Receiver<()>,
    /// The last file could not be compressed, which was said.
    full: bool,
}

/// A file that was put aside, in whichever form.
#[derive(Clone, Debug)]
struct Old {
    stage: String,
    number: u64,
    bytes: u64,
    written: SystemTime,
    is_plain: bool,
    /// It was compressed, and its plain form not removed yet.
    is_double: bool,
}

/// What there is, and how much of it.
#[derive(Debug, Default)]
struct Stock {
    /// By stage, the oldest first.
    old: BTreeMap<String, Vec<Old>>,
    /// Of all files, also of those that are written to.
    bytes: u64,
}

impl Keeper {
    fn run(&mut self) {
        // Workers go first, or where sessions share the processor at least our own threads. If it fails it is no great harm.
        let _ = rustix::process::nice(10);
        self.remove_halves();
        loop {
            // Asked first, so that at the end all that was written is counted.
            let is_last = self.is_ending();
            let stock = self.tidy();
            if is_last {
                return;
            }
            let next = stock.old.values().flatten().filter(|old| old.is_plain).min_by_key(|old| old.written).cloned();
            if self.plan.compress
                && let Some(next) = next
                && (self.compress(&next) || self.is_ending())
            {
                continue;
            }
            match self.rings.recv_timeout(self.patience(&stock)) {
                Ok(()) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    /// Until the oldest file is too old.
    fn patience(&self, stock: &Stock) -> Duration {
        let oldest = stock.old.values().flatten().map(|old| old.written).min();
        let left = oldest.map_or(ROUND, |written| self.plan.keep_age.saturating_sub(age(written)));
        // Not at once again, should a file withstand its removal.
        left.clamp(Duration::from_secs(1), ROUND)
    }

    /// What a process that died while it compressed has left.
    fn remove_halves(&self) {
        for half in shelf::all(&self.dir).into_iter().flat_map(BTreeMap::into_values).flat_map(|shelf| shelf.halves) {
            let _ = fs::remove_file(half);
        }
    }

    /// Removes what is too old or too much.
    fn tidy(&self) -> Stock {
        // Without a folder there is nothing to do; whoever writes to it says so.
        let mut stock = self.stock().unwrap_or_default();
        for old in stock.old.values().flatten().filter(|old| old.is_double) {
            let _ = fs::remove_file(shelf::plain(&self.dir, &old.stage, old.number));
        }
        let keep = usize::try_from(self.plan.keep_files).unwrap_or(usize::MAX);
        for files in stock.old.values_mut() {
            let many = files.len().saturating_sub(keep);
            let aged = files.iter().take_while(|old| age(old.written) >= self.plan.keep_age).count();
            for old in files.drain(..many.max(aged)) {
                stock.bytes -= self.remove(&old);
            }
        }
        // Whoever has most gives, so that a worker that floods drives out nobody's words but its own.
        while stock.bytes > self.plan.max_total_bytes {
            let size = |files: &Vec<Old>| files.iter().map(|old| old.bytes).sum::<u64>();
            let Some(most) = stock.old.values_mut().filter(|files| !files.is_empty()).max_by_key(|files| size(files))
            else {
                break;
            };
            let removed = self.remove(&most.remove(0));
            stock.bytes -= removed;
        }
        stock
    }

    fn stock(&self) -> io::Result<Stock> {
        let mut stock = Stock::default();
        for (stage, found) in shelf::all(&self.dir)? {
            stock.bytes += fs::metadata(shelf::live(&self.dir, &stage)).map_or(0, |meta| meta.len());
            let mut files = Vec::new();
            for (number, forms) in found.old {
                let path = if forms.gzip { shelf::gzip } else { shelf::plain }(&self.dir, &stage, number);
                // Gone in the meantime: somebody else has removed it.
                let Ok(meta) = fs::metadata(path) else { continue };
                stock.bytes += meta.len();
                files.push(Old {
                    stage: stage.clone(),
                    number,
                    bytes: meta.len(),
                    written: meta.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                    is_plain: !forms.gzip,
                    is_double: forms.gzip && forms.plain,
                });
            }
            stock.old.insert(stage, files);
        }
        Ok(stock)
    }

    /// Gives the bytes that it took.
    fn remove(&self, old: &Old) -> u64 {
        let Old { stage, number, bytes, written, .. } = old;
        let known = Dropped::of(&self.dir, stage).map_or(0, |dropped| dropped.number);
        let last = Timestamp::try_from(*written).unwrap_or(Timestamp::UNIX_EPOCH);
        // On a full disk there may be no room to write this down: making room matters more.
        let _ = Dropped { number: known.max(*number), at: Timestamp::now(), last }.keep(&self.dir, stage);
        let form = if old.is_plain { shelf::plain } else { shelf::gzip };
        match fs::remove_file(form(&self.dir, stage, *number)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!("logs of stage {stage}: cannot remove file {number}: {error}");
            }
            Ok(()) | Err(_) => {}
        }
        *bytes
    }

    /// False when it could not be done; then the file stays as it is.
    fn compress(&mut self, old: &Old) -> bool {
        match self.try_compress(old) {
            Ok(()) => self.full = false,
            Err(error) => {
                let _ = fs::remove_file(shelf::half(&self.dir, &old.stage, old.number));
                if error.kind() == io::ErrorKind::NotFound {
                    return true; // It became too old or too much meanwhile, or the folder was removed.
                }
                if !std::mem::replace(&mut self.full, true) && !self.is_ending() {
                    tracing::warn!("logs of stage {}: cannot compress file {}: {error}", old.stage, old.number);
                }
                return false;
            }
        }
        true
    }

    fn try_compress(&self, Old { stage, number, written, .. }: &Old) -> io::Result<()> {
        let (plain, half) = (shelf::plain(&self.dir, stage, *number), shelf::half(&self.dir, stage, *number));
        let mut from = File::open(&plain)?;
        let to = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&half)?;
        let mut encoder = GzEncoder::new(to, Compression::fast());
        let mut chunk = vec![0; STEP];
        loop {
            let count = from.read(&mut chunk)?;
            if count == 0 {
                break;
            }
            encoder.write_all(&chunk[..count])?;
            // Whoever floods puts aside faster than this compresses, and the limits hold all the same.
            if self.rings.try_iter().count() > 0 {
                self.tidy();
            }
            if self.is_ending() {
                return Err(io::ErrorKind::Interrupted.into());
            }
        }
        let to = encoder.finish()?;
        to.set_modified(*written)?;
        to.sync_all()?;
        if !plain.exists() {
            return Err(io::ErrorKind::NotFound.into());
        }
        fs::rename(half, shelf::gzip(&self.dir, stage, *number))?;
        fs::remove_file(plain)
    }
}

fn age(written: SystemTime) -> Duration {
    written.elapsed().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use flate2::read::GzDecoder;

    use super::*;

    fn keeper(dir: &Path, plan: LogPlan) -> Keeper {
        let (_, rings) = mpsc::channel();
        Keeper { dir: dir.to_owned(), plan, ending: Arc::default(), rings, full: false }
    }

    /// Old files of a stage, each of so many bytes and a minute younger than the one before it.
    fn put(dir: &Path, stage: &str, numbers: std::ops::RangeInclusive<u64>, bytes: usize) {
        for number in numbers {
            fs::write(shelf::plain(dir, stage, number), vec![b'x'; bytes]).expect("it is written");
            let minutes = Duration::from_secs(60 * (100 - number));
            let file = File::options().append(true).open(shelf::plain(dir, stage, number)).expect("it is there");
            file.set_modified(SystemTime::now() - minutes).expect("it is ours");
        }
    }

    fn left(dir: &Path, stage: &str) -> Vec<u64> {
        shelf::Shelf::of(dir, stage).expect("it can be read").old.into_keys().collect()
    }

    fn until(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !holds() {
            assert!(Instant::now() < deadline, "in vain: {what}");
            thread::yield_now();
        }
    }

    #[test]
    fn the_oldest_go_when_they_are_too_many_or_too_old_which_is_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        fs::write(dir.path().join("hash.log"), "x").expect("it is written");
        put(dir.path(), "hash", 90..=97, 10);
        let keep_age = Duration::from_secs(60 * 60);
        keeper(dir.path(), LogPlan { keep_files: 5, keep_age, ..LogPlan::default() }).tidy();
        assert_eq!(left(dir.path(), "hash"), [93, 94, 95, 96, 97]);
        assert_eq!(Dropped::of(dir.path(), "hash").map(|dropped| dropped.number), Some(92));
        let keep_age = Duration::from_secs(4 * 60 + 30);
        keeper(dir.path(), LogPlan { keep_age, ..LogPlan::default() }).tidy();
        assert_eq!(left(dir.path(), "hash"), [96, 97]);
        let dropped = Dropped::of(dir.path(), "hash").expect("it is remembered");
        assert_eq!((dropped.number, dropped.at.duration_since(dropped.last).as_secs() / 60), (95, 5));
        assert!(dir.path().join("hash.log").exists());
    }

    #[test]
    fn whoever_has_most_gives_until_all_of_it_is_little_enough() {
        let dir = tempfile::tempdir().expect("a directory");
        put(dir.path(), "quiet", 1..=2, 1000);
        put(dir.path(), "flood", 50..=59, 1000);
        fs::write(dir.path().join("flood.log"), vec![b'x'; 500]).expect("it is written");
        let stock = keeper(dir.path(), LogPlan { max_total_bytes: 5000, ..LogPlan::default() }).tidy();
        assert_eq!((left(dir.path(), "quiet").len(), left(dir.path(), "flood")), (2, vec![58, 59]));
        assert_eq!(stock.bytes, 4500);
    }

    #[test]
    fn old_files_are_compressed_and_what_a_death_left_is_put_right() {
        let dir = tempfile::tempdir().expect("a directory");
        put(dir.path(), "hash", 1..=3, 100_000);
        let text = "line\n".repeat(100_000);
        fs::write(shelf::plain(dir.path(), "hash", 3), &text).expect("it is written");
        let when = fs::metadata(shelf::plain(dir.path(), "hash", 2)).and_then(|meta| meta.modified()).expect("known");
        // Killed before the name, and between the name and the end of the plain file.
        fs::write(shelf::half(dir.path(), "hash", 1), "half").expect("it is written");
        assert!(keeper(dir.path(), LogPlan::default()).compress(&Old {
            stage: "hash".to_owned(),
            number: 2,
            bytes: 0,
            written: when,
            is_plain: true,
            is_double: false,
        }));
        put(dir.path(), "hash", 2..=2, 100_000);
        let archive = Archive::start(dir.path(), &LogPlan::default()).expect("it starts");
        let names = || {
            let all = fs::read_dir(dir.path()).expect("it is there");
            let mut names: Vec<_> = all.map(|entry| entry.expect("it is there").file_name()).collect();
            names.sort();
            names
        };
        until("all are compressed", || names() == ["hash.log.1.gz", "hash.log.2.gz", "hash.log.3.gz"]);
        drop(archive);
        let mut read = String::new();
        let gzip = File::open(shelf::gzip(dir.path(), "hash", 3)).expect("it is there");
        GzDecoder::new(gzip).read_to_string(&mut read).expect("it is whole");
        assert!(read == text);
        let gzip = fs::metadata(shelf::gzip(dir.path(), "hash", 2)).expect("it is there");
        assert_eq!(gzip.modified().expect("known"), when, "its age is that of its last line");
    }

    #[test]
    fn the_end_waits_for_no_compression_but_the_limits_hold() {
        let dir = tempfile::tempdir().expect("a directory");
        put(dir.path(), "hash", 1..=30, 10);
        let plan = LogPlan { compress: false, ..LogPlan::default() };
        drop(Archive::start(dir.path(), &plan).expect("it starts"));
        assert_eq!(left(dir.path(), "hash").len(), 20);
    }
}
