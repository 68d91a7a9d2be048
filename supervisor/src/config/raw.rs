//! The file as typed: every value has the right type and its place, nothing is believed yet. Without this step the
//! checks would have to think of types, and could not point at what they complain about.

mod limits;

use std::ops::Range;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeTable;

use super::fault::Fault;
use super::table::{NumberOr, NumberOrText, Reader, Table};
use super::vars::Vars;
pub(super) use limits::RawLimits;

const PIPELINE_KEYS: [&str; 9] =
    ["name", "drain_timeout", "fail_on_dead_letters", "max_dead_letters", "vars", "logs", "queues", "stages", "groups"];
const LOG_KEYS: [&str; 7] =
    ["max_file_bytes", "max_file_age", "keep_files", "keep_age", "max_total_bytes", "compress", "write_timeout"];
const QUEUE_KEYS: [&str; 6] =
    ["capacity", "item_bytes", "max_item_bytes", "max_deliveries", "retry_delay", "retry_delay_max"];
const GROUP_KEYS: [&str; 4] = ["stages", "strategy", "max_restarts", "restart_period"];
const STAGE_KEYS: [&str; 39] = [
    "command",
    "replicas",
    "threads",
    "batch",
    "batch_time",
    "inputs",
    "outputs",
    "env",
    "cwd",
    "restart",
    "max_restarts",
    "restart_period",
    "give_up_after",
    "outage_timeout",
    "backoff",
    "backoff_max",
    "ready",
    "start_timeout",
    "stop_timeout",
    "stop_signal",
    "progress_timeout",
    "item_timeout",
    "watchdog",
    "on_panic",
    "success_codes",
    "fatal_codes",
    "depends_on",
    "significant",
    "user",
    "group",
    "umask",
    "nice",
    "cpus",
    "limits",
    "no_new_privs",
    "env_allow",
    "max_rss",
    "memory_max",
    "max_items",
];

/// A value and its place; `None` if it was not given, or is at fault already.
type Given<T> = Option<Spanned<T>>;

/// A whole file.
pub(super) struct RawPipeline {
    pub(super) name: Given<String>,
    pub(super) drain_timeout: Given<Duration>,
    pub(super) fail_on_dead_letters: Given<bool>,
    pub(super) max_dead_letters: Given<NumberOr>,
    pub(super) logs: RawLogs,
    pub(super) queues: Vec<RawQueue>,
    pub(super) stages: Vec<RawStage>,
    pub(super) groups: Vec<RawGroup>,
}

/// One `[groups.NAME]`.
pub(super) struct RawGroup {
    pub(super) name: Spanned<String>,
    pub(super) stages: Given<Vec<Spanned<String>>>,
    pub(super) strategy: Given<String>,
    pub(super) max_restarts: Given<NumberOr>,
    pub(super) restart_period: Given<Duration>,
}

/// `[logs]`.
#[derive(Default)]
pub(super) struct RawLogs {
    pub(super) max_file_bytes: Given<i64>,
    pub(super) max_file_age: Given<Duration>,
    pub(super) keep_files: Given<i64>,
    pub(super) keep_age: Given<Duration>,
    pub(super) max_total_bytes: Given<i64>,
    pub(super) compress: Given<bool>,
    pub(super) write_timeout: Given<Duration>,
}

/// One `[queues.NAME]`.
pub(super) struct RawQueue {
    pub(super) name: Spanned<String>,
    pub(super) capacity: Given<i64>,
    pub(super) item_bytes: Given<i64>,
    pub(super) max_item_bytes: Given<i64>,
    pub(super) max_deliveries: Given<NumberOr>,
    pub(super) retry_delay: Given<Duration>,
    pub(super) retry_delay_max: Given<Duration>,
}

/// One `[stages.NAME]`.
pub(super) struct RawStage {
    pub(super) name: Spanned<String>,
    pub(super) command: Given<Vec<Spanned<String>>>,
    pub(super) replicas: Given<NumberOr>,
    pub(super) threads: Given<i64>,
    pub(super) batch: Given<i64>,
    pub(super) batch_time: Given<Duration>,
    /// `None`: at fault; empty if not given.
    pub(super) inputs: Option<Vec<Spanned<String>>>,
    /// `None`: at fault; empty if not given.
    pub(super) outputs: Option<Vec<Spanned<String>>>,
    pub(super) env: Vec<(Spanned<String>, Spanned<String>)>,
    pub(super) cwd: Given<String>,
    pub(super) restart: Given<String>,
    pub(super) max_restarts: Given<NumberOr>,
    pub(super) restart_period: Given<Duration>,
    pub(super) give_up_after: Given<Duration>,
    pub(super) outage_timeout: Given<Duration>,
    pub(super) backoff: Given<Duration>,
    pub(super) backoff_max: Given<Duration>,
    pub(super) ready: Given<String>,
    pub(super) start_timeout: Given<Duration>,
    pub(super) stop_timeout: Given<Duration>,
    pub(super) stop_signal: Given<String>,
    pub(super) progress_timeout: Given<Duration>,
    pub(super) item_timeout: Given<Duration>,
    pub(super) watchdog: Given<Duration>,
    pub(super) on_panic: Given<String>,
    pub(super) success_codes: Given<Vec<Spanned<NumberOrText>>>,
    pub(super) fatal_codes: Given<Vec<Spanned<NumberOrText>>>,
    pub(super) depends_on: Given<Vec<Spanned<String>>>,
    pub(super) significant: Given<bool>,
    pub(super) limits: RawLimits,
}

impl RawPipeline {
    /// Reads all of it, and tells all that could not be read.
    pub(super) fn read(source: &str, file: &DeTable<'_>, sets: &[(String, String)]) -> (Self, Vec<Fault>) {
        let mut reader = Reader { source, vars: Vars::default(), faults: Vec::new() };
        let reader = &mut reader;
        let table = Table::open(reader, file, "the pipeline", &PIPELINE_KEYS);
        reader.vars = Vars::read(table.get("vars"), sets, &mut reader.faults);
        if table.get("name").is_none() {
            let fault = Fault::at(first_word(source), "the pipeline has no name");
            reader.faults.push(fault.help("begin the file with a line such as name = \"checksum\""));
        }
        let logs = table.inner(reader, "logs").map_or_else(RawLogs::default, |inner| RawLogs::read(reader, inner));
        let queues = table.tables(reader, "queues", "queue");
        let queues = queues.into_iter().map(|(name, table)| RawQueue::read(reader, name, table)).collect();
        let stages = table.tables(reader, "stages", "stage");
        if stages.is_empty() && table.get("stages").is_none_or(|value| value.get_ref().is_table()) {
            let place = table.place("stages").unwrap_or_else(|| first_word(source));
            let help = "write [stages.NAME] and below it command = [\"program\", \"argument\"]";
            reader.faults.push(Fault::at(place, "the pipeline has no stages").help(help));
        }
        let stages = stages.into_iter().filter_map(|(name, table)| RawStage::read(reader, name, table?)).collect();
        let groups = table.tables(reader, "groups", "group");
        let groups =
            groups.into_iter().filter_map(|(name, table)| Some(RawGroup::read(reader, name, table?))).collect();
        let name = table.text(reader, "name");
        let drain_timeout = table.duration(reader, "drain_timeout");
        let fail_on_dead_letters = table.flag(reader, "fail_on_dead_letters");
        let max_dead_letters = table.number_or(reader, "max_dead_letters", "unlimited");
        let pipeline =
            Self { name, drain_timeout, fail_on_dead_letters, max_dead_letters, logs, queues, stages, groups };
        (pipeline, std::mem::take(&mut reader.faults))
    }
}

/// Where a file begins: the place of what is missing from it.
fn first_word(source: &str) -> Range<usize> {
    let start = source.len() - source.trim_start().len();
    start..start + usize::from(start < source.len())
}

impl RawLogs {
    fn read(reader: &mut Reader<'_>, table: &DeTable<'_>) -> Self {
        let table = Table::open(reader, table, "logs", &LOG_KEYS);
        Self {
            max_file_bytes: table.size(reader, "max_file_bytes"),
            max_file_age: table.duration(reader, "max_file_age"),
            keep_files: table.number(reader, "keep_files"),
            keep_age: table.duration(reader, "keep_age"),
            max_total_bytes: table.size(reader, "max_total_bytes"),
            compress: table.flag(reader, "compress"),
            write_timeout: table.duration(reader, "write_timeout"),
        }
    }
}

impl RawQueue {
    fn read(reader: &mut Reader<'_>, name: Spanned<String>, table: Option<&DeTable<'_>>) -> Self {
        let empty = DeTable::new();
        let whose = format!("queue {:?}", name.get_ref());
        let table = Table::open(reader, table.unwrap_or(&empty), &whose, &QUEUE_KEYS);
        Self {
            name,
            capacity: table.number(reader, "capacity"),
            item_bytes: table.size(reader, "item_bytes"),
            max_item_bytes: table.size(reader, "max_item_bytes"),
            max_deliveries: table.number_or(reader, "max_deliveries", "unlimited"),
            retry_delay: table.duration(reader, "retry_delay"),
            retry_delay_max: table.duration(reader, "retry_delay_max"),
        }
    }
}

impl RawGroup {
    fn read(reader: &mut Reader<'_>, name: Spanned<String>, table: &DeTable<'_>) -> Self {
        let table = Table::open(reader, table, &format!("group {:?}", name.get_ref()), &GROUP_KEYS);
        if table.get("stages").is_none() {
            let message = format!("group {:?} has no stages", name.get_ref());
            let help = "add a line such as stages = [\"one\", \"other\"]";
            reader.faults.push(Fault::at(name.span(), message).help(help));
        }
        Self {
            name,
            stages: table.list(reader, "stages"),
            strategy: table.text(reader, "strategy"),
            max_restarts: table.number_or(reader, "max_restarts", "unlimited"),
            restart_period: table.duration(reader, "restart_period"),
        }
    }
}

impl RawStage {
    fn read(reader: &mut Reader<'_>, name: Spanned<String>, table: &DeTable<'_>) -> Option<Self> {
        let table = Table::open(reader, table, &format!("stage {:?}", name.get_ref()), &STAGE_KEYS);
        if table.get("command").is_none() {
            let message = format!("stage {:?} has no command", name.get_ref());
            let help = "add a line such as command = [\"program\", \"argument\"]";
            reader.faults.push(Fault::at(name.span(), message).help(help));
        }
        let queues = |reader: &mut Reader<'_>, key| match table.get(key) {
            None => Some(Vec::new()),
            Some(_) => table.list(reader, key).map(Spanned::into_inner),
        };
        let limits = RawLimits::read(reader, name.get_ref(), &table);
        Some(Self {
            inputs: queues(reader, "inputs"),
            outputs: queues(reader, "outputs"),
            name,
            command: table.list(reader, "command"),
            replicas: table.number_or(reader, "replicas", "cpus"),
            threads: table.number(reader, "threads"),
            batch: table.number(reader, "batch"),
            batch_time: table.duration(reader, "batch_time"),
            env: table.strings(reader, "env"),
            cwd: table.text(reader, "cwd"),
            restart: table.text(reader, "restart"),
            max_restarts: table.number_or(reader, "max_restarts", "unlimited"),
            restart_period: table.duration(reader, "restart_period"),
            give_up_after: table.duration(reader, "give_up_after"),
            outage_timeout: table.duration(reader, "outage_timeout"),
            backoff: table.duration(reader, "backoff"),
            backoff_max: table.duration(reader, "backoff_max"),
            ready: table.text(reader, "ready"),
            start_timeout: table.duration(reader, "start_timeout"),
            stop_timeout: table.duration(reader, "stop_timeout"),
            stop_signal: table.text(reader, "stop_signal"),
            progress_timeout: table.duration(reader, "progress_timeout"),
            item_timeout: table.duration(reader, "item_timeout"),
            watchdog: table.duration(reader, "watchdog"),
            on_panic: table.text(reader, "on_panic"),
            success_codes: table.numbers_or_texts(reader, "success_codes"),
            fatal_codes: table.numbers_or_texts(reader, "fatal_codes"),
            depends_on: table.list(reader, "depends_on"),
            significant: table.flag(reader, "significant"),
            limits,
        })
    }
}
