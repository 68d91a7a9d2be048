//! A file that starts anew when it is full. Without it, logs would grow until the disk is full.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// When a log file is put aside, and how many of those are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// A file that would grow past this many bytes is put aside first. Default 16 MiB.
    pub max_bytes: u64,
    /// So many old files are kept: `STAGE.log.1` (the youngest) to `STAGE.log.N`. Default 5.
    pub keep: usize,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024, keep: 5 }
    }
}

/// A log file with its older ones beside it. Lines are gathered in memory and written by [`flush`](Self::flush);
/// what could not be written stays and is tried again by the next one, from the very byte where it ended.
///
/// A process that dies between two flushes loses what it gathered; one that dies within a write leaves half a line,
/// which the next [`open`](Self::open) ends, so that it spoils no other line.
#[derive(Debug)]
pub struct RotatingFile {
    path: PathBuf,
    rotation: Rotation,
    /// `None` after a failure: the next flush opens it again.
    file: Option<File>,
    size: u64,
    pending: Vec<u8>,
    /// The last write took a part of a line only, and `pending` starts with the remainder.
    within_line: bool,
}

impl RotatingFile {
    /// Opens to append, and makes the file if there is none.
    ///
    /// # Errors
    /// When the file can be neither opened nor made.
    pub fn open(path: &Path, rotation: Rotation) -> io::Result<Self> {
        let mut this = Self::closed(path, rotation);
        this.reopen()?;
        Ok(this)
    }

    /// The same, but it opens the file with the first flush.
    pub fn closed(path: &Path, rotation: Rotation) -> Self {
        let path = path.to_owned();
        Self { path, rotation, file: None, size: 0, pending: Vec::new(), within_line: false }
    }

    /// Where to append whole lines, each with its line end. They are in memory until the next flush.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what was gathered, to the operating system (not to the disk).
    ///
    /// # Errors
    /// When the file cannot be opened, put aside or written; the rest of what was gathered stays.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.pending.is_empty() {
            return Ok(());
        }
        let result = self.try_flush();
        if result.is_err() && !self.within_line {
            self.file = None;
        }
        if self.pending.is_empty() && self.pending.capacity() > 1024 * 1024 {
            self.pending = Vec::new();
        }
        result
    }

    /// Forgets what could not be written, and says how many lines those were.
    pub fn give_up(&mut self) -> u64 {
        let lines = self.pending.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.pending.clear();
        self.within_line = false;
        self.file = None;
        lines
    }

    fn try_flush(&mut self) -> io::Result<()> {
        if self.file.is_none() {
            self.reopen()?;
        }
        let full = self.size > 0 && self.size + self.pending.len() as u64 > self.rotation.max_bytes;
        if full && !self.within_line {
            self.rotate()?;
        }
        let file = self.file.as_mut().expect("it was opened above");
        let mut written = 0;
        let result = loop {
            if written == self.pending.len() {
                break Ok(());
            }
            match file.write(&self.pending[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        self.size += written as u64;
        if written > 0 {
            self.within_line = self.pending[written - 1] != b'\n';
            self.pending.drain(..written);
        }
        result
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut file = OpenOptions::new().read(true).append(true).create(true).mode(0o600).open(&self.path)?;
        let meta = file.metadata()?;
        self.size = if meta.is_file() { meta.len() } else { 0 };
        if self.size > 0 && !self.within_line {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                self.size += 1;
            }
        }
        self.file = Some(file);
        Ok(())
    }

    fn rotate(&mut self) -> io::Result<()> {
        if self.rotation.keep == 0 {
            fs::remove_file(&self.path)?;
        }
        for number in (1..=self.rotation.keep).rev() {
            let from = if number == 1 { self.path.clone() } else { old(&self.path, number - 1) };
            match fs::rename(from, old(&self.path, number)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
        self.file = None;
        self.reopen()
    }
}

/// The name of an old file: `hash.log`, 2 → `hash.log.2`.
fn old(path: &Path, number: usize) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{number}"));
    PathBuf::from(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SMALL: Rotation = Rotation { max_bytes: 20, keep: 2 };

    fn put(file: &mut RotatingFile, line: &str) {
        file.buffer().extend_from_slice(format!("{line}\n").as_bytes());
        file.flush().expect("the line is written");
    }

    #[test]
    fn full_files_are_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        let mut file = RotatingFile::open(&path, SMALL).expect("it opens");
        for number in 0..7 {
            put(&mut file, &format!("line {number:04}"));
        }
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!(read("hash.log"), "line 0006\n");
        assert_eq!(read("hash.log.1"), "line 0004\nline 0005\n");
        assert_eq!(read("hash.log.2"), "line 0002\nline 0003\n");
        assert_eq!(fs::read_dir(dir.path()).expect("it is there").count(), 3);
    }

    #[test]
    fn a_file_is_appended_to_and_its_size_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        put(&mut RotatingFile::open(&path, SMALL).expect("it opens"), "line 0001");
        put(&mut RotatingFile::open(&path, SMALL).expect("it opens"), "line 0002");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "line 0001\nline 0002\n");
        put(&mut RotatingFile::open(&path, SMALL).expect("it opens"), "line 0003");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "line 0003\n");
    }

    #[test]
    fn half_a_line_of_a_dead_process_is_ended_before_the_next_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        fs::write(&path, "whole\nha").expect("it is written");
        put(&mut RotatingFile::open(&path, SMALL).expect("it opens"), "next");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "whole\nha\nnext\n");
    }

    #[test]
    fn what_a_full_disk_refused_is_kept_and_written_when_there_is_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let mut file = RotatingFile::open(&path, SMALL).expect("it opens");
        file.buffer().extend_from_slice(b"one\ntwo\n");
        let error = file.flush().expect_err("there is no room");
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        file.flush().expect_err("there is still no room");
        fs::remove_file(&path).expect("the link goes");
        file.flush().expect("there is room");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "one\ntwo\n");
        file.buffer().extend_from_slice(b"three\nfour\n");
        assert_eq!(file.give_up(), 2);
    }
}
