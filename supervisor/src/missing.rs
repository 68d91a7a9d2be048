//! What of an earlier run was put aside, as it could not be used, and is therefore missing to the runs after it. A note in
//! the state folder keeps it until a run is complete: each run says it at its start and at its end, and a page that is made
//! in the place of one that was put aside says that the checkpoint of its worker is not known.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use brigade_protocol::crash_point;
use serde::{Deserialize, Serialize};

use crate::aside::free_name;
use crate::state::StateDir;

/// By the name of the file: what became of it, and what that means.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Missing(BTreeMap<String, String>);

impl Missing {
    /// What is missing.
    ///
    /// # Errors
    /// The note cannot be read, or holds something else. There is none if nothing is missing: that is no error.
    pub fn read(dir: &StateDir) -> io::Result<Self> {
        let path = dir.missing();
        let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot read {}: {error}", path.display()));
        match std::fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| named(error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(named(error)),
        }
    }

    /// A sentence for each file.
    pub fn words(&self) -> impl Iterator<Item = &String> {
        self.0.values()
    }

    /// Whether the file of this path is among them.
    pub fn has(&self, path: &Path) -> bool {
        self.0.contains_key(&name_of(path))
    }
}

/// Moves a file of an earlier run to where unusable files are kept, and notes that it is missing. `words` is given its new
/// place, and says what became of the file and what that means. Gives what `words` said. The note is written first: if the
/// process dies between the two, the next run finds the file where it was, and does the same.
///
/// # Errors
/// The note or the file cannot be written.
pub fn put_aside(dir: &StateDir, path: &Path, why: &str, words: impl FnOnce(&Path) -> String) -> io::Result<String> {
    std::fs::create_dir_all(dir.aside())?;
    let place: PathBuf = free_name(path, &dir.aside(), why);
    let words = words(&place);
    let mut missing = Missing::read(dir)?;
    missing.0.insert(name_of(path), words.clone());
    let new = dir.missing().with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec_pretty(&missing)?)?;
    std::fs::rename(new, dir.missing())?;
    crash_point!("missing_noted");
    std::fs::rename(path, &place)?;
    Ok(words)
}

/// A run is complete without what was missing: the next one is another run, which misses nothing.
///
/// # Errors
/// The note cannot be removed.
pub fn forget(dir: &StateDir) -> io::Result<()> {
    match std::fs::remove_file(dir.missing()) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn name_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_known_until_a_run_is_complete() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(base.path());
        let path = base.path().join("sink-0.page");
        assert!(!Missing::read(&dir).expect("nothing is missing").has(&path));
        std::fs::write(&path, "a page").expect("written");
        let words = put_aside(&dir, &path, "damaged", |place| format!("kept as {}", place.display())).expect("moved");
        let missing = Missing::read(&dir).expect("noted");
        assert!(missing.has(&path) && !path.exists());
        assert_eq!(missing.words().collect::<Vec<_>>(), [&words]);
        forget(&dir).expect("forgotten");
        forget(&dir).expect("nothing is missing any more");
        assert_eq!(Missing::read(&dir).expect("nothing"), Missing::default());
        std::fs::write(dir.missing(), "no note").expect("written");
        assert!(Missing::read(&dir).is_err(), "what is missing is not known");
    }
}
