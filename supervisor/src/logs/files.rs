//! Reads a stage's log, its older files first, also while it grows and is rotated, compressed and cut off at its old end.
//! Without it, a reader would miss or repeat what was put aside under its eyes.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::lines::{Id, Lines};
use super::shelf::{self, Dropped, Shelf};

/// Attempts to look at a folder in which files change their names meanwhile.
const LOOKS: usize = 100;

/// What a reader of logs should know beside the lines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// Rotation has removed lines before they could be read.
    Dropped {
        /// Of this stage.
        stage: String,
        /// When, and when the last of them was written, where that is known.
        when: Option<(Timestamp, Timestamp)>,
    },
    /// A compressed file can be read up to here only.
    Damaged {
        /// Which file.
        path: PathBuf,
        /// In words.
        why: String,
    },
}

/// The files of one stage, of which one is open at a time.
#[derive(Debug)]
pub struct StageFiles {
    stage: String,
    dir: PathBuf,
    /// Files whose last line was written before that are not read.
    since: Option<Timestamp>,
    open: Option<Lines>,
    /// Number of the file to be opened next.
    next: u64,
    /// How far to read: number of the youngest file (which it has, or will get when it is put aside), and its length.
    end: (u64, u64),
    /// What was read of a line whose end is not there yet.
    half: Vec<u8>,
    /// When the last line was written that was passed over.
    passed: Option<Timestamp>,
    notes: Vec<Note>,
}

impl StageFiles {
    /// Looks at what is there. `newest`: only so many of the files that were put aside.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn open(dir: &Path, stage: &str, since: Option<Timestamp>, newest: Option<usize>) -> io::Result<Self> {
        let (stage, dir) = (stage.to_owned(), dir.to_owned());
        let (half, notes) = (Vec::new(), Vec::new());
        let mut this = Self { stage, dir, since, open: None, next: 1, end: (0, 0), half, passed: None, notes };
        let shelf = this.refresh()?;
        let surplus = newest.map_or(0, |newest| shelf.old.len().saturating_sub(newest));
        if surplus > 0 {
            let last = shelf.old.keys().nth(surplus - 1).copied().unwrap_or(0);
            this.next = last + 1;
            // One that was removed meanwhile is for another attempt that reads it all.
            this.passed = Some(this.meta(last).map_or(Timestamp::MAX, |meta| written(&meta)));
        }
        Ok(this)
    }

    /// Name of the stage.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// What was noticed since this was last asked.
    pub fn notes(&mut self) -> Vec<Note> {
        std::mem::take(&mut self.notes)
    }

    /// When the last of those lines was written that were passed over and are not read; `None`: there are none.
    pub fn passed(&self) -> Option<Timestamp> {
        self.passed
    }

    /// The next line, without its line end; `None` when all is read that was there at the last
    /// [`refresh`](Self::refresh). Half a line at the end of the youngest file is waited for; in an older one it is a
    /// line.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            if self.open.is_none() && !self.open_next()? {
                return Ok(None);
            }
            let Some(open) = &mut self.open else { return Ok(None) };
            let length = if open.number == self.end.0 { self.end.1 } else { u64::MAX };
            match open.read(length, &mut self.half) {
                Ok(()) => {}
                Err(error) if open.is_gzip() => {
                    self.notes.push(Note::Damaged { path: open.path.clone(), why: error.to_string() });
                }
                Err(error) => return Err(error),
            }
            if self.half.last() == Some(&b'\n') {
                self.half.pop();
                return Ok(Some(std::mem::take(&mut self.half)));
            }
            if open.number >= self.end.0 {
                return Ok(None);
            }
            // A younger file was seen after this one was put aside, so nothing more is written to it.
            self.next = open.number + 1;
            self.open = None;
            if !self.half.is_empty() {
                return Ok(Some(std::mem::take(&mut self.half)));
            }
        }
    }

    /// Looks how far there is something to read by now.
    ///
    /// # Errors
    /// When the folder or a file cannot be read.
    pub fn refresh(&mut self) -> io::Result<Shelf> {
        let live = shelf::live(&self.dir, &self.stage);
        if let Some(Lines { number, live: Some(id), .. }) = &self.open
            && let Some((now, length)) = look(&live)?
            && now == *id
        {
            self.end = (*number, length);
            return Ok(Shelf::default());
        }
        for _ in 0..LOOKS {
            let before = Shelf::of(&self.dir, &self.stage)?;
            let there = look(&live)?;
            let after = Shelf::of(&self.dir, &self.stage)?;
            let number = self.live_number(&after);
            if number != self.live_number(&before) {
                continue; // It was put aside in between.
            }
            // A file that has another inode although nothing was put aside: the old one was removed by somebody.
            let replaced = match (&self.open, there) {
                (Some(Lines { number: open, live: Some(known), .. }), Some((id, _))) => *open >= number && *known != id,
                (Some(_) | None, Some(_) | None) => false,
            };
            self.end = (number + u64::from(replaced), there.map_or(0, |(_, length)| length));
            return Ok(after);
        }
        Ok(Shelf::default())
    }

    /// The number that the file will get that is written to.
    fn live_number(&self, shelf: &Shelf) -> u64 {
        let dropped = Dropped::of(&self.dir, &self.stage).map_or(0, |dropped| dropped.number);
        let open = self.open.as_ref().map_or(0, |open| open.number - u64::from(open.live.is_some()));
        shelf.old.keys().last().copied().unwrap_or(0).max(dropped).max(open) + 1
    }

    /// Opens the next file in the row. False when it is not there yet, or beyond what is to be read.
    fn open_next(&mut self) -> io::Result<bool> {
        for _ in 0..LOOKS {
            if self.next > self.end.0 {
                return Ok(false);
            }
            let shelf = Shelf::of(&self.dir, &self.stage)?;
            let live = self.live_number(&shelf);
            if self.next >= live {
                let Some((path, file)) = open(shelf::live(&self.dir, &self.stage))? else { return Ok(false) };
                if self.live_number(&Shelf::of(&self.dir, &self.stage)?) > self.next {
                    continue; // It was put aside, and who knows before or after it was opened.
                }
                self.open = Some(Lines::live(self.next, path, file)?);
                return Ok(true);
            }
            let first = shelf.old.keys().copied().find(|number| *number >= self.next).unwrap_or(live);
            if first > self.next {
                self.note_dropped();
                self.next = first;
                continue;
            }
            let names = [shelf::plain, shelf::gzip].map(|name| name(&self.dir, &self.stage, first));
            let [plain, gzip] = names;
            let Some((path, file)) = open(plain)?.map_or_else(|| open(gzip), |found| Ok(Some(found)))? else {
                continue; // It was compressed or removed under our eyes.
            };
            if self.since.is_some_and(|since| file.metadata().is_ok_and(|meta| written(&meta) < since)) {
                self.next = first + 1;
                continue;
            }
            self.open = Some(Lines::old(first, path, file));
            return Ok(true);
        }
        Ok(false)
    }

    fn meta(&self, number: u64) -> io::Result<fs::Metadata> {
        let plain = shelf::plain(&self.dir, &self.stage, number);
        fs::metadata(plain).or_else(|_| fs::metadata(shelf::gzip(&self.dir, &self.stage, number)))
    }

    fn note_dropped(&mut self) {
        let dropped = Dropped::of(&self.dir, &self.stage);
        if let (Some(since), Some(dropped)) = (self.since, dropped)
            && dropped.last < since
        {
            return;
        }
        let when = dropped.map(|dropped| (dropped.at, dropped.last));
        self.notes.push(Note::Dropped { stage: self.stage.clone(), when });
    }
}

fn written(meta: &fs::Metadata) -> Timestamp {
    meta.modified().ok().and_then(|time| Timestamp::try_from(time).ok()).unwrap_or(Timestamp::MAX)
}

fn open(path: PathBuf) -> io::Result<Option<(PathBuf, File)>> {
    match File::open(&path) {
        Ok(file) => Ok(Some((path, file))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Which file it is, and its length.
fn look(path: &Path) -> io::Result<Option<(Id, u64)>> {
    match fs::metadata(path) {
        Ok(meta) => Ok(Some(((meta.dev(), meta.ino()), meta.len()))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::super::rotate::{RotatingFile, Rotation};
    use super::*;

    fn open_all(dir: &Path) -> StageFiles {
        StageFiles::open(dir, "hash", None, None).expect("it opens")
    }

    fn lines(files: &mut StageFiles) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(line) = files.next_line().expect("it can be read") {
            lines.push(String::from_utf8(line).expect("it is text"));
        }
        lines
    }

    fn writer(dir: &Path, max_bytes: u64) -> RotatingFile {
        RotatingFile::open(dir, "hash", Rotation { max_bytes, ..Rotation::default() }).expect("it opens")
    }

    fn put(file: &mut RotatingFile, number: usize) {
        writeln!(file.buffer(), "line {number:04}").expect("a vector takes everything");
        file.flush().expect("it is written");
    }

    fn compress(dir: &Path, number: u64) {
        let plain = shelf::plain(dir, "hash", number);
        let Ok(bytes) = fs::read(&plain) else { return };
        let gzip = File::create(shelf::gzip(dir, "hash", number)).expect("a file");
        let mut encoder = flate2::write::GzEncoder::new(gzip, flate2::Compression::fast());
        encoder.write_all(&bytes).and_then(|()| encoder.finish()).expect("it is written");
        fs::remove_file(plain).expect("it was there");
    }

    fn expected(range: std::ops::Range<usize>) -> Vec<String> {
        range.map(|number| format!("line {number:04}")).collect()
    }

    #[test]
    fn lines_are_followed_over_rotations_and_compression_without_loss_or_repetition() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = writer(dir.path(), 25);
        (0..5).for_each(|number| put(&mut file, number));
        compress(dir.path(), 1);
        let mut files = open_all(dir.path());
        let mut seen = lines(&mut files);
        for round in 0..20 {
            // 1 to 4 lines between two looks: with and without a rotation, and with two.
            for step in 0..=round % 4 {
                put(&mut file, seen.len() + step);
            }
            if round % 3 == 0 {
                (0..100).for_each(|number| compress(dir.path(), number));
            }
            files.refresh().expect("it can be read");
            seen.extend(lines(&mut files));
        }
        assert_eq!(seen, expected(0..seen.len()));
        assert!(seen.len() > 50 && files.notes().is_empty());
    }

    #[test]
    fn only_what_was_there_at_the_last_look_is_read_so_that_a_flood_comes_to_an_end() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = writer(dir.path(), 25);
        (0..3).for_each(|number| put(&mut file, number));
        let mut files = open_all(dir.path());
        (3..10).for_each(|number| put(&mut file, number));
        assert_eq!(lines(&mut files), expected(0..3));
        files.refresh().expect("it can be read");
        (10..20).for_each(|number| put(&mut file, number));
        assert_eq!(lines(&mut files), expected(3..10));
        files.refresh().expect("it can be read");
        assert_eq!(lines(&mut files), expected(10..20));
    }

    #[test]
    fn what_was_dropped_unread_is_said() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = writer(dir.path(), 10);
        (0..3).for_each(|number| put(&mut file, number));
        let mut files = open_all(dir.path());
        assert_eq!((files.next_line().expect("ok").is_some(), files.notes()), (true, Vec::new()));
        (3..6).for_each(|number| put(&mut file, number));
        let at = Timestamp::from_microsecond(Timestamp::now().as_microsecond()).expect("it is a time");
        let last = Timestamp::UNIX_EPOCH;
        Dropped { number: 3, at, last }.keep(dir.path(), "hash").expect("it is kept");
        (1..=3).for_each(|number| fs::remove_file(shelf::plain(dir.path(), "hash", number)).expect("it is there"));
        files.refresh().expect("it can be read");
        assert_eq!(lines(&mut files), expected(3..6));
        let note = Note::Dropped { stage: "hash".to_owned(), when: Some((at, last)) };
        assert_eq!(files.notes(), [note]);
        // Who does not ask for such old lines misses nothing.
        let mut files = StageFiles::open(dir.path(), "hash", Some(at), None).expect("it opens");
        lines(&mut files);
        assert_eq!(files.notes(), []);
    }

    #[test]
    fn the_newest_files_alone_are_read_where_that_will_do() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = writer(dir.path(), 10);
        (0..6).for_each(|number| put(&mut file, number));
        for (newest, first) in [(0, 5), (2, 3), (5, 0), (9, 0)] {
            let mut files = StageFiles::open(dir.path(), "hash", None, Some(newest)).expect("it opens");
            assert_eq!(files.passed().is_some(), first > 0);
            assert_eq!(lines(&mut files), expected(first..6));
        }
    }

    #[test]
    fn half_a_line_is_waited_for() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("hash.log");
        fs::write(&path, "whole\nha").expect("it is written");
        let mut files = open_all(dir.path());
        assert_eq!(lines(&mut files), ["whole"]);
        let mut file = File::options().append(true).open(&path).expect("it is there");
        file.write_all(b"lf\nnext\n").expect("it is written");
        files.refresh().expect("it can be read");
        assert_eq!(lines(&mut files), ["half", "next"]);
    }

    #[test]
    fn a_damaged_file_is_named_and_the_others_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let mut file = writer(dir.path(), 25);
        (0..5).for_each(|number| put(&mut file, number));
        compress(dir.path(), 1);
        let gzip = shelf::gzip(dir.path(), "hash", 1);
        let bytes = fs::read(&gzip).expect("it is there");
        fs::write(&gzip, &bytes[..bytes.len() - 9]).expect("it is cut");
        let mut files = open_all(dir.path());
        assert!(lines(&mut files).ends_with(&expected(2..5)));
        assert!(matches!(files.notes().as_slice(), [Note::Damaged { path, .. }] if *path == gzip));
    }

    #[test]
    fn after_the_folder_was_removed_the_new_one_is_followed() {
        let base = tempfile::tempdir().expect("a directory");
        let dir = base.path().join("logs");
        fs::create_dir(&dir).expect("it is made");
        let mut file = writer(&dir, 25);
        (0..4).for_each(|number| put(&mut file, number));
        let mut files = open_all(&dir);
        assert_eq!(lines(&mut files), expected(0..4));
        fs::remove_dir_all(&dir).expect("it goes");
        for round in 0..5 {
            (4 + round * 2..6 + round * 2).for_each(|number| put(&mut file, number));
            files.refresh().expect("it can be read");
            assert_eq!(lines(&mut files), expected(4 + round * 2..6 + round * 2));
        }
    }
}
