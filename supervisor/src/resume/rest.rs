//! A queue of which no run is under way, for a command that holds the state folder: what the last run left is ended and
//! swept first.

use brigade_protocol::queue::{Queue, QueueError};

use super::damage::Damaged;
use super::{ResumeError, sweep};
use crate::earlier;
use crate::effects::dead::DeadFile;
use crate::state::StateDir;

/// A queue that no process uses, and its dead letters.
#[derive(Debug)]
pub struct AtRest {
    /// Swept. An error of its own, as letters can be dropped without a queue.
    pub queue: Result<Queue, QueueError>,
    /// What a retry left undecided is decided.
    pub dead: DeadFile,
    /// So many processes of the last run were still alive, and were ended.
    pub ended: usize,
}

/// Ends what still lives of the last run, sweeps the queue, and puts its dead items aside. A worker that has outlived its
/// supervisor may have an item in hand: it must not be given to another one while that worker can still commit it.
///
/// # Errors
/// A process of the last run cannot be ended, or the files cannot be used.
pub fn at_rest(name: &str, dir: &StateDir) -> Result<AtRest, ResumeError> {
    let ended = earlier::end_what_lives(dir)?;
    let path = dir.dead(name);
    let io = |source| ResumeError::Io { what: "settle", path: path.clone(), source };
    let mut dead = DeadFile::open(&path).map_err(io)?;
    let queue = match Queue::open(&dir.queue(name)) {
        Ok(queue) => queue,
        Err(error) => return Ok(AtRest { queue: Err(error), dead, ended }),
    };
    let mut damaged = Damaged::new(dir);
    let pages = damaged.pages()?;
    if let Some(why) = queue.spoilt() {
        damaged.spoilt_queue(name, &why)?;
    }
    damaged.refuse()?;
    sweep(&queue, &pages, false);
    dead.settle(Some(&queue)).map_err(io)?;
    dead.take_from(&queue, |_| ("it ran out of deliveries".to_owned(), Vec::new()), |_| {}).map_err(io)?;
    Ok(AtRest { queue: Ok(queue), dead, ended })
}
