//! What another version of the pipeline file changes in a pipeline that runs: the new plan in the numbers of the old one, and
//! what it means for whom, in words. Without it a stage would be another one after every change above it in the file.
//!
//! Stages and queues keep their numbers as long as the supervisor lives. What the new file has not got any more keeps its
//! number as well, marked as removed; what is new comes behind.

use std::collections::HashMap;

use super::{Loop, Plan, QueueIx, QueuePlan, Role, StageIx, StagePlan};
use crate::figures::counted;

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The new plan, in the numbers of the old one.
    pub plan: Plan,
    /// Stages whose processes are to be started anew, as they were started with something else.
    pub renewed: Vec<StageIx>,
    /// Queues that are to be made; they are the last ones of the plan.
    pub made: Vec<QueueIx>,
    /// All of it, in words, a line each; nothing if nothing has changed.
    pub words: Vec<String>,
}

/// Finds it. `is_gone` says of a stage that was removed before whether all its processes have ended.
///
/// # Errors
/// What cannot be changed while the pipeline runs, a line each.
pub fn difference(old: &Plan, new: Plan, is_gone: impl Fn(StageIx) -> bool) -> Result<Difference, Vec<String>> {
    let mut refused = Vec::new();
    let queues = numbers(old.queues.iter().map(|queue| &queue.name), new.queues.iter().map(|queue| &queue.name));
    let stages = numbers(old.stages.iter().map(|stage| &stage.name), new.stages.iter().map(|stage| &stage.name));
    if old.name != new.name {
        refused.push(format!("its name would be {:?} instead of {:?}", new.name, old.name));
    }
    if old.logs != new.logs {
        refused.push("[logs] cannot be changed while it runs".to_owned());
    }
    let mut plan = old.clone();
    plan.drain_timeout = new.drain_timeout;
    (plan.fail_on_dead_letters, plan.max_dead_letters) = (new.fail_on_dead_letters, new.max_dead_letters);
    plan.on_standstill = new.on_standstill;
    let mut words = Vec::new();
    if old.drain_timeout != new.drain_timeout {
        words.push("drain_timeout: changed".to_owned());
    }
    if old.fail_on_dead_letters != new.fail_on_dead_letters {
        words.push("fail_on_dead_letters: changed".to_owned());
    }
    if old.max_dead_letters != new.max_dead_letters {
        words.push("max_dead_letters: changed".to_owned());
    }

    if old.on_standstill != new.on_standstill {
        words.push("on_standstill: changed".to_owned());
    }

    let made = take_queues(&mut plan, &new, &queues, &stages, &mut words, &mut refused);
    let renewed = take_stages(&mut plan, &new, &queues, &stages, &mut words, &mut refused);
    for (stage, before) in old.stages.iter().enumerate() {
        let is_back = before.removed && !plan.stages[stage].removed;
        if is_back && !is_gone(stage) {
            refused
                .push(format!("stage {}: its processes of before are still there; try again in a moment", before.name));
        }
    }
    let in_old = |of: &[usize], numbers: &[usize]| of.iter().map(|ix| numbers[*ix]).collect();
    plan.loops = new
        .loops
        .iter()
        .map(|circle| Loop { stages: in_old(&circle.stages, &stages), queues: in_old(&circle.queues, &queues) })
        .collect();
    plan.groups = new.groups.clone();
    plan.groups.iter_mut().for_each(|group| group.stages = in_old(&group.stages, &stages));
    if plan.groups != old.groups {
        words.push("groups: changed".to_owned());
    }
    if refused.is_empty() { Ok(Difference { plan, renewed, made, words }) } else { Err(refused) }
}

/// For each of the new ones its number among the old ones, or one behind them.
fn numbers<'a>(old: impl Iterator<Item = &'a String>, new: impl Iterator<Item = &'a String>) -> Vec<usize> {
    let known: HashMap<&String, usize> = old.enumerate().map(|(ix, name)| (name, ix)).collect();
    let mut next = known.len();
    new.map(|name| {
        known.get(name).copied().unwrap_or_else(|| {
            next += 1;
            next - 1
        })
    })
    .collect()
}

fn take_queues(
    plan: &mut Plan,
    new: &Plan,
    queues: &[usize],
    stages: &[usize],
    words: &mut Vec<String>,
    refused: &mut Vec<String>,
) -> Vec<QueueIx> {
    let mut made = Vec::new();
    for queue in &mut plan.queues {
        if !queue.removed && !new.queues.iter().any(|kept| kept.name == queue.name) {
            queue.removed = true;
            (queue.producers, queue.consumers) = (Vec::new(), Vec::new());
            words.push(format!("queue {}: removed", queue.name));
        }
    }
    for (queue, ix) in new.queues.iter().zip(queues) {
        let in_old = |of: &[StageIx]| of.iter().map(|stage| stages[*stage]).collect::<Vec<_>>();
        let (producers, consumers) = (in_old(&queue.producers), in_old(&queue.consumers));
        let queue = QueuePlan { producers, consumers, ..queue.clone() };
        let Some(before) = plan.queues.get_mut(*ix) else {
            words.push(format!("queue {}: new", queue.name));
            made.push(*ix);
            plan.queues.push(queue);
            continue;
        };
        if before.removed {
            refused.push(format!(
                "queue {}: it was removed in this run, and is closed; call it something else",
                queue.name
            ));
        } else if before.geometry() != queue.geometry() {
            refused.push(format!(
                "queue {}: capacity, item_bytes, max_item_bytes and max_deliveries stay as they are while it runs; stop it \
                 and run it again, and its items are moved",
                queue.name
            ));
        } else if before.retry() != queue.retry() {
            words.push(format!(
                "queue {}: retry_delay changed, for the workers that are started from now on",
                queue.name
            ));
        }
        *before = queue;
    }
    made
}

fn take_stages(
    plan: &mut Plan,
    new: &Plan,
    queues: &[usize],
    stages: &[usize],
    words: &mut Vec<String>,
    refused: &mut Vec<String>,
) -> Vec<StageIx> {
    let mut renewed = Vec::new();
    for stage in &mut plan.stages {
        if !stage.removed && !new.stages.iter().any(|kept| kept.name == stage.name) {
            stage.removed = true;
            (stage.replicas, stage.significant) = (0, false);
            (stage.starts_after, stage.stops_after, stage.depends_on) = (Vec::new(), Vec::new(), Vec::new());
            stage.needs_completed.clear();
            words.push(format!("stage {}: removed", stage.name));
        }
    }
    for (stage, ix) in new.stages.iter().zip(stages) {
        let in_old = |of: &[usize], numbers: &[usize]| of.iter().map(|ix| numbers[*ix]).collect::<Vec<_>>();
        let stage = StagePlan {
            inputs: in_old(&stage.inputs, queues),
            outputs: in_old(&stage.outputs, queues),
            depends_on: in_old(&stage.depends_on, stages),
            needs_completed: in_old(&stage.needs_completed, stages),
            starts_after: in_old(&stage.starts_after, stages),
            stops_after: in_old(&stage.stops_after, stages),
            ..stage.clone()
        };
        let Some(before) = plan.stages.get_mut(*ix) else {
            words.push(format!("stage {}: new", stage.name));
            plan.stages.push(stage);
            continue;
        };
        if before.removed {
            words.push(format!("stage {}: new", stage.name));
        } else {
            if before.threads != stage.threads {
                let how = match stage.role() {
                    Role::Source => "let the run come to its end, and change them then",
                    Role::Consumer | Role::Task | Role::Service => "stop it and run it again",
                };
                refused.push(format!("stage {}: threads stay as they are while it runs; {how}", stage.name));
            }
            let changed = changes(before, &stage);
            if !changed.is_empty() {
                words.push(format!("stage {}: {} changed", stage.name, changed.join(", ")));
            }
            if before.replicas != stage.replicas {
                let workers = counted(stage.replicas.into(), "worker");
                words.push(format!("stage {}: {workers} instead of {}", stage.name, before.replicas));
            }
            if concerns_processes(before, &stage) {
                renewed.push(*ix);
            }
        }
        *before = stage;
    }
    renewed
}

/// Whether processes of the one are not what those of the other would be.
fn concerns_processes(old: &StagePlan, new: &StagePlan) -> bool {
    let of = |stage: &StagePlan| StagePlan {
        // What the supervisor alone goes by.
        replicas: 0,
        restart: old.restart,
        max_restarts: old.max_restarts,
        restart_period: old.restart_period,
        give_up_after: old.give_up_after,
        outage_timeout: old.outage_timeout,
        backoff: old.backoff,
        backoff_max: old.backoff_max,
        start_timeout: old.start_timeout,
        stop_timeout: old.stop_timeout,
        stop_signal: old.stop_signal,
        watch: old.watch,
        exits: old.exits.clone(),
        significant: false,
        depends_on: Vec::new(),
        needs_completed: Vec::new(),
        starts_after: Vec::new(),
        stops_after: Vec::new(),
        ..stage.clone()
    };
    of(old) != of(new) || old.watch.watchdog != new.watch.watchdog
}

/// Which keys have changed.
fn changes(old: &StagePlan, new: &StagePlan) -> Vec<&'static str> {
    let command = (&old.program, &old.args) != (&new.program, &new.args);
    let waits = |stage: &StagePlan| (stage.backoff, stage.backoff_max, stage.give_up_after, stage.outage_timeout);
    let restarts = |stage: &StagePlan| (stage.restart, stage.max_restarts, stage.restart_period, waits(stage));
    let times = |stage: &StagePlan| (stage.start_timeout, stage.stop_timeout, stage.stop_signal);
    let batches = |stage: &StagePlan| (stage.batch, stage.batch_time, stage.exit_on_panic);
    let needs = |stage: &StagePlan| (stage.depends_on.clone(), stage.needs_completed.clone());
    let all = [
        ("command", command),
        ("inputs", old.inputs != new.inputs),
        ("outputs", old.outputs != new.outputs),
        ("env", old.env != new.env),
        ("cwd", old.cwd != new.cwd),
        ("limits", old.limits != new.limits),
        ("batch or on_panic", batches(old) != batches(new)),
        ("ready", old.ready != new.ready),
        ("restart policy", restarts(old) != restarts(new)),
        ("timeouts or stop_signal", times(old) != times(new)),
        ("timeouts of hung workers", old.watch != new.watch),
        ("exit codes", old.exits != new.exits),
        ("significant", old.significant != new.significant),
        ("depends_on", needs(old) != needs(new)),
    ];
    all.into_iter().filter_map(|(key, has_changed)| has_changed.then_some(key)).collect()
}

#[cfg(test)]
mod tests;
