//! Sources that begin from the start: a new run of a source without a checkpoint sends again what the runs before have sent.
//! The operator is told so. It is not refused, since a source can know by other means what it has done.

use brigade_protocol::id::Post;

use super::Reactor;
use crate::config::plan::difference::Difference;
use crate::config::plan::{Role, StageIx};
use crate::orders::{Order, in_words};

impl Reactor {
    /// What a new run of these workers repeats, in words, a line for each stage.
    pub(super) fn repeats(&self, posts: &[Post]) -> Vec<String> {
        let sent = self.progress().by_post();
        let mut stages: Vec<StageIx> = Vec::new();
        for post in posts {
            let Some(worker) = self.core.worker(*post).filter(|worker| !worker.is_done()) else { continue };
            let Some(stage) = worker.stage else { continue };
            let is_source = self.core.plan().stages[stage].role() == Role::Source;
            let before = [sent.get(post), self.done_before.get(post)].into_iter().flatten().any(|sent| *sent > 0);
            if is_source && before && !self.has_checkpoint(*post) && !stages.contains(&stage) {
                stages.push(stage);
            }
        }
        let name = |stage: &StageIx| &self.core.plan().stages[*stage].name;
        stages.iter().map(|stage| repeated(name(stage))).collect()
    }

    pub(super) fn has_checkpoint(&self, post: Post) -> bool {
        let page = self.pages.get(&post);
        page.is_some_and(|page| (0..page.lanes()).any(|lane| page.lane(lane).checkpoint().is_some()))
    }

    /// What another plan makes stages repeat, or continue under another environment, in words.
    pub(super) fn doubts(&self, found: &Difference) -> Vec<String> {
        let is_renewed = |stage: Option<StageIx>| stage.is_some_and(|stage| found.renewed.contains(&stage));
        let workers = self.core.workers().filter(|worker| is_renewed(worker.stage));
        let posts: Vec<Post> = workers.map(|worker| worker.post).collect();
        let mut words = self.repeats(&posts);
        for stage in found.renewed.iter().filter(|stage| self.keeps_checkpoints(**stage)) {
            let (before, after) = (&self.core.plan().stages[*stage], &found.plan.stages[*stage]);
            words.extend(in_words(&after.name, &Order::of(before).other_env(&Order::of(after))));
        }
        words
    }
}

fn repeated(stage: &str) -> String {
    format!(
        "stage {stage} is a source without a checkpoint: it begins from the start, and sends again what it has sent"
    )
}
