//! The first stage of checksum: names every regular file below a folder, in order, so that it can be killed anywhere and
//! continue behind the last file that it had committed. It leaves out the file that the pipeline writes.

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use brigade_examples::checksum::FileName;
use brigade_worker::{Exit, Misconfigured, Output, source};
use tracing::warn;

/// Files that one commit covers.
const BATCH: usize = 32;

fn walk(out: &mut Output<FileName>) -> brigade_worker::Result {
    let root = std::env::args_os().nth(1).ok_or_else(|| Misconfigured::new("usage: walk FOLDER [LEFT-OUT]"))?;
    let root = PathBuf::from(root);
    let left_out = std::env::args_os().nth(2).map(PathBuf::from);
    match root.metadata() {
        Ok(what) if what.is_file() => return Ok(out.send(FileName::from(root))?),
        Ok(_) => {}
        Err(error) => return Err(Misconfigured::new(format!("cannot walk {root:?}: {error}")).into()),
    }
    let done: Option<FileName> = out.restore()?;
    let mut last = None;
    let mut sent = 0;
    let mut to_visit = below(&root);
    while let Some(path) = to_visit.pop() {
        if out.ctx().stop_requested() {
            break;
        }
        // Paths compare folder by folder, which is the order of this walk.
        let is_before = |done: &FileName| path <= done.path() && !done.path().starts_with(&path);
        if done.as_ref().is_some_and(|done| is_before(done) || path == done.path()) {
            continue;
        }
        // Symbolic links are neither files nor folders here, as for find.
        match path.symlink_metadata() {
            Ok(what) if left_out.as_ref().is_some_and(|left_out| is_same(&path, &what, left_out)) => {}
            Ok(what) if what.is_file() => {
                out.send(FileName::from(path.clone()))?;
                last = Some(FileName::from(path));
                sent += 1;
                if sent % BATCH == 0 {
                    out.checkpoint(last.as_ref().expect("just sent"))?;
                }
            }
            Ok(what) if what.is_dir() => to_visit.extend(below(&path)),
            Ok(_) => {}
            Err(error) => warn!("{path:?} is left out: {error}"),
        }
    }
    match last {
        Some(last) => Ok(out.checkpoint(&last)?),
        None => Ok(()),
    }
}

/// Whether a path leads to the same file as another one, however that is written.
fn is_same(path: &Path, what: &Metadata, other: &Path) -> bool {
    path.file_name() == other.file_name()
        && other.metadata().is_ok_and(|other| (other.dev(), other.ino()) == (what.dev(), what.ino()))
}

/// What is in a folder, last first.
fn below(folder: &Path) -> Vec<PathBuf> {
    let mut paths = Vec::new();
    match folder.read_dir() {
        Ok(entries) => {
            for entry in entries {
                match entry {
                    Ok(entry) => paths.push(entry.path()),
                    Err(error) => warn!("something in {folder:?} is left out: {error}"),
                }
            }
        }
        Err(error) => warn!("{folder:?} is left out: {error}"),
    }
    paths.sort_unstable_by(|one, other| other.cmp(one));
    paths
}

fn main() -> Exit {
    source(walk)
}
