//! The run that was on the state folder before: a note in the folder says by what its processes are known, so that those
//! who still live, because everything that should have ended them was killed as well, are ended before the next run goes
//! on. Without it, two workers could have the same page, and each would write over what the other has committed.

use std::collections::BTreeSet;
use std::io;
use std::time::Duration;

use brigade_protocol::crash_point;
use brigade_protocol::shm::boot_id;
use serde::{Deserialize, Serialize};

use crate::figures::grouped;
use crate::kin::Kin;
use crate::kin::cookie::Cookie;
use crate::kin::process::Process;
use crate::state::StateDir;

/// How long what an earlier run has left may take to end.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a run writes down before it starts anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Note {
    /// In the environment of all that it starts.
    cookie: Cookie,
    /// Since when the machine is up: after another start of it, nobody of the run lives.
    boot: [u64; 2],
    /// Its supervisor, for who reads the file.
    pid: u32,
    /// When that started, in clock ticks since the machine did; all others of the run are younger.
    since: u64,
    /// How many runs before it were cut short, one after the other: killed, all of them.
    #[serde(default)]
    cut_short: u32,
    /// It came to an end of its own.
    #[serde(default)]
    has_ended: bool,
}

/// Why a run cannot go on where an earlier one was.
#[derive(Debug, thiserror::Error)]
pub enum EarlierError {
    /// They may still write to the queues.
    #[error(
        "{} of an earlier run cannot be ended: {pids:?}; they may still use the queues, so see what holds them (`ps -o pid,stat,wchan,cmd -p PID`), and run again",
        processes(pids.len())
    )]
    Alive {
        /// Those that were killed and are still there.
        pids: BTreeSet<i32>,
    },
    /// The system refused.
    #[error("cannot {what}: {source}")]
    Io {
        /// Such as "read F".
        what: String,
        /// The error of the system.
        source: io::Error,
    },
}

/// Ends what still lives of the last run on this folder, and says in one line what that was. Gives the number of processes
/// that it has ended. Only for a process that holds the folder. If that process dies in here, the next run does the same.
///
/// # Errors
/// Some cannot be ended within 2 s, or the system refuses to say who lives.
pub fn end_what_lives(dir: &StateDir) -> Result<usize, EarlierError> {
    let Some(note) = read(dir)? else { return Ok(0) };
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| EarlierError::Io { what, source }
    };
    if note.boot != boot_id().map_err(io("read since when the machine is up"))? {
        return Ok(0);
    }
    let kin = Kin { cookie: note.cookie, since: note.since, groups: BTreeSet::new(), until: 0 };
    let ended = kin.end_all(PATIENCE).map_err(io("look for processes of an earlier run"))?;
    if ended.gone > 0 {
        tracing::warn!("ended {} that an earlier run had left", processes(ended.gone));
    }
    if !ended.refused.is_empty() {
        let pids = &ended.refused;
        tracing::warn!("{} of an earlier run belong to another user and go on: {pids:?}", processes(pids.len()));
    }
    if ended.left.is_empty() { Ok(ended.gone) } else { Err(EarlierError::Alive { pids: ended.left }) }
}

/// Notes that a new run begins, by what its processes will be known: whole, or not at all. Gives the number of runs before
/// it that were cut short, one after the other.
///
/// # Errors
/// The file cannot be written.
pub fn begin(dir: &StateDir, cookie: &Cookie) -> Result<u32, EarlierError> {
    let before = read(dir).ok().flatten();
    let cut_short = before.filter(|note| !note.has_ended).map_or(0, |note| note.cut_short.saturating_add(1));
    let write = || {
        let pid = std::process::id();
        let since = i32::try_from(pid).ok().and_then(Process::of).map_or(0, |process| process.start);
        keep(dir, &Note { cookie: cookie.clone(), boot: boot_id()?, pid, since, cut_short, has_ended: false })
    };
    write().map_err(|source| EarlierError::Io { what: format!("write {}", dir.run().display()), source })?;
    Ok(cut_short)
}

/// Notes that this run has come to its end. If that is not written, the next one takes it for cut short.
pub fn end(dir: &StateDir) {
    if let Ok(Some(note)) = read(dir) {
        let _ = keep(dir, &Note { has_ended: true, ..note });
    }
}

fn keep(dir: &StateDir, note: &Note) -> io::Result<()> {
    let path = dir.run();
    let new = path.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(note)?)?;
    crash_point!("run_half_noted");
    std::fs::rename(new, &path)
}

fn read(dir: &StateDir) -> Result<Option<Note>, EarlierError> {
    let path = dir.run();
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(EarlierError::Io { what: format!("read {}", path.display()), source }),
    };
    let note = serde_json::from_slice(&bytes);
    if let Err(error) = &note {
        tracing::warn!("{} makes no sense ({error}): nobody looks whether an earlier run still lives", path.display());
    }
    Ok(note.ok())
}

/// A number of processes, in words.
pub fn processes(count: usize) -> String {
    match count {
        1 => "1 process".to_owned(),
        _ => format!("{} processes", grouped(count as u64)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_cannot_be_ended_is_named() {
        let words = |pids: &[i32]| EarlierError::Alive { pids: pids.iter().copied().collect() }.to_string();
        assert!(
            words(&[42]).starts_with("1 process of an earlier run cannot be ended: {42}; they may"),
            "{}",
            words(&[42])
        );
        assert!(
            words(&[42, 7]).starts_with("2 processes of an earlier run cannot be ended: {7, 42}"),
            "{}",
            words(&[42, 7])
        );
    }

    #[test]
    fn what_was_noted_is_read_and_nothing_is_no_error() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(base.path());
        end_what_lives(&dir).expect("there was no earlier run");
        let cookie = Cookie::random().expect("random numbers");
        assert_eq!(begin(&dir, &cookie).expect("noted"), 0);
        let note = read(&dir).expect("readable").expect("there");
        assert_eq!((note.cookie, note.pid), (cookie.clone(), std::process::id()));
        assert!(note.since > 0);
        end_what_lives(&dir).expect("nobody is found");
        assert_eq!([(); 2].map(|()| begin(&dir, &cookie).expect("noted")), [1, 2], "nobody has said that it ended");
        end(&dir);
        assert_eq!(begin(&dir, &cookie).expect("noted"), 0);
    }
}
