//! The supervisor's own log: to people on the console, to the same kind of file as a stage's for `brigade logs`.
//! Without it, what the supervisor decided would be told by nobody.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use brigade_protocol::id::{Incarnation, Post};
use jiff::Timestamp;
use serde_json::{Map, Value};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::record::{Level, Record, Source, Stream};
use super::rotate::{RotatingFile, Rotation};
use super::show;

/// The name that the supervisor has among the stages.
pub const STAGE: &str = "brigade";

/// Bytes that wait for a full disk before lines are dropped (and counted).
const MAX_PENDING: usize = 1024 * 1024;

/// Where people see what the supervisor does.
#[derive(Clone)]
pub enum Console {
    /// Errors only, to stderr.
    Quiet,
    /// `INFO` and above, to stderr.
    Stderr,
    /// `INFO` and above, each line (without its line end) to this function, which prints it to stderr around what else
    /// is shown there. It must not log.
    Through(Arc<dyn Fn(&str) + Send + Sync>),
}

impl Console {
    fn least(&self) -> Level {
        match self {
            Self::Quiet => Level::Error,
            Self::Stderr | Self::Through(_) => Level::Info,
        }
    }

    fn print(&self, line: &str) {
        match self {
            // A closed stderr must not end the supervisor.
            Self::Quiet | Self::Stderr => drop(io::stderr().lock().write_all(line.as_bytes())),
            Self::Through(print) => print(line.trim_end_matches('\n')),
        }
    }
}

impl fmt::Debug for Console {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Quiet => "Quiet",
            Self::Stderr => "Stderr",
            Self::Through(_) => "Through",
        })
    }
}

/// Sends everything that is said through `tracing` in this process to the console and to `DIR/brigade.log`. To be
/// called once. The file has `DEBUG` and above of the supervisor, `WARN` and above of the libraries that it uses.
///
/// # Errors
/// When the folder or the file cannot be made, or `tracing` has a subscriber already.
pub fn init(dir: &Path, rotation: Rotation, console: Console) -> io::Result<()> {
    let layer = OwnLog::open(dir, rotation, console)?;
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::set_global_default(subscriber).map_err(io::Error::other)
}

/// What [`init`] installs.
#[derive(Debug)]
struct OwnLog {
    console: Console,
    colour: bool,
    file: Mutex<OwnFile>,
}

#[derive(Debug)]
struct OwnFile {
    file: RotatingFile,
    dropped: u64,
}

impl OwnLog {
    fn open(dir: &Path, rotation: Rotation, console: Console) -> io::Result<Self> {
        std::fs::create_dir_all(dir)?;
        let file = RotatingFile::open(dir, STAGE, rotation)?;
        let colour = show::wants_colour(io::stderr().is_terminal());
        Ok(Self { console, colour, file: Mutex::new(OwnFile { file, dropped: 0 }) })
    }
}

fn record(level: Level, message: String) -> Record {
    let (stage, worker) = (STAGE.to_owned(), STAGE.to_owned());
    let source = Source { stage, worker, post: Post(0), incarnation: Incarnation::NONE, stream: Stream::Log };
    Record::new(&source, Timestamp::now(), level, message)
}

impl OwnFile {
    /// Never fails and never waits for room: what a full disk refuses is kept up to [`MAX_PENDING`], then dropped and
    /// counted, and the count is written as soon as there is room.
    fn put(&mut self, record: &Record) {
        if self.file.buffer().len() > MAX_PENDING {
            self.dropped += 1;
        } else {
            record.write_to(self.file.buffer());
        }
        if self.file.flush().is_ok() && self.dropped > 0 {
            let words = match self.dropped {
                1 => "1 line of this log could not be written and is lost".to_owned(),
                lines => format!("{lines} lines of this log could not be written and are lost"),
            };
            self.dropped = 0;
            self::record(Level::Error, words).write_to(self.file.buffer());
        }
    }
}

impl<S: Subscriber> Layer<S> for OwnLog {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        let ours = metadata.target().split("::").next().is_some_and(|krate| krate.starts_with(STAGE));
        level(*metadata.level()) >= if ours { Level::Debug } else { Level::Warn }
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let mut said = Said::default();
        event.record(&mut said);
        let mut record = record(level(*event.metadata().level()), said.message);
        record.target = Some(event.metadata().target().to_owned());
        record.fields = said.fields;
        if record.level >= self.console.least() {
            let mut line = String::new();
            show::line(&record, record.time, self.colour, &mut line);
            self.console.print(&line);
        }
        // A panic while it was held left at worst a line that is gathered in part; the next ones matter more.
        self.file.lock().unwrap_or_else(std::sync::PoisonError::into_inner).put(&record);
    }
}

fn level(level: tracing::Level) -> Level {
    match level {
        tracing::Level::ERROR => Level::Error,
        tracing::Level::WARN => Level::Warn,
        tracing::Level::INFO => Level::Info,
        tracing::Level::DEBUG => Level::Debug,
        tracing::Level::TRACE => Level::Trace,
    }
}

#[derive(Default)]
struct Said {
    message: String,
    fields: Map<String, Value>,
}

impl Said {
    fn put(&mut self, field: &Field, value: Value) {
        match (field.name(), value) {
            ("message", Value::String(text)) => self.message = text,
            (name, value) => drop(self.fields.insert(name.to_owned(), value)),
        }
    }
}

impl Visit for Said {
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.put(field, value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}").into());
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn told(dir: &Path, speak: impl FnOnce()) -> Vec<String> {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&lines);
        let print = move |line: &str| sink.lock().expect("nobody panics").push(line[13..].to_owned());
        let log = OwnLog::open(dir, Rotation::default(), Console::Through(Arc::new(print))).expect("it opens");
        let log = OwnLog { colour: false, ..log };
        tracing::subscriber::with_default(tracing_subscriber::registry().with(log), speak);
        std::mem::take(&mut *lines.lock().expect("nobody panics"))
    }

    #[test]
    fn what_is_said_goes_to_the_console_and_to_the_file() {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = told(dir.path(), || {
            tracing::info!(stage = "hash", pid = 7, why = ?Some("x"), "started\n\x1b[2J");
            tracing::debug!("detail");
            tracing::trace!("too much");
            tracing::info!(target: "mio::poll", "somebody else's");
            tracing::warn!(target: "mio::poll", "somebody else's trouble");
        });
        assert_eq!(
            lines,
            [
                "brigade INFO  started\\n\\x1b[2J pid=7 stage=hash why=\"Some(\\\"x\\\")\"",
                "brigade WARN  somebody else's trouble"
            ]
        );
        let text = fs::read_to_string(dir.path().join("brigade.log")).expect("it is there");
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        let messages: Vec<_> = records.iter().map(|record| record.message.as_str()).collect();
        assert_eq!(messages, ["started\n\x1b[2J", "detail", "somebody else's trouble"]);
        assert_eq!((records[0].stream, records[0].worker.as_str()), (Stream::Log, "brigade"));
        assert_eq!(records[0].fields["pid"], 7);
    }

    #[test]
    fn a_full_disk_holds_up_nothing_and_what_is_lost_is_counted() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("brigade.log");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let long = "x".repeat(10_000);
        told(dir.path(), || {
            (0..200).for_each(|_| tracing::info!("{long}"));
            fs::remove_file(&path).expect("there is room now");
            tracing::info!("this one finds the memory full, and room");
            tracing::info!("on we go");
        });
        let text = fs::read_to_string(&path).expect("it is there");
        let records: Vec<Record> = text.lines().map(|line| serde_json::from_str(line).expect("a record")).collect();
        let kept = records.iter().filter(|record| record.message == long).count();
        let lost = format!("{} lines of this log could not be written and are lost", 201 - kept);
        let end: Vec<_> = records[kept..].iter().map(|record| record.message.as_str()).collect();
        assert!(kept > 50 && kept < 200, "{kept}");
        assert_eq!(end, [lost.as_str(), "on we go"]);
    }
}
