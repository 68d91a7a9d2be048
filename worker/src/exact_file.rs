//! A file to which every result is written exactly once, whatever is killed: the length of what is committed stands in
//! the checkpoint, and what lies behind it was never committed and is written over.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::copies::is_copy;
use crate::error::{Error, Refusal, Result};
use crate::failure::{Misconfigured, Outage};
use crate::output::Output;

/// How long to wait for the process that holds the file: the one before this at the same post, which is about to be gone.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often to look meanwhile.
const LOOK: Duration = Duration::from_millis(20);

/// The end of a pipeline in a file: what handlers write to it is there once for every item, also if the process, the
/// supervisor or everything is killed at any moment and started again.
///
/// It takes the checkpoint of its handler thread for itself: have one such file in each thread, and do not
/// call [`Output::checkpoint`] beside it. What is written has reached the kernel when the item is committed; a loss of
/// power can still lose it. Nobody else may write to the file, and nobody may put another one in its place: the worker
/// then refuses to write and ends the run.
///
/// A file has one writer, which holds a lock on it (`flock`). With several replicas or threads each needs a path of its own,
/// made of [`Context::replica`](crate::Context::replica) and [`Context::thread`](crate::Context::thread).
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
///     fn build(ctx: &Context) -> Result<Self> {
///         Ok(Self(ExactFile::open(format!("lines-{}.txt", ctx.replica()))?))
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
    place: Place,
    /// The file system knows locks, and this process has the one of the file.
    is_locked: bool,
    /// The committed length was looked up, and what lies behind it was cut off.
    is_cut: bool,
}

/// Which file it is, whatever its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Place {
    device: u64,
    inode: u64,
}

impl Place {
    fn of(metadata: &Metadata) -> Self {
        Self { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// The checkpoint.
#[derive(Serialize, Deserialize)]
struct Committed {
    end: u64,
    place: Place,
}

impl ExactFile {
    /// Opens the file, or makes it, and locks it. A run that begins anew starts with an empty file; one that goes on, with
    /// what was committed.
    ///
    /// # Errors
    /// The file cannot be opened for writing. If another worker or thread writes to it, the error says so, and ends the
    /// worker for good when `build` returns it.
    pub fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        let path = path.as_ref().to_owned();
        if is_copy() {
            return Err(io::Error::other(Refusal::ForkedCopy));
        }
        let deadline = Instant::now() + PATIENCE;
        loop {
            let file = OpenOptions::new().create(true).write(true).truncate(false).open(&path);
            let file = file.map_err(|error| named(error, "open", &path))?;
            let is_locked = match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => true,
                Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => false,
                Err(Errno::AGAIN | Errno::INTR) if Instant::now() < deadline => {
                    std::thread::sleep(LOOK);
                    continue;
                }
                Err(Errno::AGAIN) => {
                    return Err(io::Error::new(io::ErrorKind::ResourceBusy, several_writers(&path)));
                }
                Err(error) => return Err(named(error.into(), "lock", &path)),
            };
            let place = Place::of(&file.metadata().map_err(|error| named(error, "look at", &path))?);
            return Ok(Self { file, path, place, is_locked, is_cut: false });
        }
    }

    /// Writes `bytes` behind what is there, as part of the item in hand.
    ///
    /// # Errors
    /// A full disk and the like, as an [`Outage`]: return it, and the worker tries again after a restart. [`Misconfigured`]
    /// if the file is another one than that which was committed to, or is shorter than what was committed; or if several
    /// may write to it.
    pub fn append<T>(&mut self, bytes: &[u8], out: &mut Output<T>) -> Result {
        let end = self.end(out)?;
        self.file.write_all_at(bytes, end).map_err(|error| Outage::new(named(error, "write to", &self.path)))?;
        Ok(out.checkpoint(&Committed { end: end + bytes.len() as u64, place: self.place })?)
    }

    /// Cuts off what was written for an item and never committed. To be called at the end; also makes the file empty if
    /// nothing was written at all.
    ///
    /// # Errors
    /// The file cannot be cut. [`Misconfigured`] if its path does not lead to it any more.
    pub fn finish<T>(&mut self, out: &mut Output<T>) -> Result {
        let end = self.end(out)?;
        self.cut(end)?;
        match std::fs::metadata(&self.path) {
            Ok(metadata) if Place::of(&metadata) == self.place => Ok(()),
            Ok(_) => Err(self.replaced().into()),
            Err(error) => Err(named(error, "find again", &self.path).into()),
        }
    }

    fn cut(&self, end: u64) -> io::Result<()> {
        self.file.set_len(end).map_err(|error| named(error, "cut", &self.path))
    }

    fn end<T>(&mut self, out: &mut Output<T>) -> Result<u64> {
        if is_copy() {
            return Err(Refusal::ForkedCopy.into());
        }
        let committed = self.committed(out)?;
        if self.is_cut {
            return Ok(committed.map_or(0, |committed| committed.end));
        }
        if !self.is_locked && out.ctx().replicas().max(out.ctx().threads()) > 1 {
            return Err(several_writers(&self.path).into());
        }
        let is_unknown = committed.is_none() && out.outbox().lacks_checkpoint();
        let end = match committed {
            None => 0,
            Some(committed) if committed.place != self.place => return Err(self.replaced().into()),
            Some(committed) => committed.end,
        };
        let len = self.file.metadata()?.len();
        if is_unknown {
            if len > 0 {
                return Err(Misconfigured::new(format!(
                    "{} holds {len} bytes, and how many of them were committed is not known, because the page of this \
                     worker could not be used any more and was put aside (the log says where and why): move the file away \
                     to continue with an empty one, or begin again with --fresh",
                    self.path.display()
                ))
                .into());
            }
            out.outbox().settle_unknown(); // From here on the file is this worker's.
        }
        if len < end {
            return Err(Misconfigured::new(format!(
                "{} has {len} bytes, and {end} were committed to it: put back what was there, or begin anew with --fresh",
                self.path.display()
            ))
            .into());
        }
        self.cut(end)?;
        self.is_cut = true;
        Ok(end)
    }

    fn committed<T>(&self, out: &mut Output<T>) -> Result<Option<Committed>> {
        let outbox = out.outbox();
        outbox.pending::<Committed>().or_else(|error| match outbox.pending::<u64>() {
            // An earlier version wrote the length alone.
            Ok(Some(end)) => Ok(Some(Committed { end, place: self.place })),
            Ok(None) | Err(_) => Err(Error::from(error)),
        })
    }

    fn replaced(&self) -> Misconfigured {
        Misconfigured::new(format!(
            "{} is another file than the one that was written to: move that one back, or begin anew with --fresh",
            self.path.display()
        ))
    }
}

fn several_writers(path: &Path) -> Misconfigured {
    Misconfigured::new(format!(
        "{} has another writer already, and an exact file has one: set replicas = 1 and threads = 1 in the pipeline file, or \
         give each worker and thread a path of its own, by ctx.replica() and ctx.thread()",
        path.display()
    ))
}

/// The error, with the name of the file.
fn named(error: io::Error, what: &str, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("cannot {what} {}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::is_permanent;
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
        std::fs::write(dir.path().join("lines.txt"), "o").expect("cut by somebody");
        let mut file = ExactFile::open(dir.path().join("lines.txt")).expect("opened");
        let error = file.append(b"two\n", &mut out).expect_err("most of the first line is gone");
        assert!(is_permanent(&*error), "{error}");
        assert!(error.to_string().contains("lines.txt has 1 bytes, and 4 were committed to it"), "{error}");
    }

    #[test]
    fn another_file_in_its_place_is_refused_and_left_as_it_is() {
        let sandbox = sandbox(&["lines"], &[]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (path, aside) = (dir.path().join("lines.txt"), dir.path().join("aside.txt"));
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(&path).expect("opened");
        file.append(b"one\n", &mut out).expect("written");
        out.outbox().commit_alone().expect("committed");
        std::fs::rename(&path, &aside).expect("moved");
        std::fs::write(&path, "precious, and longer").expect("written by somebody");
        let error = file.finish(&mut out).expect_err("it is elsewhere");
        assert!(is_permanent(&*error) && error.to_string().contains("is another file than the one"), "{error}");
        drop((file, out));
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        let mut file = ExactFile::open(&path).expect("opened");
        let error = file.append(b"two\n", &mut out).expect_err("it is another file");
        assert!(is_permanent(&*error) && error.to_string().contains("is another file than the one"), "{error}");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "precious, and longer");
        drop(file);
        std::fs::rename(&aside, &path).expect("moved back");
        ExactFile::open(&path).expect("opened").append(b"two\n", &mut out).expect("it is there again");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "one\ntwo\n");
    }

    #[test]
    fn a_checkpoint_of_an_earlier_version_is_understood() {
        let sandbox = sandbox(&["lines"], &[]);
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("lines.txt");
        std::fs::write(&path, "one\nnot committed").expect("written");
        let mut out = Output::<()>::new(&sandbox.ctx).expect("no outputs");
        out.checkpoint(&4_u64).expect("it fits");
        ExactFile::open(&path).expect("opened").append(b"two\n", &mut out).expect("written");
        assert_eq!(std::fs::read_to_string(&path).expect("read"), "one\ntwo\n");
    }

    #[test]
    fn a_second_writer_is_refused_for_good_until_the_first_is_gone() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("lines.txt");
        let first = ExactFile::open(&path).expect("opened");
        let error: Error = ExactFile::open(&path).expect_err("it is locked").into();
        assert!(is_permanent(&*error), "{error}");
        assert!(error.to_string().contains("give each worker and thread a path of its own"), "{error}");
        ExactFile::open(dir.path().join("others.txt")).expect("another file");
        drop(first);
        ExactFile::open(&path).expect("it is free");
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_named() {
        let error = ExactFile::open("/nowhere/lines.txt").expect_err("there is no such folder");
        assert!(error.to_string().starts_with("cannot open /nowhere/lines.txt: "), "{error}");
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
