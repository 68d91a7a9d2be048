//! `brigade reload`: the pipeline file is read again, and the difference is applied; all of it, or nothing.

use super::{QueueInUse, Reactor, idle};
use crate::config::plan::difference::{Difference, difference};
use crate::config::plan::{QueueIx, Role, StageIx, StagePlan};
use crate::config::{self, Surroundings};
use crate::control::Answer;
use crate::core::event::{Actor, Event};
use crate::figures::counted;
use crate::orders::{self, Order};
use crate::resume;

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
        let mut refused = self.objections(&found);
        refused.extend(self.unfit_checkpoints(&found)?);
        if !refused.is_empty() {
            return Err(refused.join("\n"));
        }
        if found.words.is_empty() {
            return Ok("nothing has changed".to_owned());
        }
        let made = self.make_queues(&found)?;
        self.note_new_orders(&found.plan)?;
        let doubts = self.doubts(&found);
        for words in &doubts {
            tracing::warn!("{words}");
        }
        let words = [&found.words[..], &doubts[..]].concat().join("\n");
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
                    "queue {name} is removed and still holds {}: let the stages after it do them first",
                    counted(items, "item")
                ));
            }
            if after.queues[ix].removed && !queue.removed {
                refused.extend(queue.producers.iter().find_map(|stage| self.still_sends(*stage, name)));
            }
            let is_fed_anew = after.queues[ix].producers.iter().any(|stage| !queue.producers.contains(stage));
            if self.core.is_closed(ix) && is_fed_anew && !after.queues[ix].removed {
                refused.push(format!("queue {name} is closed: all that sent to it have come to their ends"));
            }
        }
        for (ix, stage) in before.stages.iter().enumerate() {
            if !stage.removed && !after.stages[ix].removed {
                refused.extend(self.objection(ix, &after.stages[ix]));
            }
        }
        refused
    }

    /// Whether a stage may still send to a queue that is removed, and what to do about that. What it sends while it is on its
    /// way to be started anew would be left there.
    fn still_sends(&self, stage: StageIx, queue: &str) -> Option<String> {
        let (name, inputs) = (&self.core.plan().stages[stage].name, &self.core.plan().stages[stage].inputs);
        let has_in_hand =
            |ix: &QueueIx| self.queues[*ix].queue.depth().leased + self.queues[*ix].queue.depth().staged > 0;
        if self.core.is_gone(stage) {
            None
        } else if !self.paused.contains(&stage) {
            Some(format!(
                "queue {queue} is removed and stage {name} sends to it: first `brigade pause {name}`, and after the reload \
                 `brigade resume {name}`"
            ))
        } else if inputs.iter().any(has_in_hand) {
            Some(format!("queue {queue} is removed and stage {name} has something in hand: try again in a moment"))
        } else {
            None
        }
    }

    /// The same for a stage that stays.
    fn objection(&self, ix: StageIx, new: &StagePlan) -> Option<String> {
        let old = &self.core.plan().stages[ix];
        let keeps_checkpoints = self.keeps_checkpoints(ix);
        let why = if new.replicas != old.replicas && (old.role() == Role::Source || new.role() == Role::Source) {
            "it is a source, and its workers share the work by their numbers; let the run come to its end, and change replicas \
             then"
        } else if new.replicas > old.replicas && keeps_checkpoints {
            "its workers keep checkpoints, and a new one would begin with none; stop it and run it again"
        } else if self.told.noted(&old.name).is_none_or(|noted| !noted.is_same_work(&Order::of(new)))
            && keeps_checkpoints
        {
            "its workers keep checkpoints, which mean nothing with another program, other arguments or elsewhere; stop it \
             and begin again with --fresh"
        } else {
            return None;
        };
        Some(format!("stage {}: {why}", old.name))
    }

    /// Stages that are new, or back, and would use checkpoints that were made under other orders, or do again what another
    /// stage has done under the same orders: as a stage does that has got another name.
    fn unfit_checkpoints(&self, found: &Difference) -> Result<Vec<String>, String> {
        let (before, after) = (&self.core.plan().stages, &found.plan.stages);
        let is_present = |ix: StageIx| before.get(ix).is_some_and(|stage| !stage.removed);
        let come: Vec<&StagePlan> =
            (0..after.len()).filter(|ix| !is_present(*ix) && !after[*ix].removed).map(|ix| &after[ix]).collect();
        if come.is_empty() {
            return Ok(Vec::new());
        }
        let looked = orders::noted(&self.dir).and_then(|noted| Ok((noted, orders::with_checkpoints(&self.dir)?)));
        let (noted, with_checkpoints) =
            looked.map_err(|error| format!("cannot look for checkpoints of stages that were there before: {error}"))?;
        let mut refused = Vec::new();
        for stage in come {
            let (name, order) = (&stage.name, Order::of(stage));
            if with_checkpoints.contains(name) {
                if let Err(why) = resume::fits(noted.get(name), &order) {
                    refused.push(format!("stage {name} would continue from its checkpoint, {why}"));
                } else if let Some(then) = noted.get(name).filter(|then| !then.is_same_crew(&order)) {
                    let (then, now) = (then.beside(&order), order.beside(then));
                    refused.push(format!("stage {name} was told {then} and not {now}, and has checkpoints of that"));
                }
                continue;
            }
            let leaves = |ix: StageIx| is_present(ix) && after[ix].removed && before[ix].role() == Role::Source;
            let left = (0..before.len()).filter(|ix| leaves(*ix)).map(|ix| &before[ix].name);
            let same = left.chain(&with_checkpoints).find(|other| {
                let is_there = after.iter().any(|it| it.name == **other && !it.removed);
                *other != name && !is_there && noted.get(*other).is_some_and(|then| then.is_same_work(&order))
            });
            if let Some(other) = same {
                refused.push(format!(
                    "stage {name} would do again from the beginning what stage {other} has done, which is told the same and \
                     is removed: a stage keeps its name while it runs; call it {other}"
                ));
            }
        }
        Ok(refused)
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
