//! Which letters are meant: a person types as little of an id as tells one letter from all others.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use brigade_protocol::id::ItemKey;
use brigade_protocol::queue::Queue;

use crate::effects::dead::{DeadLetter, Records};
use crate::state::StateDir;

/// Digits of a whole id.
const DIGITS: usize = 32;

/// A letter as people name it: `ID` or `QUEUE:ID`, where the id is one of `list`, or its beginning, or the id within the queue
/// that the logs of workers show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// The queue, if it was named.
    pub queue: Option<String>,
    /// Hexadecimal digits, in small letters.
    digits: String,
}

impl Id {
    /// The whole id of a letter.
    fn whole(queue: &str, key: ItemKey) -> Self {
        Self { queue: Some(queue.to_owned()), digits: key.to_string() }
    }

    fn means(&self, queue: &str, key: ItemKey) -> bool {
        let is_id_within = self.digits.len() <= 16 && u64::from_str_radix(&self.digits, 16) == Ok(key.id);
        let is_queue = self.queue.as_ref().is_none_or(|named| named == queue);
        is_queue && (is_id_within || key.to_string().starts_with(&self.digits))
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (queue, digits) = match text.rsplit_once(':') {
            Some((queue, digits)) => (Some(queue.to_owned()), digits),
            None => (None, text),
        };
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_hex || digits.len() > DIGITS {
            return Err(format!(
                "an id has {DIGITS} hexadecimal digits, as `brigade dead list` shows it; its beginning will do"
            ));
        }
        Ok(Self { queue, digits: digits.to_ascii_lowercase() })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.queue {
            Some(queue) => write!(f, "{queue}:{}", self.digits),
            None => self.digits.fmt(f),
        }
    }
}

/// Why letters cannot be found.
#[derive(Debug, thiserror::Error)]
pub enum FindError {
    /// None of this id.
    #[error("there is no dead letter {0}: `brigade dead list` shows those that are there")]
    None(Id),
    /// Several queues have one.
    #[error("there are several dead letters {id}, say which:{}", choices.iter().map(|it| format!("\n  {it}")).collect::<String>())]
    Several {
        /// As typed.
        id: Id,
        /// With their queues.
        choices: Vec<Id>,
    },
    /// No such file.
    #[error("nothing is known of dead letters of a queue {name}{}", known.as_ref().map(|it| format!("; known: {it}")).unwrap_or_default())]
    NoQueue {
        /// As typed.
        name: String,
        /// Those that are there.
        known: Option<String>,
    },
    /// The system refused.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// The queues of which there are files of dead letters, or the one that is named.
pub fn queues(dir: &StateDir, named: Option<&str>) -> Result<Vec<String>, FindError> {
    let folder = dir.root().join("dead");
    let entries = match std::fs::read_dir(&folder) {
        Ok(entries) => entries.filter_map(Result::ok).collect(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        Err(source) => return Err(FindError::Io { path: folder, source }),
    };
    let names = entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter_map(|name| name.strip_suffix(".dead").map(str::to_owned)).collect();
    names.sort();
    match named {
        None => Ok(names),
        Some(name) if names.iter().any(|it| it == name) => Ok(vec![name.to_owned()]),
        Some(name) => {
            let known = (!names.is_empty()).then(|| names.join(", "));
            Err(FindError::NoQueue { name: name.to_owned(), known })
        }
    }
}

/// Hands the letters of a queue to `each`, one by one: they may be more than fits into memory.
pub fn each(dir: &StateDir, queue: &str, mut each: impl FnMut(DeadLetter)) -> Result<(), FindError> {
    let path = dir.dead(queue);
    let io = |source| FindError::Io { path: path.clone(), source };
    let file = File::open(&path).map_err(io)?;
    let mut records = Records::of(&file).map_err(io)?;
    while let Some((_, letter)) = records.next_letter().map_err(io)? {
        each(letter);
    }
    Ok(())
}

/// Whether a queue has a dead letter, in its file or in one of its slots: an item that has run out of deliveries stays there
/// until a supervisor or a command puts it aside.
pub fn has_any(dir: &StateDir, queue: &str) -> Result<bool, FindError> {
    let mut is_there = Queue::open(&dir.queue(queue)).is_ok_and(|queue| queue.depth().dead > 0);
    each(dir, queue, |_| is_there = true)?;
    Ok(is_there)
}

/// The queue and the whole id of each of these: the only letter that it can mean.
pub fn resolve(dir: &StateDir, ids: &[Id]) -> Result<Vec<(String, ItemKey)>, FindError> {
    let mut meant: Vec<Vec<(String, ItemKey)>> = vec![Vec::new(); ids.len()];
    for queue in queues(dir, None)? {
        each(dir, &queue, |letter| {
            for (_, meant) in ids.iter().zip(&mut meant).filter(|(id, _)| id.means(&queue, letter.key)) {
                meant.push((queue.clone(), letter.key));
            }
        })?;
    }
    let resolved = ids.iter().zip(meant).map(|(id, mut meant)| match meant.len() {
        0 => Err(FindError::None(id.clone())),
        1 => Ok(meant.remove(0)),
        _ => {
            let choices = meant.into_iter().map(|(queue, key)| Id::whole(&queue, key)).collect();
            Err(FindError::Several { id: id.clone(), choices })
        }
    });
    resolved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::dead::{DeadFile, ItemShape};

    #[test]
    fn ids_are_read_as_they_are_shown() {
        for text in ["00000000000000ab0001000000000007", "paths:00000000000000ab0001000000000007", "7"] {
            assert_eq!(text.parse::<Id>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("paths:AB".parse::<Id>().map(|id| id.to_string()), Ok("paths:ab".to_owned()));
        for text in ["", "x", "paths:", "+7", "00000000000000ab00010000000000071"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_means_the_only_letter_that_begins_so_or_has_it_in_its_queue() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        drop(dir.take("one").expect("taken"));
        let keys = [("a", ItemKey { life: 0x1a << 56, id: 7 }), ("b", ItemKey { life: 0x1b << 56, id: 7 })];
        for (queue, key) in keys {
            let mut dead = DeadFile::open(&dir.dead(queue)).expect("made");
            let (words, attempts, bytes) = (String::new(), Vec::new(), Vec::new());
            dead.keep(&ItemShape::Unknown, vec![DeadLetter { key, time_us: 0, deliveries: 1, words, attempts, bytes }])
                .expect("kept");
        }
        let found = |text: &str| resolve(&dir, &[text.parse().expect("an id")]).map_err(|error| error.to_string());
        for text in ["b:7", "b:1", "1b", "1B00000000", "1b000000000000000000000000000007"] {
            assert_eq!(found(text), Ok(vec![("b".to_owned(), keys[1].1)]), "{text}");
        }
        for text in ["7", "1"] {
            let several = found(text).expect_err("two have it");
            let choices = "say which:\n  a:1a000000000000000000000000000007\n  b:1b000000000000000000000000000007";
            assert!(several.ends_with(choices), "{several}");
        }
        assert!(found("8").expect_err("none").starts_with("there is no dead letter 8"));
        assert!(found("c:7").is_err());
    }
}
