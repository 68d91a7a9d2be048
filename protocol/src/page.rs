//! A worker's page: a small mapped file per post, in which the worker shows how far it is and finds its stop word.
//!
//! The supervisor makes it and reads it; nobody sends heartbeats or counts. It outlives the worker, so that the counts
//! go on through restarts. Each handler thread writes to a lane of its own. What a worker writes there is input: the
//! supervisor reads numbers, and follows none of them.

use crate::sync::Ordering;
use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::control::PROTOCOL;
use crate::id::{Incarnation, ItemId, Post};
use crate::shm::{Region, Words};

const MAGIC: u64 = u64::from_le_bytes(*b"BRIGADEP");

/// Words of the head: magic, protocol, post, lanes, incarnation, stop word, and room for more.
const HEAD_WORDS: usize = 64;
/// Words of a lane, four cache lines: what its thread writes disturbs no other.
const LANE_WORDS: usize = 32;

const POST: usize = 2;
const LANES: usize = 3;
const INCARNATION: usize = 4;
const STOP: usize = 16;

const DONE: usize = 0;
const HOLDS_QUEUE: usize = 1;
const HOLDS_ITEM: usize = 2;

/// What the supervisor wants of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum StopWord {
    /// Nothing: work on.
    None,
    /// Take nothing new from outside, finish what is there.
    Drain,
    /// Finish or give back the item in hand.
    Now,
}

/// A page cannot be made or opened.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// The system refused.
    #[error("cannot {what} the page {}: {source}", path.display())]
    Io {
        /// Such as "create".
        what: &'static str,
        /// Of the file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a page, or one of another version.
    #[error("{} is not a usable page: {why}", path.display())]
    Foreign {
        /// Of the file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// A worker's page, mapped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Page {
    head: Words,
    lanes: Words,
}

/// A handler thread's part of the page.
#[derive(Clone, Debug)]
pub struct Lane {
    words: Words,
    first: usize,
}

impl Page {
    /// Makes a page with `lanes` lanes (at least 1) at `path`, instead of one that may be there. Its room is allocated
    /// for real, so that a full disk is an error here and not a SIGBUS later.
    pub fn create(path: &Path, post: Post, lanes: u16) -> Result<Self, PageError> {
        let fail = |source| PageError::Io { what: "create", path: path.to_owned(), source };
        let bytes = (HEAD_WORDS + usize::from(lanes.max(1)) * LANE_WORDS) * 8;
        let _ = std::fs::remove_file(path);
        let made = (|| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)?;
            fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(bytes).map_err(io::Error::other)?)?;
            Region::map(&file, bytes)
        })();
        let page = Self::over(&made.map_err(fail)?, lanes.max(1));
        for (word, value) in [(0, MAGIC), (1, PROTOCOL.into()), (POST, post.0.into()), (LANES, lanes.max(1).into())] {
            page.head.at(word).store(value, Ordering::Relaxed);
        }
        Ok(page)
    }

    /// Opens the page at `path`.
    pub fn open(path: &Path) -> Result<Self, PageError> {
        let fail = |source| PageError::Io { what: "open", path: path.to_owned(), source };
        let foreign = |why: String| PageError::Foreign { path: path.to_owned(), why };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        let bytes = usize::try_from(file.metadata().map_err(fail)?.len()).unwrap_or(0);
        let Some(lanes) = bytes.checked_sub(HEAD_WORDS * 8).map(|rest| rest / (LANE_WORDS * 8)).filter(|n| *n > 0)
        else {
            return Err(foreign("it is too short".into()));
        };
        let lanes = u16::try_from(lanes).map_err(|_| foreign("it is too long".into()))?;
        let page = Self::over(&Region::map(&file, bytes).map_err(fail)?, lanes);
        if page.head.at(0).load(Ordering::Relaxed) != MAGIC {
            return Err(foreign("it does not begin as one".into()));
        }
        let version = page.head.at(1).load(Ordering::Relaxed);
        if version != u64::from(PROTOCOL) {
            return Err(foreign(format!("it has version {version}, this program knows {PROTOCOL}")));
        }
        Ok(page)
    }

    fn over(region: &Arc<Region>, lanes: u16) -> Self {
        Self { head: region.words(0, HEAD_WORDS), lanes: region.words(HEAD_WORDS * 8, usize::from(lanes) * LANE_WORDS) }
    }

    /// The supervisor is about to start this incarnation: it has not been asked to stop.
    pub fn begin(&self, incarnation: Incarnation) {
        for lane in 0..self.lanes() {
            self.lane(lane).release();
        }
        self.head.at(STOP).store(0, Ordering::Relaxed);
        self.head.at(INCARNATION).store(incarnation.0.into(), Ordering::Release); // Pairs with `incarnation`.
    }

    /// Which incarnation it was last made ready for.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.head.at(INCARNATION).load(Ordering::Acquire) as u32) // Pairs with `begin`.
    }

    /// Asks the worker to stop; never takes back an earlier, harder wish. Whoever may be asleep must be woken after it.
    pub fn ask_stop(&self, word: StopWord) {
        // SeqCst: comes before the wake-up that follows, in the order that sleepers rely on.
        self.head.at(STOP).fetch_max(word as u64, Ordering::SeqCst);
    }

    /// What the supervisor wants.
    #[inline]
    pub fn stop(&self) -> StopWord {
        match self.head.at(STOP).load(Ordering::SeqCst) {
            0 => StopWord::None,
            1 => StopWord::Drain,
            2.. => StopWord::Now,
        }
    }

    /// How many lanes it has.
    pub fn lanes(&self) -> u16 {
        (self.lanes.len() / LANE_WORDS) as u16
    }

    /// The lane of handler thread `number`.
    ///
    /// # Panics
    /// If there is none.
    pub fn lane(&self, number: u16) -> Lane {
        assert!(number < self.lanes(), "lane {number} of {}", self.lanes());
        Lane { words: self.lanes.clone(), first: usize::from(number) * LANE_WORDS }
    }

    /// Items that all lanes have finished, through all incarnations.
    pub fn progress(&self) -> u64 {
        (0..self.lanes()).map(|lane| self.lane(lane).progress()).fold(0, u64::wrapping_add)
    }
}

impl Lane {
    fn word(&self, number: usize) -> &crate::sync::AtomicU64 {
        self.words.at(self.first + number)
    }

    /// One more item is finished. Only its own thread calls this.
    #[inline]
    pub fn done(&self) {
        self.done_many(1);
    }

    /// So many more items are finished. Only its own thread calls this.
    #[inline]
    pub fn done_many(&self, more: u64) {
        let done = self.word(DONE);
        done.store(done.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
    }

    /// Items that it has finished.
    pub fn progress(&self) -> u64 {
        self.word(DONE).load(Ordering::Relaxed)
    }

    /// It begins with this item of the stage's input number `queue`.
    #[inline]
    pub fn hold(&self, queue: u16, item: ItemId) {
        self.word(HOLDS_ITEM).store(item.0, Ordering::Relaxed);
        self.word(HOLDS_QUEUE).store(u64::from(queue) + 1, Ordering::Relaxed);
    }

    /// It holds nothing.
    #[inline]
    pub fn release(&self) {
        self.word(HOLDS_QUEUE).store(0, Ordering::Relaxed);
    }

    /// What it holds: the number of the stage's input, and the item.
    pub fn holds(&self) -> Option<(u16, ItemId)> {
        let queue = self.word(HOLDS_QUEUE).load(Ordering::Relaxed);
        (queue != 0).then(|| ((queue - 1) as u16, ItemId(self.word(HOLDS_ITEM).load(Ordering::Relaxed))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_see_the_same_page() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let ours = Page::create(&path, Post(1), 3).expect("created");
        ours.begin(Incarnation(4));
        let theirs = Page::open(&path).expect("opened");
        assert_eq!((theirs.lanes(), theirs.incarnation(), theirs.stop()), (3, Incarnation(4), StopWord::None));
        theirs.lane(0).done();
        theirs.lane(2).done_many(2);
        theirs.lane(2).hold(1, ItemId(7));
        assert_eq!((ours.progress(), ours.lane(2).holds()), (3, Some((1, ItemId(7)))));
        ours.ask_stop(StopWord::Now);
        ours.ask_stop(StopWord::Drain);
        assert_eq!(theirs.stop(), StopWord::Now);
        ours.begin(Incarnation(5));
        assert_eq!((theirs.stop(), theirs.lane(2).holds(), theirs.progress()), (StopWord::None, None, 3));
    }

    #[test]
    fn what_is_no_page_is_refused() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("no.page");
        std::fs::write(&path, [0u8; 4096]).expect("written");
        assert!(matches!(Page::open(&path), Err(PageError::Foreign { .. })));
        std::fs::write(&path, [0u8; 10]).expect("written");
        assert!(matches!(Page::open(&path), Err(PageError::Foreign { .. })));
        assert!(matches!(Page::open(dir.path().join("none").as_path()), Err(PageError::Io { .. })));
    }
}
