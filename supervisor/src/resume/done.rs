//! Workers of the run that is continued which have done their part: sources and tasks that ended well. They are not started
//! again. A stage whose workers have done only some of their work keeps its number of workers and threads, since each of
//! them has a share of the work by its number.

use super::ResumeError;
use crate::config::plan::{Plan, Role, StagePlan};
use crate::orders::{self, Crew, Order, Orders, Trace};
use crate::state::StateDir;

/// The workers of this plan that are complete, each as its stage and its number. `complete`: stages that are known to be.
///
/// # Errors
/// A stage would share the rest of its work among another number of workers or threads than it began with.
pub(super) fn workers(plan: &Plan, dir: &StateDir, complete: &[String]) -> Result<Vec<(String, u16)>, ResumeError> {
    let io = |what, path| move |source| ResumeError::Io { what, path, source };
    let traces = orders::traces(dir).map_err(io("read the pages in", dir.pages()))?;
    if !traces.iter().any(|trace| trace.has_checkpoint || trace.is_complete) {
        return Ok(Vec::new());
    }
    let noted = orders::noted(dir).map_err(io("know what its stages were told from", dir.orders()))?;
    let mut done = Vec::new();
    for stage in plan.stages.iter().filter(|stage| matches!(stage.role(), Role::Source | Role::Task)) {
        if !complete.contains(&stage.name) {
            let replicas = of_stage(stage, &noted, &traces)?;
            done.extend(replicas.into_iter().map(|replica| (stage.name.clone(), replica)));
        }
    }
    Ok(done)
}

/// The same of one stage.
fn of_stage(stage: &StagePlan, noted: &Orders, traces: &[Trace]) -> Result<Vec<u16>, ResumeError> {
    let name = &stage.name;
    let left = || traces.iter().filter(|trace| trace.stage == *name);
    let now = Order::of(stage);
    // Checkpoints of other work were refused before.
    let Some(then) = noted.get(name) else { return Ok(Vec::new()) };
    if !then.is_same_work(&now) {
        if left().any(|trace| trace.is_complete) {
            let (then, now) = (then.beside(&now), now.beside(then));
            tracing::warn!(
                "stage {name} was complete in the earlier run, when it was told {then}; it is told {now}, and begins again"
            );
        }
        return Ok(Vec::new());
    }
    let is_complete = |replica: &u16| left().any(|trace| trace.replica == *replica && trace.is_complete);
    let crew = Crew { replicas: stage.replicas, threads: stage.threads };
    let before = then.crew.unwrap_or_else(|| {
        // The note of an earlier version. A worker that is beyond the plan had a share as well.
        let most = left().filter(|trace| trace.has_checkpoint).map(|trace| trace.replica.saturating_add(1)).max();
        Crew { replicas: most.unwrap_or(0).max(crew.replicas), threads: crew.threads }
    });
    if before.replicas > 0 && (0..before.replicas).all(|replica| is_complete(&replica)) {
        return Ok((0..crew.replicas).collect());
    }
    let unfit = left().find(|trace| trace.has_checkpoint || trace.is_complete);
    match unfit.filter(|_| before != crew) {
        Some(worker) => {
            let left = if worker.is_complete { "has done its share" } else { "has left a checkpoint of its share" };
            let worker = format!("{name}/{} {left}", worker.replica);
            Err(ResumeError::OtherCrew { stage: name.clone(), worker, before, now: crew })
        }
        None => Ok((0..crew.replicas).filter(is_complete).collect()),
    }
}
