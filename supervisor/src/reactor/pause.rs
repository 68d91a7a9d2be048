//! Stages that the operator has paused: their workers finish what they have in hand, and take nothing new. Without it, one
//! would have to stop the whole pipeline to have a look at what is queued, or to wait for a service that is away.
//!
//! Nothing is sent to the workers: a word in their pages says so, and those that wait at a queue are woken. A worker that
//! does not read what it is sent cannot hold up the loop in this way, however often the operator changes his mind.

use std::sync::Arc;

use brigade_protocol::id::Post;

use super::Reactor;
use super::change::note_stage;
use crate::config::plan::{MANAGER_STAGE, StageIx};
use crate::control::Answer;
use crate::core::event::{Actor, StopLevel};
use crate::who::Who;

impl Reactor {
    /// Whether the stage of this worker is paused.
    pub(super) fn is_paused(&self, post: Post) -> bool {
        let stage = self.core.worker(post).and_then(|worker| worker.stage);
        stage.is_some_and(|stage| self.paused.contains(&stage))
    }

    pub(super) fn pause(&mut self, name: String, paused: bool) -> Answer {
        let who = Who { stage: name, replica: None };
        let posts = match self.posts_of(&who) {
            Ok(posts) => posts,
            Err(why) => return Answer::Refused(why),
        };
        let name = who.stage;
        let stage = posts.first().and_then(|post| self.core.worker(*post)).and_then(|worker| worker.stage);
        let queues = |stage: &StageIx| {
            let stage = &self.core.plan().stages[*stage];
            !stage.inputs.is_empty() || !stage.outputs.is_empty()
        };
        let Some(stage) = stage.filter(queues) else {
            let what = if name == MANAGER_STAGE { "the manager" } else { "it" };
            return Answer::Refused(format!("stage {name} cannot be paused: {what} neither takes nor makes items"));
        };
        if paused && self.core.level().is_some() {
            return Answer::Refused("the pipeline is being stopped: nothing is paused any more".to_owned());
        }
        if paused == self.paused.contains(&stage) {
            return Answer::Done(format!("stage {name} is {} already", if paused { "paused" } else { "at work" }));
        }
        if paused {
            self.paused.insert(stage);
        } else {
            self.paused.remove(&stage);
        }
        self.set_paused(stage, paused);
        self.tell_paused(stage, paused, "asked for", Actor::Operator);
        Answer::Done(if paused {
            format!("stage {name} is paused: its workers finish the items in hand, and take no others")
        } else {
            format!("stage {name} goes on")
        })
    }

    /// A stop has an end only if everybody goes on. When it is to come now, those who are paused are asked to stop as they are:
    /// else they would take something before they hear of it.
    pub(super) fn resume_all(&mut self, level: StopLevel) {
        for stage in std::mem::take(&mut self.paused) {
            if level == StopLevel::Drain {
                self.set_paused(stage, false);
            }
            self.tell_paused(stage, false, "the pipeline is being stopped", Actor::Core);
        }
    }

    fn set_paused(&mut self, stage: StageIx, paused: bool) {
        for worker in self.core.workers().filter(|worker| worker.stage == Some(stage)) {
            if let Some(page) = self.pages.get(&worker.post) {
                page.set_paused(paused);
            }
        }
        let plan = &Arc::clone(self.core.plan()).stages[stage];
        for queue in plan.inputs.iter().chain(&plan.outputs) {
            self.queues[*queue].wake = true;
        }
    }

    fn tell_paused(&self, stage: StageIx, paused: bool, cause: &str, actor: Actor) {
        let plan = &self.core.plan().stages[stage];
        let (from, to) = if paused { ("ready", "paused") } else { ("paused", "ready") };
        note_stage(&plan.name, from, to, cause, actor);
        tracing::info!("stage {} {}: {cause}", plan.name, if paused { "is paused" } else { "goes on" });
    }
}
