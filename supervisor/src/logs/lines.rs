//! One log file that is open, plain or compressed. Without it, whoever goes from file to file would have to know what
//! each of them is made of.

use std::fmt;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use flate2::bufread::GzDecoder;

/// Device and inode: which file it is, whatever its name is by now.
pub(super) type Id = (u64, u64);

/// It stays readable when it is put aside, compressed or removed, and its inode cannot become another file's.
pub(super) struct Lines {
    /// Its number, which the file that is written to will get when it is put aside.
    pub(super) number: u64,
    /// Its name when it was opened.
    pub(super) path: PathBuf,
    /// `Some`: when it was opened, it was the one that is written to.
    pub(super) live: Option<Id>,
    /// Bytes that were read of it.
    position: u64,
    bytes: BufReader<Box<dyn Read>>,
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lines").field("path", &self.path).field("position", &self.position).finish_non_exhaustive()
    }
}

impl Lines {
    /// The one that is written to.
    pub(super) fn live(number: u64, path: PathBuf, file: File) -> io::Result<Self> {
        let meta = file.metadata()?;
        let (live, bytes) = (Some((meta.dev(), meta.ino())), BufReader::new(Box::new(file) as Box<dyn Read>));
        Ok(Self { number, path, live, position: 0, bytes })
    }

    /// One that was put aside.
    pub(super) fn old(number: u64, path: PathBuf, file: File) -> Self {
        let bytes: Box<dyn Read> =
            if is_gzip(&path) { Box::new(GzDecoder::new(BufReader::new(file))) } else { Box::new(file) };
        Self { number, path, live: None, position: 0, bytes: BufReader::new(bytes) }
    }

    /// Whether it is compressed, so that damage to it can be seen.
    pub(super) fn is_gzip(&self) -> bool {
        is_gzip(&self.path)
    }

    /// Appends what is left of the next line, with its line end, if that is there within the first `length` bytes.
    pub(super) fn read(&mut self, length: u64, line: &mut Vec<u8>) -> io::Result<()> {
        let rest = (&mut self.bytes).take(length.saturating_sub(self.position)).read_until(b'\n', line)?;
        self.position += rest as u64;
        Ok(())
    }
}

fn is_gzip(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz")
}
