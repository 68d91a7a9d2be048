//! Every point of a queue at which a worker can die, and a line in which it does. Without this table a new point would
//! be tried alone, and with nobody else's death.

use brigade_tests::{Run, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::exact::{Exact, ITEMS, OTHERS};

/// One point.
#[derive(Clone)]
pub struct Case<'a> {
    /// As `BRIGADE_CRASH` is written.
    pub point: &'a str,
    /// Who dies: a stage of the line.
    pub who: &'a str,
    pub middle: &'a [&'a str],
    /// Of the one who dies.
    pub keys: &'a str,
    pub queue: &'a str,
    /// Of the source, in every run.
    pub source_keys: &'a str,
    /// Of source and sink, in the first run.
    pub more_source_keys: &'a str,
    pub sink_keys: &'a str,
    /// Of the middle, when it is not the one who dies; in the first run.
    pub still: &'a str,
    pub has_other: bool,
    /// What the test has to do until it comes to that.
    pub meanwhile: fn(&mut Run, &Sandbox),
    /// It has items in hand.
    pub holds: bool,
    /// So many items may come out again.
    pub doubles: u64,
    /// So many become dead letters: item 3.
    pub dead: u64,
    /// So many workers end in order, and are swept, before it dies.
    pub sweeps_before: u64,
    pub is_tallied: bool,
    /// It is one of the middle, and nobody has to help.
    pub is_of_the_middle: bool,
}

const PASS: Case<'static> = Case {
    point: "",
    who: "middle",
    middle: &["bucket", "pass"],
    keys: "batch = 4",
    queue: "capacity = 16",
    source_keys: "",
    more_source_keys: "",
    sink_keys: "",
    still: "",
    has_other: false,
    meanwhile: |_, _| {},
    holds: true,
    doubles: 0,
    dead: 0,
    sweeps_before: 0,
    is_tallied: false,
    is_of_the_middle: true,
};

const COMMITTED: Case<'static> = Case { holds: false, ..PASS };
const TALLY: Case<'static> =
    Case { middle: &["bucket", "tally"], keys: "batch = 4", is_tallied: true, is_of_the_middle: false, ..PASS };
const RELAY: Case<'static> = Case { middle: &["bucket", "relay"], keys: "", ..PASS };
const FAIL: Case<'static> = Case { middle: &["misfit", "fail-once", "3"], keys: "", holds: false, ..PASS };
const HELPED: Case<'static> = Case { holds: false, is_of_the_middle: false, keys: "", ..PASS };

pub const CASES: &[Case<'static>] = &[
    Case { point: "leased:9", ..PASS },
    Case { point: "batch_filling:9", ..PASS },
    Case { point: "batch_numbered:9", ..PASS },
    Case { point: "batch_staged_one:9", ..PASS },
    Case { point: "batch_staged:4", ..PASS },
    Case { point: "batch_settled_one:9", ..PASS },
    Case { point: "batch_settled:4", ..PASS },
    Case { point: "batch_noted:4", ..PASS },
    Case { point: "batch_committed:4", ..COMMITTED },
    Case { point: "batch_published_one:9", ..COMMITTED },
    Case { point: "batch_freed_one:9", ..COMMITTED },
    Case { point: "batch_rolled_forward:4", ..COMMITTED },
    Case { point: "batch_prepared:4", ..TALLY },
    Case { point: "batch_committed:5", holds: false, ..TALLY },
    Case { point: "slot_claimed:9", ..RELAY },
    Case { point: "filling:9", ..RELAY },
    Case { point: "filled:9", ..RELAY },
    Case { point: "published:9", doubles: 1, ..RELAY },
    Case { point: "acking:9", doubles: 1, ..RELAY },
    Case { point: "acked:9", holds: false, ..RELAY },
    Case {
        point: "large_released:9",
        source_keys: "env.ITEM_BYTES = \"300000\"",
        queue: "capacity = 16\nmax_item_bytes = \"400KiB\"",
        holds: false,
        is_of_the_middle: false,
        ..RELAY
    },
    Case { point: "returned_late", ..FAIL },
    Case { point: "nacked", ..FAIL },
    Case { point: "late_hint_claimed", ..FAIL },
    Case { point: "late_leased", holds: true, ..FAIL },
    Case {
        point: "died_of_failures",
        middle: &["misfit", "fail", "3"],
        queue: "capacity = 16\nmax_deliveries = 2",
        dead: 1,
        ..FAIL
    },
    // Somebody holds item 0, and the source comes round to its slot.
    Case {
        point: "lap_bumped",
        who: "source",
        middle: &["bucket", "hold-first", "${here}/gate"],
        queue: "capacity = 4",
        still: "replicas = 2",
        ..HELPED
    },
    // The middle stands still in the middle of an item; the sink passes it by, and takes what another source sends.
    Case { point: "marked_late", who: "sink", still: "env.STAND_STILL_AT = \"batch_staged:20\"", ..HELPED },
    Case {
        point: "staged_published_late",
        keys: "env.STAND_STILL_AT = \"batch_staged:20\"",
        has_other: true,
        meanwhile: pass_it_by,
        sweeps_before: 1,
        ..HELPED
    },
    Case {
        point: "published_late",
        middle: &["bucket", "relay"],
        keys: "env.STAND_STILL_AT = \"filling:20\"",
        has_other: true,
        meanwhile: pass_it_by,
        sweeps_before: 1,
        holds: true,
        doubles: 1,
        ..HELPED
    },
];

/// Lets the other source go, until all that it made has passed the middle by; then the middle goes on.
fn pass_it_by(run: &mut Run, sandbox: &Sandbox) {
    let pid = run.pid_when("middle/0", "paused");
    sandbox.write("gate", "");
    run.until_status("all of the other source has passed it by", |status| {
        let stages = status["stages"].as_array().into_iter().flatten();
        let is_over = stages.into_iter().any(|stage| stage["name"] == "other" && stage["state"] == "complete");
        is_over && status["queues"][1]["acked"] == 19 + OTHERS.end - OTHERS.start
    });
    kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
}

impl Case<'_> {
    /// The point without its number.
    pub fn name(&self) -> &str {
        self.point.split(':').next().unwrap_or(self.point)
    }

    /// The pipeline of the first run, or that of the next ones, in which nobody dies or stands still by himself.
    pub fn text(&self, is_first: bool) -> String {
        let die = format!("env.DIE_AT = \"{}\"\n{}", self.point, self.keys);
        let of = |stage: &str| if is_first && self.who == stage { die.as_str() } else { "" };
        let first = |keys: &'_ str| if is_first { keys.to_owned() } else { String::new() };
        let source_keys = format!("{}\n{}\n{}", self.source_keys, first(self.more_source_keys), of("source"));
        let middle_keys = format!("{}\n{}", first(self.still), of("middle"));
        let sink_keys = format!("{}\n{}", first(self.sink_keys), of("sink"));
        let more = format!(
            "[stages.other]\noutputs = [\"done\"]\ncommand = [\"bucket\", \"emit-exact\", \"{}\", \"{}\", \
             \"${{here}}/gate\"]\n",
            OTHERS.start,
            OTHERS.end - OTHERS.start
        );
        Exact {
            middle: self.middle,
            source_keys: &source_keys,
            middle_keys: &middle_keys,
            sink_keys: &sink_keys,
            queue: self.queue,
            more: if self.has_other { &more } else { "" },
        }
        .text()
    }

    /// What is to come out.
    pub fn expected(&self) -> Vec<u64> {
        let others = if self.has_other { OTHERS } else { 0..0 };
        (0..ITEMS).filter(|item| self.dead == 0 || *item != 3).chain(others).collect()
    }
}
