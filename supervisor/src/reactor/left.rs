//! What a process leaves behind at its exit, looked at before anything is given back: the core judges its exit by that.

use std::collections::HashSet;
use std::collections::hash_map::{DefaultHasher, Entry, HashMap};
use std::hash::{Hash, Hasher};

use brigade_protocol::id::Post;
use brigade_protocol::queue::InHand;

use super::Reactor;
use crate::config::plan::{ExitCode, Role, StagePlan};
use crate::core::event::{Exit, Left, Progress};

/// So many items in one run are much: after them, what fails now has little to do with what failed before.
const MUCH: u64 = 10;

/// What is remembered of earlier exits of a post.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// The checkpoints at the last exit, as a hash.
    checkpoints: HashMap<Post, u64>,
    /// Posts whose items in hand were to be dead letters after an exit, and were not. They are not believed to be so again
    /// before one is.
    false_alarms: HashSet<Post>,
    /// Posts that have an item in hand whose delivery was the last.
    at_last_delivery: HashSet<Post>,
}

impl Earlier {
    /// The items of a post are swept.
    pub(super) fn swept(&mut self, post: Post, dead: u64) {
        if dead > 0 {
            self.false_alarms.remove(&post);
        } else if self.at_last_delivery.contains(&post) {
            self.false_alarms.insert(post);
        }
        self.at_last_delivery.remove(&post);
    }
}

impl Reactor {
    /// What the run that has just ended leaves behind.
    pub(super) fn left_by(&mut self, post: Post, is_unannounced: bool) -> Left {
        let Some(index) = self.core.worker(post).and_then(|worker| worker.stage) else { return Left::default() };
        let plan = std::sync::Arc::clone(self.core.plan());
        let stage = &plan.stages[index];
        let items_left = stage.inputs.iter().any(|queue| self.queues[*queue].queue.depth().left() > 0);
        let leased = self.leased_by(post, stage);
        let named = |queue: usize, id| format!("item {id} of queue {}", plan.queues[queue].name);
        let in_hand = leased.first().map(|(queue, item)| named(*queue, item.id));
        if leased.iter().any(|(_, item)| item.is_last) {
            self.earlier.at_last_delivery.insert(post);
        }
        let progress = self.progress_of(post, stage);
        Left { items_left, in_hand, unannounced: is_unannounced && !stage.is_plain(), progress }
    }

    /// Items in its hands, with the queues that they came from. Those that its page calls begun come first.
    fn leased_by(&self, post: Post, stage: &StagePlan) -> Vec<(usize, InHand)> {
        let mut leased = Vec::new();
        for index in &stage.inputs {
            let in_use = &self.queues[*index];
            if !in_use.spoilt {
                leased.extend(in_use.queue.in_hand_of(post).into_iter().map(|item| (*index, item)));
            }
        }
        // What stands in a page is input: it changes nothing but the order.
        let page = self.pages.get(&post).filter(|_| !self.is_page_spoilt(post));
        let begun: Vec<_> = page
            .into_iter()
            .flat_map(|page| (0..page.lanes()).filter_map(|lane| page.lane(lane).holds()))
            .filter_map(|(input, item)| Some((*stage.inputs.get(usize::from(input))?, item)))
            .collect();
        leased.sort_by_key(|(queue, item)| !begun.contains(&(*queue, item.id)));
        leased
    }

    /// A source that sends the same again from the beginning makes no progress by that: only its checkpoints tell.
    fn progress_of(&mut self, post: Post, stage: &StagePlan) -> Progress {
        match stage.role() {
            Role::Consumer => {
                let queues = stage.inputs.iter().map(|index| &self.queues[*index]).filter(|in_use| !in_use.spoilt);
                let work = queues.flat_map(|in_use| in_use.queue.work()).filter(|work| work.post == post);
                let acked = work.fold(0u64, |sum, work| sum.saturating_add(work.acked));
                let is_over =
                    self.earlier.at_last_delivery.contains(&post) && !self.earlier.false_alarms.contains(&post);
                match acked {
                    _ if is_over => Progress::Much,
                    0 => Progress::None,
                    1..MUCH => Progress::Some,
                    MUCH.. => Progress::Much,
                }
            }
            Role::Source => {
                let page = self.pages.get(&post).filter(|_| !self.is_page_spoilt(post));
                let Some(page) = page else { return Progress::None };
                let mut hasher = DefaultHasher::new();
                for lane in 0..page.lanes() {
                    page.lane(lane).checkpoint().hash(&mut hasher);
                }
                let now = hasher.finish();
                match self.earlier.checkpoints.entry(post) {
                    Entry::Occupied(before) if *before.get() == now => Progress::None,
                    Entry::Occupied(mut before) => {
                        before.insert(now);
                        Progress::Some
                    }
                    // Where it began is not known: it may have begun there.
                    Entry::Vacant(first) => {
                        first.insert(now);
                        Progress::None
                    }
                }
            }
            Role::Service | Role::Task => Progress::None,
        }
    }

    /// Whether an exit could be taken for a success: then all that the process has said must be known first.
    pub(super) fn may_be_success(&self, post: Post, exit: Exit) -> bool {
        let Some(stage) = self.core.worker(post).and_then(|worker| worker.stage) else { return false };
        let stage = &self.core.plan().stages[stage];
        let code = match exit {
            Exit::Code(code) => u8::try_from(code).ok().map(ExitCode::Code),
            Exit::Signal { signal, core: _ } => Some(ExitCode::Signal(signal)),
        };
        !stage.is_plain() && code.is_some_and(|code| stage.exits.success.contains(&code))
    }
}
