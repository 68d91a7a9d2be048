//! A file to which every result is written exactly once, whatever is killed: the length of what is committed stands in
//! the checkpoint, and what lies behind it was never committed and is written over.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::failure::{Misconfigured, Outage};
use crate::output::Output;

/// The end of a pipeline in a file: what handlers write to it is there once for every item, also if the process, the
/// supervisor or everything is killed at any moment and started again.
///
/// It takes the checkpoint of its handler thread for itself: have one such file, in a stage with `threads = 1`, and do not
/// call [`Output::checkpoint`] beside it. What is written has reached the kernel when the item is committed; a loss of
/// power can still lose it. Nobody else may write to the file.
///
/// If the state of an earlier run could not be used and was put aside, as after a restart of the machine, it is not known how
/// much of the file was committed. Then a file that holds anything is refused and stays as it is, until it is moved away, or
/// the pipeline begins again with `--fresh`.
///
/// ```no_run
/// use brigade_worker::{Context, ExactFile, Exit, Output, Result, Worker};
///
/// struct Lines(ExactFile);
///
/// impl Worker for Lines {
///     type Item = String;
///     type Output = ();
///     fn build(_: &Context) -> Result<Self> {
///         Ok(Self(ExactFile::open("lines.txt")?))
///     }
///     fn handle(&mut self, line: String, out: &mut Output<()>) -> Result {
///         self.0.append(format!("{line}\n").as_bytes(), out)
///     }
///     fn finish(&mut self, out: &mut Output<()>) -> Result {
///         self.0.finish(out)
///     }
/// }
///
/// fn main() -> Exit {
///     Lines::main()
/// }
/// ```
#[derive(Debug)]
pub struct ExactFile {
    file: File,
    path: PathBuf,
    /// The committed length was looked up, and what lies behind it was cut off.
    is_cut: bool,
}

impl ExactFile {
    /// Opens the file, or makes it. A run that begins anew starts with an empty file; one that goes on, with what was
    /// committed.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
        let file = file.map_err(|error| named(error, "open", &path))?;
        Ok(Self { file, path, is_cut: false })
    }

    /// Writes `bytes` behind what is there, as part of the item in hand.
    ///
    /// # Errors
    /// A full disk and the like, as an [`Outage`]: return it, and the worker tries again after a restart. [`Misconfigured`] if the file is shorter than
    /// what was committed to it: it is another one, or somebody has cut it.
    pub fn append<T>(&mut self, bytes: &[u8], out: &mut Output<T>) -> Result {
        let end = self.end(out)?;
        self.file.write_all_at(bytes, end).map_err(|error| Outage::new(named(error, "write to", &self.path)))?;
        Ok(out.checkpoint(&(end + bytes.len() as u64))?)
    }

    /// Cuts off what was written for an item and never committed. To be called at the end; also makes the file empty if
    /// nothing was written at all.
    ///
    /// # Errors
    /// The file cannot be cut.
    pub fn finish<T>(&mut self, out: &mut Output<T>) -> Result {
        let end = self.end(out)?;
        Ok(self.cut(end)?)
    }

    fn cut(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end).map_err(|error| named(error, "cut", &self.path))
    }

    fn end<T>(&mut self, out: &mut Output<T>) -> Result<u64> {
        let end: Option<u64> = out.outbox().pending().map_err(Error::from)?;
        if !self.is_cut {
            let len = self.file.metadata()?.len();
            if end.is_none() && out.outbox().lacks_checkpoint() {
                if len > 0 {
                    return Err(Misconfigured::new(format!(
                        "{} holds {len} bytes, and how many of them were committed is not known, because the page of this \
                         worker could not be used any more and was put aside (the log says where and why): move the file \
                         away to continue with an empty one, or begin again with --fresh",
                        self.path.display()
                    ))
                    .into());
                }
                out.outbox().settle_unknown(); // From here on the file is this worker's.
            }
            let end = end.unwrap_or(0);
            if len < end {
                return Err(Misconfigured::new(format!(
                    "{} has {len} bytes, and {end} were committed to it: put back what was there, or begin anew with --fresh",
                    self.path.display()
                ))
                .into());
            }
            self.cut(end)?;
            self.is_cut = true;
        }
        Ok(end.unwrap_or(0))
    }
}

/// The error, with the name of the file.
fn named(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::sandbox;

    #[test]
    fn what_was_not_committed_is_written_over_and_cut_off() {
        let sandbox = sandbox(&["lines"], &[]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("lines.txt");
        std::fs::write(&path, "left by somebody").expect("written");
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(&path).expect("opened");
        file.append(b"one\n", &mut out).expect("written");
        out.outbox().commit_alone().expect("committed");
        let mark = out.outbox().mark();
        file.append(b"a handler that fails later\n", &mut out).expect("written");
        out.outbox().back_to(mark);
        file.append(b"two\n", &mut out).expect("written");
        drop((file, out));
        // Killed before the commit; the next one goes on.
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(&path).expect("opened");
        file.append(b"2\n", &mut out).expect("written");
        out.outbox().commit_alone().expect("committed");
        file.finish(&mut out).expect("cut");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "one\n2\n");
    }

    #[test]
    fn a_file_that_lacks_what_was_committed_is_refused() {
        let sandbox = sandbox(&["lines"], &[]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(dir.path().join("lines.txt")).expect("opened");
        file.append(b"one\n", &mut out).expect("written");
        out.outbox().commit_alone().expect("committed");
        drop((file, out));
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(dir.path().join("others.txt")).expect("opened");
        let error = file.append(b"two\n", &mut out).expect_err("the first line is elsewhere");
        assert!(crate::failure::is_permanent(&*error), "{error}");
        assert!(error.to_string().contains("others.txt has 0 bytes, and 4 were committed to it"), "{error}");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = ExactFile::open("/nowhere/lines.txt").expect_err("there is no such folder");
        assert!(error.to_string().starts_with("cannot open /nowhere/lines.txt: "), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
