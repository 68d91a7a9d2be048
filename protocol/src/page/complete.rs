//! Whether the worker of a page has done all that it had to do in this run of the pipeline. The supervisor writes it down
//! here, so that the run is continued without that worker.

use super::{COMPLETE, Page};
use crate::sync::Ordering;

impl Page {
    /// The worker has ended well, and by itself. The next [`begin`](Page::begin) takes it back.
    pub fn mark_complete(&self) {
        self.head.at(COMPLETE).store(1, Ordering::SeqCst);
    }

    /// Whether the worker has ended well, and by itself. Any other value than the one that is written counts as no.
    pub fn is_complete(&self) -> bool {
        self.head.at(COMPLETE).load(Ordering::SeqCst) == 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Incarnation, Post};

    #[test]
    fn a_worker_is_complete_until_its_next_start() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("1.page");
        let page = Page::create(&path, Post(1), 1).expect("created");
        assert!(!page.is_complete());
        page.mark_complete();
        page.disown();
        let again = Page::open(&path).expect("opened");
        assert!(again.is_complete());
        again.begin(Incarnation(2));
        assert!(!page.is_complete());
    }
}
