//! What an earlier run left in the state folder, and how the next one goes on with it: queues with items in them, and
//! the pages by which it is known what their workers had committed.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;

use brigade_protocol::id::Post;
use brigade_protocol::page::Page;
use brigade_protocol::queue::{Geometry, Queue, QueueError};

use crate::config::plan::{Plan, QueuePlan};
use crate::effects::dead::DeadFile;
use crate::reactor::committed;
use crate::state::StateDir;

/// Why what is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// A queue's file.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Items are in it, and they do not fit the new plan.
    #[error(
        "queue {name} in {} was made with other numbers ({found:?}, now {wanted:?}): run with the old ones, or put the old state aside with --fresh",
        path.display()
    )]
    Changed {
        /// Of the queue.
        name: String,
        /// Of its file.
        path: PathBuf,
        /// What it was made with.
        found: Box<Geometry>,
        /// What the plan says now.
        wanted: Box<Geometry>,
    },
    /// Something else in the folder.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// Such as "read".
        what: &'static str,
        /// Of the file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Queues and dead letters, ready for use, and what was found.
#[derive(Debug)]
pub struct Resumed {
    /// By their number in the plan.
    pub queues: Vec<(Queue, DeadFile)>,
    /// An earlier run was not complete: this one goes on with it.
    pub goes_on: bool,
    /// Items that were left.
    pub items: u64,
    /// Of those, how many were in the hands of workers.
    pub leased: u64,
}

/// Opens what is there and makes what is missing. Nobody of an earlier run lives any more: workers die with their
/// supervisor, and the folder is locked.
pub fn resume(plan: &Plan, dir: &StateDir) -> Result<Resumed, ResumeError> {
    let pages = pages(dir)?;
    let mut resumed = Resumed { queues: Vec::new(), goes_on: !pages.is_empty(), items: 0, leased: 0 };
    for queue in &plan.queues {
        let path = dir.dead(&queue.name);
        let io = |what| {
            let path = path.clone();
            move |source| ResumeError::Io { what, path, source }
        };
        let mut dead = DeadFile::open(&path).map_err(io("open"))?;
        let found = found(queue, dir, &pages)?;
        // Before the queue may be made anew, and before anybody sends: see there.
        dead.settle(found.as_ref().map(|(queue, _)| queue)).map_err(io("settle"))?;
        let (queue, is_new) = open(queue, dir, found, &pages, &mut resumed)?;
        if is_new {
            dead.begin_anew().map_err(io("write"))?;
        }
        resumed.queues.push((queue, dead));
    }
    resumed.goes_on |= resumed.items > 0;
    // Nothing in the queues belongs to anybody any more: from now on the old numbers of posts mean nothing.
    pages.iter().for_each(Page::disown);
    Ok(resumed)
}

/// The run is complete: there is nothing to go on with. All pages go at once, by a rename: a next run that found some of
/// them would take half of the pipeline for complete and begin the other half anew.
pub fn forget(dir: &StateDir) -> io::Result<()> {
    let old = dir.pages().with_extension("old");
    let _ = std::fs::remove_dir_all(&old); // Left by one that was killed in the next but one line.
    std::fs::rename(dir.pages(), &old)?;
    std::fs::remove_dir_all(&old)
}

fn pages(dir: &StateDir) -> Result<Vec<Page>, ResumeError> {
    let io = |source| ResumeError::Io { what: "read", path: dir.pages(), source };
    let mut pages = Vec::new();
    for entry in std::fs::read_dir(dir.pages()).map_err(io)? {
        let path = entry.map_err(io)?.path();
        match Page::open(&path) {
            Ok(page) => pages.push(page),
            // Half made when its supervisor died, or from before a restart of the machine, after which the queues are
            // refused as well.
            Err(error) => tracing::warn!("{error}: what its worker had not finished is done again"),
        }
    }
    Ok(pages)
}

/// A queue of an earlier run, swept, and how many of its items were in the hands of workers.
fn found(plan: &QueuePlan, dir: &StateDir, pages: &[Page]) -> Result<Option<(Queue, u64)>, ResumeError> {
    let path = dir.queue(&plan.name);
    if !path.exists() {
        return Ok(None);
    }
    let queue = Queue::open(&path)?;
    let leased = queue.depth().leased;
    sweep(&queue, pages);
    Ok(Some((queue, leased)))
}

fn sweep(queue: &Queue, pages: &[Page]) {
    let by_post: HashMap<Post, &Page> = pages.iter().map(|page| (page.post(), page)).collect();
    queue.sweep_all(|post, lane| committed(by_post.get(&post).copied(), lane));
}

/// The queue to go on with, and whether it is a new one.
fn open(
    plan: &QueuePlan,
    dir: &StateDir,
    found: Option<(Queue, u64)>,
    pages: &[Page],
    resumed: &mut Resumed,
) -> Result<(Queue, bool), ResumeError> {
    let wanted = plan.geometry();
    let path = dir.queue(&plan.name);
    let Some((queue, leased)) = found else { return Ok((Queue::create(&path, &wanted)?, true)) };
    let depth = queue.depth();
    let is_empty = depth.left() == 0 && depth.dead == 0;
    if is_empty && (pages.is_empty() || queue.geometry() != wanted) {
        // Nothing to go on with: its counts begin anew.
        drop(queue);
        return Ok((Queue::create(&path, &wanted)?, true));
    }
    if queue.geometry() != wanted {
        let found = Box::new(queue.geometry());
        return Err(ResumeError::Changed { name: plan.name.clone(), path, found, wanted: Box::new(wanted) });
    }
    resumed.items += depth.left();
    resumed.leased += leased;
    queue.reopen();
    Ok((queue, false))
}

/// A queue that nobody uses, and its dead letters, for one who is not about to run the pipeline but holds its folder:
/// what the last run left is swept and put aside first. The queue is an error of its own: letters can be dropped without.
pub fn at_rest(name: &str, dir: &StateDir) -> Result<(Result<Queue, QueueError>, DeadFile), ResumeError> {
    let path = dir.dead(name);
    let io = |source| ResumeError::Io { what: "settle", path: path.clone(), source };
    let mut dead = DeadFile::open(&path).map_err(io)?;
    let queue = match Queue::open(&dir.queue(name)) {
        Ok(queue) => queue,
        Err(error) => return Ok((Err(error), dead)),
    };
    sweep(&queue, &pages(dir)?);
    dead.settle(Some(&queue)).map_err(io)?;
    dead.take_from(&queue, |_| ("it ran out of deliveries".to_owned(), Vec::new())).map_err(io)?;
    Ok((Ok(queue), dead))
}
