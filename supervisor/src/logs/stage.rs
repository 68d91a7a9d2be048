//! The log file of one stage as the reading thread sees it: written to, or stuck. Without it, a full disk would end the
//! supervisor or lose lines in silence.

use std::path::Path;
use std::time::{Duration, Instant};

use mio::Token;

use super::record::Record;
use super::rotate::{RotatingFile, Rotation};

/// Between two attempts to write a file that could not be written.
const RETRY: Duration = Duration::from_millis(500);

/// The file of one stage. While it cannot be written it is *stuck*: what could not be written is kept, and nothing more
/// may be read for it.
#[derive(Debug)]
pub(super) struct StageLog {
    name: String,
    file: RotatingFile,
    retry: Option<Instant>,
    /// Sources that have their turn when it is not stuck any more.
    pub(super) waiting: Vec<Token>,
    /// The last chance: what cannot be written now is dropped and counted.
    leaving: bool,
    dropped: u64,
}

impl StageLog {
    /// Makes the file at once, so that `brigade logs` knows the stage before its first line. A failure shows at that
    /// line.
    pub(super) fn open(dir: &Path, name: &str, rotation: Rotation) -> Self {
        let path = dir.join(format!("{name}.log"));
        let file = RotatingFile::open(&path, rotation).unwrap_or_else(|_| RotatingFile::closed(&path, rotation));
        Self { name: name.to_owned(), file, retry: None, waiting: Vec::new(), leaving: false, dropped: 0 }
    }

    /// When to try again; `None` when it is not stuck.
    pub(super) fn retry(&self) -> Option<Instant> {
        self.retry
    }

    /// Gathers a record for the next flush.
    pub(super) fn put(&mut self, record: &Record) {
        record.write_to(self.file.buffer());
    }

    /// Writes what was gathered, or gets stuck, which it reports once.
    pub(super) fn flush(&mut self) {
        let Self { name, .. } = self;
        match self.file.flush() {
            Ok(()) => {
                if self.retry.take().is_some() {
                    tracing::warn!("logs of stage {name}: they can be written again");
                }
            }
            Err(error) if self.leaving => {
                let lines = self.file.give_up();
                if self.dropped == 0 {
                    tracing::warn!("logs of stage {name}: {error}; what its workers still say is lost");
                }
                self.dropped += lines;
            }
            Err(error) => {
                if self.retry.is_none() {
                    tracing::warn!("logs of stage {name}: {error}; its workers wait until there is room");
                }
                self.retry = Some(Instant::now() + RETRY);
            }
        }
    }

    /// From now on, what cannot be written is dropped and counted.
    pub(super) fn leave(&mut self) {
        self.leaving = true;
        self.retry = None;
        self.flush();
    }

    /// Names what was dropped.
    pub(super) fn close(mut self) {
        self.flush();
        if self.dropped > 0 {
            tracing::error!("logs of stage {}: {} lines could not be written and are lost", self.name, self.dropped);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};
    use std::os::unix::fs::symlink;
    use std::sync::Mutex;

    use brigade_protocol::id::{Incarnation, Post};
    use jiff::Timestamp;

    use super::super::record::{Level, Source, Stream};
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
            let mut log = StageLog::open(dir.path(), "hash", Rotation::default());
            log.put(&record("one"));
            log.flush();
            assert!(log.retry().is_some(), "it is stuck");
            log.flush();
            fs::remove_file(&path).expect("there is room");
            log.flush();
            assert!(log.retry().is_none(), "it is not stuck any more");
            drop(log);
            fs::remove_file(&path).expect("it was written");
            symlink("/dev/full", &path).expect("a link");
            let mut log = StageLog::open(dir.path(), "hash", Rotation::default());
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
                format!("{full}; its workers wait until there is room").as_str(),
                "WARN logs of stage hash: they can be written again",
                format!("{full}; its workers wait until there is room").as_str(),
                format!("{full}; what its workers still say is lost").as_str(),
                "ERROR logs of stage hash: 3 lines could not be written and are lost",
            ]
        );
    }
}
