//! Which log lines, and in which order: the logs of all stages as one, filtered. Without it, a story that runs through
//! several stages would have to be put together by hand.

use std::io;
use std::path::{Path, PathBuf};

use brigade_protocol::id::{Incarnation, Post};
use jiff::{SignedDuration, Timestamp};
use regex::Regex;

use super::files::{Note, StageFiles};
use super::own;
use super::record::{Level, Record, Source, Stream};
use super::{escape, shelf, show};

/// A line is in its file this long after its stamp, unless the disk is slow.
const MARGIN: SignedDuration = SignedDuration::from_millis(50);
/// A line from further in the future than this has its stamp from before the clock was set back.
const CLOCK_SET_BACK: SignedDuration = SignedDuration::from_secs(1);

/// Why logs cannot be shown.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The folder does not exist.
    #[error("no logs in {}: nothing has run there", .0.display())]
    NoLogs(PathBuf),
    /// There is no log of that stage.
    #[error("no logs of a stage `{stage}`{}; there are logs of {known}", hint(.closest.as_ref()))]
    UnknownStage {
        /// As it was asked for.
        stage: String,
        /// One that is spelt nearly so.
        closest: Option<String>,
        /// All that there are.
        known: String,
    },
    /// The stage has logs, but none of that worker.
    #[error("no line of worker `{0}` in the logs of its stage")]
    UnknownWorker(String),
    /// A file or the folder cannot be read.
    #[error("cannot read the logs in {}: {source}", .dir.display())]
    Read {
        /// The folder.
        dir: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Whoever reads the output is gone, or the output is full.
    #[error("cannot write: {0}")]
    Write(io::Error),
}

fn hint(closest: Option<&String>) -> String {
    closest.map_or_else(String::new, |closest| format!(" (did you mean `{closest}`?)"))
}

/// Which lines.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// Of this stage only.
    pub stage: Option<String>,
    /// Of this worker only, such as `hash/0`.
    pub worker: Option<String>,
    /// At least this level. `None`: everything, but of the supervisor itself only from `INFO` on, unless its log is the
    /// one that is asked for.
    pub level: Option<Level>,
    /// Not before.
    pub since: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// In the message, or in the message with its fields as they are shown.
    pub grep: Option<Regex>,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        // Nobody knows who spoke a corrupt line: it may be the one that is looked for. And some are of all workers.
        let of_all = record.corrupt || record.worker == record.stage;
        let worker = self.worker.as_ref().is_none_or(|worker| of_all || record.worker == *worker);
        let quiet = record.stage == own::STAGE && self.stage.is_none();
        let least = self.level.unwrap_or(if quiet { Level::Info } else { Level::Trace });
        worker
            && record.level >= least
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time <= until)
            && self.grep.as_ref().is_none_or(|grep| grep.is_match(&record.message) || grep.is_match(&shown(record)))
    }
}

fn shown(record: &Record) -> String {
    let mut text = String::new();
    show::text(record, &mut text);
    escape::terminal(&text).into_owned()
}

/// A record, and its line in the file.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// What it says.
    pub record: Record,
    /// As JSON, without a line end.
    pub json: String,
}

/// The lines of all stages, oldest first. Within a stage they come in the order of the file, even where the clock was
/// set back.
#[derive(Debug)]
pub struct Query {
    dir: PathBuf,
    filter: Filter,
    newest: Option<usize>,
    stages: Vec<StageLines>,
    seen_worker: bool,
    /// Lines after that are for the next look: by then the lines of other stages that come before them are there.
    horizon: Timestamp,
}

#[derive(Debug)]
struct StageLines {
    files: StageFiles,
    /// All is read that was there at the last look.
    is_dry: bool,
    /// The time of its latest line; never goes back.
    latest: Timestamp,
    /// The next line, and when it has its turn.
    head: Option<(Timestamp, Found)>,
}

impl Query {
    /// Opens the logs of `dir`, as they are now. Without any log, a stage that is asked for may still come. `newest`:
    /// of the files of each stage that were put aside, only so many.
    ///
    /// # Errors
    /// When the folder is missing or cannot be read, or has logs but none of the stage that is asked for.
    pub fn open(dir: &Path, filter: Filter, newest: Option<usize>) -> Result<Self, Error> {
        let (dir, stages, horizon) = (dir.to_owned(), Vec::new(), Timestamp::MAX);
        let mut this = Self { dir, filter, newest, stages, seen_worker: false, horizon };
        this.look().map_err(|error| this.read_error(error))?;
        let known = shelf::all(&this.dir).map_err(|error| this.read_error(error))?;
        if let Some(stage) = &this.filter.stage
            && !known.is_empty()
            && !known.contains_key(stage)
        {
            let length = stage.chars().count();
            let is_near = |name: &&String| distance(stage, name) <= (length / 3).max(2).min(length.saturating_sub(1));
            let closest = known.keys().min_by_key(|name| distance(stage, name)).filter(is_near).cloned();
            let known = known.into_keys().collect::<Vec<_>>().join(", ");
            return Err(Error::UnknownStage { stage: stage.clone(), closest, known });
        }
        Ok(this)
    }

    /// The next line that is wanted; `None` when there is none (yet).
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> Result<Option<Found>, Error> {
        for stage in self.stages.iter_mut().filter(|stage| stage.head.is_none() && !stage.is_dry) {
            let result = stage.advance(&self.filter, &mut self.seen_worker);
            result.map_err(|source| Error::Read { dir: self.dir.clone(), source })?;
        }
        let waiting = self.stages.iter_mut().filter(|stage| stage.head.is_some());
        let Some(first) = waiting.min_by_key(|stage| stage.head.as_ref().map(|(time, _)| *time)) else {
            return Ok(None);
        };
        let ahead = first.head.as_ref().map(|(_, found)| found.record.time.duration_since(self.horizon));
        if ahead.is_some_and(|ahead| ahead.is_positive() && ahead < CLOCK_SET_BACK) {
            return Ok(None);
        }
        Ok(first.head.take().map(|(_, found)| found))
    }

    /// Looks for new lines, to go on with those that are some 50 ms old: so lines of several stages come in the order of
    /// their times.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn refresh(&mut self) -> Result<(), Error> {
        self.horizon = Timestamp::now().saturating_sub(MARGIN).unwrap_or(Timestamp::MAX);
        self.look().map_err(|error| self.read_error(error))
    }

    /// What was noticed about what was read since this was last asked.
    pub fn notes(&mut self) -> Vec<Note> {
        self.stages.iter_mut().flat_map(|stage| stage.files.notes()).collect()
    }

    /// When the last line was written that was passed over for the sake of the newest files; `None`: none was.
    pub fn passed(&self) -> Option<Timestamp> {
        self.stages.iter().filter_map(|stage| stage.files.passed()).max()
    }

    /// Whether the worker that is asked for has said anything in what was read, wanted or not. True when none is, or
    /// when not all of it was read.
    pub fn has_seen_worker(&self) -> bool {
        self.seen_worker || self.filter.worker.is_none() || self.filter.since.is_some()
    }

    fn look(&mut self) -> io::Result<()> {
        for stage in &mut self.stages {
            stage.files.refresh()?;
            stage.is_dry = false;
        }
        for name in shelf::all(&self.dir)?.into_keys() {
            let wanted = self.filter.stage.as_ref().is_none_or(|stage| *stage == name);
            if wanted && self.stages.iter().all(|stage| stage.files.stage() != name) {
                let files = StageFiles::open(&self.dir, &name, self.filter.since, self.newest)?;
                self.stages.push(StageLines { files, is_dry: false, latest: Timestamp::UNIX_EPOCH, head: None });
            }
        }
        Ok(())
    }

    fn read_error(&self, source: io::Error) -> Error {
        let dir = self.dir.clone();
        if source.kind() == io::ErrorKind::NotFound { Error::NoLogs(dir) } else { Error::Read { dir, source } }
    }
}

impl StageLines {
    /// Reads up to the next line that is wanted.
    fn advance(&mut self, filter: &Filter, seen_worker: &mut bool) -> io::Result<()> {
        while let Some(line) = self.files.next_line()? {
            let found = self.read(&line);
            self.latest = self.latest.max(found.record.time);
            *seen_worker |= filter.worker.as_ref() == Some(&found.record.worker);
            if filter.wants(&found.record) {
                self.head = Some((self.latest, found));
                return Ok(());
            }
        }
        self.is_dry = true;
        Ok(())
    }

    fn read(&self, line: &[u8]) -> Found {
        if let Ok(json) = std::str::from_utf8(line)
            && let Ok(record) = serde_json::from_str(json)
        {
            return Found { record, json: json.to_owned() };
        }
        let stage = self.files.stage().to_owned();
        let (post, incarnation, stream) = (Post(0), Incarnation::NONE, Stream::Log);
        let source = Source { worker: stage.clone(), stage, post, incarnation, stream };
        let (message, escaped) = escape::bytes(line);
        let record = Record { corrupt: true, escaped, ..Record::new(&source, self.latest, Level::Warn, message) };
        let json = serde_json::to_string(&record).expect("strings as keys");
        Found { record, json }
    }
}

/// How many letters must be changed, added or left out.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, b) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn line(second: u32, worker: &str, level: &str, message: &str) -> String {
        let stage = worker.split('/').next().expect("it has a first part");
        format!(
            r#"{{"time":"2026-11-20T10:00:{second:02}.000000Z","stage":"{stage}","worker":"{worker}","incarnation":1,"stream":"stderr","level":"{level}","message":"{message}","fields":{{"n":{second}}}}}"#
        ) + "\n"
    }

    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |name: &str, lines: &[String]| fs::write(dir.path().join(name), lines.concat()).expect("ok");
        put("hash.log.1", &[line(1, "hash/0", "INFO", "a")]);
        put("hash.log.2", &[line(3, "hash/1", "DEBUG", "c")]);
        put(
            "hash.log",
            &[line(5, "hash/0", "ERROR", "e"), line(4, "hash/0", "INFO", "set back"), line(9, "hash/1", "INFO", "i")],
        );
        put("walk.log", &[line(2, "walk/0", "INFO", "b"), line(7, "walk/0", "WARN", "g")]);
        put("brigade.log", &[line(6, "brigade", "DEBUG", "detail"), line(8, "brigade", "INFO", "h")]);
        dir
    }

    fn ask(filter: Filter) -> Vec<String> {
        let dir = folder();
        let mut query = Query::open(dir.path(), filter, None).expect("there are logs");
        std::iter::from_fn(|| query.next_line().expect("they can be read")).map(|found| found.record.message).collect()
    }

    #[test]
    fn all_stages_and_their_old_files_are_merged_in_time_order() {
        assert_eq!(ask(Filter::default()), ["a", "b", "c", "e", "set back", "g", "h", "i"]);
    }

    #[test]
    fn filters_hold_together() {
        let stage = || Some("hash".to_owned());
        assert_eq!(ask(Filter { stage: Some("brigade".to_owned()), ..Filter::default() }), ["detail", "h"]);
        assert_eq!(ask(Filter { stage: stage(), ..Filter::default() }), ["a", "c", "e", "set back", "i"]);
        let worker = Some("hash/1".to_owned());
        assert_eq!(ask(Filter { stage: stage(), worker, ..Filter::default() }), ["c", "i"]);
        assert_eq!(ask(Filter { level: Some(Level::Warn), ..Filter::default() }), ["e", "g"]);
        let time = |text: &str| text.parse().ok();
        let (since, until) = (time("2026-11-20T10:00:07Z"), time("2026-11-20T10:00:08Z"));
        assert_eq!(ask(Filter { since, ..Filter::default() }), ["g", "h", "i"]);
        assert_eq!(ask(Filter { since, until, ..Filter::default() }), ["g", "h"]);
        let grep = Regex::new("^set|n=9$").ok();
        assert_eq!(ask(Filter { grep, ..Filter::default() }), ["set back", "i"]);
    }

    #[test]
    fn an_unknown_stage_is_named_with_those_that_there_are() {
        let dir = folder();
        let ask = |stage: &str| {
            let filter = Filter { stage: Some(stage.to_owned()), ..Filter::default() };
            Query::open(dir.path(), filter, None).expect_err("there is none").to_string()
        };
        assert_eq!(
            ask("hsah"),
            "no logs of a stage `hsah`; there are logs of brigade, hash, walk"
                .replace("`;", "` (did you mean `hash`?);")
        );
        assert_eq!(ask("printer"), "no logs of a stage `printer`; there are logs of brigade, hash, walk");
        let missing = dir.path().join("none");
        assert!(matches!(Query::open(&missing, Filter::default(), None), Err(Error::NoLogs(dir)) if dir == missing));
    }

    #[test]
    fn a_corrupt_line_is_shown_with_a_mark_and_spoils_no_other() {
        let dir = tempfile::tempdir().expect("a directory");
        let (first, last) = (line(1, "hash/0", "INFO", "a"), line(2, "hash/0", "INFO", "b"));
        let text = [first.as_bytes(), b"ha\xfflf\n", last.as_bytes()].concat();
        fs::write(dir.path().join("hash.log"), text).expect("ok");
        let worker = Some("hash/0".to_owned());
        let mut query = Query::open(dir.path(), Filter { worker, ..Filter::default() }, None).expect("there are logs");
        let found: Vec<_> = std::iter::from_fn(|| query.next_line().expect("they can be read")).collect();
        let marks: Vec<_> = found.iter().map(|f| (f.record.message.as_str(), f.record.corrupt)).collect();
        assert_eq!(marks, [("a", false), ("ha\\xfflf", true), ("b", false)]);
        assert_eq!(serde_json::from_str::<Record>(&found[1].json).expect("it is a record"), found[1].record);
    }

    #[test]
    fn distance_counts_letters() {
        assert_eq!((distance("hash", "hash"), distance("hsh", "hash"), distance("", "abc")), (0, 1, 3));
        assert_eq!(distance("walk", "hash"), 3);
    }
}
