//! `brigade status`: how a pipeline stands, also when nothing runs.

use std::borrow::Cow;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::ask::ask_unread;
use super::left::left;
use super::say;
use super::select::{Need, Select};
use crate::control::{self, ControlError, Request};
use crate::figures::{bar, grouped, seconds};
use crate::logs::escape;
use crate::logs::show::wants_colour;
use crate::report;
use crate::state::StateDir;
use crate::status::{QueueStatus, StageStatus, Status, WorkerStatus};
use crate::table::{Cell, Side, Table, Tint};

/// Characters of a queue's bar.
const BAR: usize = 12;
/// Workers whose last words are shown.
const WORDS_OF: usize = 5;

/// Show stages, workers and queues of a pipeline
#[derive(Clone, Debug, clap::Args)]
pub struct ShowStatus {
    #[command(flatten)]
    #[expect(missing_docs, reason = "clap would show a comment here as the help of the whole command")]
    pub select: Select,
    /// Print everything as JSON, on one line
    #[arg(long)]
    pub json: bool,
}

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Also works when nothing runs: then it shows how things stood at the end, and what is left in the queues.

Examples:
  brigade status
  brigade status -p checksum --json | jq '.queues[] | {name, ready, dead}'";

impl ShowStatus {
    /// Shows it. 0; 1 when there is no such pipeline, or it does not answer.
    pub fn run(&self) -> ExitCode {
        let dir = match self.select.find(Need::Left) {
            Ok(dir) => dir,
            Err(error) => return say::error(&error),
        };
        let shown = match self.json {
            true => show_json(&dir),
            false => picture(&dir).map(|status| {
                let colour = wants_colour(io::stdout().is_terminal());
                say::result(&text(&status, colour))
            }),
        };
        shown.unwrap_or_else(|why| say::error(&why))
    }
}

/// The answer to [`Request::Status`], of which the picture `P` is left as it came or read.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Said<P> {
    Status(P),
    Refused(String),
}

/// From the pipeline itself, else from what it left.
fn picture(dir: &StateDir) -> Result<Status, String> {
    match heard(dir)? {
        Some(answer) => of_said(control::understand(dir, &answer)),
        None => left(dir),
    }
}

/// Prints the picture as JSON. With a thousand workers it is a lot of text, which is handed on as it came: whoever asks when
/// a thousand workers have just died is given little of the processor.
fn show_json(dir: &StateDir) -> Result<ExitCode, String> {
    let answer = heard(dir)?;
    let text = match &answer {
        Some(answer) => Cow::Borrowed(of_said(control::understand::<Said<&RawValue>>(dir, answer))?.get()),
        None => Cow::Owned(serde_json::to_string(&left(dir)?).map_err(|error| error.to_string())?),
    };
    Ok(say::line(&escape::json(&text)))
}

fn of_said<P>(said: Result<Said<P>, ControlError>) -> Result<P, String> {
    match said.map_err(|error| error.to_string())? {
        Said::Status(picture) => Ok(picture),
        Said::Refused(why) => Err(why),
    }
}

/// What the pipeline answers; nothing when it does not run.
fn heard(dir: &StateDir) -> Result<Option<Vec<u8>>, String> {
    match ask_unread(dir, &Request::Status) {
        Ok(answer) => Ok(Some(answer)),
        Err(ControlError::NotRunning(_)) => match dir.holder() {
            None => Ok(None),
            Some(holder) => Err(format!("{holder}, and does not answer yet: try again in a moment")),
        },
        Err(error @ ControlError::Io { .. }) => Err(error.to_string()),
    }
}

fn text(status: &Status, colour: bool) -> String {
    let mut out = heading(status, colour);
    if let Some(words) = status.standstill.as_ref().filter(|_| status.report.is_none()) {
        let words = format!("standstill: {}", Cell::new(words).into_text());
        out.push_str(&format!("{}\n", Tint::Bad.paint(&words, colour)));
    }
    if let Some(words) = status.outlook.as_ref().filter(|_| status.pid > 0) {
        out.push_str(&format!("{}\n", Tint::Warn.paint(&Cell::new(words).into_text(), colour)));
    }
    let (mut stages, mut queues) = (stage_table(&status.stages), queue_table(&status.queues));
    let first = stages.first_width().max(queues.first_width());
    stages.widen_first(first);
    queues.widen_first(first);
    for (table, rows) in [(stages, status.stages.len()), (queues, status.queues.len())] {
        if rows > 0 {
            out.push('\n');
            out.push_str(&table.text(colour));
        }
    }
    out.push_str(&shapes(&status.queues, colour));
    out.push_str(&last_words(&status.stages, colour));
    out
}

/// What the queues carry, each on a line.
fn shapes(queues: &[QueueStatus], colour: bool) -> String {
    let mut out = String::new();
    for queue in queues {
        let before = if out.is_empty() { "\n" } else { "" };
        let name = Tint::Bold.paint(&Cell::new(&queue.name).into_text(), colour);
        out.push_str(&format!("{before}items of {name}: {}\n", Cell::new(&queue.shape).into_text()));
    }
    out
}

/// What workers said at last that failed and are not at work again.
fn last_words(stages: &[StageStatus], colour: bool) -> String {
    let is_down =
        |worker: &&WorkerStatus| matches!(&*worker.state, "backoff" | "failed") && !worker.last_words.is_empty();
    let down: Vec<_> = stages.iter().flat_map(|stage| &stage.workers).filter(is_down).collect();
    let mut out = String::new();
    for worker in down.iter().take(WORDS_OF) {
        out.push_str(&format!("\n{} said at last:\n", Tint::Bold.paint(&Cell::new(&worker.id).into_text(), colour)));
        for line in &worker.last_words {
            out.push_str(&format!("  {}\n", Cell::new(line).into_text()));
        }
    }
    if down.len() > WORDS_OF {
        out.push_str(&format!("\n(and {} others: see brigade logs)\n", down.len() - WORDS_OF));
    }
    out
}

/// How the last run ended, and when the next one begins.
fn end(worker: &WorkerStatus) -> String {
    let end = worker.last_exit.as_deref().unwrap_or_default();
    match worker.next_start_s {
        Some(wait) if end.is_empty() => format!("next start in {}", seconds(wait)),
        Some(wait) => format!("{end}; next start in {}", seconds(wait)),
        None => end.to_owned(),
    }
}

fn heading(status: &Status, colour: bool) -> String {
    let name = Tint::Bold.paint(&Cell::new(&status.pipeline).into_text(), colour);
    let state = Tint::of_state(&status.state).paint(&Cell::new(&status.state).into_text(), colour);
    let time = seconds(status.elapsed_s);
    if status.pid > 0 {
        return format!("{name}: {state}, process {}, for {time}\n", status.pid);
    }
    match &status.report {
        Some(report) => format!("{name}: {state}, nothing runs\n{}\n", report::verdict(report)),
        None => format!(
            "{name}: {state}, nothing runs\n\
             its supervisor was killed; what was in the queues is still there, run it again to go on\n"
        ),
    }
}

fn stage_table(stages: &[StageStatus]) -> Table {
    let right = Side::Right;
    let mut table = Table::new(&[
        ("stage", Side::Left),
        ("state", Side::Left),
        ("for", right),
        ("pid", right),
        ("run", right),
        ("processed", right),
        ("restarts", right),
        ("doing", Side::Left),
        ("last exit", Side::Left),
    ]);
    for stage in stages {
        let sum = |number: fn(&WorkerStatus) -> u64| grouped(stage.workers.iter().map(number).sum());
        table.row([
            Cell::new(&stage.name).tint(Tint::Bold),
            Cell::new(&stage.state).tint(Tint::of_state(&stage.state)),
            Cell::new(""),
            Cell::new(""),
            Cell::new(""),
            Cell::new(sum(|worker| worker.processed)).tint(Tint::Bold),
            Cell::new(sum(|worker| worker.restarts)).tint(Tint::Bold),
        ]);
        for worker in &stage.workers {
            table.row([
                Cell::new(format!("  {}", worker.id)),
                Cell::new(&worker.state).tint(Tint::of_state(&worker.state)),
                Cell::new(seconds(worker.since_s)).tint(Tint::Dim),
                Cell::new(worker.pid.map(|pid| pid.to_string()).unwrap_or_default()),
                Cell::new(worker.incarnation.to_string()),
                Cell::new(grouped(worker.processed)),
                Cell::new(grouped(worker.restarts)).tint_if(worker.restarts > 0, Tint::Warn),
                Cell::new(worker.doing.as_deref().unwrap_or_default()).tint(Tint::Dim),
                Cell::new(end(worker)),
            ]);
        }
    }
    table
}

fn queue_table(queues: &[QueueStatus]) -> Table {
    let right = Side::Right;
    let mut table = Table::new(&[
        ("queue", Side::Left),
        ("", Side::Left),
        ("ready", right),
        ("leased", right),
        ("staged", right),
        ("late", right),
        ("retry", right),
        ("dead", right),
        ("sent", right),
        ("acked", right),
        ("redelivered", right),
    ]);
    for queue in queues {
        let in_hand = queue.leased.saturating_add(queue.staged);
        table.row([
            Cell::new(&queue.name).tint(Tint::Bold),
            Cell::new(bar(queue.waiting(), in_hand, queue.capacity, BAR)),
            Cell::new(format!("{}/{}", grouped(queue.ready), grouped(queue.capacity))),
            Cell::new(grouped(queue.leased)),
            Cell::new(grouped(queue.staged)),
            Cell::new(grouped(queue.late)),
            Cell::new(grouped(queue.retry)).tint_if(queue.retry > 0, Tint::Warn),
            Cell::new(grouped(queue.dead)).tint_if(queue.dead > 0, Tint::Bad),
            Cell::new(grouped(queue.sent)),
            Cell::new(grouped(queue.acked)),
            Cell::new(grouped(queue.redelivered)).tint_if(queue.redelivered > 0, Tint::Warn),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::left::at_rest;
    use crate::status::Report;
    use crate::view::sample::running;

    #[test]
    fn a_pipeline_at_work_is_shown_in_two_tables() {
        let expected = "\
checksum: running, process 4240, for 12.3 s

stage       state       for   pid  run  processed  restarts  doing              last exit
walk        complete                       20,000         0
  walk/0    exited    3.2 s          1     20,000         0                     exit code 0
hash        ready                          19,872         2
  hash/0    ready     3.2 s  4251    1      5,012         0  waits for an item
  hash/1    ready     3.2 s  4252    1      4,988         0  waits for an item
  hash/2    backoff   3.2 s          3      4,871         2                     killed by SIGSEGV (core dumped); next start in 1.5 s
  hash/3    paused    3.2 s  4254    1      5,001         0
report      ready                          19,870         0
  report/0  ready     3.2 s  4255    1     19,870         0  waits for an item

queue                         ready  leased  staged  late  retry  dead    sent   acked  redelivered
paths       █▒··········  124/1,024       4       0     1      0     2  20,000  19,872            3
sums        █▒··········    0/1,024       1       0     1      0     2  20,000  19,870            3

items of paths: not checked
items of sums: { path: text, crc: u32 }

hash/2 said at last:
  reading item 17
  unexpected end
";
        assert_eq!(text(&running(), false), expected);
    }

    #[test]
    fn what_a_killed_supervisor_left_is_not_taken_for_running() {
        let status = at_rest(running());
        assert_eq!((&*status.state, status.pid), ("interrupted", 0));
        let states: Vec<_> = status.stages[1].workers.iter().map(|worker| (&*worker.state, worker.pid)).collect();
        assert_eq!(states, [("interrupted", None); 4]);
        assert_eq!((&*status.stages[0].state, &*status.stages[1].state), ("complete", "interrupted"));
        let shown = text(&status, false);
        assert!(shown.starts_with("checksum: interrupted, nothing runs\nits supervisor was killed"), "{shown}");
    }

    #[test]
    fn after_an_end_in_order_the_verdict_is_shown() {
        let mut status = running();
        "ended".clone_into(&mut status.state);
        status.report = Some(Report {
            put_aside: Vec::new(),
            pipeline: "checksum".to_owned(),
            verdict: "drained".to_owned(),
            exit_code: 0,
            elapsed_s: 12.34,
            stages: std::collections::BTreeMap::new(),
            queues: std::collections::BTreeMap::new(),
            lost: 0,
            standstill: None,
        });
        let shown = text(&at_rest(status), false);
        assert!(shown.starts_with("checksum: ended, nothing runs\ndrained in 12.3 s\n"), "{shown}");
    }

    #[test]
    fn the_json_has_the_fields_that_scripts_rely_on() {
        let json = serde_json::to_value(running()).expect("JSON");
        let has = |value: &serde_json::Value, fields: &[&str]| {
            let missing: Vec<_> = fields.iter().filter(|field| value.get(field).is_none()).collect();
            assert!(missing.is_empty(), "{missing:?}");
        };
        has(&json, &["pipeline", "state", "pid", "stages", "queues"]);
        has(&json["stages"][0], &["name", "state", "workers"]);
        let worker = [
            "id",
            "pid",
            "incarnation",
            "state",
            "processed",
            "restarts",
            "last_exit",
            "last_words",
            "next_start_s",
            "since_s",
            "doing",
            "let_go",
        ];
        has(&json["stages"][1]["workers"][0], &worker);
        let queue = [
            "name",
            "capacity",
            "ready",
            "leased",
            "staged",
            "late",
            "retry",
            "dead",
            "sent",
            "acked",
            "redelivered",
            "shape",
        ];
        has(&json["queues"][0], &queue);
    }
}
