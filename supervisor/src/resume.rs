//! What an earlier run left in the state folder, and how the next one goes on with it: queues with items in them, and
//! the pages by which it is known what their workers had committed.
//!
//! Everything is looked at before anything is changed. What cannot be used is put aside, all at once, and the run ends
//! there: whoever reads that decides whether to go on without it.

mod checkpoints;
pub mod complete;
mod damage;
mod done;
mod rest;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;

use brigade_protocol::control::PROTOCOL;
use brigade_protocol::crash_point;
use brigade_protocol::id::Post;
use brigade_protocol::page::{Page, PageError};
use brigade_protocol::queue::{Queue, QueueError};

use crate::config::plan::{Plan, QueuePlan};
use crate::earlier::EarlierError;
use crate::effects::dead::DeadFile;
use crate::figures::counted;
use crate::orders::{self, Crew};
use crate::reactor::committed;
use crate::state::StateDir;
pub use checkpoints::fits;
use damage::{Damaged, files};
pub use rest::{AtRest, at_rest};

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
    /// A checkpoint that was made under other orders.
    #[error(
        "stage {stage} would continue from the checkpoint of an earlier run, {why}: run it as before, or begin again with --fresh"
    )]
    OtherOrders {
        /// The stage.
        stage: String,
        /// What it was told then, and is told now.
        why: String,
    },
    /// A stage would do again what another one did, whose checkpoint is there.
    #[error(
        "stage {now} would do again from the beginning what stage {before} did in the earlier run, which was told the same, {left} and is not in this plan: call it {before} again, or begin again with --fresh"
    )]
    Renamed {
        /// The stage of the earlier run.
        before: String,
        /// What it did, in words.
        left: &'static str,
        /// The one of this plan.
        now: String,
    },
    /// A stage has done some of its work, and would share the rest among another number of workers or threads.
    #[error(
        "stage {stage} shares its work among its workers by their numbers: {worker} in the earlier run, which began with \
         {before} and not {now}; run it with {} until it is complete, and change that then, or begin again with --fresh",
        keys(before)
    )]
    OtherCrew {
        /// The stage.
        stage: String,
        /// One of its workers, and what it has left.
        worker: String,
        /// As the work was begun.
        before: Crew,
        /// As it would be continued.
        now: Crew,
    },
    /// The run that is to be continued was complete, and one of its sources was told something else.
    #[error(
        "stage {stage} is complete in the run that this one continues, as dead letters of that run were sent again; it was told {then} and not {now}: run it as before to have those items done, or begin again with --fresh"
    )]
    CompleteOtherwise {
        /// The stage.
        stage: String,
        /// What it was told then.
        then: String,
        /// What it is told now.
        now: String,
    },
    /// Items are in queues that the plan does not have any more.
    #[error("{}; put it back into the pipeline file, or put the old state aside with --fresh", .0.join("; "))]
    Removed(Vec<String>),
    /// Files that are not ours, or not whole.
    #[error("{}", .0.join("\n"))]
    Damaged(Vec<String>),
    /// What an earlier run has left may still use the files.
    #[error(transparent)]
    Earlier(#[from] EarlierError),
    /// A run that is not complete was begun by another version.
    #[error(
        "{} has format {found}, and this version of Brigade knows format {PROTOCOL}: finish the run with the version that began it, or put its state aside with --fresh",
        path.display()
    )]
    OtherVersion {
        /// One of its files.
        path: PathBuf,
        /// The format of that file.
        found: u64,
    },
    /// Something else in the folder.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// Such as "read".
        what: &'static str,
        /// Of the file or folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

impl ResumeError {
    /// Whether the pipeline file is at fault, and not the folder.
    pub fn is_of_the_plan(&self) -> bool {
        match self {
            Self::Changed { .. }
            | Self::Removed(_)
            | Self::OtherOrders { .. }
            | Self::OtherCrew { .. }
            | Self::Renamed { .. }
            | Self::CompleteOtherwise { .. } => true,
            Self::Queue(_) | Self::Damaged(_) | Self::Earlier(_) | Self::OtherVersion { .. } | Self::Io { .. } => false,
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
    /// Stages that are complete already, as the earlier run was when letters of it were sent again.
    pub complete: Vec<String>,
    /// Workers that have done their part in the earlier run, each as its stage and its number.
    pub done: Vec<(String, u16)>,
}

/// How many there were, as the pipeline file says it.
fn keys(crew: &Crew) -> String {
    format!("replicas = {} and threads = {}", crew.replicas, crew.threads)
}

/// Of so many runs that were cut short one after the other, the last one's deliveries count against the items. Who kills
/// everything, or a machine that is out of memory, is rarely an item's fault, and without this a few such nights would make
/// dead letters of the items that happened to be in hand. But an item that does bring everything down, again and again, is
/// to become one in the end.
const COUNTED: u32 = 4;

/// Refuses a run that another version has begun and not completed. To be asked before anything in the folder is changed.
///
/// # Errors
/// [`ResumeError::OtherVersion`], or the folder cannot be read.
pub fn refuse_other_versions(dir: &StateDir) -> Result<(), ResumeError> {
    let pages = files(&dir.pages(), "page")?;
    if pages.is_empty() {
        return Ok(()); // The last run is complete: its queues hold nothing.
    }
    for path in pages {
        if let Err(PageError::Version { path, found }) = Page::open(&path) {
            return Err(ResumeError::OtherVersion { path, found });
        }
    }
    for path in files(&dir.queues(), "queue")? {
        if let Err(QueueError::Version { path, found }) = Queue::open(&path) {
            return Err(ResumeError::OtherVersion { path, found });
        }
    }
    Ok(())
}

/// Opens what is there and makes what is missing. Nobody of an earlier run lives any more: the folder is locked, and
/// what its supervisor left was ended ([`crate::earlier`]).
pub fn resume(plan: &Plan, dir: &StateDir, cut_short: u32) -> Result<Resumed, ResumeError> {
    let orders = orders::of(plan);
    complete::take_back(dir)?;
    let mut damaged = Damaged::new(dir);
    let pages = damaged.pages()?;
    let goes_on = !pages.is_empty() || complete::is_noted(dir);
    let mut old = damaged.queues(goes_on || dir.retried().exists())?;
    let dead = damaged.dead_letters(plan)?;
    damaged.refuse()?;
    if goes_on {
        checkpoints::refuse_unfit(plan, dir, &orders)?;
    }
    let complete = complete::stages(plan, dir, &orders)?;
    let done = if goes_on { done::workers(plan, dir, &complete)? } else { Vec::new() };

    let mut resumed = Resumed { queues: Vec::new(), goes_on, items: 0, leased: 0, complete, done };
    for (name, queue) in &old {
        let leased = queue.depth().leased;
        sweep(queue, &pages, cut_short.is_multiple_of(COUNTED));
        crash_point!("resume_swept_one");
        match queue.spoilt_at_rest() {
            None => resumed.leased += leased,
            Some(why) => damaged.spoilt_queue(name, &why)?,
        }
    }
    damaged.refuse()?;
    refuse_removed(plan, &old)?;
    if !goes_on {
        complete::forget(dir)?;
    }
    for (queue, mut dead) in plan.queues.iter().zip(dead) {
        let io = |what| {
            let path = dir.dead(&queue.name);
            move |source| ResumeError::Io { what, path, source }
        };
        let found = old.remove(&queue.name);
        // Before the queue may be made anew, and before anybody sends: see there.
        dead.settle(found.as_ref()).map_err(io("settle"))?;
        let queue = open(queue, dir, found, &mut resumed)?;
        resumed.queues.push((queue, dead));
        crash_point!("resume_opened_one");
    }
    resumed.goes_on |= resumed.items > 0;
    // Only now: a refused plan leaves the old ones.
    let io = |source| ResumeError::Io { what: "write", path: dir.orders(), source };
    orders::keep(dir, orders).map_err(io)?;
    crash_point!("resume_orders_kept");
    // Nothing in the queues belongs to anybody any more: from now on the old numbers of posts mean nothing.
    for page in &pages {
        page.disown();
        crash_point!("resume_disowned_one");
    }
    Ok(resumed)
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

fn sweep(queue: &Queue, pages: &[Page], count: bool) {
    let by_post: HashMap<Post, &Page> = pages.iter().map(|page| (page.post(), page)).collect();
    queue.sweep_all(count, |post, lane| committed(by_post.get(&post).copied(), lane));
}

/// A queue that a running pipeline gets, and its dead letters.
///
/// # Errors
/// There is one of that name, with items in it; or it cannot be made.
pub fn make(plan: &QueuePlan, dir: &StateDir) -> Result<(Queue, DeadFile), ResumeError> {
    let path = dir.dead(&plan.name);
    let dead = DeadFile::open(&path).map_err(|source| ResumeError::Io { what: "open", path, source })?;
    Ok((Queue::create(&dir.queue(&plan.name), &plan.geometry())?, dead))
}

/// The queue to continue with.
fn open(plan: &QueuePlan, dir: &StateDir, old: Option<Queue>, resumed: &mut Resumed) -> Result<Queue, ResumeError> {
    let wanted = plan.geometry();
    let path = dir.queue(&plan.name);
    let Some(old) = old else { return Ok(Queue::create(&path, &wanted)?) };
    let depth = old.depth();
    let is_empty = depth.left() == 0 && depth.dead == 0;
    if is_empty && (!resumed.goes_on || old.geometry() != wanted) {
        // Nothing to go on with: its counts begin anew.
        drop(old);
        let queue = Queue::create(&path, &wanted)?;
        crash_point!("queue_made_again");
        return Ok(queue);
    }
    resumed.items += depth.left();
    if is_empty {
        // The next worker that joins says what it carries from now on.
        old.forget_shape();
    }
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
