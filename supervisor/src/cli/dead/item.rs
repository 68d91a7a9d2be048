//! An item as people can read it: text if it is text, else its bytes in hexadecimal. Never as it is: what workers send may
//! steer a terminal.

use std::fmt::Write as _;

use brigade_protocol::codec;
use serde_json::{Map, Value};

use crate::logs::escape;

/// Characters of a preview.
const PREVIEW: usize = 48;
/// Bytes in a row of a dump.
const ROW: usize = 16;

/// The text that an item is: a string of the SDK's encoding, or plain text without it.
fn text(bytes: &[u8]) -> Option<String> {
    if let Ok(text) = codec::decode::<String>(bytes) {
        return Some(text);
    }
    let text = std::str::from_utf8(bytes).ok()?;
    let is_plain = !text.is_empty() && text.chars().all(|c| !c.is_control() || matches!(c, '\n' | '\r' | '\t'));
    is_plain.then(|| text.to_owned())
}

/// In one short line.
pub fn preview(bytes: &[u8]) -> String {
    let whole = match text(bytes) {
        Some(text) => format!("\"{}\"", escape::terminal(&text.chars().take(PREVIEW + 1).collect::<String>())),
        None => bytes.iter().take(PREVIEW).map(|byte| if printable(*byte) { char::from(*byte) } else { '·' }).collect(),
    };
    if whole.chars().count() <= PREVIEW {
        return whole;
    }
    let short: String = whole.chars().take(PREVIEW - 1).collect();
    short + "…"
}

/// All of it, in lines.
pub fn whole(bytes: &[u8]) -> String {
    match text(bytes) {
        Some(text) => text.lines().map(|line| format!("  {}\n", escape::terminal(line))).collect(),
        None => dump(bytes),
    }
}

/// For programs: `text` or `hex`.
pub fn json(bytes: &[u8]) -> Map<String, Value> {
    let (key, value) = match text(bytes) {
        Some(text) => ("text", text),
        None => ("hex", bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))),
    };
    Map::from_iter([(key.to_owned(), Value::from(value))])
}

/// JSON for people, too: in lines, and harmless.
pub fn pretty(value: &Value) -> String {
    format!("{value:#}").lines().map(|line| format!("{}\n", escape::json(line))).collect()
}

fn printable(byte: u8) -> bool {
    matches!(byte, b' '..=b'~')
}

fn dump(bytes: &[u8]) -> String {
    let mut out = String::new();
    for (row, chunk) in bytes.chunks(ROW).enumerate() {
        let _ = write!(out, "  {:08x} ", row * ROW);
        for at in 0..ROW {
            let _ = match chunk.get(at) {
                Some(byte) => write!(out, " {byte:02x}"),
                None => write!(out, "   "),
            };
        }
        let shown = chunk.iter().map(|byte| if printable(*byte) { char::from(*byte) } else { '·' });
        let _ = writeln!(out, "  {}", shown.collect::<String>());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::encode(text, &mut bytes).expect("it has an encoding");
        bytes
    }

    #[test]
    fn strings_are_shown_as_text_whoever_encoded_them() {
        for bytes in [encoded("a path"), b"a path".to_vec()] {
            assert_eq!((preview(&bytes), whole(&bytes)), ("\"a path\"".to_owned(), "  a path\n".to_owned()));
            assert_eq!(Value::from(json(&bytes)), serde_json::json!({"text": "a path"}));
        }
    }

    #[test]
    fn what_is_no_text_is_shown_in_hexadecimal() {
        let bytes = [1, 7, b'a', 0xff];
        assert_eq!(preview(&bytes), "··a·");
        assert_eq!(whole(&bytes), format!("  00000000  01 07 61 ff{:36}  ··a·\n", ""));
        assert_eq!(Value::from(json(&bytes)), serde_json::json!({"hex": "010761ff"}));
    }

    #[test]
    fn nothing_that_a_worker_sent_steers_the_terminal() {
        for bytes in [encoded("\u{1b}[2J\u{202e}\u{9b}"), b"\x1b[2J\xff".to_vec(), b"\x1b[2J".to_vec()] {
            for shown in [preview(&bytes), whole(&bytes)] {
                assert!(!shown.chars().any(|c| c != '\n' && (c.is_control() || c == '\u{202e}')), "{shown:?}");
            }
        }
    }

    #[test]
    fn json_in_lines_is_the_same_json_and_harmless() {
        let value = serde_json::json!([{"words": "\u{9b}2J\n"}, 7]);
        let shown = pretty(&value);
        assert!(!shown.contains('\u{9b}') && shown.lines().count() > 2, "{shown:?}");
        assert_eq!(serde_json::from_str::<Value>(&shown).ok(), Some(value));
    }

    #[test]
    fn long_items_have_short_previews() {
        for bytes in [encoded(&"x".repeat(1000)), vec![0xff; 1000]] {
            let shown = preview(&bytes);
            assert!(shown.chars().count() <= PREVIEW, "{shown}");
        }
        assert!(preview(&encoded(&"x".repeat(1000))).ends_with('…'));
    }
}
