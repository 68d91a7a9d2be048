//! The plan as a pipeline file with nothing left out, for `check --print`: what nobody wrote can be read there.

mod limits;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use super::plan::{
    ExitCode, Group, LogPlan, Plan, QueueIx, QueuePlan, Readiness, RestartPolicy, StageIx, StagePlan, Strategy, Watch,
};
use super::signals;
use super::units::{show_duration, show_size};
use super::vars::escape;

/// The whole plan as TOML, which [`load`](super::load) reads to the same plan again, wherever the file lies: all values
/// are put in, all paths are absolute. A path that is not UTF-8 cannot be written in TOML; it is shown with `\u{fffd}`.
pub fn print(plan: &Plan) -> String {
    let mut text = format!(
        "name = {}\ndrain_timeout = \"{}\"\nfail_on_dead_letters = {}\nmax_dead_letters = {}\n",
        quoted(&plan.name),
        show_duration(plan.drain_timeout),
        plan.fail_on_dead_letters,
        or_unlimited(plan.max_dead_letters)
    );
    text.push_str(&logs_text(&plan.logs));
    for queue in &plan.queues {
        text.push_str(&queue_text(queue));
    }
    for stage in &plan.stages {
        text.push_str(&stage_text(stage, plan));
    }
    for group in &plan.groups {
        text.push_str(&group_text(group, &plan.stages));
    }
    text
}

fn logs_text(logs: &LogPlan) -> String {
    let LogPlan { max_file_bytes, max_file_age, keep_files, keep_age, max_total_bytes, compress, write_timeout } = logs;
    format!(
        "\n[logs]\nmax_file_bytes = \"{}\"\nmax_file_age = \"{}\"\nkeep_files = {keep_files}\nkeep_age = \"{}\"\n\
         max_total_bytes = \"{}\"\ncompress = {compress}\nwrite_timeout = \"{}\"\n",
        show_size(*max_file_bytes),
        show_duration(*max_file_age),
        show_duration(*keep_age),
        show_size(*max_total_bytes),
        show_duration(*write_timeout),
    )
}

fn queue_text(queue: &QueuePlan) -> String {
    let QueuePlan {
        name,
        capacity,
        item_bytes,
        max_item_bytes,
        max_deliveries,
        retry_delay,
        retry_delay_max,
        producers: _,
        consumers: _,
        removed: _,
    } = queue;
    format!(
        "\n[queues.{name}]\ncapacity = {capacity}\nitem_bytes = \"{}\"\nmax_item_bytes = \"{}\"\nmax_deliveries = {}\n\
         retry_delay = \"{}\"\nretry_delay_max = \"{}\"\n",
        show_size(u64::from(*item_bytes)),
        show_size(u64::from(*max_item_bytes)),
        or_unlimited(*max_deliveries),
        show_duration(*retry_delay),
        show_duration(*retry_delay_max)
    )
}

fn stage_text(stage: &StagePlan, plan: &Plan) -> String {
    let mut text = format!("\n[stages.{}]\n", stage.name);
    let mut line = |key: &str, value: String| writeln!(text, "{key} = {value}").expect("a string takes all");
    let command = std::iter::once(path(&stage.program)).chain(stage.args.iter().map(|arg| quoted(arg)));
    line("command", list(command));
    line("replicas", stage.replicas.to_string());
    line("threads", stage.threads.to_string());
    line("batch", stage.batch.to_string());
    line("batch_time", quoted(&show_duration(stage.batch_time)));
    let names = |ixs: &[QueueIx]| list(ixs.iter().map(|ix| quoted(&plan.queues[*ix].name)));
    line("inputs", names(&stage.inputs));
    line("outputs", names(&stage.outputs));
    let env: Vec<_> = stage.env.iter().map(|(name, value)| format!("{} = {}", basic(name), quoted(value))).collect();
    line("env", if env.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", env.join(", ")) });
    line("cwd", path(&stage.cwd));
    line("restart", quoted(restart(stage.restart)));
    line("max_restarts", or_unlimited(stage.max_restarts));
    match stage.ready {
        Readiness::Sdk => {}
        Readiness::Alive => line("ready", quoted("alive")),
        Readiness::Fd => line("ready", quoted("fd")),
        Readiness::Notify => line("ready", quoted("notify")),
    }
    let times = [
        ("restart_period", stage.restart_period),
        ("give_up_after", stage.give_up_after),
        ("outage_timeout", stage.outage_timeout),
        ("backoff", stage.backoff),
        ("backoff_max", stage.backoff_max),
        ("start_timeout", stage.start_timeout),
        ("stop_timeout", stage.stop_timeout),
    ];
    for (key, time) in times {
        line(key, quoted(&show_duration(time)));
    }
    line("stop_signal", quoted(signals::name(stage.stop_signal).expect("a plan has a signal that the file can name")));
    let Watch { progress_timeout, item_timeout, watchdog } = stage.watch;
    for (key, time) in [("progress_timeout", progress_timeout), ("item_timeout", item_timeout), ("watchdog", watchdog)]
    {
        if let Some(time) = time {
            line(key, quoted(&show_duration(time)));
        }
    }
    line("on_panic", quoted(if stage.exit_on_panic { "exit" } else { "nack" }));
    line("success_codes", codes(&stage.exits.success));
    line("fatal_codes", codes(&stage.exits.fatal));
    line("depends_on", stages(&stage.depends_on, &plan.stages));
    line("significant", stage.significant.to_string());
    text.push_str(&limits::text(&stage.name, &stage.limits));
    text
}

fn group_text(group: &Group, all: &[StagePlan]) -> String {
    let Group { name, stages: members, strategy, max_restarts, restart_period } = group;
    let strategy = match strategy {
        Strategy::OneForOne => "one-for-one",
        Strategy::OneForAll => "one-for-all",
        Strategy::RestForOne => "rest-for-one",
    };
    format!(
        "\n[groups.{name}]\nstages = {}\nstrategy = \"{strategy}\"\nmax_restarts = {}\nrestart_period = \"{}\"\n",
        stages(members, all),
        or_unlimited(*max_restarts),
        show_duration(*restart_period)
    )
}

fn stages(ixs: &[StageIx], all: &[StagePlan]) -> String {
    list(ixs.iter().map(|ix| quoted(&all[*ix].name)))
}

fn codes(codes: &BTreeSet<ExitCode>) -> String {
    list(codes.iter().map(|code| match code {
        ExitCode::Code(code) => code.to_string(),
        ExitCode::Signal(number) => {
            quoted(signals::ending_name(*number).expect("a plan has signals that the file can name"))
        }
    }))
}

fn restart(policy: RestartPolicy) -> &'static str {
    match policy {
        RestartPolicy::Permanent => "permanent",
        RestartPolicy::Transient => "transient",
        RestartPolicy::Temporary => "temporary",
    }
}

fn or_unlimited<T: ToString>(number: Option<T>) -> String {
    number.map_or_else(|| "\"unlimited\"".to_owned(), |number| number.to_string())
}

fn list(values: impl Iterator<Item = String>) -> String {
    format!("[{}]", values.collect::<Vec<_>>().join(", "))
}

fn path(path: &Path) -> String {
    quoted(&path.to_string_lossy())
}

/// A string value: what looks like a var in it is escaped.
fn quoted(text: &str) -> String {
    basic(&escape(text))
}

/// A TOML basic string.
fn basic(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => write!(quoted, "\\u{:04x}", u32::from(c)).expect("a string takes all"),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
