//! How much each has processed, as the places of its members at the queues say: items acked, or sent by one that takes none.
//!
//! Those counts are exact whenever a worker may be killed, for the sweep makes them true. What a run of a worker comes to
//! is added here when its places have been swept. Nothing of it has to outlive this process: a new run counts from 0.

use std::collections::HashMap;

use brigade_protocol::id::Post;
use brigade_protocol::queue::{Swept, Work};

use super::Reactor;
use crate::config::plan::StageIx;

/// What those present have done since they were started, by thread.
#[derive(Debug, Default)]
pub(super) struct Progress(HashMap<(Post, u16), u64>);

impl Progress {
    /// Of one thread.
    pub(super) fn of_thread(&self, post: Post, lane: u16) -> u64 {
        self.0.get(&(post, lane)).copied().unwrap_or(0)
    }

    /// Of all threads of each.
    pub(super) fn by_post(&self) -> HashMap<Post, u64> {
        let mut sums = HashMap::new();
        for ((post, _), done) in &self.0 {
            let sum = sums.entry(*post).or_insert(0u64);
            *sum = sum.saturating_add(*done);
        }
        sums
    }
}

impl Reactor {
    /// What those present have done in their present runs. Looks at every place at every queue.
    pub(super) fn progress(&self) -> Progress {
        let mut progress = Progress::default();
        for (index, in_use) in self.queues.iter().enumerate() {
            for Work { post, lane, sent, acked } in in_use.queue.work() {
                let Some(stage) = self.core.worker(post).and_then(|worker| worker.stage) else { continue };
                let done = progress.0.entry((post, lane)).or_insert(0);
                *done = done.saturating_add(self.counts(stage, index, sent, acked));
            }
        }
        progress
    }

    /// A run of a worker of this stage is over, and its places at a queue are swept.
    pub(super) fn add_progress(&mut self, post: Post, stage: StageIx, queue: usize, swept: &Swept) {
        let more = self.counts(stage, queue, swept.sent, swept.acked);
        let done = self.done_before.entry(post).or_insert(0);
        *done = done.saturating_add(more);
    }

    /// What counts as processed, of what a worker of this stage has done at this queue.
    fn counts(&self, stage: StageIx, queue: usize, sent: u64, acked: u64) -> u64 {
        let stage = &self.core.plan().stages[stage];
        match stage.inputs.is_empty() {
            true if stage.outputs.contains(&queue) => sent,
            false if stage.inputs.contains(&queue) => acked,
            true | false => 0,
        }
    }
}
