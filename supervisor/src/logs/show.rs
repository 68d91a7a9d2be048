//! A record as a line that people read. Without it, logs would be JSON to everybody.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::Value;

use super::escape;
use super::record::{Level, Record};

const DIM: &str = "\x1b[2m";
const RESET: &str = "\x1b[0m";

/// Appends `10:28:53.123 hash/0 INFO  message key=value` and a line end. Times are UTC, with their date unless it is
/// `now`'s. Whatever the record holds, this is one line, and the only escape sequences in it are our own colours.
pub fn line(record: &Record, now: Timestamp, colour: bool, out: &mut String) {
    let (dim, level, reset) = if colour { (DIM, tint(record.level), RESET) } else { ("", "", "") };
    let time = stamp(record.time, now);
    let (worker, name) = (escape::terminal(&record.worker), record.level.name());
    write!(out, "{dim}{time} {worker}{reset} {level}{name:<5}{reset} ").expect("a string takes everything");
    if record.continued {
        out.push('…');
    }
    let mut words = String::new();
    text(record, &mut words);
    out.push_str(&escape::terminal(&words));
    if record.partial {
        out.push('…');
    }
    if record.corrupt {
        write!(out, " {dim}(not a log record){reset}").expect("a string takes everything");
    }
    out.push('\n');
}

/// A time in UTC, with its date unless it is `now`'s.
pub fn stamp(time: Timestamp, now: Timestamp) -> String {
    let day = |time: Timestamp| time.to_zoned(TimeZone::UTC).date();
    let format = if day(time) == day(now) { "%H:%M:%S%.3f" } else { "%Y-%m-%d %H:%M:%S%.3f" };
    time.strftime(format).to_string()
}

/// Appends what was said, without time and speaker: `span{key=value}: message key=value`. Not escaped.
pub fn text(record: &Record, out: &mut String) {
    words(record, |_| true, out);
}

/// [`text`] without the backtrace of a panic, which is longer than all the rest.
pub fn brief(record: &Record, out: &mut String) {
    words(record, |field| field != "backtrace", out);
}

fn words(record: &Record, is_shown: impl Fn(&str) -> bool, out: &mut String) {
    for span in &record.spans {
        out.push_str(span.get("name").and_then(Value::as_str).unwrap_or("span"));
        let mut inner = String::new();
        pairs(span.iter().filter(|(key, _)| *key != "name"), &mut inner);
        if !inner.is_empty() {
            write!(out, "{{{}}}", inner.trim_start()).expect("a string takes everything");
        }
        out.push_str(": ");
    }
    out.push_str(&record.message);
    pairs(record.fields.iter().filter(|(key, _)| is_shown(key)), out);
}

/// Whether to colour what goes to standard output or error: only on a terminal, and not where `NO_COLOR` is set.
pub fn wants_colour(is_terminal: bool) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_terminal && !is_set("NO_COLOR") && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Appends ` key=value` for each. A value that would be hard to tell from its surroundings is quoted.
fn pairs<'a>(pairs: impl Iterator<Item = (&'a String, &'a Value)>, out: &mut String) {
    for (key, value) in pairs {
        match value {
            Value::String(text) if is_word(text) => write!(out, " {key}={text}"),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                write!(out, " {key}={value}")
            }
        }
        .expect("a string takes everything");
    }
}

fn is_word(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"' || c == '=')
}

fn tint(level: Level) -> &'static str {
    match level {
        Level::Trace | Level::Debug => DIM,
        Level::Info => "\x1b[32m",
        Level::Warn => "\x1b[33m",
        Level::Error => "\x1b[31m",
    }
}

#[cfg(test)]
mod tests {
    use brigade_protocol::id::{Incarnation, Post};
    use serde_json::json;

    use super::super::record::{Source, Stream};
    use super::*;

    fn time(text: &str) -> Timestamp {
        text.parse().expect("it is a time")
    }

    fn record(message: &str) -> Record {
        let (stage, worker) = ("hash".to_owned(), "hash/0".to_owned());
        let source = Source { stage, worker, post: Post(1), incarnation: Incarnation(1), stream: Stream::Stderr };
        Record::new(&source, time("2026-11-20T10:28:53.123999Z"), Level::Warn, message.to_owned())
    }

    fn shown(record: &Record, colour: bool) -> String {
        let mut out = String::new();
        line(record, time("2026-11-20T23:00:00Z"), colour, &mut out);
        out
    }

    #[test]
    fn a_record_is_one_readable_line() {
        let mut record = record("slow disk");
        record.fields = json!({"ms": 7, "path": "/a b", "kind": "x"}).as_object().expect("an object").clone();
        record.spans = vec![json!({"name": "item", "id": 4}).as_object().expect("an object").clone()];
        (record.continued, record.partial) = (true, true);
        let line = "10:28:53.123 hash/0 WARN  …item{id=4}: slow disk kind=x ms=7 path=\"/a b\"…\n";
        assert_eq!(shown(&record, false), line);
    }

    #[test]
    fn another_day_is_shown_with_its_date() {
        let mut record = record("old");
        record.time = time("2026-11-19T10:28:53Z");
        assert_eq!(shown(&record, false), "2026-11-19 10:28:53.000 hash/0 WARN  old\n");
    }

    #[test]
    fn nobody_can_forge_a_line_or_reach_the_terminal() {
        let mut record = record("x\n10:28:53.124 other/0 INFO  \x1b[2Jforged");
        record.worker = "hash/0\x1b[31m".to_owned();
        record.fields.insert("k\n".to_owned(), json!("v\nw"));
        let line = shown(&record, false);
        assert_eq!(
            line,
            "10:28:53.123 hash/0\\x1b[31m WARN  x\\n10:28:53.124 other/0 INFO  \\x1b[2Jforged k\\n=\"v\\nw\"\n"
        );
        assert!(!shown(&record, true).trim_end().replace("\x1b[", "").contains(char::is_control));
    }
}
