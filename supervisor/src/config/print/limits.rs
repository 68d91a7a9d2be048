//! The limits of a stage as lines of a pipeline file. What is not limited has no line: no word would mean the same.

use std::fmt::Write;

use super::{list, quoted};
use crate::config::check::show_cpus;
use crate::config::plan::{Bound, Limits};
use crate::config::rlimit::{Measure, Rlimit};
use crate::config::units::show_size;

/// The lines; those of `[stages.NAME.limits]` come last.
pub(super) fn text(stage: &str, limits: &Limits) -> String {
    let Limits { identity, umask, nice, cpus, rlimits, no_new_privs, env_allow, max_rss, memory_max, max_items } =
        limits;
    let user = identity.as_ref().and_then(|identity| identity.user.as_ref());
    let group = identity.as_ref().and_then(|identity| identity.group.as_ref());
    let lines = [
        ("user", user.map(|user| quoted(&user.typed))),
        ("group", group.map(|group| quoted(group))),
        ("umask", umask.map(|mask| format!("\"{mask:03o}\""))),
        ("nice", nice.map(|nice| nice.to_string())),
        ("cpus", cpus.as_ref().map(|cpus| format!("\"{}\"", show_cpus(cpus)))),
        ("no_new_privs", Some(no_new_privs.to_string())),
        ("env_allow", env_allow.as_ref().map(|names| list(names.iter().map(|name| quoted(name))))),
        ("max_rss", max_rss.map(size)),
        ("memory_max", memory_max.map(size)),
        ("max_items", max_items.map(|items| items.to_string())),
    ];
    let mut text = String::new();
    for (key, value) in lines {
        if let Some(value) = value {
            writeln!(text, "{key} = {value}").expect("a string takes all");
        }
    }
    if !rlimits.is_empty() {
        writeln!(text, "\n[stages.{stage}.limits]").expect("a string takes all");
    }
    for (limit, bound) in rlimits {
        writeln!(text, "{} = {}", limit.name(), shown(*limit, *bound)).expect("a string takes all");
    }
    text
}

fn size(bytes: u64) -> String {
    format!("\"{}\"", show_size(bytes))
}

fn shown(limit: Rlimit, bound: Bound) -> String {
    let one = |value: Option<u64>| match (value, limit.measure()) {
        (None, _) => "unlimited".to_owned(),
        (Some(value), Measure::Bytes) => show_size(value),
        (Some(value), Measure::Seconds) => format!("{value}s"),
        (Some(value), Measure::Pieces) => value.to_string(),
    };
    format!("\"{}:{}\"", one(bound.soft), one(bound.hard))
}
