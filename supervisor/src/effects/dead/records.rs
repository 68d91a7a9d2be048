//! What a file of dead letters is made of. Without it, those who only read (`brigade dead list`) would need the right to
//! write.
//!
//! A record is `{ length: 32 bits, crc32: 32 bits, encoded [`Record`] }`, little end first; the encoding opens with its
//! format. Records are appended; letters that are gone are left out when the file is written anew.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use brigade_protocol::codec;
use serde::{Deserialize, Serialize};

use super::DeadLetter;

/// Larger records are not ours: the largest item and some room.
pub(super) const MAX_RECORD: u32 = (1 << 30) + (1 << 20);
/// In front of every record.
pub(super) const HEAD: u64 = 8;

/// One record. New kinds come at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An item that was put aside.
    Letter(DeadLetter),
    /// From here on the queue is a new one, which gives the ids of the old one again.
    Anew,
    /// These are about to be sent again. Whether they were is seen from the queue.
    Sending(Vec<Sending>),
}

/// A letter that is about to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// Which one.
    pub letter: Key,
    /// The id of the item that it becomes.
    pub becomes: u64,
}

/// Which letter of a file: ids are unique within one life of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// How many `Record::Anew` came before.
    pub life: u32,
    /// The item's id.
    pub id: u64,
}

/// Where a record lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub at: u64,
    /// Bytes, its head included.
    pub len: u64,
}

/// Reads records one by one. Whoever appends meanwhile does no harm: a half-written record is the end.
#[derive(Debug)]
pub struct Records<'f> {
    file: &'f File,
    /// Behind the last whole record.
    pub(super) at: u64,
    life: u32,
}

impl<'f> Records<'f> {
    /// From the beginning.
    pub fn of(file: &'f File) -> Self {
        Self { file, at: 0, life: 0 }
    }

    /// How many new lives of the queue have begun so far.
    pub(super) fn life(&self) -> u32 {
        self.life
    }

    /// The next record, and where it lies. `None` at the end of the file, or where it stops making sense.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a whole record of another version.
    pub fn next_record(&mut self) -> io::Result<Option<(Span, Record)>> {
        let mut head = [0; HEAD as usize];
        match self.file.read_exact_at(&mut head, self.at) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        let word = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().expect("four bytes"));
        let (len, sum) = (word(0), word(4));
        let left = self.file.metadata()?.len().saturating_sub(self.at + HEAD);
        // An encoding has at least its format; eight zeros are what a crash may leave.
        if len == 0 || len > MAX_RECORD || u64::from(len) > left {
            return Ok(None);
        }
        let mut body = vec![0; len as usize];
        match self.file.read_exact_at(&mut body, self.at + HEAD) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            Err(error) => return Err(error),
        }
        if crc32fast::hash(&body) != sum {
            return Ok(None);
        }
        // Whole, and yet not ours: nothing that may be cut away.
        let record = codec::decode(&body).map_err(|error| {
            io::Error::new(io::ErrorKind::InvalidData, format!("dead letters of another version of Brigade: {error}"))
        })?;
        if record == Record::Anew {
            self.life += 1;
        }
        let span = Span { at: self.at, len: HEAD + u64::from(len) };
        self.at += span.len;
        Ok(Some((span, record)))
    }

    /// The next letter, which of the file it is, and where it lies.
    ///
    /// # Errors
    /// As for [`Records::next_record`].
    pub fn next_letter(&mut self) -> io::Result<Option<(Span, Key, DeadLetter)>> {
        while let Some((span, record)) = self.next_record()? {
            match record {
                Record::Letter(letter) => return Ok(Some((span, Key { life: self.life, id: letter.id }, letter))),
                Record::Anew | Record::Sending(_) => {}
            }
        }
        Ok(None)
    }
}

/// A record as it is written.
pub(super) fn written(record: &Record) -> io::Result<Vec<u8>> {
    let mut body = Vec::new();
    codec::encode(record, &mut body).map_err(io::Error::other)?;
    let mut bytes = Vec::with_capacity(body.len() + HEAD as usize);
    bytes.extend(u32::try_from(body.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend(crc32fast::hash(&body).to_le_bytes());
    bytes.extend(body);
    Ok(bytes)
}
