//! Dead letters: items that ran out of deliveries, kept in a file per queue until somebody decides about them. A letter is
//! known by its item's key, which holds the life of the queue that the item was first sent to. So a file needs no word about
//! the queue that there is now, and the two may be made and written in any order.
//!
//! What does not make sense any more (a record that a crash cut off) is cut away when the file is opened, after the whole
//! was copied to `….damaged-TIME`.

mod again;
mod first;
mod records;
mod shape;
#[cfg(test)]
mod tests;

pub use again::{Gone, Which};
pub use records::Records;
pub use shape::ItemShape;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use brigade_protocol::id::ItemKey;
use brigade_protocol::queue::{DeadItem, Queue};
use serde::{Deserialize, Serialize};

use self::records::{Format, Record, file_head, format_of, written};
use crate::aside::free_name;

/// An item that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its identity, among all items.
    pub key: ItemKey,
    /// When it was put aside: microseconds since 1970, UTC.
    pub time_us: i64,
    /// How often it was delivered.
    pub deliveries: u16,
    /// What is known of its last attempt, in words.
    pub words: String,
    /// The attempts that are known, oldest first.
    pub attempts: Vec<Attempt>,
    /// The item, as it was sent.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// One delivery that came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// Who had it, such as `hash/0`.
    pub worker: String,
    /// In which of its runs.
    pub incarnation: u32,
    /// When it failed: microseconds since 1970, UTC.
    pub time_us: i64,
    /// The handler's error, or how the worker died.
    pub words: String,
    /// The last lines that the worker wrote to standard error, if it died.
    pub stderr_tail: Vec<String>,
}

/// The file of one queue's dead letters.
#[derive(Debug)]
pub struct DeadFile {
    path: PathBuf,
    file: File,
    /// Of all letters in it.
    keys: HashSet<ItemKey>,
    letters: u64,
    /// Of the items of the letters that were kept last.
    shape: ItemShape,
    end: u64,
    damage: Option<Damage>,
}

/// What was found behind the last letter that makes sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// Where, in bytes.
    pub at: u64,
    /// It can be the beginning of a letter whose writing was broken off.
    pub is_cut_off: bool,
    /// The whole file, as it was found.
    pub copy: PathBuf,
}

impl DeadFile {
    /// Opens the file at `path`, or makes it. One of an older version is written as one of this version first.
    ///
    /// # Errors
    /// The file cannot be read or written, or a later version has made it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let format = format_of(&file)?;
        if format == Format::Begun {
            file.write_all_at(&file_head(), 0)?;
            file.sync_all()?;
        }
        let (mut keys, mut letters) = (HashSet::new(), 0);
        let mut records = Records::of(&file)?;
        while let Some((_, letter)) = records.next_letter()? {
            keys.insert(letter.key);
            letters += 1;
        }
        let Records { at: end, shape, .. } = records;
        let len = file.metadata()?.len();
        let mut damage = None;
        if len > end {
            let copy = free_name(path, path.parent().unwrap_or(path), "damaged");
            std::fs::copy(path, &copy)?;
            damage = Some(Damage { at: end, is_cut_off: is_cut_off(&file, end, len)?, copy });
            file.set_len(end)?;
        }
        let mut dead = Self { path: path.to_owned(), file, keys, letters, shape, end, damage };
        if format == Format::First {
            let damage = dead.damage.take();
            dead.write_again(|_| true)?;
            dead.damage = damage;
        }
        Ok(dead)
    }

    /// What was found wrong when it was opened. It was copied, and then cut away.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// How many letters it holds.
    pub fn len(&self) -> u64 {
        self.letters
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.letters == 0
    }

    /// Keeps letters, whose items have this shape, all of them or none: after an error the file is as it was. One that it
    /// holds already (the supervisor died in the middle) is not kept twice.
    pub fn keep(&mut self, shape: &ItemShape, letters: Vec<DeadLetter>) -> io::Result<()> {
        let mut new = HashSet::new();
        let mut records = Vec::new();
        if *shape != self.shape {
            records.push(Record::Shape(shape.clone()));
        }
        for letter in letters {
            if !self.keys.contains(&letter.key) && new.insert(letter.key) {
                records.push(Record::Letter(letter));
            }
        }
        if new.is_empty() {
            return Ok(());
        }
        self.append(&records)?;
        self.shape = shape.clone();
        self.letters += new.len() as u64;
        self.keys.extend(new);
        Ok(())
    }

    /// Takes the dead items out of a queue, and keeps them. `known` says what is known of an item: the last words, and the
    /// attempts. `kept` hears of each when it is on the disk.
    pub fn take_from(
        &mut self,
        queue: &Queue,
        mut known: impl FnMut(&DeadItem<'_>) -> (String, Vec<Attempt>),
        mut kept: impl FnMut(&DeadLetter),
    ) -> io::Result<u64> {
        let shape = ItemShape::of(queue);
        queue.take_dead(|items| {
            let time_us = jiff::Timestamp::now().as_microsecond();
            let letter = |item: &DeadItem<'_>| {
                let (words, attempts) = known(item);
                let (key, deliveries, bytes) = (item.key, item.deliveries, item.bytes.to_vec());
                DeadLetter { key, time_us, deliveries, words, attempts, bytes }
            };
            let letters: Vec<DeadLetter> = items.iter().map(letter).collect();
            self.keep(&shape, letters.clone())?;
            letters.iter().for_each(&mut kept);
            Ok(())
        })
    }

    fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let bytes = records.iter().map(written).collect::<io::Result<Vec<_>>>()?.concat();
        if let Err(error) = self.file.write_all_at(&bytes, self.end).and_then(|()| self.file.sync_data()) {
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += bytes.len() as u64;
        Ok(())
    }
}

/// Whether what stands behind the last record, which ends at `end` of a file of `len` bytes, can be the beginning of one.
fn is_cut_off(file: &File, end: u64, len: u64) -> io::Result<bool> {
    let rest = len - end;
    if rest < 8 {
        return Ok(true);
    }
    let mut head = [0; 4];
    file.read_exact_at(&mut head, end)?;
    let body = u32::from_le_bytes(head);
    Ok(body <= records::MAX_RECORD && rest < 8 + u64::from(body))
}
