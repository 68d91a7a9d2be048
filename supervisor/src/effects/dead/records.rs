//! The file format of dead letters, and its reader, which needs no right to write (`brigade dead list`).
//!
//! A file is a head of 16 bytes (`BRIGADED`, version, crc32 of both) and records. A record is `{ length: 32 bits, crc32: 32
//! bits, encoded [`Record`] }`, little end first; the encoding opens with its format. Records are appended; letters that are
//! gone are left out when the file is written again. Files of version 1 have no head: see [`super::first`].

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use brigade_protocol::codec;
use brigade_protocol::id::ItemKey;
use serde::{Deserialize, Serialize};

use super::first::First;
use super::{DeadLetter, ItemShape};

/// Larger records are not ours: the largest item and some room.
pub(super) const MAX_RECORD: u32 = (1 << 30) + (1 << 20);
/// In front of every record.
pub(super) const HEAD: u64 = 8;
/// In front of all records.
pub(super) const FILE_HEAD: u64 = 16;

const MAGIC: [u8; 8] = *b"BRIGADED";
const VERSION: u32 = 2;

/// One record. New kinds come at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Record {
    /// An item that was put aside.
    Letter(DeadLetter),
    /// These are about to be sent again. Whether they were is seen from the queue.
    Sending(Vec<Sending>),
    /// The items of the letters from here on have this shape. Before the first record of this kind it is not known.
    Shape(ItemShape),
}

/// A letter that is about to be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sending {
    /// Which one.
    pub letter: ItemKey,
    /// To the queue of this life.
    pub life: u64,
    /// The id of the item that it becomes there.
    pub becomes: u64,
}

/// Where a record lies in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first byte.
    pub at: u64,
    /// Bytes, its head included.
    pub len: u64,
}

/// How a file of letters begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// With nothing, or with a part of the head: its making was broken off.
    Begun,
    /// With the head of this version.
    Present,
    /// With a record of version 1.
    First,
}

/// Looks how a file begins.
///
/// # Errors
/// It cannot be read, or another version of Brigade has made it.
pub(super) fn format_of(file: &File) -> io::Result<Format> {
    let mut found = [0; FILE_HEAD as usize];
    let len = read_up_to(file, &mut found)?;
    let head = file_head();
    if len < head.len() && found[..len] == head[..len] {
        return Ok(Format::Begun);
    }
    if found == head {
        return Ok(Format::Present);
    }
    if found.starts_with(&MAGIC) {
        let version = u32::from_le_bytes([found[8], found[9], found[10], found[11]]);
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!(
                "its head says version {version}, and this version of Brigade knows {VERSION}: another one has made it, or it is damaged; use that version, or move the file away"
            ),
        ));
    }
    Ok(Format::First)
}

/// As every file of this version begins.
pub(super) fn file_head() -> [u8; FILE_HEAD as usize] {
    let mut head = [0; FILE_HEAD as usize];
    head[..8].copy_from_slice(&MAGIC);
    head[8..12].copy_from_slice(&VERSION.to_le_bytes());
    let sum = crc32fast::hash(&head[..12]);
    head[12..].copy_from_slice(&sum.to_le_bytes());
    head
}

fn read_up_to(file: &File, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match file.read_at(&mut buffer[len..], len as u64)? {
            0 => break,
            more => len += more,
        }
    }
    Ok(len)
}

/// Reads records one by one. A process that appends meanwhile does no harm: a half-written record is the end.
#[derive(Debug)]
pub struct Records<'f> {
    file: &'f File,
    /// Behind the last whole record.
    pub(super) at: u64,
    /// Of the items of the letters from here on.
    pub(super) shape: ItemShape,
    /// Of version 1: what it takes to read such records.
    first: Option<First>,
}

impl<'f> Records<'f> {
    /// From the beginning.
    ///
    /// # Errors
    /// As for [`Records::next_record`].
    pub fn of(file: &'f File) -> io::Result<Self> {
        Ok(match format_of(file)? {
            // Nothing comes behind a head that is not whole.
            Format::Begun | Format::Present => Self { file, at: FILE_HEAD, shape: ItemShape::Unknown, first: None },
            Format::First => Self { file, at: 0, shape: ItemShape::Unknown, first: Some(First::default()) },
        })
    }

    /// The next record, and where it lies. `None` at the end of the file, or where it stops making sense.
    ///
    /// # Errors
    /// When the file cannot be read, or holds a whole record of another version.
    pub fn next_record(&mut self) -> io::Result<Option<(Span, Record)>> {
        while let Some((span, body)) = self.next_body()? {
            // Whole, and yet not ours: nothing that may be cut away.
            let foreign = |error| {
                let words = format!("dead letters of another version of Brigade: {error}");
                io::Error::new(io::ErrorKind::InvalidData, words)
            };
            let record = match &mut self.first {
                None => Some(codec::decode(&body).map_err(foreign)?),
                Some(first) => first.record(&body).map_err(foreign)?,
            };
            self.at += span.len;
            if let Some(Record::Shape(shape)) = &record {
                self.shape.clone_from(shape);
            }
            if let Some(record) = record {
                return Ok(Some((span, record)));
            }
        }
        Ok(None)
    }

    /// The encoding of the next record.
    fn next_body(&self) -> io::Result<Option<(Span, Vec<u8>)>> {
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
        let is_whole = crc32fast::hash(&body) == sum;
        Ok(is_whole.then_some((Span { at: self.at, len: HEAD + u64::from(len) }, body)))
    }

    /// The next letter, and where it lies.
    ///
    /// # Errors
    /// As for [`Records::next_record`].
    pub fn next_letter(&mut self) -> io::Result<Option<(Span, DeadLetter)>> {
        while let Some((span, record)) = self.next_record()? {
            match record {
                Record::Letter(letter) => return Ok(Some((span, letter))),
                Record::Sending(_) | Record::Shape(_) => {}
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
