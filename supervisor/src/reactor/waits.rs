//! The look at what every thread waits for, by its worker's page: for `status`, and for the core, which finds out whether
//! workers wait for each other. What stands in a page is input.

use std::collections::BTreeSet;
use std::time::Duration;

use brigade_protocol::page::{Lane, Waits, WaitsFor};
use brigade_protocol::queue::Queue;
use brigade_protocol::shm::clock;

use super::Reactor;
use crate::config::plan::{QueueIx, StageIx, StagePlan};
use crate::core::Worker;
use crate::core::action::State;
use crate::core::event::Event;
use crate::core::standstill::{Look, QueueSeen, ThreadSeen, Wait};
use crate::figures::seconds;

/// A wait that is shorter than this is not worth a word about its length.
const WORTH_TELLING: Duration = Duration::from_secs(1);

impl Reactor {
    /// Shows the core what threads wait for. It costs a look at the pages, and a look at queues only when one of them may
    /// be part of a standstill.
    pub(super) fn look_for_standstill(&mut self) {
        let look = self.look_at_waits();
        if !look.threads.is_empty() || self.core.standstill().is_some() {
            self.events.push_back(Event::Looked(Box::new(look)));
        }
    }

    fn look_at_waits(&self) -> Look {
        let plan = self.core.plan();
        let mut look = Look::default();
        let (mut at, mut may_be_one) = (BTreeSet::new(), false);
        for worker in self.core.workers() {
            let is_at_work = matches!(worker.state, State::Ready | State::Draining);
            let (true, Some(stage), Some(page)) = (is_at_work, worker.stage, self.pages.get(&worker.post)) else {
                continue;
            };
            let plan = &plan.stages[stage];
            for number in 0..page.lanes().min(plan.threads) {
                let lane = page.lane(number);
                let life = lane.life(0);
                let waits = lane.waits();
                if waits.is_none() && !plan.inputs.is_empty() && life.begun == 0 && !lane.has_waited() {
                    continue; // A worker that has less threads than its stage says.
                }
                let wait = waits.and_then(|waits| wait_of(waits.what, plan));
                match &wait {
                    Some(Wait::Room(queue, _)) => {
                        may_be_one = true;
                        at.insert(*queue);
                    }
                    Some(Wait::Item(queues)) => {
                        may_be_one |= lane.holds().is_some();
                        at.extend(queues);
                    }
                    None => {}
                }
                let stamp = (waits.map_or(0, |waits| waits.since), life.begun);
                let seen = ThreadSeen { incarnation: worker.incarnation, wait, stamp };
                look.threads.insert((worker.post, number), seen);
            }
        }
        if !may_be_one {
            return Look::default();
        }
        look.queues = at.into_iter().map(|queue| (queue, seen(&self.queues[queue].queue))).collect();
        look
    }

    /// What a worker waits for, in words, if none of its threads is at work: the longest of its waits.
    pub(super) fn waits_in_words(&self, worker: &Worker, stage: StageIx) -> Option<String> {
        let page = self.pages.get(&worker.post)?;
        let lanes = (0..page.lanes()).map(|number| page.lane(number));
        let waits: Option<Vec<Waits>> = lanes.filter(is_in_use).map(|lane| lane.waits()).collect();
        let longest = waits?.into_iter().min_by_key(|waits| waits.since)?;
        Some(in_words(&longest, &self.core.plan().stages[stage], |queue| &self.core.plan().queues[queue].name))
    }
}

/// Whether a thread has shown anything in it.
fn is_in_use(lane: &Lane) -> bool {
    lane.has_waited() || lane.life(0).begun != 0
}

/// What it waits for, in the plan's numbers; `None` if that is no queue of its stage.
fn wait_of(what: WaitsFor, stage: &StagePlan) -> Option<Wait> {
    match what {
        WaitsFor::Room { queue, slots } => Some(Wait::Room(*stage.outputs.get(usize::from(queue))?, slots.into())),
        WaitsFor::Item(queue) => Some(Wait::Item(vec![*stage.inputs.get(usize::from(queue))?])),
        WaitsFor::AnyItem => Some(Wait::Item(stage.inputs.clone())).filter(|_| !stage.inputs.is_empty()),
        WaitsFor::Shared | WaitsFor::Disk => None,
    }
}

fn seen(queue: &Queue) -> QueueSeen {
    let (depth, totals) = (queue.depth(), queue.totals());
    QueueSeen {
        room: depth.free + depth.staged,
        ready: depth.ready + depth.late,
        leased: depth.leased,
        delayed: depth.retry,
        dead: depth.dead,
        totals: (totals.sent, totals.acked, totals.returned),
    }
}

fn in_words<'a>(waits: &Waits, stage: &StagePlan, name: impl Fn(QueueIx) -> &'a String) -> String {
    let what = match wait_of(waits.what, stage) {
        Some(Wait::Room(queue, _)) => format!("room in queue {}", name(queue)),
        // An idle worker: how long is no matter.
        Some(Wait::Item(_)) if waits.what == WaitsFor::AnyItem => return "waits for an item".to_owned(),
        Some(Wait::Item(queues)) => match queues.first() {
            Some(queue) if stage.inputs.len() > 1 => format!("an item of queue {}", name(*queue)),
            Some(_) | None => "an item".to_owned(),
        },
        None if waits.what == WaitsFor::Disk => "space on the disk of the state folder".to_owned(),
        None => "shared state".to_owned(),
    };
    let time = Duration::from_nanos(clock().saturating_sub(waits.since));
    if time < WORTH_TELLING || what == "an item" {
        return format!("waits for {what}");
    }
    format!("waits for {what} for {}", seconds(time.as_secs_f64()))
}
