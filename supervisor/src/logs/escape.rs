//! Makes foreign bytes safe to show. Without it, a worker (or a file name that it prints) could move the cursor, set a
//! window's title, or draw a line that looks like another worker's.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Bytes as text. What is not UTF-8 becomes `\xNN`, and then a backslash becomes `\\`, so that nothing is lost; the flag
/// says that this was done.
pub fn bytes(bytes: &[u8]) -> (String, bool) {
    if let Ok(text) = std::str::from_utf8(bytes) {
        return (text.to_owned(), false);
    }
    let mut out = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' {
                out.push('\\');
            }
            out.push(character);
        }
        for byte in chunk.invalid() {
            write!(out, "\\x{byte:02x}").expect("a string takes everything");
        }
    }
    (out, true)
}

/// Text for a terminal, on one line: control characters and those that turn the direction of writing are spelt out
/// (`\n`, `\x1b`, `\u{202e}`). A tab stays: it only moves to the right.
pub fn terminal(text: &str) -> Cow<'_, str> {
    if text.bytes().all(is_plain) || !text.chars().any(is_dangerous) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        match character {
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            c if !is_dangerous(c) => out.push(c),
            c if c.is_ascii() => write!(out, "\\x{:02x}", u32::from(c)).expect("a string takes everything"),
            c => write!(out, "\\u{{{:x}}}", u32::from(c)).expect("a string takes everything"),
        }
    }
    Cow::Owned(out)
}

/// What most texts consist of; to ask this first is many times quicker.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~' | b'\t')
}

/// The same for a line of JSON, which stays the same JSON: such characters can be in its strings only, where they may be
/// written as `\uNNNN`.
pub fn json(line: &str) -> Cow<'_, str> {
    let dangerous = |c: char| c != '\t' && is_dangerous(c);
    if line.bytes().all(is_plain) || !line.chars().any(dangerous) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for character in line.chars() {
        if dangerous(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                write!(out, "\\u{unit:04x}").expect("a string takes everything");
            }
        } else {
            out.push(character);
        }
    }
    Cow::Owned(out)
}

fn is_dangerous(character: char) -> bool {
    match character {
        '\t' => false,
        // Marks and overrides of the direction, line and paragraph separators, invisible ones, tags.
        '\u{061c}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}'
        | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}' => true,
        c => c.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_that_are_no_text_are_spelt_out_and_can_be_read_back() {
        assert_eq!(bytes("a\\b ü".as_bytes()), ("a\\b ü".to_owned(), false));
        assert_eq!(bytes(b"a\\b\xff\xc3 \xe2\x82"), ("a\\\\b\\xff\\xc3 \\xe2\\x82".to_owned(), true));
    }

    #[test]
    fn nothing_that_steers_a_terminal_stays_raw() {
        assert_eq!(terminal("plain ü\ttext \\ "), "plain ü\ttext \\ ");
        assert_eq!(terminal("a\nb\rc\x1b[31m\x07\x7f"), "a\\nb\\rc\\x1b[31m\\x07\\x7f");
        assert_eq!(terminal("\u{9b}2J \u{202e}evil\u{2028}"), "\\u{9b}2J \\u{202e}evil\\u{2028}");
        for code in 0..=0x10_ffff {
            let Some(character) = char::from_u32(code) else { continue };
            let shown = terminal(character.encode_utf8(&mut [0; 4])).into_owned();
            assert!(shown == "\t" || !shown.chars().any(char::is_control), "{code:x}");
        }
    }

    #[test]
    fn escaped_json_is_the_same_json() {
        let line = "{\"message\":\"a\u{9b}b\u{7f}\u{202e}\u{e0041} ü\"}";
        let escaped = json(line);
        assert!(!escaped.chars().any(is_dangerous), "{escaped}");
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).expect("it is JSON");
        assert_eq!(read(&escaped), read(line));
    }
}
