//! The page of an earlier run for the next one: what it holds is taken over, and what is missing is said to be missing.

use std::io;
use std::path::Path;

use super::lane::SHARED;
use super::{Lane, POST, Page, PageError};
use crate::id::Post;
use crate::sync::Ordering;

impl Page {
    /// Makes a page with `lanes` lanes at `path`, as [`Page::create`] does, in the place of a page that could not be used: what its worker had committed is [not
    /// known](Lane::is_unknown).
    pub fn create_unknown(path: &Path, post: Post, lanes: u16) -> Result<Self, PageError> {
        Self::make(path, post, lanes, |page| (0..page.lanes()).for_each(|number| page.lane(number).mark_unknown()))
    }

    /// The page of an earlier run, now for this post: with its committed batches and checkpoints. Makes a new one if there
    /// is none. Only when nothing of the earlier run lives, and after the sweep of what it held.
    ///
    /// # Errors
    /// There is one that cannot be used: it may hold a checkpoint, so nothing takes its place.
    pub fn renew(path: &Path, post: Post, lanes: u16) -> Result<Self, PageError> {
        let old = match Self::open(path) {
            Ok(old) => old,
            Err(PageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                return Self::create(path, post, lanes);
            }
            Err(error) => return Err(error),
        };
        // A lane stays, whether or not a thread uses it, if the manager has not seen its last batch, or if it holds a
        // checkpoint: there may be a thread for it again.
        let is_needed = |lane: Lane| lane.may_have_shared() || lane.checkpoint().is_some();
        let needed = (0..old.lanes()).rev().find(|number| is_needed(old.lane(*number)));
        let lanes = lanes.max(1).max(needed.map_or(0, |number| number + 1));
        if old.lanes() == lanes {
            old.head.at(POST).store(post.0.into(), Ordering::Relaxed);
            return Ok(old);
        }
        // Another number of threads: those that stay keep their checkpoints.
        let is_unknown = (0..old.lanes()).any(|number| old.lane(number).is_unknown());
        Self::make(path, post, lanes, |page| {
            if is_unknown {
                (0..page.lanes()).for_each(|number| page.lane(number).mark_unknown());
            }
            for number in 0..old.lanes().min(page.lanes()) {
                let (from, to) = (old.lane(number), page.lane(number));
                if let Some(checkpoint) = from.checkpoint() {
                    to.write_checkpoint(from.committed(), &checkpoint);
                }
                to.word(SHARED).store(from.word(SHARED).load(Ordering::SeqCst), Ordering::SeqCst);
                to.commit(from.committed());
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::Post;

    #[test]
    fn a_checkpoint_that_is_not_known_stays_so_over_another_number_of_threads() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let page = Page::create_unknown(&path, Post(1), 1).expect("created");
        assert!(page.lane(0).is_unknown() && page.lane(0).checkpoint().is_none());
        let wider = Page::renew(&path, Post(1), 2).expect("made again");
        assert!(wider.lane(0).is_unknown() && wider.lane(1).is_unknown());
        wider.lane(0).settle_unknown();
        let page = Page::renew(&path, Post(2), 2).expect("opened");
        assert!(!page.lane(0).is_unknown() && page.lane(1).is_unknown());
    }

    #[test]
    fn no_page_takes_the_place_of_one_that_cannot_be_used_nor_drops_a_checkpoint() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let page = Page::create(&path, Post(1), 3).expect("created");
        page.lane(2).write_checkpoint(1, b"two");
        page.lane(2).commit(1);
        Page::renew(&path, Post(1), 1).expect("one thread");
        let again = Page::renew(&path, Post(1), 3).expect("three again");
        assert_eq!(again.lane(2).checkpoint().as_deref(), Some(&b"two"[..]));
        std::fs::write(&path, [0u8; 4096]).expect("written");
        assert!(matches!(Page::renew(&path, Post(1), 3), Err(PageError::Foreign { .. })));
        assert_eq!(std::fs::read(&path).expect("read"), [0u8; 4096]);
    }
}
