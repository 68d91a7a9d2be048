//! What the processes of the workers were told, and the note of it in the state folder.
//!
//! A checkpoint is used under the orders that made it, and under no others. A reload looks for checkpoints before it is
//! accepted, but the old process may make its first one after that look. So the look is repeated when the next process is
//! about to start, and the new orders are noted only when no process under the old ones is left.

use std::collections::HashMap;

use brigade_protocol::id::Post;

use super::Reactor;
use crate::config::plan::{Plan, StageIx};
use crate::effects::spawn::NotSpawned;
use crate::orders::{self, Order, Orders};
use crate::resume;

/// What the processes were told.
#[derive(Debug)]
pub(super) struct Told {
    /// As it stands in the state folder.
    noted: Orders,
    /// To the last process of each post in this run.
    last: HashMap<Post, Order>,
}

impl Told {
    /// A run begins under the orders of its plan, which are noted already.
    pub(super) fn begin(plan: &Plan) -> Self {
        Self { noted: orders::of(plan), last: HashMap::new() }
    }

    /// The orders that a stage has worked under; `None` for one that has not been there.
    pub(super) fn noted(&self, stage: &str) -> Option<&Order> {
        self.noted.get(stage)
    }
}

impl Reactor {
    /// Notes the orders of stages that are new. Those that have changed are noted when they are followed.
    pub(super) fn note_new_orders(&mut self, plan: &Plan) -> Result<(), String> {
        let mut wanted = orders::of(plan);
        for (stage, order) in &self.told.noted {
            if let Some(wanted) = wanted.get_mut(stage) {
                wanted.clone_from(order);
            }
        }
        self.note_orders(wanted)
    }

    /// A worker's next process is about to start. It is refused if the one before it has made a checkpoint under other
    /// orders.
    pub(super) fn tell_orders(&mut self, post: Post, stage: StageIx) -> Result<(), NotSpawned> {
        let plan = std::sync::Arc::clone(self.core.plan());
        let (name, order) = (&plan.stages[stage].name, Order::of(&plan.stages[stage]));
        let has_checkpoint = || {
            let page = self.pages.get(&post);
            page.is_some_and(|page| (0..page.lanes()).any(|lane| page.lane(lane).checkpoint().is_some()))
        };
        if let Some(last) = self.told.last.get(&post)
            && let Err(why) = resume::fits(Some(last), &order)
            && has_checkpoint()
        {
            let words = format!(
                "it would continue from its checkpoint, {why}: change that back in the pipeline file and `brigade reload`, or \
                 stop the run and begin again with --fresh"
            );
            return Err(NotSpawned { words, permanent: true });
        }
        self.told.last.insert(post, order.clone());
        if self.told.noted.get(name) != Some(&order) && !self.is_told_otherwise(stage, &order) {
            let mut wanted = self.told.noted.clone();
            wanted.insert(name.clone(), order);
            self.note_orders(wanted).map_err(|words| NotSpawned { words, permanent: false })?;
        }
        Ok(())
    }

    /// Whether a process of a stage was told something else than this.
    fn is_told_otherwise(&self, stage: StageIx, order: &Order) -> bool {
        let mut living = self.core.workers().filter(|worker| worker.stage == Some(stage) && worker.pid.is_some());
        living.any(|worker| self.told.last.get(&worker.post).is_some_and(|last| last != order))
    }

    fn note_orders(&mut self, wanted: Orders) -> Result<(), String> {
        orders::keep(&self.dir, wanted.clone())
            .map_err(|error| format!("cannot write {}: {error}", self.dir.orders().display()))?;
        self.told.noted = wanted;
        Ok(())
    }
}
