//! When stages feed each other in a circle, none of them can be the first to end: their queues end when nothing is
//! anywhere in the circle any more.

use std::time::Instant;

use super::Reactor;
use crate::core::event::Event;

/// The watch over one loop.
#[derive(Clone, Debug, Default)]
pub struct Watch {
    on: bool,
    /// What all its queues looked like when last seen, if all were idle.
    seen: Option<Vec<u64>>,
    next: Option<Instant>,
}

impl Watch {
    /// Whether it is watched at present.
    pub fn is_on(&self) -> bool {
        self.on
    }

    /// Begins.
    pub fn begin(&mut self) {
        *self = Self { on: true, ..Self::default() };
    }
}

impl Reactor {
    /// Two looks in a row that find every slot of every queue free, in the same laps, prove that between them nothing
    /// was anywhere (see `Queue::idle_stamp`).
    pub(super) fn look_at_loops(&mut self) {
        let now = Instant::now();
        for index in 0..self.loops.len() {
            if !self.loops[index].on || self.loops[index].next.is_some_and(|next| now < next) {
                continue;
            }
            self.loops[index].next = Some(now + super::SOON);
            let seen = self.loop_stamps(index);
            if seen.is_some() && seen == self.loops[index].seen {
                self.loops[index].on = false;
                self.events.push_back(Event::LoopIdle(index));
            }
            self.loops[index].seen = seen;
        }
    }

    fn loop_stamps(&self, index: usize) -> Option<Vec<u64>> {
        let plan = self.core.plan();
        let stages = &plan.loops[index].stages;
        let inputs = stages.iter().flat_map(|stage| &plan.stages[*stage].inputs);
        inputs.map(|queue| self.queues[*queue].queue.idle_stamp()).collect()
    }
}
