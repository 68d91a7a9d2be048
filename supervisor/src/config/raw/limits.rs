//! The keys of a stage that limit its processes, as typed.

use toml::Spanned;

use super::Given;
use crate::config::rlimit;
use crate::config::table::{Reader, Table};

/// What a stage says of limits.
pub(in crate::config) struct RawLimits {
    pub(in crate::config) user: Given<String>,
    pub(in crate::config) group: Given<String>,
    pub(in crate::config) umask: Given<String>,
    pub(in crate::config) nice: Given<i64>,
    pub(in crate::config) cpus: Given<String>,
    /// Of `[stages.NAME.limits]`: known names, and values as text.
    pub(in crate::config) rlimits: Vec<(&'static str, Spanned<String>)>,
    pub(in crate::config) no_new_privs: Given<bool>,
    pub(in crate::config) env_allow: Given<Vec<Spanned<String>>>,
    pub(in crate::config) max_rss: Given<i64>,
    pub(in crate::config) memory_max: Given<i64>,
    pub(in crate::config) max_items: Given<i64>,
}

impl RawLimits {
    pub(super) fn read(reader: &mut Reader<'_>, stage: &str, table: &Table<'_>) -> Self {
        Self {
            user: table.text(reader, "user"),
            group: table.text(reader, "group"),
            umask: table.text(reader, "umask"),
            nice: table.number(reader, "nice"),
            cpus: table.text(reader, "cpus"),
            rlimits: rlimits(reader, stage, table),
            no_new_privs: table.flag(reader, "no_new_privs"),
            env_allow: table.list(reader, "env_allow"),
            max_rss: table.size(reader, "max_rss"),
            memory_max: table.size(reader, "memory_max"),
            max_items: table.number(reader, "max_items"),
        }
    }
}

fn rlimits(reader: &mut Reader<'_>, stage: &str, table: &Table<'_>) -> Vec<(&'static str, Spanned<String>)> {
    let Some(inner) =
        table.table(reader, "limits", "write [stages.NAME.limits] and below it lines such as nofile = 1024")
    else {
        return Vec::new();
    };
    let whose = format!("the limits of stage {stage:?}");
    let table = Table::open(reader, inner, &whose, &rlimit::NAMES);
    let text = |name: &&'static str| Some((*name, table.text_or_number(reader, name)?));
    rlimit::NAMES.iter().filter_map(text).collect()
}
