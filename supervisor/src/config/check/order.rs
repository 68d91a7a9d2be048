//! Who starts after whom, and who stops before whom. Without this check stages could wait for each other for ever.

use std::collections::{BTreeSet, VecDeque};

use toml::Spanned;

use super::graph::Graph;
use super::names::find;
use super::stage_names;
use crate::config::fault::Fault;
use crate::config::plan::{Role, StageIx, StagePlan};
use crate::config::raw::RawStage;

/// Finds the stages that each stage depends on.
pub(super) fn attach(raw: &[RawStage], stages: &mut [StagePlan], faults: &mut Vec<Fault>) {
    let names = stage_names(raw);
    for (raw, stage) in raw.iter().zip(stages) {
        let typed = raw.depends_on.as_ref().map(|list| list.get_ref().as_slice());
        stage.depends_on = find(typed, "depends_on", "stage", &names, faults);
        // A name that is not known was told above.
        let completed =
            raw.needs_completed.iter().filter_map(|typed| names.iter().position(|name| name == typed.get_ref()));
        stage.needs_completed = completed.filter(|ix| stage.depends_on.contains(ix)).collect();
    }
}

/// Reports what can never have completed when a stage that waits for it is to start.
pub(super) fn check_completed(raw: &[RawStage], stages: &[StagePlan], graph: &Graph, faults: &mut Vec<Fault>) {
    for (ix, stage) in stages.iter().enumerate() {
        for needed in &stage.needs_completed {
            let name = &stages[*needed].name;
            let (message, help) = if stages[*needed].role() == Role::Service {
                let why = "which is a service and never ends by itself";
                (why.to_owned(), "write condition = \"ready\", or give it restart = \"transient\"")
            } else if *needed != ix && is_fed_by(*needed, ix, graph) {
                let why = format!("which takes what {:?} sends, and so ends after it", stage.name);
                (why, "write condition = \"ready\", or remove one of them")
            } else {
                continue;
            };
            let message = format!("stage {:?} waits until {name:?} has completed, {message}", stage.name);
            faults.push(Fault::at(place(&raw[ix], name), message).help(help));
        }
    }
}

/// Whether items of one stage come to another, directly or through others.
fn is_fed_by(stage: StageIx, source: StageIx, graph: &Graph) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![source]);
    while let Some(next) = open.pop() {
        for fed in graph.fed(next) {
            if *fed == stage {
                return true;
            }
            if seen.insert(*fed) {
                open.push(*fed);
            }
        }
    }
    false
}

/// Writes down at every stage after whom it starts and after whom it stops, and finds those that wait for each other.
pub(super) fn arrange(raw: &[RawStage], stages: &mut [StagePlan], graph: &Graph, faults: &mut Vec<Fault>) {
    check_circles(raw, stages, graph, faults);
    let is_service = |stage: &StagePlan| stage.role() == Role::Service;
    // A service that depends on anything but services is not waited for by all others: one of them might be what it
    // waits for.
    let base: Vec<StageIx> = (0..stages.len())
        .filter(|ix| is_service(&stages[*ix]))
        .filter(|ix| all_needed(*ix, stages).iter().all(|needed| is_service(&stages[*needed])))
        .collect();
    let needs: Vec<BTreeSet<StageIx>> = stages
        .iter()
        .map(|stage| {
            let services = if is_service(stage) { &[][..] } else { &base[..] };
            stage.depends_on.iter().chain(services).copied().collect()
        })
        .collect();
    for ix in 0..stages.len() {
        let after: BTreeSet<StageIx> = needs[ix].iter().copied().chain(graph.fed_outside(ix)).collect();
        stages[ix].starts_after = after.into_iter().collect();
        stages[ix].stops_after = (0..needs.len()).filter(|other| needs[*other].contains(&ix)).collect();
    }
}

/// What a stage depends on, directly or through others.
fn all_needed(stage: StageIx, stages: &[StagePlan]) -> BTreeSet<StageIx> {
    let mut found = BTreeSet::new();
    let mut open = vec![stage];
    while let Some(stage) = open.pop() {
        open.extend(stages[stage].depends_on.iter().filter(|needed| found.insert(**needed)));
    }
    found
}

/// Reports every circle that a `depends_on` closes, once, in full.
fn check_circles(raw: &[RawStage], stages: &[StagePlan], graph: &Graph, faults: &mut Vec<Fault>) {
    let mut told: BTreeSet<BTreeSet<StageIx>> = BTreeSet::new();
    for (ix, stage) in stages.iter().enumerate() {
        for needed in &stage.depends_on {
            let Some(way) = way(*needed, ix, stages, graph) else { continue };
            if !told.insert(way.iter().copied().collect()) {
                continue;
            }
            let mut words = vec![format!("{:?} depends on {:?}", stage.name, stages[*needed].name)];
            for step in way.windows(2) {
                let verb = if stages[step[0]].depends_on.contains(&step[1]) { "depends on" } else { "sends to" };
                words.push(format!("{:?} {verb} {:?}", stages[step[0]].name, stages[step[1]].name));
            }
            let (message, help) = if *needed == ix {
                (format!("stage {:?} depends on itself", stage.name), "remove it from depends_on")
            } else {
                let message = format!("stages wait for each other to start: {}", words.join(", "));
                (
                    message,
                    "a stage starts after those that it depends on and those that it sends to; remove one of them",
                )
            };
            faults.push(Fault::at(place(&raw[ix], &stages[*needed].name), message).help(help));
        }
    }
}

/// The shortest way from one stage to another along what each waits for, both ends included.
fn way(from: StageIx, to: StageIx, stages: &[StagePlan], graph: &Graph) -> Option<Vec<StageIx>> {
    let mut ways = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::from([from]);
    while let Some(way) = ways.pop_front() {
        let last = *way.last()?;
        if last == to {
            return Some(way);
        }
        for next in stages[last].depends_on.iter().chain(graph.fed(last)) {
            if seen.insert(*next) {
                ways.push_back(way.iter().copied().chain([*next]).collect());
            }
        }
    }
    None
}

/// Where a stage names another one in its `depends_on`.
fn place(raw: &RawStage, needed: &str) -> std::ops::Range<usize> {
    let list = raw.depends_on.as_ref();
    let typed = list.and_then(|list| list.get_ref().iter().find(|typed| typed.get_ref() == needed));
    typed.map(Spanned::span).or(list.map(Spanned::span)).unwrap_or(raw.name.span())
}
