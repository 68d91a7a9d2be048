//! What is believed of the groups of stages. Without this check a stage could go down with two different crowds.

use std::collections::BTreeMap;

use toml::Spanned;

use super::names::{find, word};
use super::{check_name, stage_names};
use crate::config::bounds::RESTART_PERIOD;
use crate::config::fault::Fault;
use crate::config::plan::{Group, StageIx, Strategy};
use crate::config::raw::{RawGroup, RawStage};
use crate::config::table::NumberOr;

/// All groups. `stages` are those of the file.
pub(super) fn believe(groups: &[RawGroup], stages: &[RawStage], faults: &mut Vec<Fault>) -> Vec<Group> {
    let names = stage_names(stages);
    let mut taken: BTreeMap<StageIx, &str> = BTreeMap::new();
    let mut believed = Vec::new();
    for raw in groups {
        check_name("group", &raw.name, faults);
        let typed = raw.stages.as_ref().map(|list| list.get_ref().as_slice());
        let members = find(typed, "stages", "stage", &names, faults);
        check_only_here(raw, &members, &mut taken, &names, faults);
        let strategy = strategy(raw, faults);
        check_size(raw, strategy, faults);
        believed.push(Group {
            name: raw.name.get_ref().clone(),
            stages: members,
            strategy,
            max_restarts: max_restarts(raw, faults),
            restart_period: RESTART_PERIOD.hold(raw.restart_period.as_ref(), faults),
        });
    }
    believed
}

fn strategy(raw: &RawGroup, faults: &mut Vec<Fault>) -> Strategy {
    let words = [
        ("one-for-one", Strategy::OneForOne),
        ("one-for-all", Strategy::OneForAll),
        ("rest-for-one", Strategy::RestForOne),
    ];
    word(raw.strategy.as_ref(), "strategy", &words, faults)
}

/// Where nothing is said, the limits of the stages are enough.
fn max_restarts(raw: &RawGroup, faults: &mut Vec<Fault>) -> Option<u32> {
    let given = raw.max_restarts.as_ref()?;
    match *given.get_ref() {
        NumberOr::Word => None,
        NumberOr::Number(number) => {
            let most = u32::try_from(number).ok();
            if most.is_none() {
                let help = format!("it may be 0 to {}, or \"unlimited\", which is the default", u32::MAX);
                faults.push(Fault::at(given.span(), format!("max_restarts of a group cannot be {number}")).help(help));
            }
            most
        }
    }
}

fn check_only_here<'a>(
    raw: &'a RawGroup,
    members: &[StageIx],
    taken: &mut BTreeMap<StageIx, &'a str>,
    names: &[&str],
    faults: &mut Vec<Fault>,
) {
    for stage in members {
        let name = names[*stage];
        let typed = raw.stages.iter().flat_map(|list| list.get_ref()).find(|typed| typed.get_ref() == name);
        match (taken.get(stage), typed) {
            (Some(other), Some(typed)) => {
                let message = format!("stage {name:?} is in two groups, {other:?} and {:?}", raw.name.get_ref());
                faults.push(Fault::at(typed.span(), message).help("a stage goes down with one group at most"));
            }
            (Some(_), None) => {}
            (None, _) => _ = taken.insert(*stage, raw.name.get_ref()),
        }
    }
}

/// A group must have somebody who can go down with somebody.
fn check_size(raw: &RawGroup, strategy: Strategy, faults: &mut Vec<Fault>) {
    let Some(typed) = &raw.stages else { return };
    if typed.get_ref().is_empty() {
        let message = format!("group {:?} has no stages", raw.name.get_ref());
        faults.push(Fault::at(typed.span(), message).help("name its stages, or remove the group"));
    } else if strategy == Strategy::RestForOne && typed.get_ref().len() == 1 {
        let message = format!("group {:?} is rest-for-one, and nobody comes after its only stage", raw.name.get_ref());
        let help =
            "name the stages that go down with it after it, or write one-for-all for its workers among themselves";
        faults.push(Fault::at(raw.strategy.as_ref().map_or(typed.span(), Spanned::span), message).help(help));
    }
}
