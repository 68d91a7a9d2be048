//! Files in the state folder that cannot be used: another's, cut, damaged, of another version, or from before the last
//! start of the machine. Each is put aside and named; nothing of it is used, and nothing is written over.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use brigade_protocol::page::{Page, PageError};
use brigade_protocol::queue::{Queue, QueueError};

use super::ResumeError;
use crate::aside::put_aside;
use crate::config::plan::Plan;
use crate::effects::dead::DeadFile;
use crate::figures::counted;
use crate::missing;
use crate::state::StateDir;

/// What was found so far.
pub struct Damaged<'a> {
    dir: &'a StateDir,
    words: Vec<String>,
}

impl<'a> Damaged<'a> {
    /// Nothing yet.
    pub fn new(dir: &'a StateDir) -> Self {
        Self { dir, words: Vec::new() }
    }

    /// All that was found, as one error.
    pub fn refuse(&self) -> Result<(), ResumeError> {
        if self.words.is_empty() { Ok(()) } else { Err(ResumeError::Damaged(self.words.clone())) }
    }

    /// The pages that can be used.
    pub fn pages(&mut self) -> Result<Vec<Page>, ResumeError> {
        let mut pages = Vec::new();
        for path in files(&self.dir.pages(), "page")? {
            let (error, why) = match Page::open(&path) {
                Ok(page) => {
                    pages.push(page);
                    continue;
                }
                Err(PageError::Io { what, path, source }) => return Err(ResumeError::Io { what, path, source }),
                Err(PageError::Version { path, found }) => return Err(ResumeError::OtherVersion { path, found }),
                Err(error @ PageError::Foreign { .. }) => (error, "damaged"),
                Err(error @ PageError::Rebooted { .. }) => (error, "rebooted"),
            };
            let words = self.move_aside(&path, why, |place| {
                format!(
                    "{error}; it is kept as {}: its worker's checkpoint, and what that worker had committed last, are not known. A source begins from the start, the last batches may be done twice, and an exact file is not written to until it is moved away",
                    place.display()
                )
            })?;
            self.words.push(format!("{words}; run again to continue without them"));
        }
        Ok(pages)
    }

    /// The queues that can be used, of this plan or not, by name. `goes_on`: there is a run to continue, or items were
    /// sent again after it.
    pub fn queues(&mut self, goes_on: bool) -> Result<BTreeMap<String, Queue>, ResumeError> {
        let goes_on = goes_on || !self.words.is_empty();
        let mut queues = BTreeMap::new();
        for path in files(&self.dir.queues(), "queue")? {
            let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let (error, why, is_old) = match Queue::open(&path) {
                Ok(queue) => {
                    match queue.spoilt() {
                        None => drop(queues.insert(name, queue)),
                        Some(why) => self.spoilt_queue(&name, &why)?,
                    }
                    continue;
                }
                Err(error @ QueueError::Rebooted { .. }) => (error, "rebooted", true),
                Err(error @ QueueError::Version { .. }) => (error, "other-version", true),
                Err(error @ QueueError::Foreign { .. }) => (error, "damaged", false),
                Err(
                    error @ (QueueError::Io { .. }
                    | QueueError::Unfit(_)
                    | QueueError::Geometry(_)
                    | QueueError::MembersFull(_)
                    | QueueError::Copy),
                ) => return Err(error.into()),
            };
            if is_old && !goes_on {
                // A run that came to its end leaves no page: nothing is in the queue.
                let io = |source| ResumeError::Io { what: "put aside", path: path.clone(), source };
                let place = put_aside(&path, &self.dir.aside(), why).map_err(io)?;
                tracing::warn!("{error}; no run was going on, so it is kept as {} and begins empty", place.display());
                continue;
            }
            let words = self.move_aside(&path, why, |place| {
                format!("{error}; it is kept as {}: the items in it are not handed on", place.display())
            })?;
            self.words.push(format!("{words}; run again to continue with an empty queue {name}"));
        }
        Ok(queues)
    }

    /// A queue whose words make no sense.
    pub fn spoilt_queue(&mut self, name: &str, why: &str) -> Result<(), ResumeError> {
        let words = self.move_aside(&self.dir.queue(name), "spoilt", |place| {
            format!(
                "queue {name} is spoilt: {why}; it is kept as {}: the items in it are not handed on",
                place.display()
            )
        })?;
        self.words.push(format!("{words}; run again to continue with an empty one"));
        Ok(())
    }

    /// The files of dead letters, in the order of the plan.
    pub fn dead_letters(&mut self, plan: &Plan) -> Result<Vec<DeadFile>, ResumeError> {
        let mut files = Vec::new();
        for queue in &plan.queues {
            let path = self.dir.dead(&queue.name);
            let dead =
                DeadFile::open(&path).map_err(|source| ResumeError::Io { what: "open", path: path.clone(), source })?;
            if let Some(damage) = dead.damage() {
                let (path, at, copy) = (path.display(), damage.at, damage.copy.display());
                let letters = counted(dead.len(), "letter");
                if damage.is_cut_off {
                    tracing::warn!("{path} ends with a letter that was broken off; the whole file is kept as {copy}");
                } else {
                    self.words.push(format!(
                        "{path} is damaged from byte {at} on; the whole file is kept as {copy}: run again to go on with the {letters} before that"
                    ));
                }
            }
            files.push(dead);
        }
        Ok(files)
    }

    fn move_aside(&self, path: &Path, why: &str, words: impl FnOnce(&Path) -> String) -> Result<String, ResumeError> {
        let io = |source| ResumeError::Io { what: "put aside", path: path.to_owned(), source };
        missing::put_aside(self.dir, path, why, words).map_err(io)
    }
}

/// The files in a folder whose names end so, in the order of their names.
pub(super) fn files(folder: &Path, extension: &str) -> Result<Vec<PathBuf>, ResumeError> {
    let io = |source| ResumeError::Io { what: "read", path: folder.to_owned(), source };
    let entries = std::fs::read_dir(folder).map_err(io)?;
    let paths: io::Result<Vec<PathBuf>> = entries.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut paths = paths.map_err(io)?;
    paths.retain(|path| path.extension().is_some_and(|found| found == extension));
    paths.sort();
    Ok(paths)
}
