//! Which letters are meant. Without it, everybody would have to type the name of a queue beside every id.

use std::fmt;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::str::FromStr;

use brigade_protocol::id::ItemId;

use crate::effects::dead::{DeadLetter, Records};
use crate::state::StateDir;

/// A letter as people name it: `ID` or `QUEUE:ID`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// The queue, if it was named.
    pub queue: Option<String>,
    /// The item's id.
    pub id: u64,
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (queue, digits) = match text.rsplit_once(':') {
            Some((queue, digits)) => (Some(queue.to_owned()), digits),
            None => (None, text),
        };
        let is_hex = !digits.is_empty() && digits.len() <= 16 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let id = u64::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        let id = id.ok_or("an id has up to 16 hexadecimal digits, as `brigade dead list` shows it")?;
        Ok(Self { queue, id })
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.queue {
            Some(queue) => write!(f, "{queue}:{}", ItemId(self.id)),
            None => ItemId(self.id).fmt(f),
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
        /// Why.
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
    let mut records = Records::of(&file);
    while let Some((_, _, letter)) = records.next_letter().map_err(io)? {
        each(letter);
    }
    Ok(())
}

/// The queue of each of these: the one that was named, or the only one that has such a letter.
pub fn resolve(dir: &StateDir, ids: &[Id]) -> Result<Vec<(String, u64)>, FindError> {
    let mut having: Vec<Vec<String>> = vec![Vec::new(); ids.len()];
    for queue in queues(dir, None)? {
        let mut in_queue = std::collections::HashSet::new();
        each(dir, &queue, |letter| _ = in_queue.insert(letter.id))?;
        for (id, having) in ids.iter().zip(&mut having) {
            if id.queue.as_ref().is_none_or(|named| *named == queue) && in_queue.contains(&id.id) {
                having.push(queue.clone());
            }
        }
    }
    let resolved = ids.iter().zip(having).map(|(id, mut having)| match having.len() {
        0 => Err(FindError::None(id.clone())),
        1 => Ok((having.remove(0), id.id)),
        _ => {
            let choices = having.into_iter().map(|queue| Id { queue: Some(queue), id: id.id }).collect();
            Err(FindError::Several { id: id.clone(), choices })
        }
    });
    resolved.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::effects::dead::DeadFile;

    #[test]
    fn ids_are_read_as_they_are_shown() {
        for text in ["0001000000000007", "paths:0001000000000007"] {
            assert_eq!(text.parse::<Id>().map(|id| id.to_string()), Ok(text.to_owned()));
        }
        assert_eq!("7".parse::<Id>().map(|id| id.id), Ok(7));
        for text in ["", "x", "paths:", "+7", "00010000000000071"] {
            assert!(text.parse::<Id>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_id_that_several_queues_have_needs_the_name_of_one() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        drop(dir.take("one").expect("taken"));
        for queue in ["a", "b"] {
            let mut dead = DeadFile::open(&dir.dead(queue)).expect("made");
            let letter = DeadLetter {
                id: 7,
                time_us: 0,
                deliveries: 1,
                words: String::new(),
                attempts: Vec::new(),
                bytes: Vec::new(),
            };
            dead.keep(ItemId(7), &letter).expect("kept");
        }
        let found = |text: &str| resolve(&dir, &[text.parse().expect("an id")]).map_err(|error| error.to_string());
        assert_eq!(found("b:7"), Ok(vec![("b".to_owned(), 7)]));
        let several = found("7").expect_err("two have it");
        assert!(several.ends_with("say which:\n  a:0000000000000007\n  b:0000000000000007"), "{several}");
        assert!(found("8").expect_err("none").starts_with("there is no dead letter 0000000000000008"));
        assert!(found("c:7").is_err());
    }
}
