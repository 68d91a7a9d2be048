//! What lies in the folder of logs. Without it, the writer, the keeper of old files and the reader would each have an
//! idea of its own of what the files are called.
//!
//! `hash.log` is written to. Files that were put aside have numbers that count up and never change: `hash.log.7` is
//! younger than `hash.log.6`, and `hash.log.6.gz` is the same as `hash.log.6`, compressed. A file has its last name from
//! the first moment, so a reader and a compressor never have to follow it. `hash.dropped` tells what rotation has removed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// What is being compressed has this at its end until it is whole.
const HALF: &str = ".gz.new";

/// In which forms a file that was put aside is there. Both for a moment, while it is compressed; each is whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Forms {
    /// As it was written.
    pub plain: bool,
    /// Compressed.
    pub gzip: bool,
}

/// The files of one stage.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shelf {
    /// Files that were put aside, by number, the oldest first.
    pub old: BTreeMap<u64, Forms>,
    /// Files that somebody began to compress.
    pub halves: Vec<PathBuf>,
}

impl Shelf {
    /// Those of one stage.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn of(dir: &Path, stage: &str) -> io::Result<Self> {
        Ok(all(dir)?.remove(stage).unwrap_or_default())
    }
}

/// All stages that have logs in this folder, by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn all(dir: &Path) -> io::Result<BTreeMap<String, Shelf>> {
    let mut shelves: BTreeMap<String, Shelf> = BTreeMap::new();
    for entry in fs::read_dir(dir)? {
        let Ok(name) = entry?.file_name().into_string() else { continue };
        let Some((stage, kind)) = name.split_once(".log") else { continue };
        let number = |text: &str| text.strip_prefix('.').and_then(|number| number.parse::<u64>().ok());
        if kind.is_empty() {
            shelves.entry(stage.to_owned()).or_default();
        } else if let Some(number) = number(kind) {
            shelves.entry(stage.to_owned()).or_default().old.entry(number).or_default().plain = true;
        } else if let Some(number) = kind.strip_suffix(".gz").and_then(number) {
            shelves.entry(stage.to_owned()).or_default().old.entry(number).or_default().gzip = true;
        } else if kind.strip_suffix(HALF).and_then(number).is_some() {
            shelves.entry(stage.to_owned()).or_default().halves.push(dir.join(&name));
        }
    }
    Ok(shelves)
}

/// The file that is written to.
pub fn live(dir: &Path, stage: &str) -> PathBuf {
    dir.join(format!("{stage}.log"))
}

/// A file that was put aside.
pub fn plain(dir: &Path, stage: &str, number: u64) -> PathBuf {
    dir.join(format!("{stage}.log.{number}"))
}

/// The same, compressed.
pub fn gzip(dir: &Path, stage: &str, number: u64) -> PathBuf {
    dir.join(format!("{stage}.log.{number}.gz"))
}

/// The same, as long as it is not whole.
pub fn half(dir: &Path, stage: &str, number: u64) -> PathBuf {
    dir.join(format!("{stage}.log.{number}{HALF}"))
}

/// What rotation has removed of a stage's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dropped {
    /// Files up to this number.
    pub number: u64,
    /// When the last of them was removed.
    #[serde(with = "super::record::micros")]
    pub at: Timestamp,
    /// When the last line in them was written.
    #[serde(with = "super::record::micros")]
    pub last: Timestamp,
}

impl Dropped {
    /// What is known; `None`: nothing was removed.
    pub fn of(dir: &Path, stage: &str) -> Option<Self> {
        serde_json::from_slice(&fs::read(Self::path(dir, stage)).ok()?).ok()
    }

    /// Keeps it, whole or not at all.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn keep(&self, dir: &Path, stage: &str) -> io::Result<()> {
        let path = Self::path(dir, stage);
        let new = path.with_extension("dropped.new");
        fs::write(&new, serde_json::to_vec(self)?)?;
        fs::rename(new, path)
    }

    fn path(dir: &Path, stage: &str) -> PathBuf {
        dir.join(format!("{stage}.dropped"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_logs_count_each_in_its_form() {
        let dir = tempfile::tempdir().expect("a directory");
        let names = ["hash.log", "hash.log.7", "hash.log.7.gz", "hash.log.10.gz", "hash.log.11.gz.new", "walk.log.3"];
        for name in names.iter().chain(&["other", "x.log.y", "y.log.gz", "plan.toml", "z.logs", "hash.dropped"]) {
            fs::write(dir.path().join(name), "").expect("it is written");
        }
        let shelves = all(dir.path()).expect("it can be read");
        assert_eq!(shelves.keys().collect::<Vec<_>>(), ["hash", "walk"]);
        let forms: Vec<_> = shelves["hash"].old.iter().map(|(number, f)| (*number, f.plain, f.gzip)).collect();
        assert_eq!(forms, [(7, true, true), (10, false, true)]);
        assert_eq!(shelves["hash"].halves, [half(dir.path(), "hash", 11)]);
        assert_eq!(Shelf::of(dir.path(), "none").expect("it can be read"), Shelf::default());
    }

    #[test]
    fn what_was_dropped_is_remembered() {
        let dir = tempfile::tempdir().expect("a directory");
        assert_eq!(Dropped::of(dir.path(), "hash"), None);
        let dropped = Dropped { number: 4, at: Timestamp::UNIX_EPOCH, last: Timestamp::UNIX_EPOCH };
        dropped.keep(dir.path(), "hash").expect("it is written");
        assert_eq!(Dropped::of(dir.path(), "hash"), Some(dropped));
        fs::write(dir.path().join("hash.dropped"), "{").expect("it is written");
        assert_eq!(Dropped::of(dir.path(), "hash"), None, "half a file is none");
    }
}
