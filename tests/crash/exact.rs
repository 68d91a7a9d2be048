//! A line whose result is exact whoever dies: a source with checkpoints, a stage in the middle, a sink with an exact file.
//! Without it, tests in which several processes die would have to forgive what they are to find.

use std::collections::BTreeMap;
use std::ops::Range;

use brigade_tests::{Report, Run, Sandbox};

/// How many items the source makes.
pub const ITEMS: u64 = 60;

/// The line, and what its stages are told.
#[derive(Clone)]
pub struct Exact<'a> {
    pub middle: &'a [&'a str],
    /// Further keys of the stages.
    pub source_keys: &'a str,
    pub middle_keys: &'a str,
    pub sink_keys: &'a str,
    /// Of both queues.
    pub queue: &'a str,
    /// Another stage, that makes [`OTHERS`].
    pub more: &'a str,
}

/// The items of another source.
pub const OTHERS: Range<u64> = 1000..1030;

impl Default for Exact<'_> {
    fn default() -> Self {
        Self {
            middle: &["bucket", "pass"],
            source_keys: "",
            middle_keys: "",
            sink_keys: "",
            queue: "capacity = 16",
            more: "",
        }
    }
}

impl Exact<'_> {
    pub fn text(&self) -> String {
        let Self { middle, source_keys, middle_keys, sink_keys, queue, more } = self;
        format!(
            r#"
name = "exact"
fail_on_dead_letters = false
[queues.raw]
{queue}
[queues.done]
{queue}
[stages.source]
command = ["bucket", "emit-exact", "0", "{ITEMS}"]
outputs = ["raw"]
backoff = "1ms"
{source_keys}
[stages.middle]
command = {middle:?}
inputs = ["raw"]
outputs = ["done"]
backoff = "1ms"
{middle_keys}
[stages.sink]
command = ["bucket", "keep-exact", "${{here}}/kept"]
inputs = ["done"]
backoff = "1ms"
{sink_keys}
{more}
"#
        )
    }
}

/// All that the source makes.
pub fn all_items() -> Vec<u64> {
    (0..ITEMS).collect()
}

/// Starts a run whose supervisor dies at `crash` (as `BRIGADE_CRASH` is written; or not, if that is empty). Who dies at a
/// point tells so.
pub fn start(sandbox: &Sandbox, text: &str, crash: &str) -> Run {
    sandbox.run_with(text, |command| {
        command.env("BRIGADE_CRASH", crash).env("BRIGADE_CRASH_TOLD", sandbox.path("told"));
    })
}

/// Who died at which point, in the order of their deaths.
pub fn told(sandbox: &Sandbox) -> Vec<(String, i32)> {
    let text = std::fs::read_to_string(sandbox.path("told")).unwrap_or_default();
    let parse = |line: &str| {
        let (point, pid) = line.split_once(' ')?;
        Some((point.to_owned(), pid.parse().ok()?))
    };
    text.lines().map(|line| parse(line).expect("a point and a pid")).collect()
}

/// The run must end by the death of its supervisor at this point, and leave nobody behind.
#[track_caller]
pub fn dies(mut run: Run, sandbox: &Sandbox, point: &str) {
    let ended = run.wait();
    let name = point.split(':').next().unwrap_or(point).to_owned();
    assert_eq!(ended.signal, Some(9), "the supervisor did not die at {point}: {:?}\n{}", told(sandbox), ended.err);
    assert!(told(sandbox).contains(&(name, run.pid())), "the supervisor did not die at {point}: {:?}", told(sandbox));
    run.assert_nobody_left();
}

/// A run that is left alone completes, and everything has come out once; with plain handles in the middle, one item may
/// have come out twice for each of their deaths.
#[track_caller]
pub fn completes(sandbox: &Sandbox, text: &str, expected: &[u64], doubles: u64) -> Report {
    let mut run = sandbox.run(text);
    let report = run.wait().with_code(0);
    run.assert_nobody_left();
    assert_eq!(report.verdict, "complete");
    balances(&report);
    assert_kept(sandbox, expected, doubles);
    report
}

/// In every queue: what was sent was acked or is a dead letter, and nothing is left.
#[track_caller]
pub fn balances(report: &Report) {
    for (name, queue) in &report.queues {
        assert_eq!((queue.left, queue.acked + queue.dead), (0, queue.sent), "queue {name}: {report:?}");
    }
}

/// The sink's file has these items, each once, but for so many that it has twice.
#[track_caller]
pub fn assert_kept(sandbox: &Sandbox, expected: &[u64], doubles: u64) {
    let text = std::fs::read_to_string(sandbox.path("kept")).expect("the sink's file");
    let mut times = BTreeMap::new();
    for line in text.lines() {
        *times.entry(line.parse::<u64>().expect("a number")).or_insert(0u64) += 1;
    }
    let missing: Vec<_> = expected.iter().filter(|item| !times.contains_key(item)).collect();
    assert!(missing.is_empty(), "lost: {missing:?}");
    assert_eq!(times.len(), expected.len(), "items that nobody made: {times:?}");
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    let surplus: u64 = twice.iter().map(|(_, times)| *times - 1).sum();
    assert!(surplus <= doubles, "{surplus} came out again, of them {twice:?}; {doubles} may");
}
