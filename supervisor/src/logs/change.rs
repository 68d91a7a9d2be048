//! A change of state, as one record of the supervisor's own log. Without it, what `brigade events` shows would need a second
//! channel, which could say something else than the log, and nothing when nobody runs.

use std::fmt::Write as _;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value;

use super::record::{Record, micros};
use super::{escape, show};

/// The records that tell of a change have this target, and nothing else has.
pub const TARGET: &str = "brigade::change";

/// A worker, or the whole pipeline, is in another state. The field names of the JSON form are a contract with scripts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When. UTC, microseconds.
    #[serde(with = "micros")]
    pub time: Timestamp,
    /// Such as `hash/0`; `hash` is the stage as a whole, `brigade` the whole pipeline.
    pub worker: String,
    /// Which run of the worker; 0 before its first, and for the whole pipeline.
    pub incarnation: u64,
    /// The state before: a word as in `brigade status`.
    pub from: String,
    /// The state after.
    pub to: String,
    /// Why, in words.
    pub cause: String,
    /// Who wanted it: `supervisor`, `operator`, or the name of a signal to the supervisor.
    pub actor: String,
}

impl Change {
    /// What a record tells; `None`: of no change.
    pub fn read(record: &Record) -> Option<Self> {
        if record.target.as_deref() != Some(TARGET) {
            return None;
        }
        let text = |name| record.fields.get(name).and_then(Value::as_str).map(str::to_owned);
        Some(Self {
            time: record.time,
            worker: text("worker")?,
            incarnation: record.fields.get("incarnation")?.as_u64()?,
            from: text("from")?,
            to: text("to")?,
            cause: text("cause")?,
            actor: text("actor")?,
        })
    }

    /// Appends `10:28:53.123 hash/0 #1 ready -> backoff: killed by SIGKILL (supervisor)` and a line end. Whatever a
    /// worker has said of its end, this is one line without escape sequences.
    pub fn line(&self, now: Timestamp, out: &mut String) {
        let time = show::stamp(self.time, now);
        let Self { worker, incarnation, from, to, cause, actor, .. } = self;
        let mut words = worker.clone();
        if *incarnation > 0 {
            write!(words, " #{incarnation}").expect("a string takes everything");
        }
        write!(words, " {from} -> {to}: {cause} ({actor})").expect("a string takes everything");
        out.push_str(&time);
        out.push(' ');
        out.push_str(&escape::terminal(&words));
        out.push('\n');
    }

    /// Appends it as JSON, safe to show, and a line end.
    pub fn json(&self, out: &mut String) {
        let json = serde_json::to_string(self).expect("strings as keys");
        out.push_str(&escape::json(&json));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(target: &str) -> Record {
        let text = format!(
            r#"{{"time":"2026-11-20T10:28:53.123456Z","stage":"brigade","worker":"brigade","incarnation":0,"stream":"log","level":"DEBUG","target":"{target}","message":"change","fields":{{"worker":"hash/0","incarnation":2,"from":"ready","to":"backoff","cause":"it said \u001b[2Jx","actor":"supervisor"}}}}"#
        );
        serde_json::from_str(&text).expect("a record")
    }

    #[test]
    fn a_change_is_read_from_the_record_that_tells_it_and_from_no_other() {
        let change = Change::read(&record(TARGET)).expect("it is one");
        assert_eq!((change.worker.as_str(), change.incarnation, change.to.as_str()), ("hash/0", 2, "backoff"));
        assert_eq!(Change::read(&record("brigade::reactor")), None);
        let mut less = record(TARGET);
        less.fields.remove("actor");
        assert_eq!(Change::read(&less), None);
    }

    #[test]
    fn a_change_is_one_line_that_is_safe_to_show() {
        let (mut line, mut json) = (String::new(), String::new());
        let change = Change::read(&record(TARGET)).expect("it is one");
        change.line("2026-11-20T23:00:00Z".parse().expect("a time"), &mut line);
        change.json(&mut json);
        assert_eq!(line, "10:28:53.123 hash/0 #2 ready -> backoff: it said \\x1b[2Jx (supervisor)\n");
        assert!(!json.trim_end().contains(char::is_control), "{json}");
        let read: Value = serde_json::from_str(&json).expect("it is JSON");
        assert_eq!(read["time"], "2026-11-20T10:28:53.123456Z");
        assert_eq!(read["cause"], "it said \u{1b}[2Jx");
    }
}
