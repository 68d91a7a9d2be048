//! `brigade scale`: what stands in the way of it, and what it means in words.

use super::Reactor;
use crate::config::plan::{MANAGER_STAGE, MOST_REPLICAS, Role, StageIx};
use crate::control::Answer;
use crate::core::event::{Actor, Event};
use crate::who::Who;

impl Reactor {
    /// Gives stages so many workers: all of them, or none if one cannot have them.
    pub(super) fn scale(&mut self, sizes: &[(String, u16)]) -> Answer {
        let mut wanted = Vec::new();
        for (name, replicas) in sizes {
            match self.may_scale(name, *replicas) {
                Ok(stage) => wanted.push((stage, *replicas)),
                Err(why) => return Answer::Refused(why),
            }
        }
        let words = wanted.iter().map(|(stage, replicas)| self.scale_one(*stage, *replicas));
        Answer::Done(words.collect::<Vec<_>>().join("\n"))
    }

    /// One worker more for as long as the others of its stage are started anew. Not where a second one could do harm, or
    /// would have nothing to do.
    pub(super) fn lend_spare(&mut self, name: &str) -> Answer {
        let stage = match self.stage_named(name) {
            Ok(stage) => stage,
            Err(why) => return Answer::Refused(why),
        };
        let plan = &self.core.plan().stages[stage];
        let replicas = plan.replicas.saturating_add(1);
        // One of its kind may be that for a reason: it has a port, or a file.
        let works_alone = plan.role() != Role::Consumer || (plan.outputs.is_empty() && plan.replicas == 1);
        if works_alone {
            return Answer::Refused(format!(
                "stage {name} gets no additional worker: two of its kind may not be meant"
            ));
        }
        match self.may_scale(name, replicas) {
            Ok(stage) => Answer::Done(self.scale_one(stage, replicas)),
            Err(why) => Answer::Refused(why),
        }
    }

    fn stage_named(&self, name: &str) -> Result<StageIx, String> {
        let posts = self.posts_of(&Who { stage: name.to_owned(), replica: None })?;
        let stage = posts.first().and_then(|post| self.core.worker(*post)).and_then(|worker| worker.stage);
        stage
            .ok_or_else(|| format!("stage {MANAGER_STAGE} cannot be scaled: it has one worker, which all others share"))
    }

    fn may_scale(&self, name: &str, replicas: u16) -> Result<StageIx, String> {
        let stage = self.stage_named(name)?;
        let plan = &self.core.plan().stages[stage];
        let refused = |why: &str| Err(format!("stage {name} cannot have {}: {why}", workers(replicas)));
        if replicas > MOST_REPLICAS {
            return refused(&format!("it may have at most {MOST_REPLICAS}"));
        }
        if let Some(why) = self.core.why_no_scale(stage, replicas) {
            return refused(&why);
        }
        if replicas > plan.replicas && self.keeps_checkpoints(stage) {
            return refused(
                "its workers keep checkpoints (for an ExactFile, say), and a new one would begin with none: change \
                 replicas in the pipeline file, and stop and run it again",
            );
        }
        Ok(stage)
    }

    pub(super) fn keeps_checkpoints(&self, stage: StageIx) -> bool {
        let mut crew = self.core.workers().filter(|worker| worker.stage == Some(stage));
        crew.any(|worker| self.has_checkpoint(worker.post))
    }

    fn scale_one(&mut self, stage: StageIx, replicas: u16) -> String {
        let (name, before) = (self.core.plan().stages[stage].name.clone(), self.core.plan().stages[stage].replicas);
        if before == replicas {
            return format!("stage {name} has {} already", workers(replicas));
        }
        tracing::info!("stage {name} is scaled from {before} to {replicas} (by the operator)");
        self.events.push_back(Event::Scale { stage, replicas, actor: Actor::Operator });
        let how = if replicas > before { "they are started" } else { "the last ones go after the item in hand" };
        format!("stage {name} is scaled from {before} to {}: {how}", workers(replicas))
    }
}

fn workers(count: u16) -> String {
    format!("{count} worker{}", if count == 1 { "" } else { "s" })
}
