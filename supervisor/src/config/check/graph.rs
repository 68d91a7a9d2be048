//! Who feeds whom. Without it a circle that nobody feeds would wait for itself for ever, and one that is fed would
//! never be seen to be complete.

use crate::config::fault::Fault;
use crate::config::plan::{Loop, QueuePlan, StageIx, StagePlan};
use crate::config::raw::RawStage;

/// What each stage can reach along its queues, in one step or more.
pub(super) struct Graph {
    next: Vec<Vec<StageIx>>,
    reach: Vec<Vec<bool>>,
}

impl Graph {
    /// Follows all queues. Work is stages × queue ends; files have tens of stages, not thousands.
    pub(super) fn new(queues: &[QueuePlan], stages: &[StagePlan]) -> Self {
        let fed_by = |stage: &StagePlan| {
            let ends = stage.outputs.iter().flat_map(|queue| &queues[*queue].consumers);
            let mut fed: Vec<StageIx> = ends.copied().collect();
            fed.sort_unstable();
            fed.dedup();
            fed
        };
        let next: Vec<Vec<StageIx>> = stages.iter().map(fed_by).collect();
        let reach = (0..stages.len()).map(|from| reachable(from, &next)).collect();
        Self { next, reach }
    }

    fn share_a_loop(&self, one: StageIx, other: StageIx) -> bool {
        self.reach[one][other] && self.reach[other][one]
    }

    /// The stages of every circle, in the order of the file.
    fn circles(&self) -> Vec<Vec<StageIx>> {
        let mut circles: Vec<Vec<StageIx>> = Vec::new();
        for stage in 0..self.next.len() {
            let known = circles.iter().any(|circle| circle.contains(&stage));
            if self.reach[stage][stage] && !known {
                circles.push((0..self.next.len()).filter(|other| self.share_a_loop(stage, *other)).collect());
            }
        }
        circles
    }

    /// The circles and the queues within them.
    pub(super) fn loops(&self, queues: &[QueuePlan]) -> Vec<Loop> {
        let inside = |circle: &[StageIx], queue: &QueuePlan| {
            queue.producers.iter().any(|stage| circle.contains(stage))
                && queue.consumers.iter().any(|stage| circle.contains(stage))
        };
        let with_queues = |stages: Vec<StageIx>| {
            let queues = (0..queues.len()).filter(|ix| inside(&stages, &queues[*ix])).collect();
            Loop { stages, queues }
        };
        self.circles().into_iter().map(with_queues).collect()
    }

    /// A circle needs somebody outside who sends into it. Only circles with nobody before them are reported: what
    /// comes after one of those is not at fault itself.
    pub(super) fn check_fed(&self, raw: &[RawStage], stages: &[StagePlan], faults: &mut Vec<Fault>) {
        for circle in self.circles() {
            let first = circle[0];
            let fed = (0..stages.len()).any(|other| self.reach[other][first] && !circle.contains(&other));
            if fed {
                continue;
            }
            let names: Vec<_> = circle.iter().map(|ix| format!("{:?}", stages[*ix].name)).collect();
            let message = match names.as_slice() {
                [alone] => format!("stage {alone} feeds only itself: no source sends into this circle"),
                several => {
                    format!("stages {} feed only each other: no source sends into this circle", several.join(", "))
                }
            };
            let place = raw[first].inputs.iter().flatten().next().map_or(raw[first].name.span(), |queue| queue.span());
            let help = "let a stage without inputs send to one of their queues";
            faults.push(Fault::at(place, message).help(help));
        }
    }

    /// The stages that a stage sends to.
    pub(super) fn fed(&self, stage: StageIx) -> &[StageIx] {
        &self.next[stage]
    }

    /// The same but for its own circle, where everybody would wait for everybody.
    pub(super) fn fed_outside(&self, stage: StageIx) -> impl Iterator<Item = StageIx> {
        self.next[stage].iter().copied().filter(move |other| !self.share_a_loop(stage, *other))
    }
}

fn reachable(from: StageIx, next: &[Vec<StageIx>]) -> Vec<bool> {
    let mut seen = vec![false; next.len()];
    let mut open: Vec<StageIx> = vec![from];
    while let Some(stage) = open.pop() {
        for other in &next[stage] {
            if !std::mem::replace(&mut seen[*other], true) {
                open.push(*other);
            }
        }
    }
    seen
}
