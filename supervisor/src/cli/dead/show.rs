//! `brigade dead show`: all that is known of one.

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::find::{self, FindError, Id};
use super::item;
use crate::cli::say;
use crate::cli::select::{Need, Select};
use crate::effects::dead::DeadLetter;
use crate::figures::counted;
use crate::logs::escape;
use crate::state::StateDir;

/// Shows the letter of this id.
pub(super) fn run(select: &Select, id: &Id, as_json: bool) -> ExitCode {
    let dir = match select.find(Need::Left) {
        Ok(dir) => dir,
        Err(error) => return say::error(&error),
    };
    match shown(&dir, id, as_json) {
        Ok(text) => say::result(&text),
        Err(error) => say::error(&error),
    }
}

fn shown(dir: &StateDir, id: &Id, as_json: bool) -> Result<String, FindError> {
    let mut text = String::new();
    for (queue, key) in find::resolve(dir, std::slice::from_ref(id))? {
        find::each(dir, &queue, |letter| {
            if letter.key == key && as_json {
                text += &item::pretty(&in_json(&queue, &letter));
            } else if letter.key == key {
                text += &in_words(&queue, &letter);
            }
        })?;
    }
    Ok(text)
}

fn in_words(queue: &str, letter: &DeadLetter) -> String {
    let safe = |text: &str| escape::terminal(text).into_owned();
    let mut text = format!("item {} of queue {}\n", letter.key, safe(queue));
    let deliveries = match letter.deliveries {
        1 => "1 delivery".to_owned(),
        more => format!("{more} deliveries"),
    };
    let _ = writeln!(text, "dead since {}, after {deliveries}", utc(letter.time_us));
    let _ = writeln!(text, "{}", safe(&letter.words));
    let known = letter.attempts.len();
    if known < usize::from(letter.deliveries) {
        let _ = writeln!(text, "\nattempts ({known} known):");
    } else {
        text += "\nattempts:\n";
    }
    for attempt in &letter.attempts {
        let (worker, run) = (safe(&attempt.worker), attempt.incarnation);
        let _ = writeln!(text, "  {}  {worker} (run {run}): {}", utc(attempt.time_us), safe(&attempt.words));
        for line in &attempt.stderr_tail {
            let _ = writeln!(text, "    | {}", safe(line));
        }
    }
    let _ = writeln!(text, "\nitem, {}:", counted(letter.bytes.len() as u64, "byte"));
    text += &item::whole(&letter.bytes);
    text
}

fn in_json(queue: &str, letter: &DeadLetter) -> Value {
    let attempts: Vec<Value> = letter
        .attempts
        .iter()
        .map(|attempt| {
            json!({
                "worker": attempt.worker,
                "incarnation": attempt.incarnation,
                "time": utc(attempt.time_us),
                "words": attempt.words,
                "stderr": attempt.stderr_tail,
            })
        })
        .collect();
    json!({
        "id": letter.key.to_string(),
        "queue": queue,
        "time": utc(letter.time_us),
        "deliveries": letter.deliveries,
        "words": letter.words,
        "attempts": attempts,
        "bytes": letter.bytes.len(),
        "item": item::json(&letter.bytes),
    })
}

/// A time, in UTC, to the millisecond.
pub(super) fn utc(time_us: i64) -> String {
    match jiff::Timestamp::from_microsecond(time_us) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        Err(_) => "an impossible time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use brigade_protocol::id::ItemKey;

    use super::*;
    use crate::effects::dead::Attempt;

    fn letter() -> DeadLetter {
        let attempt = Attempt {
            worker: "hash/0".into(),
            incarnation: 2,
            time_us: 1_000_000,
            words: "died: killed by SIGSEGV".into(),
            stderr_tail: vec!["oh \u{1b}[2J".into()],
        };
        let (words, bytes) = ("hash/0: died: killed by SIGSEGV".into(), b"\x01\x02hi".to_vec());
        DeadLetter {
            key: ItemKey { life: 0xab, id: 7 },
            time_us: 2_000_000,
            deliveries: 3,
            words,
            attempts: vec![attempt],
            bytes,
        }
    }

    #[test]
    fn all_that_is_known_is_shown_and_steers_no_terminal() {
        let wanted = "\
item 00000000000000ab0000000000000007 of queue paths
dead since 1970-01-01T00:00:02.000Z, after 3 deliveries
hash/0: died: killed by SIGSEGV

attempts (1 known):
  1970-01-01T00:00:01.000Z  hash/0 (run 2): died: killed by SIGSEGV
    | oh \\x1b[2J

item, 4 bytes:
  hi
";
        assert_eq!(in_words("paths", &letter()), wanted);
        let one = DeadLetter { deliveries: 1, ..letter() };
        assert!(in_words("paths", &one).contains("after 1 delivery\n"));
    }

    #[test]
    fn programs_get_the_same() {
        let shown = in_json("paths", &letter());
        assert_eq!(
            (shown["id"].as_str(), shown["item"]["text"].as_str()),
            (Some("00000000000000ab0000000000000007"), Some("hi"))
        );
        assert_eq!(shown["attempts"][0]["words"], "died: killed by SIGSEGV");
    }
}
