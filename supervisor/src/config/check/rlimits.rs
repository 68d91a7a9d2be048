//! What is believed of the kernel's limits for the processes of a stage.

use std::collections::BTreeMap;

use rustix::process::getrlimit;
use toml::Spanned;

use crate::config::fault::Fault;
use crate::config::plan::Bound;
use crate::config::rlimit::{Measure, Rlimit};
use crate::config::surroundings::Surroundings;
use crate::config::units::{parse_duration, parse_size};

const UNLIMITED: &str = "unlimited";

/// All limits that can be read and set.
pub(super) fn believe(
    raw: &[(&'static str, Spanned<String>)],
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
) -> BTreeMap<Rlimit, Bound> {
    let mut limits = BTreeMap::new();
    for (name, typed) in raw {
        let limit = Rlimit::named(name).expect("only known names are read");
        match bound(limit, typed.get_ref()) {
            Ok(bound) => {
                check_may(limit, bound, typed, surroundings, faults);
                limits.insert(limit, bound);
            }
            Err(why) => {
                let fault = Fault::at(typed.span(), format!("limit {name} cannot be {:?}: {why}", typed.get_ref()));
                faults.push(fault.help(form(limit)));
            }
        }
    }
    limits
}

/// What a limit looks like, for people.
fn form(limit: Rlimit) -> &'static str {
    match limit.measure() {
        Measure::Bytes => "a size such as \"1GiB\", soft and hard such as \"8MiB:64MiB\", or \"unlimited\"",
        Measure::Seconds => "whole seconds such as \"90s\", soft and hard such as \"60s:90s\", or \"unlimited\"",
        Measure::Pieces => "a number such as 1024, soft and hard such as \"1024:4096\", or \"unlimited\"",
    }
}

/// Soft and hard, or one value that is both.
fn bound(limit: Rlimit, text: &str) -> Result<Bound, String> {
    let (soft, hard) = text.split_once(':').unwrap_or((text, text));
    let bound = Bound { soft: value(limit, soft.trim())?, hard: value(limit, hard.trim())? };
    match bound {
        Bound { soft: None, hard: Some(_) } => Err("the soft limit is above the hard one".to_owned()),
        Bound { soft: Some(soft), hard: Some(hard) } if soft > hard => {
            Err("the soft limit is above the hard one".to_owned())
        }
        bound => Ok(bound),
    }
}

fn value(limit: Rlimit, text: &str) -> Result<Option<u64>, String> {
    if text == UNLIMITED {
        return Ok(None);
    }
    match limit.measure() {
        Measure::Bytes => match parse_size(text) {
            Ok(bytes) => Ok(Some(bytes.unsigned_abs())),
            Err(error) => Err(format!("it {error}")),
        },
        Measure::Seconds => match parse_duration(text) {
            Ok(time) if time.subsec_nanos() == 0 => Ok(Some(time.as_secs())),
            Ok(_) => Err("it is no whole number of seconds".to_owned()),
            Err(error) => Err(format!("it {error}")),
        },
        Measure::Pieces => text.parse().map(Some).map_err(|_| "it is not a number".to_owned()),
    }
}

/// Only root may raise a hard limit.
fn check_may(
    limit: Rlimit,
    bound: Bound,
    typed: &Spanned<String>,
    surroundings: &Surroundings,
    faults: &mut Vec<Fault>,
) {
    let most = getrlimit(limit.resource()).maximum;
    let raises = most.is_some_and(|most| bound.hard.is_none_or(|hard| hard > most));
    if raises && !surroundings.is_root() {
        let most = most.map_or(UNLIMITED.to_owned(), |most| most.to_string());
        let message = format!("limit {} is above what brigade itself has, which is {most}", limit.name());
        faults.push(Fault::at(typed.span(), message).help("lower it, or run brigade as root"));
    }
}
