//! What is believed of the limits of a stage. What can be known before a start to be refused at the start is refused
//! here.

use toml::Spanned;

use super::stage::check_nul;
use super::{identity, rlimits};
use crate::config::bounds::{MAX_ITEMS, MAX_RSS, MEMORY_MAX, NICE};
use crate::config::fault::Fault;
use crate::config::plan::Limits;
use crate::config::raw::RawStage;
use crate::config::surroundings::Surroundings;

/// The limits of a stage.
pub(super) fn believe(raw: &RawStage, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> Limits {
    let limits = &raw.limits;
    let unsigned = |value: Option<i64>| value.map(i64::unsigned_abs);
    let believed = Limits {
        identity: identity::believe(limits, surroundings, faults),
        umask: limits.umask.as_ref().and_then(|typed| umask(typed, faults)),
        nice: nice(limits.nice.as_ref(), surroundings, faults),
        cpus: limits.cpus.as_ref().and_then(|typed| cpus(typed, surroundings, faults)),
        rlimits: rlimits::believe(&limits.rlimits, surroundings, faults),
        no_new_privs: limits.no_new_privs.as_ref().is_some_and(|flag| *flag.get_ref()),
        env_allow: limits.env_allow.as_ref().map(|names| env_allow(names.get_ref(), faults)),
        max_rss: unsigned(MAX_RSS.hold_given(limits.max_rss.as_ref(), faults)),
        memory_max: unsigned(MEMORY_MAX.hold_given(limits.memory_max.as_ref(), faults)),
        max_items: unsigned(MAX_ITEMS.hold_given(limits.max_items.as_ref(), faults)),
    };
    check_takes_items(raw, faults);
    believed
}

/// A worker is replaced between two items; one that takes none would begin its work anew.
fn check_takes_items(raw: &RawStage, faults: &mut Vec<Fault>) {
    if raw.inputs.as_ref().is_none_or(|inputs| !inputs.is_empty()) {
        return;
    }
    let limits = &raw.limits;
    let given = [
        ("max_rss", limits.max_rss.as_ref().map(Spanned::span), "use memory_max, or limits.data"),
        ("max_items", limits.max_items.as_ref().map(Spanned::span), "remove it"),
    ];
    for (key, span, help) in given {
        if let Some(span) = span {
            let message = format!("{key} is for stages with inputs: its worker is replaced between two items");
            faults.push(Fault::at(span, message).help(help));
        }
    }
}

fn umask(typed: &Spanned<String>, faults: &mut Vec<Fault>) -> Option<u32> {
    let text = typed.get_ref();
    let digits = (1..=4).contains(&text.len()) && text.bytes().all(|byte| (b'0'..=b'7').contains(&byte));
    let mask = u32::from_str_radix(text, 8).ok().filter(|mask| digits && *mask <= 0o777);
    if mask.is_none() {
        let fault = Fault::at(typed.span(), format!("umask cannot be {text:?}"));
        faults.push(fault.help("it is three octal digits, such as \"027\""));
    }
    mask
}

fn nice(typed: Option<&Spanned<i64>>, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> Option<i32> {
    let nice = i32::try_from(NICE.hold_given(typed, faults)?).expect("the bounds of nice are within 32 bits");
    if let Some(typed) = typed
        && !surroundings.is_root()
        && nice < surroundings.nice
    {
        let message = format!("nice is {nice}, and only root may go below {}", surroundings.nice);
        faults.push(Fault::at(typed.span(), message).help("raise it, or run brigade as root"));
    }
    Some(nice)
}

/// A list of cores such as `0-3,8`, ascending and without repetitions.
fn cpus(typed: &Spanned<String>, surroundings: &Surroundings, faults: &mut Vec<Fault>) -> Option<Vec<u16>> {
    let Some(mut cpus) = list_of_numbers(typed.get_ref()) else {
        let fault = Fault::at(typed.span(), format!("cpus cannot be {:?}", typed.get_ref()));
        faults.push(fault.help("it is a list of cores and ranges of cores, such as \"0-3,8\""));
        return None;
    };
    cpus.sort_unstable();
    cpus.dedup();
    let missing = cpus.iter().copied().filter(|core| !surroundings.cores.contains(core)).collect::<Vec<_>>();
    if missing.is_empty() {
        return Some(cpus);
    }
    let message = format!("cpus names cores that are not there, or not for brigade: {}", show_cpus(&missing));
    let help = format!("it may run on {}", show_cpus(&surroundings.cores));
    faults.push(Fault::at(typed.span(), message).help(help));
    None
}

fn list_of_numbers(text: &str) -> Option<Vec<u16>> {
    let number = |text: &str| text.trim().parse::<u16>().ok();
    let mut all = Vec::new();
    for part in text.split(',') {
        match part.split_once('-') {
            None => all.push(number(part)?),
            Some((first, last)) => {
                let (first, last) = (number(first)?, number(last)?);
                if first > last {
                    return None;
                }
                all.extend(first..=last);
            }
        }
    }
    Some(all)
}

/// Ascending numbers as a list that can be read again, such as `0-3,8`.
pub(in crate::config) fn show_cpus(cpus: &[u16]) -> String {
    let mut ranges: Vec<(u16, u16)> = Vec::new();
    for core in cpus {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == *core => *last = *core,
            Some(_) | None => ranges.push((*core, *core)),
        }
    }
    let show = |(first, last)| if first == last { format!("{first}") } else { format!("{first}-{last}") };
    ranges.into_iter().map(show).collect::<Vec<_>>().join(",")
}

fn env_allow(names: &[Spanned<String>], faults: &mut Vec<Fault>) -> Vec<String> {
    for name in names {
        let typed = name.get_ref();
        if typed.is_empty() || typed.contains('=') {
            let message = format!("{typed:?} cannot be the name of an environment variable");
            faults.push(Fault::at(name.span(), message).help("a name is not empty and holds no ="));
        }
        check_nul("env_allow", name, faults);
    }
    names.iter().map(|name| name.get_ref().clone()).collect()
}
