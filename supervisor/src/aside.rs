//! Putting aside what cannot be used: under a name that says why and when, and never over anything else. Without it, a
//! damaged file would be in the way of the next run, or be lost to who wants to know what happened.

use std::io;
use std::path::{Path, PathBuf};

/// A free name for what is at `path`: `NAME.WHY-TIME` in `folder`.
pub fn free_name(path: &Path, folder: &Path, why: &str) -> PathBuf {
    let stamp = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%S");
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let first = format!("{name}.{why}-{stamp}Z");
    let more = (2..).map(|number| format!("{first}-{number}"));
    let mut names = std::iter::once(first.clone()).chain(more).map(|name| folder.join(name));
    // Not `exists`: a link that leads nowhere is there, too.
    names.find(|name| name.symlink_metadata().is_err()).unwrap_or_else(|| folder.join(first))
}

/// Moves the file at `path` into `folder`, which is made if it is not there. Gives its new place.
pub fn put_aside(path: &Path, folder: &Path, why: &str) -> io::Result<PathBuf> {
    std::fs::create_dir_all(folder)?;
    let place = free_name(path, folder, why);
    std::fs::rename(path, &place)?;
    Ok(place)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_aside_never_replaces_what_was_put_aside_before() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let (path, folder) = (dir.path().join("raw.queue"), dir.path().join("aside"));
        let places: Vec<PathBuf> = (0..3)
            .map(|n: u8| {
                std::fs::write(&path, [n]).expect("written");
                put_aside(&path, &folder, "spoilt").expect("moved")
            })
            .collect();
        assert!(!path.exists());
        for (n, place) in places.iter().enumerate() {
            assert_eq!(std::fs::read(place).expect("kept"), [n as u8]);
            assert!(place.to_string_lossy().contains("raw.queue.spoilt-20"), "{}", place.display());
        }
    }
}
