//! A run that is complete. Its pages are kept beside those of the next run, so that dead letters of it can be sent again:
//! the run that finds such items in a queue continues the complete one, with its checkpoints, and does not do again what its
//! sources have done.

use std::io;
use std::path::PathBuf;

use brigade_protocol::crash_point;
use brigade_protocol::queue::Queue;

use super::ResumeError;
use super::damage::files;
use crate::config::plan::{Plan, Role};
use crate::orders::{self, Order, Orders};
use crate::state::StateDir;

/// The run is complete. All pages go at once, by a rename: a next run that found some of them would take half of the
/// pipeline for complete and begin the other half again.
///
/// # Errors
/// The system refuses.
pub fn finish(dir: &StateDir) -> io::Result<()> {
    let (note, old) = (note(dir), dir.pages().with_extension("old"));
    let new = note.with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(&orders::noted(dir)?)?)?;
    std::fs::rename(new, note)?;
    crash_point!("complete_noted");
    remove(&old)?; // Left by a process that was killed in here.
    match std::fs::rename(dir.complete(), &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    std::fs::rename(dir.pages(), dir.complete())?;
    crash_point!("pages_put_aside");
    remove(&old)?;
    forget_retry(dir)
}

/// Dead letters of the complete run are about to be sent again. If the machine is started again before the next run, the
/// queues cannot be opened any more, and this note alone says that they are not empty.
///
/// # Errors
/// The note cannot be written.
pub fn note_retry(dir: &StateDir) -> io::Result<()> {
    std::fs::write(dir.retried(), "")
}

/// No dead letter of the complete run was sent again after all.
///
/// # Errors
/// The note cannot be removed.
pub fn forget_retry(dir: &StateDir) -> io::Result<()> {
    match std::fs::remove_file(dir.retried()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Whether the last run is complete, and no other one has begun since.
pub fn is_last(dir: &StateDir) -> bool {
    dir.complete().exists() && files(&dir.pages(), "page").is_ok_and(|pages| pages.is_empty())
}

/// Whether the run whose pages are there is one that was complete.
pub(super) fn is_noted(dir: &StateDir) -> bool {
    note(dir).exists()
}

/// Takes the pages of a complete run back if items are in its queues: somebody has sent dead letters again since.
pub(super) fn take_back(dir: &StateDir) -> Result<(), ResumeError> {
    if !is_last(dir) {
        return Ok(());
    }
    let holds_items = |path: &PathBuf| Queue::open(path).is_ok_and(|queue| queue.depth().left() > 0);
    if files(&dir.queues(), "queue")?.iter().any(holds_items) {
        let io = |source| ResumeError::Io { what: "take back", path: dir.complete(), source };
        remove(&dir.pages()).map_err(io)?; // No page is in it.
        std::fs::rename(dir.complete(), dir.pages()).map_err(io)?;
        crash_point!("complete_taken_back");
    }
    Ok(())
}

/// The stages of this plan that have made all that they make: sources, and processes without queues that end by themselves.
/// None if the run that this one continues was not complete.
pub(super) fn stages(plan: &Plan, dir: &StateDir, wanted: &Orders) -> Result<Vec<String>, ResumeError> {
    let path = note(dir);
    let io = |source| ResumeError::Io { what: "read", path: path.clone(), source };
    let done: Orders = match std::fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| io(error.into()))?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(io(error)),
    };
    let mut complete = Vec::new();
    for stage in plan.stages.iter().filter(|stage| matches!(stage.role(), Role::Source | Role::Task)) {
        let (name, now) = (&stage.name, Order::of(stage));
        match done.get(name) {
            Some(then) if then.is_same_work(&now) => complete.push(name.clone()),
            Some(then) => {
                let (stage, then, now) = (name.clone(), then.beside(&now), now.beside(then));
                return Err(ResumeError::CompleteOtherwise { stage, then, now });
            }
            None => {
                if let Some(before) =
                    done.iter().find(|(before, then)| then.is_same_work(&now) && !wanted.contains_key(*before))
                {
                    return Err(ResumeError::Renamed {
                        before: before.0.clone(),
                        now: name.clone(),
                        left: "completed it",
                    });
                }
            }
        }
    }
    Ok(complete)
}

/// Another run begins: there is no way back to the complete one.
pub(super) fn forget(dir: &StateDir) -> Result<(), ResumeError> {
    let old = dir.pages().with_extension("old");
    let io = |source| ResumeError::Io { what: "remove", path: dir.complete(), source };
    remove(&old).map_err(io)?;
    match std::fs::rename(dir.complete(), &old) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        Ok(()) | Err(_) => {}
    }
    remove(&old).and_then(|()| forget_retry(dir)).map_err(io)
}

fn note(dir: &StateDir) -> PathBuf {
    dir.pages().join("complete.json")
}

fn remove(folder: &std::path::Path) -> io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}
