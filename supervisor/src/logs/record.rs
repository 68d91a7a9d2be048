//! One log record: a line, and who said it. Without it, a line in a file would belong to nobody.

use brigade_protocol::id::{Incarnation, Post};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::escape;
use super::frame::Piece;

/// Where a line came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Stream {
    /// A worker's standard output.
    Stdout,
    /// A worker's standard error.
    Stderr,
    /// The supervisor's own log.
    Log,
}

/// How much it matters, from least to most.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a mistake.
    Debug,
    /// What happens. Every line that says nothing about its level has this one.
    Info,
    /// Worth a look.
    Warn,
    /// Something went wrong.
    Error,
}

impl Level {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

/// One end of a pipe: whose words come out of it. Every record is attributed by this, never by what the line says.
#[derive(Clone, Debug)]
pub struct Source {
    /// Name of the stage, which also names the file.
    pub stage: String,
    /// Such as `hash/0`.
    pub worker: String,
    /// The worker's post.
    pub post: Post,
    /// Which run of it.
    pub incarnation: Incarnation,
    /// Which of its streams.
    pub stream: Stream,
}

/// One line of a log file, as JSON.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When the supervisor read it. UTC, microseconds.
    #[serde(with = "micros")]
    pub time: Timestamp,
    /// The stage; `brigade` is the supervisor itself.
    pub stage: String,
    /// Such as `hash/0`.
    pub worker: String,
    /// Which run of the worker. 0 for the supervisor.
    pub incarnation: Incarnation,
    /// Where it came out.
    pub stream: Stream,
    /// How much it matters.
    pub level: Level,
    /// The module that said it, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// What was said.
    pub message: String,
    /// What was said as keys and values.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub fields: Map<String, Value>,
    /// Spans that the worker was in, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Map<String, Value>>,
    /// It goes on a line whose first part is in an earlier record of the same stream: a line of more than 64 KiB comes in
    /// several.
    #[serde(default, skip_serializing_if = "is_false")]
    pub continued: bool,
    /// No line end came after it: it goes on in the next record of the same stream, or the stream ended there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub partial: bool,
    /// It was not UTF-8: in the message, `\xNN` is a byte and `\\` a backslash.
    #[serde(default, skip_serializing_if = "is_false")]
    pub escaped: bool,
    /// The line in the file is not a record; the message holds it as it is, as far as it is text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub corrupt: bool,
}

impl Record {
    /// A record without target, fields and marks.
    pub fn new(source: &Source, time: Timestamp, level: Level, message: String) -> Self {
        Self {
            time,
            stage: source.stage.clone(),
            worker: source.worker.clone(),
            incarnation: source.incarnation,
            stream: source.stream,
            level,
            target: None,
            message,
            fields: Map::new(),
            spans: Vec::new(),
            continued: false,
            partial: false,
            escaped: false,
            corrupt: false,
        }
    }

    /// What a worker wrote. A whole line of tracing-subscriber's JSON on stderr is taken apart; everything else is a
    /// message.
    pub fn from_piece(source: &Source, time: Timestamp, piece: Piece<'_>) -> Self {
        let traced = match source.stream {
            Stream::Stderr if !piece.continues => Traced::read(piece.bytes),
            Stream::Stdout | Stream::Stderr | Stream::Log => None,
        };
        if let Some(mut traced) = traced {
            let message = match traced.fields.remove("message") {
                Some(Value::String(text)) => text,
                Some(other) => other.to_string(),
                None => String::new(),
            };
            if traced.spans.is_empty() {
                traced.spans.extend(traced.span);
            }
            for (key, value) in traced.rest {
                traced.fields.entry(key).or_insert(value);
            }
            let record = Self::new(source, time, traced.level, message);
            return Self {
                target: traced.target,
                fields: traced.fields,
                spans: traced.spans,
                partial: piece.partial,
                ..record
            };
        }
        let (message, escaped) = escape::bytes(piece.bytes);
        let (continued, partial) = (piece.continues, piece.partial);
        Self { continued, partial, escaped, ..Self::new(source, time, Level::Info, message) }
    }

    /// Appends it as one line of JSON, with its line end.
    pub fn write_to(&self, out: &mut Vec<u8>) {
        serde_json::to_writer(&mut *out, self).expect("strings as keys, and a vector takes everything");
        out.push(b'\n');
    }
}

/// A line of tracing-subscriber's JSON format.
#[derive(Deserialize)]
struct Traced {
    #[serde(rename = "timestamp")]
    _timestamp: String,
    level: Level,
    fields: Map<String, Value>,
    target: Option<String>,
    span: Option<Map<String, Value>>,
    #[serde(default)]
    spans: Vec<Map<String, Value>>,
    /// File, line and thread, where the worker's author asked for them.
    #[serde(flatten)]
    rest: Map<String, Value>,
}

impl Traced {
    fn read(bytes: &[u8]) -> Option<Self> {
        if bytes.first() != Some(&b'{') {
            return None;
        }
        serde_json::from_slice(bytes).ok()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
fn is_false(flag: &bool) -> bool {
    !flag
}

/// A time as RFC 3339 in UTC with exactly six decimal places, so that records can be compared as text.
pub(super) mod micros {
    use jiff::Timestamp;
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(time: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&format_args!("{time:.6}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(stream: Stream) -> Source {
        let incarnation = Incarnation(3);
        Source { stage: "hash".to_owned(), worker: "hash/0".to_owned(), post: Post(2), incarnation, stream }
    }

    fn record(stream: Stream, line: &str) -> Record {
        let time = "2026-11-20T10:28:53.123456789Z".parse().expect("it is a time");
        Record::from_piece(&source(stream), time, Piece { bytes: line.as_bytes(), continues: false, partial: false })
    }

    fn written(record: &Record) -> String {
        let mut out = Vec::new();
        record.write_to(&mut out);
        String::from_utf8(out).expect("JSON is text")
    }

    #[test]
    fn a_plain_line_is_a_message_of_level_info() {
        assert_eq!(
            written(&record(Stream::Stdout, "hello \"you\"")),
            "{\"time\":\"2026-11-20T10:28:53.123456Z\",\"stage\":\"hash\",\"worker\":\"hash/0\",\"incarnation\":3,\
             \"stream\":\"stdout\",\"level\":\"INFO\",\"message\":\"hello \\\"you\\\"\"}\n"
        );
    }

    #[test]
    fn tracing_json_on_stderr_is_taken_apart_but_never_says_who_spoke() {
        let line = r#"{"timestamp":"2020-01-01T00:00:00Z","level":"WARN","fields":{"message":"slow","ms":7},
            "target":"hash::io","worker":"other/9","stage":"other","spans":[{"name":"item","id":4}],"line_number":8}"#;
        let record = record(Stream::Stderr, line);
        assert_eq!((record.stage.as_str(), record.worker.as_str()), ("hash", "hash/0"));
        assert_eq!((record.level, record.message.as_str()), (Level::Warn, "slow"));
        assert_eq!(record.target.as_deref(), Some("hash::io"));
        assert_eq!(record.fields["ms"], 7);
        assert_eq!(record.fields["worker"], "other/9");
        assert_eq!(record.fields["line_number"], 8);
        assert_eq!(record.spans[0]["name"], "item");
        assert_eq!(record.time.to_string(), "2026-11-20T10:28:53.123456789Z");
    }

    #[test]
    fn the_same_json_on_stdout_and_other_json_on_stderr_are_plain_lines() {
        let line = r#"{"timestamp":"t","level":"WARN","fields":{"message":"slow"}}"#;
        assert_eq!(record(Stream::Stdout, line).message, line);
        for other in [r#"{"level":"WARN"}"#, r#"{"timestamp":"t","level":"LOUD","fields":{}}"#, "{", "[]"] {
            let record = record(Stream::Stderr, other);
            assert_eq!((record.message.as_str(), record.level), (other, Level::Info));
        }
    }

    #[test]
    fn what_is_written_can_be_read_back() {
        let odd = Piece { bytes: b"a\xff\n\x1b", continues: true, partial: true };
        let time = "2026-11-20T10:28:53Z".parse().expect("it is a time");
        let record = Record::from_piece(&source(Stream::Stderr), time, odd);
        assert!(record.escaped && record.partial && record.continued);
        let line = written(&record);
        assert!(line.contains("10:28:53.000000Z"), "{line}");
        assert_eq!(serde_json::from_str::<Record>(&line).expect("it is a record"), record);
    }
}
