//! The file to which every change of shared state is written before its outcome is told. Without it the manager's state
//! would be as old as its last orderly stop whenever it is killed.
//!
//! It opens with `MAGIC` and its generation (8 bytes, little endian); then come records, each behind its length and its
//! CRC-32 (4 bytes each, little endian): the client (16 bytes), the message that came from it as it came, and zeroes up to the
//! next multiple of 8. Behind the last record stand zeroes, room for the next ones.
//!
//! Records are copied into a mapping of the file, without a system call: what is there belongs to the system and not to the
//! process, so it outlives every process, and a loss of power as far as the system has brought it to the disk. The length of
//! the first of those that are written together is stored last, in one piece with its sum: until then none of them is there.
//! Room is allocated before it is mapped, so that a full disk is an error.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use brigade_protocol::crash_point;
use brigade_protocol::shared::parts::MESSAGE_BYTES;
use brigade_protocol::shm::Region;
use rustix::fs::{FallocateFlags, fallocate};

/// Opens the file; the last byte is the version of its format.
const MAGIC: [u8; 8] = *b"BRGDJRN\x02";
/// Of those whose records stand side by side, with nothing behind them.
const MAGIC_1: [u8; 8] = *b"BRGDJRN\x01";
/// Bytes before the first record.
const HEAD: u64 = 16;
/// Bytes of a record's length and sum.
const RECORD_HEAD: usize = 8;
/// Bytes of a client's name in a record.
const CLIENT: usize = 16;
/// No record is longer than this.
const RECORD_BYTES: usize = MESSAGE_BYTES + CLIENT;
/// Room is made by so many bytes at a time, or by less if the disk has no more.
const ROOM: u64 = 256 << 10;
/// So many bytes are cheaper to copy one by one into pages that have to be found first than for the system to write.
const SMALL: usize = 16 << 10;

/// A journal to write to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Of the whole file, with its room; none at first, and after an error.
    mapped: Option<Arc<Region>>,
    /// Up to here it holds whole records.
    length: u64,
}

impl Journal {
    /// An empty one. Overwrites what has that name.
    pub(super) fn create(path: &Path, generation: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(path)?;
        let mut head = [0; HEAD as usize];
        head[..8].copy_from_slice(&MAGIC);
        head[8..].copy_from_slice(&generation.to_le_bytes());
        file.write_all(&head)?;
        Ok(Self { file, mapped: None, length: HEAD })
    }

    /// One that was written before; what stands behind its first `length` bytes is cut off.
    pub(super) fn go_on(path: &Path, length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        file.set_len(length)?;
        Ok(Self { file, mapped: None, length })
    }

    /// Adds whole records, as [`frame`] makes them, all or none. After an error none of them is in the file, nor counts as
    /// being there.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        let end = self.length + records.len() as u64;
        let mapped = self.room(end)?;
        crash_point!("manager_journal_before");
        let (head, rest) = records.split_first_chunk().expect("a record has a head");
        let at = self.length as usize;
        if rest.len() > SMALL {
            // What a failed attempt leaves is cut off before the next one.
            let written = self.file.write_all_at(rest, self.length + RECORD_HEAD as u64);
            written.inspect_err(|_| self.mapped = None)?;
        } else {
            mapped.write(at + RECORD_HEAD, rest);
        }
        crash_point!("manager_journal_copied");
        // Release: after the rest, for whoever reads the file meanwhile.
        mapped.words(at, 1).at(0).store(u64::from_le_bytes(*head), Ordering::Release);
        if mapped.is_cut() {
            self.mapped = None;
            return Err(io::Error::other("somebody has cut the file short"));
        }
        self.length = end;
        crash_point!("manager_journal_written");
        Ok(())
    }

    /// The file with room for that many bytes, mapped.
    fn room(&mut self, end: u64) -> io::Result<Arc<Region>> {
        match &self.mapped {
            Some(mapped) if mapped.len() as u64 >= end => return Ok(Arc::clone(mapped)),
            Some(_) => {}
            // Behind the records may stand what was not to be there.
            None => self.file.set_len(self.length)?,
        }
        let make = |bytes: u64| fallocate(&self.file, FallocateFlags::empty(), 0, bytes).map(|()| bytes);
        let bytes = make((end + 1).next_multiple_of(ROOM)).or_else(|_| make(end))?;
        let mapped = Region::map(&self.file, usize::try_from(bytes).map_err(io::Error::other)?)?;
        self.mapped = Some(Arc::clone(&mapped));
        Ok(mapped)
    }

    /// How many bytes its records take.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Brings it to the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }
}

/// Appends a record to `records`.
pub(super) fn frame(client: u128, message: &[u8], records: &mut Vec<u8>) {
    let client = client.to_le_bytes();
    let mut sum = crc32fast::Hasher::new();
    sum.update(&client);
    sum.update(message);
    let length = u32::try_from(CLIENT + message.len()).expect("a message is below 4 GiB");
    records.extend_from_slice(&length.to_le_bytes());
    records.extend_from_slice(&sum.finalize().to_le_bytes());
    records.extend_from_slice(&client);
    records.extend_from_slice(message);
    records.resize(records.len().next_multiple_of(RECORD_HEAD), 0);
}

/// Whether it is of an earlier version: it can be read, but not gone on with.
pub(super) fn is_old(path: &Path) -> bool {
    let mut magic = [0; 8];
    File::open(path).and_then(|mut file| file.read_exact(&mut magic)).is_ok() && magic == MAGIC_1
}

/// How a journal ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// With a whole record.
    Whole {
        /// Its length.
        at: u64,
    },
    /// In the middle of a record, as a killed manager leaves it: that record was never acknowledged.
    Cut {
        /// Where that record begins.
        at: u64,
    },
    /// With something that is no record.
    Damaged {
        /// Where that begins.
        at: u64,
        /// What is wrong with it.
        words: String,
    },
}

/// Hands every record to `each`, which says what is wrong with one that makes no sense. An error is that the file cannot
/// be read.
pub(super) fn replay(
    path: &Path,
    generation: u64,
    mut each: impl FnMut(u128, &[u8]) -> Result<(), String>,
) -> io::Result<End> {
    let mut file = BufReader::with_capacity(1 << 20, File::open(path)?);
    let mut head = [0; HEAD as usize];
    if !whole(&mut file, &mut head)? {
        return Ok(End::Cut { at: 0 });
    }
    let damaged = |at, words: &str| Ok(End::Damaged { at, words: words.to_owned() });
    let is_old = head[..8] == MAGIC_1;
    if head[..8] != MAGIC && !is_old {
        return damaged(0, "it is no journal, or one of another version of Brigade");
    }
    if head[8..] != generation.to_le_bytes() {
        return damaged(8, "it is the journal of another generation");
    }
    let (mut at, mut body) = (HEAD, Vec::new());
    loop {
        let mut head = [0; RECORD_HEAD];
        if file.fill_buf()?.is_empty() {
            return Ok(End::Whole { at });
        }
        if !whole(&mut file, &mut head)? {
            return Ok(End::Cut { at });
        }
        if head == [0; RECORD_HEAD] && !is_old {
            return Ok(if is_zero(&mut file)? { End::Whole { at } } else { End::Cut { at } });
        }
        let (length, sum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().expect("it is four bytes")) as usize;
        if !(CLIENT..=RECORD_BYTES).contains(&length) {
            return damaged(at, "the length of a record makes no sense");
        }
        let padded = if is_old { length } else { length.next_multiple_of(RECORD_HEAD) };
        body.clear();
        if (&mut file).take(padded as u64).read_to_end(&mut body)? < padded {
            return Ok(End::Cut { at });
        }
        if body.drain(length..).any(|byte| byte != 0) {
            return damaged(at, "there is something between two records");
        }
        if crc32fast::hash(&body).to_le_bytes() != *sum {
            return damaged(at, "the checksum of a record is wrong");
        }
        let (client, message) = body.split_first_chunk::<CLIENT>().expect("the length was looked at");
        if let Err(words) = each(u128::from_le_bytes(*client), message) {
            return damaged(at, &words);
        }
        at += (head.len() + padded) as u64;
    }
}

/// Whether nothing but zeroes is left.
fn is_zero(file: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let bytes = file.fill_buf()?;
        if bytes.is_empty() || bytes.iter().any(|byte| *byte != 0) {
            return Ok(bytes.is_empty());
        }
        let all = bytes.len();
        file.consume(all);
    }
}

/// Whether there was enough to fill this.
fn whole(file: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path) -> (Vec<(u128, Vec<u8>)>, End) {
        let mut seen = Vec::new();
        let end = replay(path, 3, |client, message| {
            seen.push((client, message.to_vec()));
            Ok(())
        });
        (seen, end.expect("it can be read"))
    }

    fn sample(path: &Path) -> Vec<(u128, Vec<u8>)> {
        let all: Vec<_> = (0..5u8).map(|n| (u128::from(n) << 100, vec![n; usize::from(n) * 3])).collect();
        let mut records = Vec::new();
        all.iter().for_each(|(client, message)| frame(*client, message, &mut records));
        Journal::create(path, 3).expect("there is room").append(&records).expect("there is room");
        all
    }

    /// What stands there, without the room behind it.
    fn written(path: &Path) -> Vec<u8> {
        let mut bytes = std::fs::read(path).expect("it was just written");
        let End::Whole { at } = read(path).1 else { panic!("it is whole") };
        assert!(bytes.drain(at as usize..).all(|byte| byte == 0));
        bytes
    }

    #[test]
    fn what_was_written_is_read_and_can_be_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut all = sample(&path);
        let length = written(&path).len() as u64;
        assert_eq!(read(&path).0, all);
        let mut journal = Journal::go_on(&path, length).expect("it is there");
        assert_eq!(journal.length(), length);
        // Small ones into the room that is there, large ones and such as do not fit in it.
        for n in 0..200u8 {
            let message = vec![n; if n % 10 == 0 { 3 * SMALL } else { usize::from(n) }];
            let mut record = Vec::new();
            frame(9, &message, &mut record);
            journal.append(&record).expect("there is room");
            all.push((9, message));
        }
        assert!(journal.length() > 2 * ROOM);
        assert_eq!((read(&path).0, written(&path).len() as u64), (all, journal.length()));
    }

    #[test]
    fn one_whose_writing_was_cut_off_is_not_there_and_what_comes_next_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let all = sample(&path);
        let at = written(&path).len() as u64;
        let mut record = Vec::new();
        frame(9, b"much longer than the next", &mut record);
        for some in RECORD_HEAD + 1..record.len() {
            let file = OpenOptions::new().write(true).open(&path).expect("it is there");
            file.write_all_at(&record[RECORD_HEAD..some], at + RECORD_HEAD as u64).expect("there is room");
            assert_eq!(read(&path), (all.clone(), End::Cut { at }));
            let mut next = Vec::new();
            frame(9, b"next", &mut next);
            Journal::go_on(&path, at).expect("it is there").append(&next).expect("there is room");
            let (seen, end) = read(&path);
            assert_eq!((seen.len(), seen.last()), (all.len() + 1, Some(&(9, b"next".to_vec()))));
            assert_eq!(end, End::Whole { at: at + next.len() as u64 });
            File::options().write(true).open(&path).and_then(|file| file.set_len(at)).expect("it is there");
        }
    }

    #[test]
    fn what_cannot_be_written_is_not_there_and_what_comes_next_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut all = sample(&path);
        let mut journal = Journal::go_on(&path, written(&path).len() as u64).expect("it is there");
        // As after an error in the middle of a large one.
        journal.mapped = None;
        let garbage = OpenOptions::new().write(true).open(&path).expect("it is there");
        garbage.write_all_at(&[7; 100], journal.length() + 8).expect("there is room");
        let mut record = Vec::new();
        frame(9, b"next", &mut record);
        journal.append(&record).expect("there is room");
        all.push((9, b"next".to_vec()));
        assert_eq!(read(&path), (all, End::Whole { at: journal.length() }));
        // As after somebody has written to it who must not.
        File::options().write(true).open(&path).and_then(|file| file.set_len(0)).expect("it is there");
        assert!(matches!(read(&path).1, End::Cut { at: 0 }));
    }

    #[test]
    fn one_of_the_earlier_version_can_be_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let all = sample(&path);
        // Without room and padding.
        let mut old = [&MAGIC_1[..], &3_u64.to_le_bytes()].concat();
        for (client, message) in &all {
            let body = [&client.to_le_bytes()[..], message].concat();
            old.extend((body.len() as u32).to_le_bytes().into_iter().chain(crc32fast::hash(&body).to_le_bytes()));
            old.extend(body);
        }
        assert!(!is_old(&path));
        std::fs::write(&path, &old).expect("there is room");
        assert!(is_old(&path));
        assert_eq!(read(&path), (all, End::Whole { at: old.len() as u64 }));
    }

    #[test]
    fn of_a_cut_journal_every_whole_record_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let all = sample(&path);
        let good = written(&path);
        for length in 0..good.len() {
            std::fs::write(&path, &good[..length]).expect("there is room");
            let (seen, end) = read(&path);
            assert!(all.starts_with(&seen), "cut to {length} bytes");
            let (End::Whole { at } | End::Cut { at }) = end else { panic!("cut to {length} bytes: {end:?}") };
            assert!(at <= length as u64);
            assert_eq!(matches!(end, End::Whole { .. }), at == length as u64 && length >= HEAD as usize);
        }
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_what_stands_before_it_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let all = sample(&path);
        let good = written(&path);
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(&path, &bad).expect("there is room");
            let (seen, end) = read(&path);
            assert!(!matches!(end, End::Whole { .. }), "bit {bit} flipped");
            assert!(seen.len() < all.len() && all.starts_with(&seen), "bit {bit} flipped");
        }
    }
}
