//! A queue in use, with what the reactor knows of it.

use std::sync::Arc;

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Member, Queue};

use super::Reactor;
use crate::effects::dead::DeadFile;

/// A queue in use.
#[derive(Debug)]
pub(super) struct QueueInUse {
    pub(super) queue: Queue,
    pub(super) dead: DeadFile,
    /// [`Queue::deaths`] when dead letters were last taken.
    pub(super) deaths: u64,
    /// The same, or as it was when this run began.
    pub(super) known: u64,
    /// They could not be kept when last tried (a full disk); said once.
    pub(super) stuck: bool,
    /// There were new ones at the last look; they are put aside at the next.
    pub(super) due: bool,
    /// By this dead letters are sent again. Kept to the end: see [`crate::effects::dead`].
    pub(super) member: Option<Member>,
    /// Its shared words make no sense: it is left as it is.
    pub(super) spoilt: bool,
    /// Whoever sleeps at it is to look around.
    pub(super) wake: bool,
}

impl QueueInUse {
    pub(super) fn new((queue, dead): (Queue, DeadFile)) -> Self {
        Self {
            spoilt: false,
            wake: false,
            deaths: 0,
            known: queue.deaths(),
            stuck: false,
            due: false,
            member: None,
            queue,
            dead,
        }
    }
}

impl Reactor {
    /// A worker that may be asleep is to look at its page: one that sleeps at the page at once, one that waits at a queue when
    /// all that is to be done now is done. A thousand that are asked to stop together are woken together.
    pub(super) fn wake_soon(&mut self, post: Post) {
        if let Some(page) = self.pages.get(&post) {
            page.bell().notify_all();
        }
        let Some(stage) = self.core.worker(post).and_then(|worker| worker.stage) else { return };
        let plan = Arc::clone(self.core.plan());
        for queue in plan.stages[stage].inputs.iter().chain(&plan.stages[stage].outputs) {
            self.queues[*queue].wake = true;
        }
    }

    /// Wakes those who wait at queues.
    pub(super) fn wake_sleepers(&mut self) {
        for used in &mut self.queues {
            if std::mem::take(&mut used.wake) && !used.spoilt {
                used.queue.wake_all();
            }
        }
    }
}
