//! `brigade reload`: the pipeline file is read again, and the difference is applied; all of it, or nothing.

use super::{QueueInUse, Reactor, idle};
use crate::config::plan::difference::{Difference, difference};
use crate::config::plan::{QueueIx, Role};
use crate::config::{self, Surroundings};
use crate::control::Answer;
use crate::core::event::{Actor, Event};
use crate::{orders, resume};

/// Where the plan has come from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// Values for the `${…}` of the file.
    pub sets: Vec<(String, String)>,
    /// Where the file was checked.
    pub here: Surroundings,
}

impl Reactor {
    /// Reads the file again and goes by it. What cannot be is said to the one who asks, and in the log.
    pub(super) fn reload(&mut self, actor: Actor) -> Answer {
        let answer = self.reload_or_why(actor);
        match &answer {
            Ok(words) => tracing::info!("the pipeline file is read again: {}", words.replace('\n', "; ")),
            Err(why) => tracing::error!("the pipeline file is read again, and nothing is changed:\n{why}"),
        }
        answer.map_or_else(Answer::Refused, Answer::Done)
    }

    fn reload_or_why(&mut self, actor: Actor) -> Result<String, String> {
        // What is on its way is part of what the new plan is compared with.
        self.decide();
        if self.core.level().is_some() || self.core.is_winding_down() {
            return Err("the pipeline is being stopped".to_owned());
        }
        let plan = self.core.plan();
        let new =
            config::load(&plan.file, &self.origin.sets, &self.origin.here).map_err(|faults| faults.to_string())?;
        let found = difference(plan, new, |stage| self.core.is_gone(stage)).map_err(|refused| refused.join("\n"))?;
        let refused = self.objections(&found);
        if !refused.is_empty() {
            return Err(refused.join("\n"));
        }
        if found.words.is_empty() {
            return Ok("nothing has changed".to_owned());
        }
        let made = self.make_queues(&found)?;
        orders::keep(&self.dir, &orders::of(&found.plan))
            .map_err(|error| format!("cannot write {}: {error}", self.dir.orders().display()))?;
        let words = found.words.join("\n");
        self.queues.extend(made);
        self.loops = self.loops_of(&found);
        self.paused.retain(|stage| !found.plan.stages[*stage].removed);
        self.limited.go_by(&found.plan);
        self.events.push_back(Event::Reload { difference: Box::new(found), actor });
        self.decide();
        Ok(words)
    }

    /// What stands in the way of it, as things are now.
    fn objections(&self, found: &Difference) -> Vec<String> {
        let (before, after) = (self.core.plan(), &found.plan);
        let mut refused = Vec::new();
        for (ix, queue) in before.queues.iter().enumerate() {
            let name = &queue.name;
            let depth = self.queues[ix].queue.depth();
            let items = depth.left() + depth.dead;
            if after.queues[ix].removed && !queue.removed && items > 0 {
                refused.push(format!(
                    "queue {name} is removed and still holds {items} items: let them be worked off first"
                ));
            }
            let is_fed_anew = after.queues[ix].producers.iter().any(|stage| !queue.producers.contains(stage));
            if self.core.is_closed(ix) && is_fed_anew && !after.queues[ix].removed {
                refused.push(format!("queue {name} is closed: all that sent to it have come to their ends"));
            }
        }
        for (ix, stage) in
            before.stages.iter().enumerate().filter(|(ix, stage)| !stage.removed && !after.stages[*ix].removed)
        {
            let (name, new) = (&stage.name, &after.stages[ix]);
            if new.replicas != stage.replicas && (stage.role() == Role::Source || new.role() == Role::Source) {
                refused.push(format!("stage {name}: it is a source, and its workers share the work by their numbers; stop it and run it again"));
            }
            let keeps_checkpoints = self.keeps_checkpoints(ix);
            if new.replicas > stage.replicas && keeps_checkpoints {
                refused.push(format!("stage {name}: its workers keep checkpoints, and a new one would begin with none; stop it and run it again"));
            }
            if (&new.args, &new.cwd) != (&stage.args, &stage.cwd) && keeps_checkpoints {
                refused.push(format!("stage {name}: its workers keep checkpoints, which mean nothing with other arguments or elsewhere; stop it and begin anew with --fresh"));
            }
        }
        refused
    }

    fn make_queues(&self, found: &Difference) -> Result<Vec<QueueInUse>, String> {
        let make = |ix: &QueueIx| resume::make(&found.plan.queues[*ix], &self.dir).map(QueueInUse::new);
        found.made.iter().map(make).collect::<Result<_, _>>().map_err(|error| error.to_string())
    }

    /// The watches over loops that stay as they are go on.
    fn loops_of(&self, found: &Difference) -> Vec<idle::Watch> {
        let before = &self.core.plan().loops;
        let watch = |circle| before.iter().position(|old| old == circle).map(|ix| self.loops[ix].clone());
        found.plan.loops.iter().map(|circle| watch(circle).unwrap_or_default()).collect()
    }
}
