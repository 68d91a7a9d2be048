//! State folders that are not ours, or that others have had their hands in: refused, and left as they are.

use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::{StateDir, StateError};

impl StateDir {
    /// A link in place of the folder leads where its maker wants. One of our own, or of root's, is as good as a path.
    pub(super) fn refuse_others_link(&self) -> Result<(), StateError> {
        let Ok(found) = std::fs::symlink_metadata(&self.root) else { return Ok(()) };
        if found.is_symlink() && found.uid() != 0 && found.uid() != nix::unistd::geteuid().as_raw() {
            let why = format!("it is a link that user {} has made", found.uid());
            return Err(StateError::Foreign { path: self.root.clone(), why });
        }
        Ok(())
    }

    /// What others have put there when the folder was open to them would be written to, or through. From now on it is closed
    /// to them, so that one look is enough.
    pub(super) fn refuse_others_files(&self) -> Result<(), StateError> {
        let io = |what| move |source| StateError::Io { what, path: self.root.clone(), source };
        for entry in std::fs::read_dir(&self.root).map_err(io("read"))?.flatten() {
            // Of a link, not of where it leads.
            let uid = entry.metadata().map_err(io("look into"))?.uid();
            if uid != nix::unistd::geteuid().as_raw() {
                let why = format!("{} in it belongs to user {uid}", entry.file_name().display());
                return Err(StateError::Foreign { path: self.root.clone(), why });
            }
        }
        Ok(())
    }

    /// A folder with content and without our lock file is somebody else's.
    pub(super) fn refuse_strangers(&self) -> Result<(), StateError> {
        let io = |what| move |source| StateError::Io { what, path: self.root.clone(), source };
        let foreign = |why: &str| StateError::Foreign { path: self.root.clone(), why: why.to_owned() };
        let mut entries = std::fs::read_dir(&self.root).map_err(io("read"))?;
        match std::fs::read_to_string(self.lock()) {
            Ok(text) if text.is_empty() || text.starts_with("brigade state ") => {
                if !text.is_empty() && !text.starts_with("brigade state 1\n") {
                    return Err(foreign("it was made by another version"));
                }
            }
            Ok(_) => return Err(foreign("its lock file is not ours")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if entries.next().is_some() {
                    return Err(foreign("it holds other files"));
                }
            }
            Err(error) => return Err(io("read the lock of")(error)),
        }
        std::fs::set_permissions(&self.root, std::fs::Permissions::from_mode(0o700)).map_err(io("make private"))
    }
}
