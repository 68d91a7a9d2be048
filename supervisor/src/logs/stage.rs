//! The log file of one stage as the reading thread sees it: written to, or stuck. Without it, a full disk would end the
//! supervisor or lose lines in silence.

use std::io;
use std::path::Path;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};
use jiff::Timestamp;
use mio::Token;

use super::record::{Level, Record, Source, Stream};
use super::rotate::{RotatingFile, Rotation, Trouble};

/// Between two attempts to write a file that could not be written.
const RETRY: Duration = Duration::from_millis(500);
/// Bytes that are gathered at most before they are written, but for one record; a fourth of a file if that is less, so
/// that files do not come out longer than they may be by much.
const MOST: u64 = 256 * 1024;

/// The file of one stage. While it cannot be written it is *stuck*: what could not be written is kept, and nothing more
/// may be read for it. When that lasts too long, lines are dropped and counted until there is room, so that its workers
/// go on; the count then is a line of the log.
#[derive(Debug)]
pub(super) struct StageLog {
    name: String,
    file: RotatingFile,
    /// Bytes that are gathered before they are written.
    most: u64,
    /// How long it may be stuck.
    patience: Duration,
    trouble: Option<Stuck>,
    /// Sources that have their turn when it is not stuck any more.
    pub(super) waiting: Vec<Token>,
    /// The last chance: what cannot be written now is dropped and counted.
    leaving: bool,
    dropped: u64,
}

#[derive(Clone, Copy, Debug)]
struct Stuck {
    since: Instant,
    retry: Instant,
    dropping: bool,
}

impl StageLog {
    /// Makes the file at once, so that `brigade logs` knows the stage before its first line. A failure shows at that
    /// line.
    pub(super) fn open(dir: &Path, name: &str, rotation: Rotation, patience: Duration) -> Self {
        let most = MOST.min(rotation.max_bytes / 4);
        let file = RotatingFile::open(dir, name, rotation.clone())
            .unwrap_or_else(|_| RotatingFile::closed(dir, name, rotation));
        let (name, waiting) = (name.to_owned(), Vec::new());
        Self { name, file, most, patience, trouble: None, waiting, leaving: false, dropped: 0 }
    }

    /// When to try again; `None` when it can be written.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.trouble.map(|stuck| stuck.retry)
    }

    /// Whether nothing may be read for it.
    pub(super) fn is_stuck(&self) -> bool {
        self.trouble.is_some_and(|stuck| !stuck.dropping)
    }

    /// Gathers a record for the next flush.
    pub(super) fn put(&mut self, record: &Record) {
        if self.trouble.is_some_and(|stuck| stuck.dropping) {
            self.dropped += 1;
            return;
        }
        record.write_to(self.file.buffer());
        if self.file.buffer().len() as u64 > self.most {
            self.flush();
        }
    }

    /// Writes what was gathered, or gets stuck, which it reports once. Does nothing while it is stuck.
    pub(super) fn flush(&mut self) {
        if self.trouble.is_none() {
            self.write();
        }
    }

    /// Tries once more to write what could not be written.
    pub(super) fn write(&mut self) {
        let result = self.file.flush();
        let name = &self.name;
        match self.file.trouble() {
            Some(Trouble::Removed) => {
                tracing::warn!("logs of stage {name}: somebody has removed the file; a new one is begun");
            }
            Some(Trouble::NotPutAside(error)) => {
                tracing::warn!(
                    "logs of stage {name}: the file is full or old and cannot be put aside, so it grows: {error}"
                );
            }
            None => {}
        }
        match result {
            Ok(()) if self.trouble.take().is_some() => self.go_on(),
            Ok(()) => {}
            Err(error) if self.leaving => {
                let lines = self.file.give_up();
                if self.dropped == 0 {
                    tracing::warn!("logs of stage {name}: {error}; what its workers still say is lost");
                }
                self.dropped += lines;
            }
            Err(error) => self.get_stuck(&error),
        }
    }

    fn get_stuck(&mut self, error: &io::Error) {
        let (now, name, patience) = (Instant::now(), &self.name, self.patience);
        let (since, dropping) = self.trouble.map_or((now, false), |stuck| (stuck.since, stuck.dropping));
        let give_in = !dropping && now.duration_since(since) >= patience;
        if give_in {
            tracing::error!(
                "logs of stage {name}: {error}; lines of its workers are dropped and counted until there is room"
            );
        } else if self.trouble.is_none() {
            tracing::warn!("logs of stage {name}: {error}; its workers wait until there is room, {patience:?} at most");
        }
        self.trouble = Some(Stuck { since, retry: now + RETRY, dropping: dropping || give_in });
    }

    fn go_on(&mut self) {
        tracing::warn!("logs of stage {}: they can be written again", self.name);
        if self.dropped > 0 {
            let words = lost(std::mem::take(&mut self.dropped));
            tracing::error!("logs of stage {}: {words}", self.name);
            let (stage, worker) = (self.name.clone(), self.name.clone());
            let (post, incarnation, stream) = (Post(0), Incarnation::NONE, Stream::Log);
            let source = Source { stage, worker, post, incarnation, stream };
            self.put(&Record::new(&source, Timestamp::now(), Level::Error, words));
            self.flush();
        }
    }

    /// From now on, what cannot be written is dropped and counted.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.write();
        self.trouble = None;
    }

    /// Names what was dropped.
    pub(super) fn close(mut self) {
        self.flush();
        if self.dropped > 0 {
            tracing::error!("logs of stage {}: {}", self.name, lost(self.dropped));
        }
    }
}

/// That so many lines are lost, in words.
fn lost(lines: u64) -> String {
    match lines {
        1 => "1 line could not be written and is lost".to_owned(),
        lines => format!("{lines} lines could not be written and are lost"),
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::sync::Mutex;

    use super::*;

    fn record(message: &str) -> Record {
        let (stage, worker) = ("hash".to_owned(), "hash/0".to_owned());
        let source = Source { stage, worker, post: Post(1), incarnation: Incarnation(1), stream: Stream::Stdout };
        Record::new(&source, Timestamp::now(), Level::Info, message.to_owned())
    }

    #[test]
    fn a_full_disk_is_reported_once_and_what_is_lost_in_the_end_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let (path, said) = (dir.path().join("hash.log"), dir.path().join("said"));
        symlink("/dev/full", &path).expect("a link");
        let console = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .with_writer(Mutex::new(File::create(&said).expect("a file")))
            .finish();
        tracing::subscriber::with_default(console, || {
            let open = || StageLog::open(dir.path(), "hash", Rotation::default(), Duration::from_secs(60));
            let mut log = open();
            log.put(&record("one"));
            log.flush();
            assert!(log.is_stuck());
            log.write();
            fs::remove_file(&path).expect("there is room");
            log.write();
            assert!(!log.is_stuck() && log.retry().is_none());
            drop(log);
            fs::remove_file(&path).expect("it was written");
            symlink("/dev/full", &path).expect("a link");
            let mut log = open();
            log.put(&record("two"));
            log.flush();
            log.leave();
            log.put(&record("three"));
            log.put(&record("four"));
            log.close();
        });
        let said = fs::read_to_string(said).expect("it is there");
        let lines: Vec<_> = said.lines().map(str::trim).collect();
        let full = "WARN logs of stage hash: No space left on device (os error 28)";
        assert_eq!(
            lines,
            [
                format!("{full}; its workers wait until there is room, 60s at most").as_str(),
                "WARN logs of stage hash: they can be written again",
                format!("{full}; its workers wait until there is room, 60s at most").as_str(),
                format!("{full}; what its workers still say is lost").as_str(),
                "ERROR logs of stage hash: 3 lines could not be written and are lost",
            ]
        );
    }

    #[test]
    fn when_it_lasts_too_long_lines_are_dropped_and_their_count_is_a_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        symlink("/dev/full", &path).expect("a link");
        let mut log = StageLog::open(dir.path(), "hash", Rotation::default(), Duration::ZERO);
        log.put(&record("kept"));
        log.flush();
        assert!(!log.is_stuck() && log.retry().is_some());
        for _ in 0..3 {
            log.put(&record("dropped"));
            log.flush();
        }
        fs::remove_file(&path).expect("there is room");
        log.write();
        log.put(&record("on we go"));
        log.flush();
        let text = fs::read_to_string(&path).expect("it is there");
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        let messages: Vec<_> = records.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(messages, ["kept", "3 lines could not be written and are lost", "on we go"]);
        assert_eq!((records[1].worker.as_str(), records[1].level), ("hash", Level::Error));
    }
}
