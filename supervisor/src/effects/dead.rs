//! Dead letters: items that ran out of deliveries, kept in a file per queue until somebody decides about them.
//!
//! A record is `{ length: 32 bits, crc32: 32 bits, encoded [`DeadLetter`] }`, little end first; records are only
//! appended. What does not make sense any more (a record that a crash cut off) is cut away when the file is opened, after
//! the whole was copied to `….damaged-TIME`.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use brigade_protocol::codec;
use brigade_protocol::id::ItemId;
use serde::{Deserialize, Serialize};

use crate::aside::free_name;

/// An item that was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// Its identity within its queue.
    pub id: u64,
    /// When it was put aside: microseconds since 1970, UTC.
    pub time_us: i64,
    /// How often it was delivered.
    pub deliveries: u16,
    /// What is known of its last attempt, in words.
    pub words: String,
    /// The item, as it was sent.
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// The file of one queue's dead letters.
#[derive(Debug)]
pub struct DeadFile {
    file: File,
    ids: HashSet<u64>,
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

/// Larger records are not ours: the largest item and some room.
const MAX_RECORD: u32 = (1 << 30) + 65_536;

impl DeadFile {
    /// Opens the file at `path`, or makes it.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
        let mut dead = Self { file, ids: HashSet::new(), end: 0, damage: None };
        while let Some(letter) = dead.next_record()? {
            dead.ids.insert(letter.id);
        }
        let len = dead.file.metadata()?.len();
        if len > dead.end {
            let copy = free_name(path, path.parent().unwrap_or(path), "damaged");
            std::fs::copy(path, &copy)?;
            dead.damage = Some(Damage { at: dead.end, is_cut_off: dead.is_cut_off(len)?, copy });
            dead.file.set_len(dead.end)?;
        }
        Ok(dead)
    }

    /// What was found wrong when it was opened. It was copied, and then cut away.
    pub fn damage(&self) -> Option<&Damage> {
        self.damage.as_ref()
    }

    /// Whether what stands behind the last letter, in a file of `len` bytes, can be the beginning of one.
    fn is_cut_off(&mut self, len: u64) -> io::Result<bool> {
        let rest = len - self.end;
        let mut head = [0; 4];
        if rest < 8 {
            return Ok(true);
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.read_exact(&mut head)?;
        let body = u32::from_le_bytes(head);
        Ok(body <= MAX_RECORD && rest < 8 + u64::from(body))
    }

    /// How many letters it holds.
    pub fn len(&self) -> u64 {
        self.ids.len() as u64
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// Keeps a letter. One that it holds already (the supervisor died in the middle) is not kept twice. After an error
    /// the file is as it was.
    pub fn keep(&mut self, id: ItemId, letter: &DeadLetter) -> io::Result<()> {
        if self.ids.contains(&id.0) {
            return Ok(());
        }
        let mut body = Vec::new();
        codec::encode(letter, &mut body).map_err(io::Error::other)?;
        let mut record = Vec::with_capacity(body.len() + 8);
        record.extend(u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes());
        record.extend(crc32fast::hash(&body).to_le_bytes());
        record.extend(body);
        self.file.seek(SeekFrom::Start(self.end))?;
        if let Err(error) = self.file.write_all(&record).and_then(|()| self.file.sync_data()) {
            let _ = self.file.set_len(self.end);
            return Err(error);
        }
        self.end += record.len() as u64;
        self.ids.insert(id.0);
        Ok(())
    }

    /// The record at `end`, which moves behind it. `None` at the end of the file, or where it stops making sense.
    fn next_record(&mut self) -> io::Result<Option<DeadLetter>> {
        self.file.seek(SeekFrom::Start(self.end))?;
        let mut head = [0; 8];
        match self.file.read_exact(&mut head) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (len, sum) = (word(0), word(4));
        if len > MAX_RECORD {
            return Ok(None);
        }
        let mut body = Vec::new();
        (&self.file).take(u64::from(len)).read_to_end(&mut body)?;
        if body.len() as u64 != u64::from(len) || crc32fast::hash(&body) != sum {
            return Ok(None);
        }
        let Ok(letter) = codec::decode(&body) else { return Ok(None) };
        self.end += 8 + u64::from(len);
        Ok(Some(letter))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(id: u64) -> DeadLetter {
        DeadLetter { id, time_us: 7, deliveries: 5, words: "exit code 1".into(), bytes: vec![1, 2, 3] }
    }

    #[test]
    fn letters_are_kept_once_and_found_again() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("q.dead");
        let mut dead = DeadFile::open(&path).expect("made");
        for id in [1, 2, 1] {
            dead.keep(ItemId(id), &letter(id)).expect("kept");
        }
        assert_eq!(dead.len(), 2);
        assert_eq!(DeadFile::open(&path).expect("opened").len(), 2);
    }

    #[test]
    fn a_record_that_was_cut_off_is_cut_away() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("q.dead");
        let mut dead = DeadFile::open(&path).expect("made");
        dead.keep(ItemId(1), &letter(1)).expect("kept");
        let whole = std::fs::read(&path).expect("read");
        for cut in 1..whole.len() {
            let half = [&whole[..], &whole[..cut]].concat();
            std::fs::write(&path, half).expect("written");
            let mut dead = DeadFile::open(&path).expect("opened");
            assert_eq!(dead.len(), 1);
            dead.keep(ItemId(2), &letter(2)).expect("kept");
            assert_eq!(DeadFile::open(&path).expect("opened").len(), 2);
        }
    }

    #[test]
    fn a_full_disk_is_an_error_and_the_letter_is_not_counted() {
        let mut dead = DeadFile {
            file: OpenOptions::new().write(true).open("/dev/full").expect("there"),
            ids: HashSet::new(),
            end: 0,
            damage: None,
        };
        assert!(dead.keep(ItemId(1), &letter(1)).is_err());
        assert!(dead.is_empty());
    }
}
