//! From the file as typed to the plan we believe. Nothing wrong gets past this; all that is wrong is told at once.

mod exits;
mod graph;
mod group;
mod identity;
mod intensity;
mod limits;
mod logs;
mod names;
mod order;
mod program;
mod queue;
mod ready;
mod rlimits;
mod stage;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::DeTable;

use super::bounds::{DRAIN_TIMEOUT, MAX_DEAD_LETTERS};
use super::fault::{Fault, Faults};
use super::plan::{MOST_WORKERS, Plan, QueuePlan, StagePlan};
use super::raw::{RawPipeline, RawStage};
use super::surroundings::Surroundings;
use super::table::NumberOr;
use super::vars::is_name;
use crate::trust::Doubt;
use graph::Graph;
pub(super) use limits::show_cpus;

/// Reads a pipeline file and checks all of it. `sets` are the values of `--set`; relative paths start at
/// [`Surroundings::cwd`].
///
/// # Errors
///
/// Everything that is wrong with the file, at once. What cannot be read any further (no such file, not TOML) is told
/// alone.
pub fn load(file: &Path, sets: &[(String, String)], surroundings: &Surroundings) -> Result<Plan, Faults> {
    let source = read(file, surroundings).map_err(|fault| Faults::new(file, String::new(), vec![fault]))?;
    let (plan, faults) = match DeTable::parse(&source) {
        Ok(table) => {
            let (raw, faults) = RawPipeline::read(&source, table.get_ref(), sets);
            believe(&raw, &surroundings.cwd.join(file), surroundings, faults)
        }
        Err(error) => {
            let fault = Fault::at(error.span().unwrap_or(0..0), format!("not TOML: {}", one_line(error.message())));
            return Err(Faults::new(
                file,
                source,
                vec![fault.help("the rest of the file is read once this is mended")],
            ));
        }
    };
    if faults.is_empty() { Ok(plan) } else { Err(Faults::new(file, source, faults)) }
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn read(file: &Path, surroundings: &Surroundings) -> Result<String, Fault> {
    let bytes = std::fs::read(surroundings.cwd.join(file)).map_err(|error| {
        let help = match error.kind() {
            std::io::ErrorKind::NotFound => "give the path of a pipeline file, such as examples/checksum/pipeline.toml",
            std::io::ErrorKind::IsADirectory => "give the path of the pipeline file in this folder",
            std::io::ErrorKind::PermissionDenied => "make the file and the folders above it readable for you",
            _ => "see that the file can be read, and try again",
        };
        Fault::nowhere(format!("cannot read the pipeline file: {error}")).help(help)
    })?;
    String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        let line = error.as_bytes()[..place].iter().filter(|byte| **byte == b'\n').count() + 1;
        let fault =
            Fault::nowhere(format!("the pipeline file is not UTF-8 text: line {line}, byte {place} of the file"));
        fault.help("save it as UTF-8")
    })
}

/// The plan, which is worth something only if no fault comes with it.
fn believe(raw: &RawPipeline, file: &Path, surroundings: &Surroundings, mut faults: Vec<Fault>) -> (Plan, Vec<Fault>) {
    let file = really(file);
    let folder = file.parent().unwrap_or(Path::new("/"));
    if let Some(doubt) = surroundings.doubt(&file, None) {
        let fault = Fault::nowhere(format!("others could change the pipeline file: {}", doubt.what));
        faults.push(fault.help(mend(&doubt)));
    }
    if let Some(name) = &raw.name {
        check_name("pipeline", name, &mut faults);
    }
    let mut queues: Vec<QueuePlan> = raw.queues.iter().map(|queue| queue::believe(queue, &mut faults)).collect();
    let mut stages: Vec<StagePlan> =
        raw.stages.iter().map(|stage| stage::believe(stage, raw, folder, surroundings, &mut faults)).collect();
    check_workers(&stages, &raw.stages, &mut faults);
    queue::attach(&mut queues, &stages);

    // With a list that could not be read, every queue might seem to lack somebody.
    let lists_read = raw.stages.iter().all(|stage| stage.inputs.is_some() && stage.outputs.is_some());
    let graph = Graph::new(&queues, &stages);
    if lists_read {
        queue::check_ends(&raw.queues, &queues, &mut faults);
        graph.check_fed(&raw.stages, &stages, &mut faults);
    }
    queue::check_members(&raw.queues, &queues, &stages, &mut faults);
    order::attach(&raw.stages, &mut stages, &mut faults);
    order::arrange(&raw.stages, &mut stages, &graph, &mut faults);
    let groups = group::believe(&raw.groups, &raw.stages, &mut faults);
    let plan = Plan {
        name: raw.name.as_ref().map_or_else(String::new, |name| name.get_ref().clone()),
        file: file.clone(),
        drain_timeout: DRAIN_TIMEOUT.hold(raw.drain_timeout.as_ref(), &mut faults),
        fail_on_dead_letters: raw.fail_on_dead_letters.as_ref().is_none_or(|fail| *fail.get_ref()),
        max_dead_letters: max_dead_letters(raw, &mut faults),
        logs: logs::believe(&raw.logs, &mut faults),
        loops: graph.loops(&queues),
        queues,
        stages,
        groups,
    };
    (plan, faults)
}

fn max_dead_letters(raw: &RawPipeline, faults: &mut Vec<Fault>) -> Option<u64> {
    let given = raw.max_dead_letters.as_ref()?;
    match given.get_ref() {
        NumberOr::Word => None,
        NumberOr::Number(number) => {
            let held = MAX_DEAD_LETTERS.hold_given(Some(&Spanned::new(given.span(), *number)), faults)?;
            Some(held.unsigned_abs())
        }
    }
}

/// What to do about a place that others can change.
fn mend(doubt: &Doubt) -> String {
    format!("{}; or run it with --allow-writable, if whoever can write there may do all that root may", doubt.mend)
}

/// The absolute path of the file in its real folder; the file itself may be a link, and is then taken where that lies.
fn really(file: &Path) -> PathBuf {
    let folder = file.parent().and_then(|folder| folder.canonicalize().ok());
    folder.zip(file.file_name()).map_or_else(|| file.to_owned(), |(folder, name)| folder.join(name))
}

fn stage_names(stages: &[RawStage]) -> Vec<&str> {
    stages.iter().map(|stage| stage.name.get_ref().as_str()).collect()
}

fn check_name(noun: &str, name: &Spanned<String>, faults: &mut Vec<Fault>) {
    if !is_name(name.get_ref()) {
        let message = format!("{noun} {:?} has a name that cannot be used", name.get_ref());
        let help = "a name is 1 to 64 of the letters a to z and A to Z, digits, - and _, and does not begin with -";
        faults.push(Fault::at(name.span(), message).help(help));
    }
}

fn check_workers(stages: &[StagePlan], raw: &[RawStage], faults: &mut Vec<Fault>) {
    let workers: u64 = stages.iter().map(|stage| u64::from(stage.replicas)).sum();
    if workers > MOST_WORKERS
        && let Some((_, largest)) = stages.iter().zip(raw).max_by_key(|(stage, _)| stage.replicas)
    {
        let place = largest.replicas.as_ref().map_or(largest.name.span(), Spanned::span);
        let message = format!("the pipeline has {workers} workers, more than {MOST_WORKERS}");
        faults.push(Fault::at(place, message).help("lower replicas; threads do work that waits in fewer processes"));
    }
}
