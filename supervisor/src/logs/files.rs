//! Reads a stage's log, its older files first, also while it grows and is rotated. Without it, a reader would miss or
//! repeat what was put aside under its eyes.

use std::collections::{BTreeSet, VecDeque};
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode: which file it is, whatever its name is by now.
type Id = (u64, u64);

/// The files of one stage. The youngest one stays open, so its inode cannot be another file's.
#[derive(Debug)]
pub struct StageFiles {
    stage: String,
    dir: PathBuf,
    /// Oldest first. Only the last one can still grow.
    open: VecDeque<(Id, BufReader<File>)>,
    /// What was read of a line whose end is not there yet.
    half: Vec<u8>,
}

/// The stages that have logs in this folder, in alphabetical order.
///
/// # Errors
/// When the folder cannot be read.
pub fn stages(dir: &Path) -> io::Result<BTreeSet<String>> {
    let names = names(dir)?;
    Ok(names.iter().filter_map(|name| split(name)).map(|(stage, _)| stage.to_owned()).collect())
}

impl StageFiles {
    /// Opens what is there.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn open(dir: &Path, stage: &str) -> io::Result<Self> {
        let mut this = Self { stage: stage.to_owned(), dir: dir.to_owned(), open: VecDeque::new(), half: Vec::new() };
        this.refresh()?;
        Ok(this)
    }

    /// Name of the stage.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// The next line, without its line end; `None` when there is none yet. Half a line at the end of the youngest file
    /// is waited for; in an older one it is a line.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let Some((_, file)) = self.open.front_mut() else { return Ok(None) };
            file.read_until(b'\n', &mut self.half)?;
            if self.half.last() == Some(&b'\n') {
                self.half.pop();
                return Ok(Some(std::mem::take(&mut self.half)));
            }
            if self.open.len() == 1 {
                return Ok(None);
            }
            // A younger file was seen after this one was put aside, so nothing more is written to it.
            self.open.pop_front();
            if !self.half.is_empty() {
                return Ok(Some(std::mem::take(&mut self.half)));
            }
        }
    }

    /// Looks for younger files. False when files were rotated away before they could be read.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn refresh(&mut self) -> io::Result<bool> {
        let known = self.open.back().map(|(id, _)| *id);
        if known.is_some() && id(&self.dir.join(file_name(&self.stage, 0)))? == known {
            return Ok(true);
        }
        let numbers = names(&self.dir)?;
        let oldest = numbers.iter().filter_map(|name| split(name)).filter(|(stage, _)| *stage == self.stage);
        let oldest = oldest.map(|(_, number)| number).max().unwrap_or(0);
        // The youngest first: a rotation now only moves files to higher numbers, so that one may be met twice but none
        // is missed.
        let mut found: Vec<(Id, BufReader<File>)> = Vec::new();
        for number in 0..=oldest + 2 {
            let file = match File::open(self.dir.join(file_name(&self.stage, number))) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(error),
            };
            let meta = file.metadata()?;
            let id = (meta.dev(), meta.ino());
            if Some(id) == known {
                self.open.extend(found.into_iter().rev());
                return Ok(true);
            }
            if found.iter().all(|(other, _)| *other != id) {
                found.push((id, BufReader::new(file)));
            }
        }
        let lost = known.is_some() && !found.is_empty();
        self.open.extend(found.into_iter().rev());
        Ok(!lost)
    }
}

fn id(path: &Path) -> io::Result<Option<Id>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some((meta.dev(), meta.ino()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

fn names(dir: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir)? {
        names.extend(entry?.file_name().into_string().ok());
    }
    Ok(names)
}

fn file_name(stage: &str, number: u32) -> String {
    if number == 0 { format!("{stage}.log") } else { format!("{stage}.log.{number}") }
}

/// `hash.log` → hash, 0; `hash.log.2` → hash, 2; anything else is none of ours.
fn split(name: &str) -> Option<(&str, u32)> {
    if let Some(stage) = name.strip_suffix(".log") {
        return Some((stage, 0));
    }
    let (stage, number) = name.rsplit_once(".log.")?;
    number.parse().ok().map(|number| (stage, number))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::rotate::{RotatingFile, Rotation};
    use super::*;

    fn lines(files: &mut StageFiles) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = files.next_line().expect("it can be read") {
            lines.push(String::from_utf8(line).expect("it is text"));
        }
        lines
    }

    fn put(file: &mut RotatingFile, number: u32) {
        writeln!(file.buffer(), "line {number:04}").expect("a vector takes everything");
        file.flush().expect("it is written");
    }

    #[test]
    fn lines_are_followed_over_rotations_without_loss_or_repetition() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file =
            RotatingFile::open(&dir.path().join("hash.log"), Rotation { max_bytes: 25, keep: 3 }).expect("ok");
        (0..5).for_each(|number| put(&mut file, number));
        let mut files = StageFiles::open(dir.path(), "hash").expect("it opens");
        let mut seen = lines(&mut files);
        for round in 0..20 {
            // 1 to 4 lines between two looks: with and without a rotation, and with two.
            for step in 0..=round % 4 {
                put(&mut file, u32::try_from(seen.len()).expect("few") + step);
            }
            assert!(files.refresh().expect("it can be read"), "nothing is lost");
            seen.extend(lines(&mut files));
        }
        let expected: Vec<_> = (0..seen.len()).map(|number| format!("line {number:04}")).collect();
        assert_eq!(seen, expected);
        assert!(seen.len() > 50);
    }

    #[test]
    fn what_was_rotated_away_unread_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file =
            RotatingFile::open(&dir.path().join("hash.log"), Rotation { max_bytes: 10, keep: 1 }).expect("ok");
        put(&mut file, 0);
        let mut files = StageFiles::open(dir.path(), "hash").expect("it opens");
        (1..5).for_each(|number| put(&mut file, number));
        assert!(!files.refresh().expect("it can be read"), "it was lost");
        assert_eq!(lines(&mut files), ["line 0000", "line 0003", "line 0004"]);
    }

    #[test]
    fn half_a_line_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        fs::write(&path, "whole\nha").expect("it is written");
        let mut files = StageFiles::open(dir.path(), "hash").expect("it opens");
        assert_eq!(lines(&mut files), ["whole"]);
        let mut file = File::options().append(true).open(&path).expect("it is there");
        file.write_all(b"lf\nnext\n").expect("it is written");
        assert_eq!(lines(&mut files), ["half", "next"]);
    }

    #[test]
    fn only_log_files_are_stages() {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["hash.log", "hash.log.1", "walk.log.3", "other", "x.log.y", "plan.toml"] {
            fs::write(dir.path().join(name), "").expect("it is written");
        }
        let stages = stages(dir.path()).expect("it can be read");
        assert_eq!(stages.into_iter().collect::<Vec<_>>(), ["hash", "walk"]);
    }
}
