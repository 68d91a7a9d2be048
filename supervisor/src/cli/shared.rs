//! `brigade shared`: what the workers share, for people. Without it shared state could be seen by workers alone.

use std::fmt::Write as _;

use serde_json::Value;

/// Show the shared lists, maps and counters, or what is in one of them
#[derive(Clone, Debug, clap::Args)]
pub struct Shared {
    /// Name of a list, map or counter [default: tell what there is]
    pub name: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

impl Shared {
    /// The picture (of [`manager::picture`](crate::manager::picture)) as it is printed, with a line end.
    pub fn render(&self, picture: &Value) -> String {
        let mut text = match (self.json, picture) {
            (true, _) => format!("{picture:#}"),
            (false, Value::Array(containers)) => overview(containers),
            (false, Value::Object(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => {
                one(picture)
            }
        };
        text.truncate(text.trim_end().len());
        text.push('\n');
        text
    }
}

fn overview(containers: &[Value]) -> String {
    if containers.is_empty() {
        return "nothing is shared".to_owned();
    }
    let width = |text: &str| text.chars().count();
    let names: Vec<String> = containers.iter().map(|it| plain(&it["name"])).collect();
    let longest = names.iter().map(|name| width(name)).max().unwrap_or(0);
    let mut text = String::new();
    for (name, container) in names.iter().zip(containers) {
        let gap = longest - width(name);
        let _ = writeln!(text, "{name}{:gap$}  {}", "", kind(container));
    }
    text
}

/// Such as `map of String to u64, 7 entries`.
fn kind(container: &Value) -> String {
    let types: Vec<String> = container["types"].as_array().into_iter().flatten().map(plain).collect();
    let length = container["length"].as_u64().unwrap_or(0);
    let mut text = plain(&container["kind"]);
    match &types[..] {
        [] => {}
        [item] => _ = write!(text, " of {item}"),
        [key, value, ..] => _ = write!(text, " of {key} to {value}"),
    }
    match (container["kind"].as_str(), length) {
        (Some("list"), 1) => text += ", 1 item",
        (Some("list"), _) => _ = write!(text, ", {length} items"),
        (Some("map"), 1) => text += ", 1 entry",
        (Some("map"), _) => _ = write!(text, ", {length} entries"),
        (Some(_) | None, _) => {}
    }
    text
}

fn one(picture: &Value) -> String {
    let mut text = format!("{}: {}", plain(&picture["name"]), kind(picture));
    if let Some(number) = picture.get("value") {
        let _ = writeln!(text, " {}", shown(number));
    }
    let items = picture["items"].as_array().into_iter().flatten();
    let items = items.enumerate().map(|(position, item)| (position.to_string(), shown(item)));
    let entries = picture["entries"].as_array().into_iter().flatten();
    let entries = entries.map(|entry| (shown(&entry["key"]), shown(&entry["value"])));
    let mut lines = 0;
    for (left, right) in items.chain(entries) {
        let _ = write!(text, "\n  {left}  {right}");
        lines += 1;
    }
    if let Some(more) = picture["length"].as_u64().and_then(|length| length.checked_sub(lines))
        && more > 0
        && picture.get("value").is_none()
    {
        let _ = write!(text, "\n  and {more} more");
    }
    text
}

/// Text without quotes.
fn plain(value: &Value) -> String {
    harmless(value.as_str().unwrap_or_default())
}

/// Any value, in one line of JSON.
fn shown(value: &Value) -> String {
    harmless(&value.to_string())
}

/// What workers wrote must not steer a terminal: control characters and those that turn the line around are spelt out.
fn harmless(text: &str) -> String {
    let steers = |c: char| {
        c.is_control() || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) { out.extend(c.escape_unicode()) } else { out.push(c) }
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn text(picture: &Value) -> String {
        Shared { name: None, json: false }.render(picture)
    }

    #[test]
    fn what_there_is_stands_in_columns() {
        let picture = json!([
            {"name": "words", "kind": "map", "length": 1, "types": ["String", "u64"]},
            {"name": "ten", "kind": "list", "length": 10, "types": []},
            {"name": "n", "kind": "counter", "length": 1, "types": []},
        ]);
        assert_eq!(text(&picture), "words  map of String to u64, 1 entry\nten    list, 10 items\nn      counter\n");
        assert_eq!(text(&json!([])), "nothing is shared\n");
    }

    #[test]
    fn contents_are_shown_one_by_line_and_what_is_left_out_is_counted() {
        let list =
            json!({"name": "l", "kind": "list", "length": 5, "types": ["(u8, String)"], "items": [[1, "a"], [2, "b"]]});
        assert_eq!(text(&list), "l: list of (u8, String), 5 items\n  0  [1,\"a\"]\n  1  [2,\"b\"]\n  and 3 more\n");
        let map =
            json!({"name": "m", "kind": "map", "length": 1, "types": [], "entries": [{"key": "k", "value": null}]});
        assert_eq!(text(&map), "m: map, 1 entry\n  \"k\"  null\n");
        assert_eq!(
            text(&json!({"name": "n", "kind": "counter", "length": 1, "types": [], "value": -3})),
            "n: counter -3\n"
        );
    }

    #[test]
    fn nothing_that_a_worker_wrote_steers_the_terminal() {
        let list =
            json!({"name": "\u{1b}[2J", "kind": "list", "length": 1, "types": [], "items": ["\u{9b}2J\u{202e}\n"]});
        assert_eq!(text(&list), "\\u{1b}[2J: list, 1 item\n  0  \"\\u{9b}2J\\u{202e}\\n\"\n");
    }

    #[test]
    fn json_is_the_picture_itself() {
        let picture = json!([{"name": "n", "kind": "counter", "length": 1, "types": []}]);
        let printed = Shared { name: None, json: true }.render(&picture);
        assert_eq!(serde_json::from_str::<Value>(&printed).ok(), Some(picture));
    }
}
