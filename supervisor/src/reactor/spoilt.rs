//! What becomes of a run whose shared memory a broken worker has written over: it ends, and says so. Going on would
//! hand out garbage; counting would tell lies.

use std::path::PathBuf;

use brigade_protocol::id::Post;

use super::Reactor;
use crate::core::event::{Actor, Event, StopLevel};

/// A file whose content cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spoilt {
    /// The queue's name; `None`: the page of a worker.
    pub queue: Option<String>,
    /// Such as `queue raw`.
    pub what: String,
    /// What cannot be.
    pub why: String,
    /// The file.
    pub path: PathBuf,
}

impl Reactor {
    /// Looks at all queues and pages. The first time that one is found spoilt, it is said, and the run ends: nothing is
    /// swept or taken out of it any more.
    pub(super) fn look_for_spoilt(&mut self) {
        self.look_for_spoilt_in(|_| true);
    }

    /// The same, with no page but this post's: for a sweep, which goes by no other. A thousand deaths at once would
    /// otherwise look at a million pages.
    pub(super) fn look_for_spoilt_of(&mut self, post: Post) {
        self.look_for_spoilt_in(|of| of == post);
    }

    fn look_for_spoilt_in(&mut self, wanted: impl Fn(Post) -> bool) {
        let mut found = Vec::new();
        for (index, in_use) in self.queues.iter().enumerate() {
            let name = &self.core.plan().queues[index].name;
            if in_use.spoilt {
                continue;
            }
            if let Some(why) = in_use.queue.spoilt() {
                let (what, path) = (format!("queue {name}"), self.dir.queue(name));
                found.push((Some(index), Spoilt { queue: Some(name.clone()), what, why, path }));
            }
        }
        for (post, page) in self.pages.iter().filter(|(post, _)| wanted(**post)) {
            let why = page.spoilt().or_else(|| (page.post() != *post).then(|| "it names another worker".to_owned()));
            let Some(why) = why else { continue };
            let (stage, replica) = self.name_of(*post);
            let path = self.dir.page(&stage, replica);
            if !self.spoilt.iter().any(|spoilt| spoilt.path == path) {
                found.push((None, Spoilt { queue: None, what: format!("the page of {stage}/{replica}"), why, path }));
            }
        }
        for (queue, spoilt) in found {
            let Spoilt { what, why, .. } = &spoilt;
            tracing::error!("{what} is spoilt: {why}; a worker must have written over it, so the run ends here");
            if let Some(index) = queue {
                self.queues[index].spoilt = true;
                self.queues[index].queue.wake_all();
            }
            self.spoilt.push(spoilt);
            self.events.push_back(Event::StopAt(StopLevel::Now, Actor::Core));
        }
    }

    /// Whether what this page says cannot be believed.
    pub(super) fn is_page_spoilt(&self, post: Post) -> bool {
        let (stage, replica) = self.name_of(post);
        let path = self.dir.page(&stage, replica);
        self.spoilt.iter().any(|spoilt| spoilt.path == path)
    }
}
