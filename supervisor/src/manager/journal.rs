//! The file to which every change of shared state is written before its outcome is told. Without it the manager's state
//! would be as old as its last orderly stop whenever it is killed.
//!
//! It opens with `MAGIC` and its generation (8 bytes, little endian); then come records, each behind its length and its
//! CRC-32 (4 bytes each, little endian): the client (16 bytes), and the message that came from it as it came. They are
//! handed to the system by `write`, so they outlive every process; they outlive a loss of power only as far as the system
//! has brought them to the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use brigade_protocol::crash_point;
use brigade_protocol::shared::parts::MESSAGE_BYTES;

/// Opens the file; the last byte is the version of its format.
const MAGIC: [u8; 8] = *b"BRGDJRN\x01";
/// Bytes before the first record.
const HEAD: u64 = 16;
/// Bytes of a client's name in a record.
const CLIENT: usize = 16;
/// No record is longer than this.
const RECORD_BYTES: usize = MESSAGE_BYTES + CLIENT;

/// A journal to write to.
#[derive(Debug)]
pub(super) struct Journal {
    file: File,
    /// Up to here it holds whole records.
    length: u64,
    /// Nothing stands behind them.
    clean: bool,
}

impl Journal {
    /// An empty one. Overwrites what has that name.
    pub(super) fn create(path: &Path, generation: u64) -> io::Result<Self> {
        let mut file = OpenOptions::new().append(true).create(true).mode(0o600).open(path)?;
        file.set_len(0)?;
        let mut head = [0; HEAD as usize];
        head[..8].copy_from_slice(&MAGIC);
        head[8..].copy_from_slice(&generation.to_le_bytes());
        file.write_all(&head)?;
        Ok(Self { file, length: HEAD, clean: true })
    }

    /// One that was written before; what stands behind its first `length` bytes is cut off.
    pub(super) fn go_on(path: &Path, length: u64) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).open(path)?;
        file.set_len(length)?;
        Ok(Self { file, length, clean: true })
    }

    /// Adds whole records by one `write`. After an error none of them is in the file, nor counts as being there.
    pub(super) fn append(&mut self, records: &[u8]) -> io::Result<()> {
        self.tidy()?;
        crash_point!("manager_journal_before");
        self.clean = false;
        if let Err(error) = self.file.write_all(records) {
            // If this fails as well, it is tried again before the next record.
            let _ = self.tidy();
            return Err(error);
        }
        (self.length, self.clean) = (self.length + records.len() as u64, true);
        crash_point!("manager_journal_written");
        Ok(())
    }

    /// Cuts off what a failed `append` may have left: it would be in the way of everything that comes behind it.
    pub(super) fn tidy(&mut self) -> io::Result<()> {
        if !self.clean {
            self.file.set_len(self.length)?;
            self.clean = true;
        }
        Ok(())
    }

    /// How many bytes it has.
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
    if head[..8] != MAGIC {
        return damaged(0, "it is no journal, or one of another version of Brigade");
    }
    if head[8..] != generation.to_le_bytes() {
        return damaged(8, "it is the journal of another generation");
    }
    let (mut at, mut body) = (HEAD, Vec::new());
    loop {
        let mut head = [0; 8];
        if file.fill_buf()?.is_empty() {
            return Ok(End::Whole { at });
        }
        if !whole(&mut file, &mut head)? {
            return Ok(End::Cut { at });
        }
        let (length, sum) = head.split_at(4);
        let length = u32::from_le_bytes(length.try_into().expect("it is four bytes")) as usize;
        if !(CLIENT..=RECORD_BYTES).contains(&length) {
            return damaged(at, "the length of a record makes no sense");
        }
        body.clear();
        if (&mut file).take(length as u64).read_to_end(&mut body)? < length {
            return Ok(End::Cut { at });
        }
        if crc32fast::hash(&body).to_le_bytes() != *sum {
            return damaged(at, "the checksum of a record is wrong");
        }
        let (client, message) = body.split_first_chunk::<CLIENT>().expect("the length was looked at");
        if let Err(words) = each(u128::from_le_bytes(*client), message) {
            return damaged(at, &words);
        }
        at += (head.len() + length) as u64;
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

    #[test]
    fn what_was_written_is_read_and_can_be_gone_on_with() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let mut all = sample(&path);
        let (seen, end) = read(&path);
        let length = std::fs::metadata(&path).expect("it is there").len();
        assert_eq!((seen, end), (all.clone(), End::Whole { at: length }));
        let mut record = Vec::new();
        frame(9, b"more", &mut record);
        Journal::go_on(&path, length).expect("it is there").append(&record).expect("there is room");
        all.push((9, b"more".to_vec()));
        assert_eq!(read(&path).0, all);
    }

    #[test]
    fn of_a_cut_journal_every_whole_record_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("journal");
        let all = sample(&path);
        let good = std::fs::read(&path).expect("it was just written");
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
        let good = std::fs::read(&path).expect("it was just written");
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
