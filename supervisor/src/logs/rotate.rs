//! A file that starts anew when it is full or old. Without it, logs would be one file that grows until the disk is full.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::time::{Duration, Instant, SystemTime};

use super::shelf::{self, Dropped, Shelf};

/// Before the next attempt to put aside a file that could not be put aside.
const RETRY: Duration = Duration::from_secs(1);

/// When a log file is put aside, and who hears of it.
#[derive(Clone, Debug)]
pub struct Rotation {
    /// A file that would grow past this many bytes is put aside first. Default 16 MiB.
    pub max_bytes: u64,
    /// So is one that was begun this long ago, when the next line comes. Default 1 day.
    pub max_age: Duration,
    /// Rung after a file was put aside: by it [`super::archive`] hears of it.
    pub bell: Option<Sender<()>>,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 16 * 1024 * 1024, max_age: Duration::from_secs(86_400), bell: None }
    }
}

/// What did not go as it should, although nothing that was gathered is lost.
#[derive(Debug)]
pub enum Trouble {
    /// The file is not where it was made; a new one was begun. What had been written to it is gone with it.
    Removed,
    /// It is full or old, cannot be put aside, and is written to further on.
    NotPutAside(io::Error),
}

/// A log file with its older ones beside it. Lines are gathered in memory and written by [`flush`](Self::flush);
/// what could not be written stays and is tried again by the next one, from the very byte where it ended.
///
/// A process that dies between two flushes loses what it gathered; one that dies within a write leaves half a line,
/// which the next [`open`](Self::open) ends, so that it spoils no other line.
#[derive(Debug)]
pub struct RotatingFile {
    dir: PathBuf,
    stage: String,
    path: PathBuf,
    rotation: Rotation,
    /// `None` after a failure: the next flush opens it again.
    file: Option<Open>,
    /// Of the last file that was put aside, or was removed by somebody else before that.
    number: u64,
    pending: Vec<u8>,
    /// The last write took a part of a line only, and `pending` starts with the remainder.
    within_line: bool,
    /// No attempt to put it aside before that.
    patience: Option<Instant>,
    trouble: Option<Trouble>,
}

#[derive(Debug)]
struct Open {
    file: File,
    /// Device and inode.
    id: (u64, u64),
    size: u64,
    begun: SystemTime,
}

impl RotatingFile {
    /// Opens `DIR/STAGE.log` to append, and makes it if there is none.
    ///
    /// # Errors
    /// When the file can be neither opened nor made.
    pub fn open(dir: &Path, stage: &str, rotation: Rotation) -> io::Result<Self> {
        let mut this = Self::closed(dir, stage, rotation);
        this.reopen()?;
        Ok(this)
    }

    /// The same, but it opens the file with the first flush.
    pub fn closed(dir: &Path, stage: &str, rotation: Rotation) -> Self {
        Self {
            dir: dir.to_owned(),
            stage: stage.to_owned(),
            path: shelf::live(dir, stage),
            rotation,
            file: None,
            number: 0,
            pending: Vec::new(),
            within_line: false,
            patience: None,
            trouble: None,
        }
    }

    /// Where to append whole lines, each with its line end. They are in memory until the next flush.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.pending
    }

    /// Writes what was gathered, to the operating system (not to the disk).
    ///
    /// # Errors
    /// When the file cannot be opened or written; the rest of what was gathered stays.
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

    /// What did not go as it should since this was last asked. The same trouble is told once, until it is over.
    pub fn trouble(&mut self) -> Option<Trouble> {
        self.trouble.take()
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
        if self.file.as_ref().is_some_and(|open| is_elsewhere(&self.path, open.id)) {
            // Whoever follows this log takes the next file for one with the next number.
            self.number = self.last_number().saturating_add(1);
            self.trouble = Some(Trouble::Removed);
            self.file = None;
        }
        if self.file.is_none() {
            self.reopen()?;
        }
        if !self.within_line && self.is_due() {
            self.put_aside()?;
        }
        let open = self.file.as_mut().expect("it was opened above");
        let mut written = 0;
        let result = loop {
            if written == self.pending.len() {
                break Ok(());
            }
            match open.file.write(&self.pending[written..]) {
                Ok(0) => break Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        open.size += written as u64;
        if written > 0 {
            self.within_line = self.pending[written - 1] != b'\n';
            self.pending.drain(..written);
        }
        result
    }

    fn reopen(&mut self) -> io::Result<()> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(0o600);
        let mut file = match options.open(&self.path) {
            // Somebody has removed the folder. If that above it is gone as well, nobody wants these logs.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                DirBuilder::new().mode(0o700).create(&self.dir)?;
                options.open(&self.path)?
            }
            other => other?,
        };
        let meta = file.metadata()?;
        let mut size = if meta.is_file() { meta.len() } else { 0 };
        let begun = if size == 0 { None } else { meta.created().or_else(|_| meta.modified()).ok() };
        if size > 0 && !self.within_line {
            let mut last = [0];
            file.seek(SeekFrom::End(-1))?;
            file.read_exact(&mut last)?;
            if last != *b"\n" {
                file.write_all(b"\n")?;
                size += 1;
            }
        }
        let (id, begun) = ((meta.dev(), meta.ino()), begun.unwrap_or_else(SystemTime::now));
        self.file = Some(Open { file, id, size, begun });
        Ok(())
    }

    fn is_due(&self) -> bool {
        let Some(open) = self.file.as_ref().filter(|open| open.size > 0) else { return false };
        let full = open.size + self.pending.len() as u64 > self.rotation.max_bytes;
        // A clock that was set back says nothing about the age.
        let old = || open.begun.elapsed().is_ok_and(|age| age >= self.rotation.max_age);
        (full || old()) && self.patience.is_none_or(|at| at <= Instant::now())
    }

    /// Gives the file its last name and begins the next one. Fails only when there is none to write to any more.
    fn put_aside(&mut self) -> io::Result<()> {
        let number = self.last_number().saturating_add(1);
        if let Err(error) = fs::rename(&self.path, shelf::plain(&self.dir, &self.stage, number)) {
            if self.patience.is_none() {
                self.trouble = Some(Trouble::NotPutAside(error));
            }
            self.patience = Some(Instant::now() + RETRY);
            return Ok(());
        }
        self.patience = None;
        self.number = number;
        self.file = None;
        if let Some(bell) = &self.rotation.bell {
            // At the end nobody hears it; the next run looks by itself.
            let _ = bell.send(());
        }
        self.reopen()
    }

    fn last_number(&self) -> u64 {
        let there = Shelf::of(&self.dir, &self.stage).ok().and_then(|shelf| shelf.old.keys().last().copied());
        let dropped = Dropped::of(&self.dir, &self.stage).map(|dropped| dropped.number);
        self.number.max(there.unwrap_or(0)).max(dropped.unwrap_or(0))
    }
}

fn is_elsewhere(path: &Path, id: (u64, u64)) -> bool {
    fs::metadata(path).map_or(true, |meta| (meta.dev(), meta.ino()) != id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Rotation {
        Rotation { max_bytes: 20, ..Rotation::default() }
    }

    fn open(dir: &Path) -> RotatingFile {
        RotatingFile::open(dir, "hash", small()).expect("it opens")
    }

    fn put(file: &mut RotatingFile, line: &str) {
        file.buffer().extend_from_slice(format!("{line}\n").as_bytes());
        file.flush().expect("the line is written");
    }

    #[test]
    fn full_files_are_put_aside_under_numbers_that_count_up() {
        let dir = tempfile::tempdir().expect("a directory");
        let (bell, rings) = std::sync::mpsc::channel();
        let mut file = RotatingFile::open(dir.path(), "hash", Rotation { bell: Some(bell), ..small() }).expect("ok");
        for number in 0..5 {
            put(&mut file, &format!("line {number:04}"));
        }
        assert_eq!(rings.try_iter().count(), 2);
        // Numbers of files that are gone are not used again, whether we have put them aside or somebody before us.
        fs::remove_file(dir.path().join("hash.log.2")).expect("it is there");
        put(&mut file, "line 0005");
        put(&mut file, "line 0006");
        fs::remove_file(dir.path().join("hash.log.3")).expect("it is there");
        let dropped = Dropped { number: 8, at: jiff::Timestamp::now(), last: jiff::Timestamp::now() };
        dropped.keep(dir.path(), "hash").expect("it is kept");
        let mut file = RotatingFile::open(dir.path(), "hash", small()).expect("it opens");
        put(&mut file, "line 0007");
        put(&mut file, "line 0008");
        let read = |name: &str| fs::read_to_string(dir.path().join(name)).expect("it is there");
        assert_eq!(read("hash.log.1"), "line 0000\nline 0001\n");
        assert_eq!(read("hash.log.9"), "line 0006\nline 0007\n");
        assert_eq!(read("hash.log"), "line 0008\n");
    }

    #[test]
    fn an_old_file_is_put_aside_with_the_next_line() {
        let dir = tempfile::tempdir().expect("a directory");
        let rotation = Rotation { max_age: Duration::ZERO, ..Rotation::default() };
        let mut file = RotatingFile::open(dir.path(), "hash", rotation).expect("it opens");
        put(&mut file, "one");
        put(&mut file, "two");
        assert_eq!(fs::read_to_string(dir.path().join("hash.log.1")).expect("it is there"), "one\n");
        assert_eq!(fs::read_to_string(dir.path().join("hash.log")).expect("it is there"), "two\n");
    }

    #[test]
    fn a_file_is_appended_to_and_its_size_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        put(&mut open(dir.path()), "line 0001");
        put(&mut open(dir.path()), "line 0002");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "line 0001\nline 0002\n");
        put(&mut open(dir.path()), "line 0003");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "line 0003\n");
    }

    #[test]
    fn half_a_line_of_a_dead_process_is_ended_before_the_next_one() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        fs::write(&path, "whole\nha").expect("it is written");
        put(&mut open(dir.path()), "next");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "whole\nha\nnext\n");
    }

    #[test]
    fn what_a_full_disk_refused_is_kept_and_written_when_there_is_room() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        std::os::unix::fs::symlink("/dev/full", &path).expect("a link");
        let mut file = open(dir.path());
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

    #[test]
    fn a_folder_that_was_removed_is_made_again_and_nothing_goes_to_a_file_without_a_name() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("logs");
        fs::create_dir(&dir).expect("it is made");
        let mut file = open(&dir);
        put(&mut file, "one");
        assert!(file.trouble().is_none());
        fs::remove_dir_all(&dir).expect("it goes");
        put(&mut file, "two");
        assert!(matches!(file.trouble(), Some(Trouble::Removed)) && file.trouble().is_none());
        assert_eq!(fs::read_to_string(dir.join("hash.log")).expect("it is there"), "two\n");
        fs::remove_dir_all(base.path()).expect("it goes");
        file.buffer().extend_from_slice(b"three\n");
        assert_eq!(file.flush().expect_err("nobody wants it").kind(), io::ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_is_written_further_on_which_is_told_once() {
        let dir = tempfile::tempdir().expect("a directory");
        // With a number behind it, the name is too long.
        let stage = "x".repeat(251);
        let mut file = RotatingFile::open(dir.path(), &stage, small()).expect("it opens");
        put(&mut file, "line 0000");
        put(&mut file, "line 0001");
        assert!(file.trouble().is_none());
        put(&mut file, "line 0002");
        assert!(matches!(file.trouble(), Some(Trouble::NotPutAside(_))));
        file.patience = Some(Instant::now());
        put(&mut file, "line 0003");
        assert!(file.trouble().is_none());
        let text = fs::read_to_string(shelf::live(dir.path(), &stage)).expect("it is there");
        assert_eq!(text.lines().count(), 4);
    }
}
