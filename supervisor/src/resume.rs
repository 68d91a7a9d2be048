//! What an earlier run left in the state folder, and how the next one goes on with it: queues with items in them, and
//! the pages by which it is known what their workers had committed.
//!
//! Everything is looked at before anything is changed. What cannot be used is put aside, all at once, and the run ends
//! there: whoever reads that decides whether to go on without it.

mod damage;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;

use brigade_protocol::id::Post;
use brigade_protocol::page::Page;
use brigade_protocol::queue::{Queue, QueueError};

use crate::config::plan::{Plan, QueuePlan};
use crate::effects::dead::DeadFile;
use crate::figures::counted;
use crate::reactor::committed;
use crate::state::StateDir;
use damage::Damaged;

/// Why what is there cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError {
    /// A queue's file.
    #[error(transparent)]
    Queue(#[from] QueueError),
    /// Items are in it, and they do not fit the new plan.
    #[error(
        "queue {name} in {} cannot take its new numbers: {why}; give it room, or put the old state aside with --fresh",
        path.display()
    )]
    Changed {
        /// Of the queue.
        name: String,
        /// Of its file.
        path: PathBuf,
        /// What does not fit.
        why: String,
    },
    /// Items are in queues that the plan does not have any more.
    #[error("{}; put it back into the pipeline file, or put the old state aside with --fresh", .0.join("; "))]
    Removed(Vec<String>),
    /// Files that are not ours, or not whole.
    #[error("{}", .0.join("\n"))]
    Damaged(Vec<String>),
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

impl ResumeError {
    /// Whether the pipeline file is at fault, and not the folder.
    pub fn is_of_the_plan(&self) -> bool {
        match self {
            Self::Changed { .. } | Self::Removed(_) => true,
            Self::Queue(_) | Self::Damaged(_) | Self::Io { .. } => false,
        }
    }
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
    let mut damaged = Damaged::new(dir);
    let pages = damaged.pages()?;
    let goes_on = !pages.is_empty();
    let mut old = damaged.queues(goes_on)?;
    let dead = damaged.dead_letters(plan)?;
    damaged.refuse()?;

    let mut resumed = Resumed { queues: Vec::new(), goes_on, items: 0, leased: 0 };
    let by_post: HashMap<Post, &Page> = pages.iter().map(|page| (page.post(), page)).collect();
    for (name, queue) in &old {
        let leased = queue.depth().leased;
        queue.sweep_all(|post, lane| committed(by_post.get(&post).copied(), lane));
        match queue.spoilt_at_rest() {
            None => resumed.leased += leased,
            Some(why) => damaged.spoilt_queue(name, &why)?,
        }
    }
    damaged.refuse()?;
    refuse_removed(plan, &old)?;
    for (queue, dead) in plan.queues.iter().zip(dead) {
        let queue = open(queue, dir, old.remove(&queue.name), &mut resumed)?;
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

fn refuse_removed(plan: &Plan, old: &BTreeMap<String, Queue>) -> Result<(), ResumeError> {
    let removed = old.iter().filter(|(name, _)| plan.queues.iter().all(|queue| queue.name != **name));
    let words: Vec<String> = removed
        .filter_map(|(name, queue)| {
            let depth = queue.depth();
            let items = depth.left() + depth.dead;
            (items > 0).then(|| {
                format!("queue {name} is not in the pipeline file any more and still holds {}", counted(items, "item"))
            })
        })
        .collect();
    if words.is_empty() { Ok(()) } else { Err(ResumeError::Removed(words)) }
}

fn open(plan: &QueuePlan, dir: &StateDir, old: Option<Queue>, resumed: &mut Resumed) -> Result<Queue, ResumeError> {
    let wanted = plan.geometry();
    let path = dir.queue(&plan.name);
    let Some(old) = old else { return Ok(Queue::create(&path, &wanted)?) };
    let depth = old.depth();
    let is_empty = depth.left() == 0 && depth.dead == 0;
    if is_empty && (!resumed.goes_on || old.geometry() != wanted) {
        // Nothing to go on with: its counts begin anew.
        drop(old);
        return Ok(Queue::create(&path, &wanted)?);
    }
    resumed.items += depth.left();
    let queue = if old.geometry() == wanted {
        old
    } else {
        let moved = old.migrate(&path, &wanted).map_err(|error| match error {
            QueueError::Unfit(why) => ResumeError::Changed { name: plan.name.clone(), path, why },
            other => ResumeError::Queue(other),
        })?;
        tracing::info!("queue {} has new numbers: {} moved", plan.name, counted(depth.left() + depth.dead, "item"));
        moved
    };
    queue.reopen();
    Ok(queue)
}
