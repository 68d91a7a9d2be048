//! A worker's page: a small mapped file per post, in which the worker shows how far it is and finds its stop word.
//!
//! The supervisor makes it and reads it; nobody sends heartbeats. It outlives the worker, so that its batches and
//! checkpoints go on through restarts. Each handler thread writes to a lane of its own. How much it has done stands at the
//! queues, in the places of its members. What a worker writes to its page is input: the supervisor reads numbers, and follows
//! none of them.

mod complete;
mod lane;
mod life;
mod operations;
mod renew;
mod wait;

pub use lane::{Lane, MAX_CHECKPOINT};
pub use life::Life;
pub use wait::{Waiting, Waits, WaitsFor};

use crate::sync::Ordering;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{FallocateFlags, fallocate};

use crate::control::PROTOCOL;
use crate::id::{Incarnation, Post};
use crate::shm::{EventCount, Region, Words, boot_id};
use lane::{COMMITTED, FINISH, LANE_BYTES, SHARED};

const MAGIC: u64 = u64::from_le_bytes(*b"BRIGADEP");

/// Words of the head: magic, protocol, post, lanes, incarnation, stop word, whether it is paused, the bell, operations,
/// whether its worker is complete, and room for more.
const HEAD_WORDS: usize = 64;

const POST: usize = 2;
const LANES: usize = 3;
const INCARNATION: usize = 4;
const BOOT: usize = 5;
const STOP: usize = 16;
const PAUSED: usize = 17;
const BELL: usize = 18;
const OPERATIONS: usize = 24;
const COMPLETE: usize = 32;

/// More than any count can be.
const MOST: u64 = 1 << 48;

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
        /// The error of the system.
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
    /// Another program's way to write a page.
    #[error("page {} has format {found}, and this program knows format {PROTOCOL}", path.display())]
    Version {
        /// Of the file.
        path: PathBuf,
        /// What it has.
        found: u64,
    },
    /// The machine was started anew since.
    #[error("page {} is from before the last start of this machine: its content cannot be trusted", path.display())]
    Rebooted {
        /// Of the file.
        path: PathBuf,
    },
}

/// A worker's page, mapped. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Page {
    region: Arc<Region>,
    head: Words,
    lanes: Words,
}

impl Page {
    /// Makes a page with `lanes` lanes (at least 1) at `path`, instead of one that may be there. Its room is allocated
    /// for real, so that a full disk is an error here and not a SIGBUS later. If the process dies in the middle, a file
    /// named `….new` is left, and what was at `path` is as it was.
    pub fn create(path: &Path, post: Post, lanes: u16) -> Result<Self, PageError> {
        Self::make(path, post, lanes, |_| {})
    }

    fn make(path: &Path, post: Post, lanes: u16, fill: impl FnOnce(&Self)) -> Result<Self, PageError> {
        let fail = |source| PageError::Io { what: "create", path: path.to_owned(), source };
        let lanes = lanes.max(1);
        let bytes = HEAD_WORDS * 8 + usize::from(lanes) * LANE_BYTES;
        let new = path.with_extension("new");
        let _ = std::fs::remove_file(&new);
        let [boot, more] = boot_id().map_err(fail)?;
        let made = (|| {
            let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&new)?;
            fallocate(&file, FallocateFlags::empty(), 0, i64::try_from(bytes).map_err(io::Error::other)?)?;
            let page = Self::over(&Region::map(&file, bytes)?, lanes);
            let fixed = [(0, MAGIC), (1, PROTOCOL.into()), (LANES, lanes.into()), (BOOT, boot), (BOOT + 1, more)];
            page.head.at(POST).store(post.0.into(), Ordering::Relaxed);
            for (word, value) in fixed {
                page.head.at(word).store(value, Ordering::Relaxed);
            }
            fill(&page);
            std::fs::rename(&new, path)?;
            Ok(page)
        })();
        if made.is_err() {
            let _ = std::fs::remove_file(&new);
        }
        made.map_err(fail)
    }

    /// Opens the page at `path`.
    pub fn open(path: &Path) -> Result<Self, PageError> {
        let fail = |source| PageError::Io { what: "open", path: path.to_owned(), source };
        let file = OpenOptions::new().read(true).write(true).open(path).map_err(fail)?;
        Self::of_file(path, &file)
    }

    /// The same for a file that is open already; `path` is for words alone.
    pub fn of_file(path: &Path, file: &File) -> Result<Self, PageError> {
        let fail = |source| PageError::Io { what: "open", path: path.to_owned(), source };
        let foreign = |why: String| PageError::Foreign { path: path.to_owned(), why };
        let bytes = usize::try_from(file.metadata().map_err(fail)?.len()).unwrap_or(0);
        let Some(lanes) = bytes.checked_sub(HEAD_WORDS * 8).map(|rest| rest / LANE_BYTES).filter(|n| *n > 0) else {
            return Err(foreign("it is too short".into()));
        };
        let lanes = u16::try_from(lanes).map_err(|_| foreign("it is too long".into()))?;
        let page = Self::over(&Region::map(file, bytes).map_err(fail)?, lanes);
        if page.head.at(0).load(Ordering::Relaxed) != MAGIC {
            return Err(foreign("it does not begin as one".into()));
        }
        let version = page.head.at(1).load(Ordering::Relaxed);
        if version != u64::from(PROTOCOL) {
            return Err(PageError::Version { path: path.to_owned(), found: version });
        }
        let boot = [BOOT, BOOT + 1].map(|word| page.head.at(word).load(Ordering::Relaxed));
        if boot != boot_id().map_err(fail)? {
            return Err(PageError::Rebooted { path: path.to_owned() });
        }
        match page.spoilt() {
            None => Ok(page),
            Some(why) => Err(foreign(why)),
        }
    }

    /// What in it cannot be, in words; `None` if nothing is wrong as far as can be seen.
    pub fn spoilt(&self) -> Option<String> {
        let word = |number| self.head.at(number).load(Ordering::Relaxed);
        let fixed = word(0) == MAGIC && word(1) == u64::from(PROTOCOL) && word(LANES) == u64::from(self.lanes());
        let in_head =
            fixed && word(POST) <= u64::from(u16::MAX) && word(STOP) <= StopWord::Now as u64 && word(PAUSED) <= 1;
        if !in_head || word(INCARNATION) > u64::from(u32::MAX) {
            return Some("its head was written over".to_owned());
        }
        for number in 0..self.lanes() {
            let lane = self.lane(number);
            // The batch that is at work is the next one, as far as a worker can be after a million years.
            let numbers = [COMMITTED, FINISH, SHARED].map(|word| lane.word(word).load(Ordering::Relaxed));
            let long = (0..2).any(|half| {
                let word = |word| lane.checkpoint_word(half, word).load(Ordering::SeqCst);
                word(0) != 0 && word(1) > MAX_CHECKPOINT as u64
            });
            if long || numbers.iter().any(|number| *number > MOST) {
                return Some(format!("its lane {number} holds numbers that cannot be"));
            }
        }
        self.region.is_cut().then(|| "its file was cut short while it was in use".to_owned())
    }

    fn over(region: &Arc<Region>, lanes: u16) -> Self {
        Self {
            region: Arc::clone(region),
            head: region.words(0, HEAD_WORDS),
            lanes: region.words(HEAD_WORDS * 8, usize::from(lanes) * LANE_BYTES / 8),
        }
    }

    /// The supervisor is about to start this incarnation: it has not been asked to stop.
    pub fn begin(&self, incarnation: Incarnation) {
        for lane in 0..self.lanes() {
            self.lane(lane).release();
            self.lane(lane).forget_waits();
        }
        self.head.at(STOP).store(0, Ordering::Relaxed);
        self.head.at(OPERATIONS).store(0, Ordering::Relaxed);
        self.head.at(COMPLETE).store(0, Ordering::Relaxed);
        self.head.at(INCARNATION).store(incarnation.0.into(), Ordering::Release); // Pairs with `incarnation`.
    }

    /// It is nobody's, until it is [renewed](Page::renew).
    pub fn disown(&self) {
        self.head.at(POST).store(0, Ordering::Relaxed);
    }

    /// Whose it is.
    pub fn post(&self) -> Post {
        Post(self.head.at(POST).load(Ordering::Relaxed) as u16)
    }

    /// Which incarnation it was last made ready for.
    pub fn incarnation(&self) -> Incarnation {
        Incarnation(self.head.at(INCARNATION).load(Ordering::Acquire) as u32) // Pairs with `begin`.
    }

    /// Asks the worker to stop; never takes back an earlier, harder wish. Whoever may be asleep at a queue must be woken
    /// after it.
    pub fn ask_stop(&self, word: StopWord) {
        // SeqCst: comes before the wake-ups that follow, in the order that sleepers rely on.
        self.head.at(STOP).fetch_max(word as u64, Ordering::SeqCst);
        self.bell().notify_all();
    }

    /// At which the worker's threads sleep when they wait for nothing but time. It is rung when the stop word changes or the
    /// stage is paused; who marks an item late rings it as well. No process has to live for it to work (see [`EventCount`]).
    pub fn bell(&self) -> EventCount {
        self.region.event(BELL * 8)
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

    /// Has the worker take nothing new until this is taken back, or not any more. It outlives the run: whoever starts the
    /// next one says it anew. Whoever may be asleep at a queue must be woken after it.
    pub fn set_paused(&self, paused: bool) {
        // SeqCst: comes before the wake-ups that follow, as in `ask_stop`.
        self.head.at(PAUSED).store(paused.into(), Ordering::SeqCst);
        self.bell().notify_all();
    }

    /// Whether the worker is to take nothing new for now.
    #[inline]
    pub fn is_paused(&self) -> bool {
        self.head.at(PAUSED).load(Ordering::SeqCst) != 0
    }

    /// How many lanes it has.
    pub fn lanes(&self) -> u16 {
        (self.lanes.len() * 8 / LANE_BYTES) as u16
    }

    /// The lane of handler thread `number`.
    ///
    /// # Panics
    /// If there is none.
    pub fn lane(&self, number: u16) -> Lane {
        assert!(number < self.lanes(), "lane {number} of {}", self.lanes());
        Lane::new(&self.region, &self.lanes, number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::ItemId;

    #[test]
    fn both_sides_see_the_same_page() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let ours = Page::create(&path, Post(1), 3).expect("created");
        ours.begin(Incarnation(4));
        let theirs = Page::open(&path).expect("opened");
        assert_eq!((theirs.lanes(), theirs.incarnation(), theirs.stop()), (3, Incarnation(4), StopWord::None));
        assert!(!theirs.is_paused());
        ours.set_paused(true);
        assert!(theirs.is_paused() && theirs.spoilt().is_none());
        ours.set_paused(false);
        assert!(!theirs.is_paused());
        theirs.lane(2).hold(1, ItemId(7));
        assert_eq!(ours.lane(2).holds(), Some((1, ItemId(7))));
        ours.ask_stop(StopWord::Now);
        ours.ask_stop(StopWord::Drain);
        assert_eq!(theirs.stop(), StopWord::Now);
        ours.begin(Incarnation(5));
        assert_eq!((theirs.stop(), theirs.lane(2).holds()), (StopWord::None, None));
    }

    #[test]
    fn a_checkpoint_holds_when_its_batch_is_committed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let page = Page::create(&path, Post(1), 2).expect("created");
        let lane = page.lane(1);
        assert_eq!(lane.checkpoint(), None);
        assert!(lane.write_checkpoint(1, b"one"));
        assert_eq!(lane.checkpoint(), None);
        lane.commit(1);
        assert_eq!(lane.checkpoint().as_deref(), Some(&b"one"[..]));
        lane.commit(2);
        assert!(lane.write_checkpoint(3, &[7; MAX_CHECKPOINT]) && !lane.write_checkpoint(3, &[7; MAX_CHECKPOINT + 1]));
        assert_eq!(lane.checkpoint().as_deref(), Some(&b"one"[..]));
        lane.commit(3);
        assert!(lane.write_checkpoint(4, b"not committed"));
        let again = Page::renew(&path, Post(5), 2).expect("opened");
        assert_eq!((again.post(), again.lane(1).checkpoint()), (Post(5), Some(vec![7; MAX_CHECKPOINT])));
        assert_eq!(again.lane(0).checkpoint(), None);
        let wider = Page::renew(&path, Post(5), 3).expect("made anew");
        assert_eq!((wider.lane(1).checkpoint(), wider.lane(2).checkpoint()), (Some(vec![7; MAX_CHECKPOINT]), None));
    }

    #[test]
    fn what_a_batch_left_that_was_not_committed_does_not_come_true_with_the_next_one() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let lane = Page::create(&path, Post(1), 1).expect("created").lane(0);
        assert!(lane.write_checkpoint(1, b"first"));
        lane.commit(1);
        // One that dies here, and another in its place that commits something else as number 2.
        lane.begin_batch();
        assert!(lane.write_checkpoint(2, b"never"));
        lane.mark_finish(2);
        lane.mark_shared(2);
        let lane = Page::open(&path).expect("opened").lane(0);
        lane.begin_batch();
        lane.commit(2);
        assert_eq!(lane.checkpoint().as_deref(), Some(&b"first"[..]));
        assert!(!lane.has_finished() && !lane.has_shared(2) && !lane.may_have_shared());
    }

    #[test]
    fn a_lane_stays_until_the_manager_has_seen_what_it_changed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let lane = Page::create(&path, Post(1), 3).expect("created").lane(1);
        lane.mark_shared(1);
        lane.commit(1);
        let fewer = Page::renew(&path, Post(1), 1).expect("made anew");
        assert!(fewer.lanes() == 2 && fewer.lane(1).has_shared(1));
        fewer.lane(1).settle_shared(1);
        assert_eq!(Page::renew(&path, Post(1), 1).expect("made anew").lanes(), 1);
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
