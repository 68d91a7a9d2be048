//! The first stage of checksum: names every regular file below a folder.

use std::ffi::OsString;
use std::path::PathBuf;

use brigade_examples::checksum::FileName;
use brigade_worker::{Exit, Misconfigured, Output, source};
use tracing::warn;

fn walk(out: &mut Output<FileName>) -> brigade_worker::Result {
    let root: OsString = std::env::args_os().nth(1).ok_or_else(|| Misconfigured::new("usage: walk FOLDER"))?;
    let root = PathBuf::from(root);
    match root.metadata() {
        Ok(what) if what.is_file() => return Ok(out.send(FileName::from(root))?),
        Ok(_) => {}
        Err(error) => return Err(Misconfigured::new(format!("cannot walk {root:?}: {error}")).into()),
    }
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        let entries = match folder.read_dir() {
            Ok(entries) => entries,
            Err(error) => {
                warn!("{folder:?} is left out: {error}");
                continue;
            }
        };
        for entry in entries {
            if out.ctx().stop_requested() {
                return Ok(());
            }
            // Symbolic links are neither files nor folders here, as for find.
            match entry.and_then(|entry| Ok((entry.file_type()?, entry.path()))) {
                Ok((kind, path)) if kind.is_file() => out.send(FileName::from(path))?,
                Ok((kind, path)) if kind.is_dir() => folders.push(path),
                Ok(_) => {}
                Err(error) => warn!("something in {folder:?} is left out: {error}"),
            }
        }
    }
    Ok(())
}

fn main() -> Exit {
    source(walk)
}
