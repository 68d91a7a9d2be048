//! The first stage of checksum: names every regular file below a folder.

use std::path::{Path, PathBuf};

use brigade_examples::checksum::FileName;
use brigade_worker::{Exit, Misconfigured, Output, source};
use tracing::warn;

fn walk(out: &mut Output<FileName>) -> brigade_worker::Result {
    let root = std::env::args_os().nth(1).ok_or_else(|| Misconfigured::new("usage: walk FOLDER"))?;
    let mut folders = vec![PathBuf::from(root)];
    while let Some(folder) = folders.pop() {
        match entries(&folder) {
            Ok((files, below)) => {
                for file in files {
                    if out.ctx().stop_requested() {
                        return Ok(());
                    }
                    out.send(FileName::from(file))?;
                }
                folders.extend(below);
            }
            Err(error) => warn!("{}: {error}", folder.display()),
        }
    }
    Ok(())
}

/// Regular files in a folder, and the folders in it. Symbolic links are neither.
fn entries(folder: &Path) -> std::io::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let (mut files, mut folders) = (Vec::new(), Vec::new());
    for entry in folder.read_dir()? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() {
            files.push(entry.path());
        } else if kind.is_dir() {
            folders.push(entry.path());
        }
    }
    Ok((files, folders))
}

fn main() -> Exit {
    source(walk)
}
