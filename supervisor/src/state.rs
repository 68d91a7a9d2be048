//! The state folder: everything that a pipeline keeps between two instants of its life, in one private place.
//!
//! ```text
//! lock             who runs it; locked for as long as that process lives
//! control.sock     where `status`, `stop` and the others ask
//! status.json      the last picture of the pipeline, for when nothing runs
//! queues/          one file per queue
//! dead/            dead letters, one file per queue
//! pages/           one page per worker
//! complete/        the pages of the last run, if it is complete and no other one has begun since
//! retried          dead letters of a complete run were sent again: its queues may hold items
//! run.json         by what the processes of the last run are known, to end those that it may have left
//! orders.json      what every stage was told of which there are pages, to notice when that changes
//! missing.json     what of an earlier run was put aside, until a run is complete
//! aside/           files that could not be used, under names that say why and when
//! logs/            JSON lines, one file per stage, and the supervisor's own
//! shared/          the manager's lists, maps and counters
//! tmp/             one-shot sockets of starting workers
//! ```

mod strangers;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::fcntl::{Flock, FlockArg};

use crate::aside::free_name;

/// Longest path that a Unix socket can have, in bytes, without the closing zero.
const SOCKET_PATH: usize = 107;
/// What ipc-channel puts behind `tmp/`: a random folder, and the socket in it.
const DOOR_NAME: usize = "/tmp/.tmpXXXXXX/socket".len();

/// Why a state folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The system refused.
    #[error("cannot {what} {}: {source}", path.display())]
    Io {
        /// Such as "create".
        what: &'static str,
        /// Of what.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// Somebody else's folder, or somebody else's files.
    #[error("{} is not a state folder of brigade ({why}): name another with --state-dir", path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A pipeline runs on it.
    #[error("{} is in use: {holder}", path.display())]
    Locked {
        /// The folder.
        path: PathBuf,
        /// Who holds it.
        holder: String,
    },
    /// Sockets in it could not be reached.
    #[error(
        "the path of the state folder {} is {len} bytes long, and sockets in it can be reached up to {max}: name a shorter one with --state-dir",
        path.display()
    )]
    TooLong {
        /// The folder.
        path: PathBuf,
        /// Of the path.
        len: usize,
        /// What works.
        max: usize,
    },
}

/// The place of a state folder, whether it exists or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateDir {
    root: PathBuf,
}

/// A state folder that this process holds. Given back when it is dropped, or when the process dies.
#[derive(Debug)]
pub struct StateFolder {
    /// The folder.
    pub dir: StateDir,
    lock: Flock<File>,
}

impl StateDir {
    /// At this path.
    pub fn at(root: &Path) -> Self {
        Self { root: std::path::absolute(root).unwrap_or_else(|_| root.to_owned()) }
    }

    /// The folder under which pipelines have their state folders by default: `$XDG_STATE_HOME/brigade`, else
    /// `~/.local/state/brigade`. `None` if neither variable is set.
    pub fn base() -> Option<PathBuf> {
        let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
        let state = absolute("XDG_STATE_HOME").or_else(|| absolute("HOME").map(|home| home.join(".local/state")))?;
        Some(state.join("brigade"))
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The lock.
    pub fn lock(&self) -> PathBuf {
        self.root.join("lock")
    }

    /// The control socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("control.sock")
    }

    /// Whether somebody has removed it, while it was in use.
    pub fn is_gone(&self) -> bool {
        let lock = std::fs::symlink_metadata(self.lock());
        lock.is_err_and(|error| matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory))
    }

    /// The last picture of the pipeline.
    pub fn status(&self) -> PathBuf {
        self.root.join("status.json")
    }

    /// By what the processes of the last run are known.
    pub fn run(&self) -> PathBuf {
        self.root.join("run.json")
    }

    /// What the stages of the last run were told.
    pub fn orders(&self) -> PathBuf {
        self.root.join("orders.json")
    }

    /// What of an earlier run was put aside.
    pub fn missing(&self) -> PathBuf {
        self.root.join("missing.json")
    }

    /// A queue's file.
    pub fn queue(&self, name: &str) -> PathBuf {
        self.root.join("queues").join(format!("{name}.queue"))
    }

    /// A queue's dead letters.
    pub fn dead(&self, queue: &str) -> PathBuf {
        self.root.join("dead").join(format!("{queue}.dead"))
    }

    /// A worker's page.
    pub fn page(&self, stage: &str, replica: u16) -> PathBuf {
        self.root.join("pages").join(format!("{stage}-{replica}.page"))
    }

    /// All pages.
    pub fn pages(&self) -> PathBuf {
        self.root.join("pages")
    }

    /// The pages of the last run, if it is complete.
    pub fn complete(&self) -> PathBuf {
        self.root.join("complete")
    }

    /// There since dead letters of a complete run were sent again: its queues may hold items.
    pub fn retried(&self) -> PathBuf {
        self.root.join("retried")
    }

    /// Where files are put that cannot be used.
    pub fn aside(&self) -> PathBuf {
        self.root.join("aside")
    }

    /// All queues' files.
    pub fn queues(&self) -> PathBuf {
        self.root.join("queues")
    }

    /// The log files.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The manager's folder.
    pub fn shared(&self) -> PathBuf {
        self.root.join("shared")
    }

    /// One-shot sockets.
    pub fn tmp(&self) -> PathBuf {
        self.root.join("tmp")
    }

    /// Whether a pipeline runs on it, and which process, in words. `None`: nobody holds it.
    pub fn holder(&self) -> Option<String> {
        let file = File::open(self.lock()).ok()?;
        match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_free) => None,
            Err((mut file, _)) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                Some(text.lines().nth(1).unwrap_or("a process that did not say its name").to_owned())
            }
        }
    }

    /// Makes the folder if it is not there, checks that it is ours and private, and takes it for this process.
    pub fn take(&self, pipeline: &str) -> Result<StateFolder, StateError> {
        let len = self.root.as_os_str().len();
        let max = SOCKET_PATH - DOOR_NAME;
        if len > max {
            return Err(StateError::TooLong { path: self.root.clone(), len, max });
        }
        self.refuse_others_link()?;
        self.make(&self.root)?;
        self.refuse_strangers()?;
        self.refuse_others_files()?;
        let lock_path = self.lock();
        let io = |what| {
            let path = lock_path.clone();
            move |source| StateError::Io { what, path, source }
        };
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(self.lock())
            .map_err(io("open"))?;
        let mut lock = self.lock_exclusively(file)?;
        let text = format!("brigade state 1\nprocess {} runs the pipeline {pipeline}\n", std::process::id());
        (|| {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(text.as_bytes())
        })()
        .map_err(io("write"))?;
        for folder in ["queues", "dead", "pages", "logs"] {
            self.make(&self.root.join(folder))?;
        }
        // Sockets of an earlier run that was killed: nobody listens there any more.
        let _ = std::fs::remove_dir_all(self.tmp());
        let _ = std::fs::remove_file(self.socket());
        self.make(&self.tmp())?;
        Ok(StateFolder { dir: self.clone(), lock })
    }

    /// Whoever looks for the holder locks the file for an instant as well, hence a few tries.
    fn lock_exclusively(&self, mut file: File) -> Result<Flock<File>, StateError> {
        let mut tries = 0;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(lock),
                Err((file, _)) => file,
            };
            tries += 1;
            match self.holder() {
                Some(holder) if tries > 10 => return Err(StateError::Locked { path: self.root.clone(), holder }),
                Some(_) | None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// Puts what is in the folder aside, under a name that says when. Nothing is deleted. Gives the new place, or `None`
    /// if there was nothing.
    pub fn put_aside(&self) -> Result<Option<PathBuf>, StateError> {
        if !self.root.exists() {
            return Ok(None);
        }
        self.refuse_others_link()?;
        self.refuse_strangers()?;
        if let Some(holder) = self.holder() {
            return Err(StateError::Locked { path: self.root.clone(), holder });
        }
        let aside = free_name(&self.root, self.root.parent().unwrap_or(&self.root), "aside");
        std::fs::rename(&self.root, &aside).map_err(|source| StateError::Io {
            what: "put aside",
            path: self.root.clone(),
            source,
        })?;
        Ok(Some(aside))
    }

    fn make(&self, path: &Path) -> Result<(), StateError> {
        let io = |what| move |source| StateError::Io { what, path: path.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io("create"))?;
        let found = std::fs::metadata(path).map_err(io("read"))?;
        if found.uid() != nix::unistd::geteuid().as_raw() {
            return Err(StateError::Foreign {
                path: path.to_owned(),
                why: format!("it belongs to user {}", found.uid()),
            });
        }
        if path != self.root && found.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700)).map_err(io("make private"))?;
        }
        Ok(())
    }
}

impl Drop for StateFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.dir.socket());
        let _ = std::fs::remove_dir_all(self.dir.tmp());
        let _ = self.lock.set_len("brigade state 1\n".len() as u64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_one_is_told_who_holds_the_folder() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        let first = dir.take("checksum").expect("taken");
        let refused = dir.take("checksum").expect_err("refused").to_string();
        assert!(refused.contains(&format!("process {} runs the pipeline checksum", std::process::id())), "{refused}");
        assert_eq!(
            dir.holder().as_deref(),
            Some(&*format!("process {} runs the pipeline checksum", std::process::id()))
        );
        drop(first);
        assert_eq!(dir.holder(), None);
        dir.take("checksum").expect("free again");
    }

    #[test]
    fn a_folder_with_other_files_is_refused_and_left_alone() {
        let base = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(base.path().join("letter.txt"), "dear").expect("written");
        let refused = StateDir::at(base.path()).take("x").expect_err("refused").to_string();
        assert!(refused.contains("holds other files") && refused.contains("--state-dir"), "{refused}");
        assert_eq!(std::fs::read_dir(base.path()).expect("read").count(), 1);
    }

    #[test]
    fn a_path_too_long_for_sockets_is_refused_with_numbers() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let refused = StateDir::at(&base.path().join("x".repeat(100))).take("x").expect_err("refused").to_string();
        assert!(refused.contains("bytes long") && refused.contains("--state-dir"), "{refused}");
    }

    #[test]
    fn what_is_put_aside_is_kept() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        assert_eq!(dir.put_aside().expect("nothing there"), None);
        drop(dir.take("x").expect("taken"));
        std::fs::write(dir.queue("q"), "items").expect("written");
        let aside = dir.put_aside().expect("put aside").expect("something was there");
        assert_eq!(std::fs::read_to_string(aside.join("queues/q.queue")).expect("kept"), "items");
        assert!(!dir.root().exists());
        let held = dir.take("x").expect("made anew");
        assert!(matches!(dir.put_aside(), Err(StateError::Locked { .. })));
        drop(held);
    }
}
