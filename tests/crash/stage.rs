//! Death of a worker at a point of the queue, in its first run.

use brigade_tests::{Report, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

pub const ITEMS: u64 = 200;

/// A source, a stage in the middle and a sink; one of them dies where it is told to.
pub struct Line<'a> {
    pub source: &'a [&'a str],
    pub middle: &'a [&'a str],
    pub source_env: &'a str,
    pub middle_env: &'a str,
    pub queue: &'a str,
    pub keys: &'a str,
}

impl Default for Line<'_> {
    fn default() -> Self {
        Line {
            source: &["bucket", "emit", "200"],
            middle: &["bucket", "pass"],
            source_env: "",
            middle_env: "",
            queue: "capacity = 16",
            keys: "",
        }
    }
}

impl Line<'_> {
    pub fn text(&self) -> String {
        let Self { source, middle, source_env, middle_env, queue, keys } = self;
        format!(
            r#"
name = "crash"
fail_on_dead_letters = false
[queues.raw]
{queue}
[queues.done]
{queue}
[stages.source]
command = {source:?}
outputs = ["raw"]
backoff = "1ms"
env.LEDGER = "${{ledger}}"
{source_env}
[stages.middle]
command = {middle:?}
inputs = ["raw"]
outputs = ["done"]
backoff = "1ms"
env.LEDGER = "${{ledger}}"
{middle_env}
{keys}
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = {{ LEDGER = "${{ledger}}" }}
"#
        )
    }

    /// Runs it; the stage must have died once.
    pub fn run(&self, sandbox: &Sandbox, dies: &str) -> Report {
        let ended = sandbox.run(&self.text()).wait();
        let report = ended.with_code(0);
        assert_eq!(report.stages[dies].restarts, 1, "{dies} did not die at its point:\n{}", ended.err);
        assert!(ended.err.contains("killed by SIGKILL"), "{}", ended.err);
        for (name, queue) in &report.queues {
            assert_eq!((queue.left, queue.acked + queue.dead), (0, queue.sent), "{name}");
        }
        // Also what the killed one had done, wherever it was killed.
        let (raw, done) = (&report.queues["raw"], &report.queues["done"]);
        for (stage, queues_say) in [("source", raw.sent), ("middle", raw.acked), ("sink", done.acked)] {
            assert_eq!(report.stages[stage].processed, queues_say, "processed by {stage}: {report:?}");
        }
        report
    }
}

/// The stage in the middle, which works with plain handles, dies at `point`, the 50th time, holding an item.
fn middle_dies_at(point: &str) -> (Sandbox, Report) {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}:50\"");
    let report = Line { middle: &["bucket", "relay"], middle_env: &env, ..Line::default() }.run(&sandbox, "middle");
    (sandbox, report)
}

/// The source dies at `point`, the 50th time; it then begins anew, so that its items may come twice.
fn source_dies_at(point: &str) {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}:50\"");
    let report = Line { source_env: &env, ..Line::default() }.run(&sandbox, "source");
    sandbox.ledger().assert_each("kept", ITEMS);
    // 49 or 50 came out of its first run, and all of its second.
    assert!([ITEMS + 49, ITEMS + 50].contains(&report.queues["raw"].sent), "{report:?}");
    assert_eq!(report.queues["done"].acked, report.queues["raw"].sent);
}

#[test]
fn slot_claimed() {
    source_dies_at("slot_claimed");
    let (sandbox, report) = middle_dies_at("slot_claimed");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.queues["raw"].redelivered, 1);
}

#[test]
fn filling() {
    source_dies_at("filling");
    let (sandbox, report) = middle_dies_at("filling");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.queues["raw"].redelivered, 1);
}

#[test]
fn filled() {
    source_dies_at("filled");
    let (sandbox, report) = middle_dies_at("filled");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.queues["raw"].redelivered, 1);
}

#[test]
fn published() {
    source_dies_at("published");
    // Handed on, and not yet acked: it comes again, and is handed on again.
    let (sandbox, report) = middle_dies_at("published");
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!(report.queues["done"].sent, ITEMS + 1);
}

#[test]
fn leased() {
    let (sandbox, report) = middle_dies_at("leased");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!(report.queues["raw"].redelivered, 1);
}

#[test]
fn acking() {
    let (sandbox, report) = middle_dies_at("acking");
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!((report.queues["raw"].redelivered, report.queues["done"].sent), (1, ITEMS + 1));
}

#[test]
fn acked() {
    let (sandbox, report) = middle_dies_at("acked");
    sandbox.ledger().assert_once("kept", ITEMS);
    assert_eq!((report.queues["raw"].redelivered, report.queues["done"].sent), (0, ITEMS));
}

#[test]
fn large_released() {
    let sandbox = Sandbox::new();
    let report = Line {
        source: &["bucket", "emit", "30", "1048576"],
        middle: &["bucket", "relay"],
        middle_env: "env.DIE_AT = \"large_released:10\"",
        queue: "capacity = 16\nmax_item_bytes = \"1100KiB\"",
        ..Line::default()
    }
    .run(&sandbox, "middle");
    sandbox.ledger().assert_once("kept", 30);
    assert_eq!(report.queues["raw"].dead, 0, "an item came again without its bytes: {report:?}");
}

/// The stage in the middle fails item 3 once, and dies at `point` on the way.
pub fn failing_middle_dies_at(queue: &str, point: &str) -> (Sandbox, Report) {
    let sandbox = Sandbox::new();
    let env = format!("env.DIE_AT = \"{point}\"");
    let line = Line { middle: &["misfit", "fail-once", "3"], middle_env: &env, queue, ..Line::default() };
    let report = line.run(&sandbox, "middle");
    // The stage in the middle notes what it has done as well: only the sink's lines count here.
    let sink: Vec<_> = sandbox.ledger().entries().into_iter().filter(|entry| entry.worker == "sink/0").collect();
    let mut kept: Vec<u64> = sink.iter().map(|entry| entry.item).collect();
    kept.sort_unstable();
    assert!(kept.iter().copied().eq(0..ITEMS), "{kept:?}");
    (sandbox, report)
}

#[test]
fn returned_late() {
    failing_middle_dies_at("capacity = 16", "returned_late");
}

#[test]
fn nacked() {
    failing_middle_dies_at("capacity = 16", "nacked");
}

#[test]
fn late_hint_claimed() {
    failing_middle_dies_at("capacity = 16", "late_hint_claimed");
}

#[test]
fn late_leased() {
    failing_middle_dies_at("capacity = 16", "late_leased");
}

#[test]
fn died_of_failures() {
    let sandbox = Sandbox::new();
    let report = Line {
        middle: &["misfit", "fail", "3"],
        middle_env: "env.DIE_AT = \"died_of_failures\"",
        queue: "capacity = 16\nmax_deliveries = 2",
        ..Line::default()
    }
    .run(&sandbox, "middle");
    assert_eq!((report.queues["raw"].dead, report.queues["raw"].acked), (1, ITEMS - 1));
    assert_eq!(report.queues["done"].acked, ITEMS - 1);
}

#[test]
fn lap_bumped() {
    // One of two holds item 0, the other goes on: the source comes round to the slot of item 0 and skips it.
    let sandbox = Sandbox::new();
    let gate = sandbox.path("gate").display().to_string();
    let text = Line {
        source_env: "env.DIE_AT = \"lap_bumped\"",
        middle: &["bucket", "hold-first", &gate],
        queue: "capacity = 4",
        keys: "replicas = 2",
        ..Line::default()
    }
    .text();
    let mut run = sandbox.run(&text);
    until("the source has begun anew", || {
        sandbox.ledger().entries().iter().any(|entry| entry.worker == "source/0" && entry.incarnation == 2)
    });
    sandbox.write("gate", "");
    let report = run.wait().with_code(0);
    assert_eq!(report.stages["source"].restarts, 1);
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!((report.queues["raw"].left, report.queues["raw"].acked), (0, report.queues["raw"].sent));
}

/// The source stands still while it fills a slot, which receivers pass over; later it goes on.
fn around_a_source_that_stands_still(source_env: &str, middle_env: &str) -> (Sandbox, Report) {
    let sandbox = Sandbox::new();
    let source_env = format!("env.STAND_STILL_AT = \"filling:50\"{source_env}");
    // What comes behind it in the queue is taken: then it has been passed by.
    let gate = sandbox.path("gate").display().to_string();
    let other =
        format!("[stages.other]\ncommand = {:?}\noutputs = [\"raw\"]\n", ["bucket", "emit-after", &gate, "100"]);
    let text = Line { source_env: &source_env, middle_env, ..Line::default() }.text() + &other;
    let mut run = sandbox.run(&text);
    let pid = run.pid_when("source/0", "paused");
    sandbox.write("gate", "");
    until("receivers have passed it by", || {
        let status = run.status();
        status["stages"]
            .as_array()
            .is_some_and(|stages| stages.iter().any(|stage| stage["name"] == "other" && stage["state"] == "complete"))
            && status["queues"][0]["sent"] == 149
            && status["queues"][0]["acked"] == 149
    });
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    let report = run.wait().with_code(0);
    sandbox.ledger().assert_each("kept", ITEMS);
    assert_eq!((report.queues["raw"].left, report.queues["raw"].acked), (0, report.queues["raw"].sent));
    (sandbox, report)
}

#[test]
fn published_late() {
    let (_sandbox, report) = around_a_source_that_stands_still("\nenv.DIE_AT = \"published_late\"", "");
    assert_eq!(report.stages["source"].restarts, 1);
}

#[test]
fn marked_late() {
    let (_sandbox, report) = around_a_source_that_stands_still("", "env.DIE_AT = \"marked_late\"");
    assert_eq!((report.stages["source"].restarts, report.stages["middle"].restarts), (0, 1));
    assert_eq!(report.queues["raw"].sent, ITEMS + 100);
}
