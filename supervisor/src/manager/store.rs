//! The folder in which the shared state survives its manager: a snapshot, and journals of what came after it.
//!
//! ```text
//! snapshot        all of it, and the generation (say 7) of the journal that goes on with it
//! journal.7       every change since then
//! journal.8       goes on with 7, for as long as the snapshot that it belongs to is not on the disk
//! snapshot.new-8  that snapshot
//! ```
//!
//! A snapshot is begun when the journal is long: under another name, with a new journal beside it, which from then on is
//! the one written to. When the snapshot is on the disk it gets its name, and only then the old journals go. So a manager
//! that dies at any instant leaves a snapshot and an unbroken row of journals from it on, and nothing else counts.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread::{Builder, JoinHandle};

use brigade_protocol::shared::numbered::Numbered;
use brigade_protocol::shared::op::Op;
use brigade_protocol::{codec, crash_point};

use super::journal::{self, End, Journal};
use super::snapshot::{self, SnapshotError};
use super::state::{State, apply_once};

/// A journal is long when it has this many bytes, and twice as many as the last snapshot: reading it takes a next manager some
/// tens of milliseconds.
const LONG: u64 = 4 << 20;

/// Why there is no store in a folder.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// What is there cannot be used.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// Such as "read".
        what: &'static str,
        /// Of what.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The folder, as its manager holds it.
#[derive(Debug)]
pub struct Store {
    folder: PathBuf,
    /// Of the journal.
    generation: u64,
    journal: Journal,
    /// A snapshot is begun when the journal has this many bytes.
    due: u64,
    /// A snapshot on its way to the disk.
    settling: Option<JoinHandle<()>>,
}

/// What a folder holds.
struct Found {
    state: State,
    /// The first journal that counts, and the last one that was read, with its end.
    first: u64,
    last: Option<(u64, End)>,
}

impl Store {
    /// Takes the folder, which is made if it is not there, and what it holds. What cannot be used is put aside beside the
    /// folder, under a name that says why and when, and an error is logged.
    pub fn open(folder: &Path) -> Result<(Self, State), StoreError> {
        fs::create_dir_all(folder).map_err(io_error("create", folder))?;
        let found = match read(folder) {
            Ok(found) => found,
            Err(StoreError::Snapshot(why)) => {
                let aside = aside(folder, reason(&why), "");
                fs::rename(folder, &aside).map_err(io_error("put aside", folder))?;
                fs::create_dir_all(folder).map_err(io_error("create", folder))?;
                tracing::error!("{why}; all of it was put aside as {} and shared state starts empty", aside.display());
                Found { state: State::default(), first: 0, last: None }
            }
            Err(error @ StoreError::Io { .. }) => return Err(error),
        };
        let Found { state, first, last } = found;
        let (generation, journal, is_broken) = match last {
            None => (first, begun(folder, first)?, false),
            Some((generation, End::Whole { at })) => gone_on(folder, generation, at)?,
            Some((generation, End::Cut { at })) => {
                keep_tail(folder, generation, at)?;
                if at == 0 { (generation, begun(folder, generation)?, false) } else { gone_on(folder, generation, at)? }
            }
            Some((generation, End::Damaged { at, words })) => {
                // What comes after the damage is not applied either: it was made for a state that is not there.
                for generation in generation..=latest(folder)?.unwrap_or(generation) {
                    keep_all(folder, generation, at, &words)?;
                }
                let next = latest(folder)?.unwrap_or(generation) + 1;
                (next, begun(folder, next)?, true)
            }
        };
        let mut store = Self { folder: folder.to_owned(), generation, journal, due: 0, settling: None };
        if is_broken {
            // Only a snapshot can go before the new one.
            let new = store.new_snapshot(generation);
            let file = snapshot::write(&state, generation, &new).map_err(io_error("write", &new))?;
            settle(&file, &new, folder, generation).map_err(io_error("save", &new))?;
        } else {
            remove_before(folder, first);
        }
        store.due = due(folder);
        Ok((store, state))
    }

    /// Writes records. After an error none of them is there.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.journal.append(records)
    }

    /// Whether the journal is long, and no snapshot is under way.
    pub(super) fn is_long(&self) -> bool {
        self.journal.length() >= self.due && self.settling.as_ref().is_none_or(JoinHandle::is_finished)
    }

    /// Begins a snapshot, so that the journal can begin anew.
    pub(super) fn shorten(&mut self, state: &State) {
        if let Err(error) = self.snapshot(state) {
            tracing::warn!("no snapshot of shared state could be begun, the journal grows instead: {error}");
            self.due = self.journal.length() + LONG;
        }
    }

    /// Brings everything to the disk, for an orderly end. Nothing may be appended afterwards.
    pub(super) fn close(&mut self, state: &State) -> io::Result<()> {
        let saved = self.snapshot(state);
        self.wait();
        saved.or_else(|error| {
            tracing::warn!("no snapshot of shared state could be made, the journal stays: {error}");
            self.journal.sync()
        })
    }

    fn snapshot(&mut self, state: &State) -> io::Result<()> {
        self.wait();
        let next = self.generation + 1;
        let new = self.new_snapshot(next);
        let file = snapshot::write(state, next, &new)?;
        crash_point!("manager_snapshot_written");
        let journal = Journal::create(&journal_path(&self.folder, next), next).inspect_err(|_| {
            let _ = fs::remove_file(&new);
        })?;
        crash_point!("manager_journal_begun");
        (self.journal, self.generation) = (journal, next);
        self.due = LONG.max(2 * file.metadata().map_or(0, |data| data.len()));
        let folder = self.folder.clone();
        let work = move || {
            if let Err(error) = settle(&file, &new, &folder, next) {
                tracing::warn!("a snapshot of shared state did not get to the disk, the journals stay: {error}");
                let _ = fs::remove_file(&new);
            }
        };
        // Without a thread the journals stay as well, and the next snapshot is for them too.
        self.settling = Some(Builder::new().name("snapshot".into()).spawn(work)?);
        Ok(())
    }

    fn wait(&mut self) {
        if let Some(thread) = self.settling.take() {
            let _ = thread.join();
        }
    }

    fn new_snapshot(&self, generation: u64) -> PathBuf {
        self.folder.join(format!("snapshot.new-{generation}"))
    }
}

/// What the folder holds, for those who look only. No folder: nothing.
pub fn look(folder: &Path) -> Result<State, StoreError> {
    // A manager that starts or begins a snapshot meanwhile takes files away: then once more.
    loop {
        let found = read(folder)?;
        if first_generation(folder)? == found.first {
            return Ok(found.state);
        }
    }
}

fn first_generation(folder: &Path) -> Result<u64, SnapshotError> {
    Ok(snapshot::load(&folder.join("snapshot"))?.map_or(0, |(_, generation)| generation))
}

fn read(folder: &Path) -> Result<Found, StoreError> {
    let (mut state, first) = snapshot::load(&folder.join("snapshot"))?.unwrap_or_default();
    let (mut last, mut generation) = (None, first);
    loop {
        let path = journal_path(folder, generation);
        let end = journal::replay(&path, generation, |client, message| again(&mut state, client, message));
        let whole = match end {
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(io_error("read", &path)(error)),
            Ok(end @ End::Whole { .. }) => (end, true),
            Ok(End::Cut { at }) if journal_path(folder, generation + 1).exists() => {
                (End::Damaged { at, words: "it is cut, and yet there is a later one".into() }, false)
            }
            Ok(end @ (End::Cut { .. } | End::Damaged { .. })) => (end, false),
        };
        last = Some((generation, whole.0));
        if !whole.1 {
            break;
        }
        generation += 1;
    }
    if let Some(latest) = latest(folder)?
        && last.as_ref().map_or(latest >= first, |(last, end)| latest > *last && matches!(end, End::Whole { .. }))
    {
        let words = format!("journal.{generation} is missing");
        last = Some((generation, End::Damaged { at: 0, words }));
    }
    Ok(Found { state, first, last })
}

/// Applies what stands in a record.
fn again(state: &mut State, client: u128, message: &[u8]) -> Result<(), String> {
    let Numbered { number, seen, op } = Numbered::open(message).ok_or("a record is too short")?;
    let op: Op = codec::decode(op).map_err(|error| error.to_string())?;
    apply_once(state, client, number, seen, &op);
    Ok(())
}

/// Brings a snapshot to the disk and gives it its name; then what it replaces goes.
fn settle(file: &File, new: &Path, folder: &Path, generation: u64) -> io::Result<()> {
    file.sync_all()?;
    fs::rename(new, folder.join("snapshot"))?;
    crash_point!("manager_snapshot_renamed");
    File::open(folder)?.sync_all()?;
    remove_before(folder, generation);
    Ok(())
}

/// Removes journals and unfinished snapshots of earlier generations.
fn remove_before(folder: &Path, generation: u64) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap_or_default();
        let number = |prefix| name.strip_prefix(prefix).and_then(|number: &str| number.parse::<u64>().ok());
        if number("journal.").is_some_and(|found| found < generation) || number("snapshot.new-").is_some() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

/// The last journal that is there, whether or not it counts.
fn latest(folder: &Path) -> Result<Option<u64>, StoreError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io_error("read", folder)(error)),
    };
    let names = entries.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.strip_prefix("journal.")?.parse().ok()).max())
}

fn begun(folder: &Path, generation: u64) -> Result<Journal, StoreError> {
    let path = journal_path(folder, generation);
    Journal::create(&path, generation).map_err(io_error("create", &path))
}

/// Goes on with a journal, or with the next one if this is of an earlier version. Its generation, and whether it breaks the row.
fn gone_on(folder: &Path, generation: u64, at: u64) -> Result<(u64, Journal, bool), StoreError> {
    let path = journal_path(folder, generation);
    let journal = Journal::go_on(&path, at).map_err(io_error("open", &path))?;
    if journal::is_old(&path) {
        return Ok((generation + 1, begun(folder, generation + 1)?, true));
    }
    Ok((generation, journal, false))
}

/// Copies what stands behind the last whole record, which is about to be cut off.
fn keep_tail(folder: &Path, generation: u64, at: u64) -> Result<(), StoreError> {
    let path = journal_path(folder, generation);
    let bytes = fs::read(&path).map_err(io_error("read", &path))?;
    let tail = &bytes[bytes.len().min(at as usize)..];
    if tail.is_empty() {
        return Ok(());
    }
    let aside = aside(folder, "cut", &format!("-journal.{generation}"));
    fs::write(&aside, tail).map_err(io_error("write", &aside))?;
    tracing::warn!(
        "{} ends in the middle of a record, whose operation was never acknowledged: its {} bytes were put aside as {}",
        path.display(),
        tail.len(),
        aside.display()
    );
    Ok(())
}

/// Gives a journal a second name that says why, before it loses the first one.
fn keep_all(folder: &Path, generation: u64, at: u64, words: &str) -> Result<(), StoreError> {
    let path = journal_path(folder, generation);
    if !path.exists() {
        tracing::error!("the shared state in {} is damaged: {words}", folder.display());
        return Ok(());
    }
    let aside = aside(folder, "damaged", &format!("-journal.{generation}"));
    fs::hard_link(&path, &aside)
        .or_else(|_| fs::copy(&path, &aside).map(drop))
        .map_err(io_error("put aside", &path))?;
    tracing::error!(
        "the journal of shared state {} cannot be used from byte {at} on ({words}): it was put aside as {}, and what stood \
         before that is kept",
        path.display(),
        aside.display()
    );
    Ok(())
}

/// A name beside the folder that nothing has yet.
fn aside(folder: &Path, why: &str, what: &str) -> PathBuf {
    let when = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let named = |copy: &str| {
        let mut name = folder.as_os_str().to_owned();
        name.push(format!(".{why}-{when}{copy}{what}"));
        PathBuf::from(name)
    };
    let (mut aside, mut copy) = (named(""), 1);
    while aside.symlink_metadata().is_ok() {
        copy += 1;
        aside = named(&format!("-{copy}"));
    }
    aside
}

fn reason(why: &SnapshotError) -> &'static str {
    match why {
        SnapshotError::Read { .. } => "unreadable",
        SnapshotError::Foreign { .. } => "foreign",
        SnapshotError::Corrupt { .. } => "damaged",
    }
}

fn due(folder: &Path) -> u64 {
    LONG.max(2 * fs::metadata(folder.join("snapshot")).map_or(0, |data| data.len()))
}

fn journal_path(folder: &Path, generation: u64) -> PathBuf {
    folder.join(format!("journal.{generation}"))
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.to_owned();
    move |source| StoreError::Io { what, path, source }
}
