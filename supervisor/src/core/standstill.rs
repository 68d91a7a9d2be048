//! Standstills: workers of which each waits for room or for an item that only another of them can make.
//!
//! The reactor looks every few seconds at what each thread says in its page that it waits for, and at the queues. Two
//! looks must show the same before anything is concluded. A thread is taken out of the suspects as soon as anybody could
//! help it: a worker that is at work, starts, is paused or is stopped, an item that is ready or that waits for the time
//! of its retry, a free slot. Those that remain wait for each other.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use brigade_protocol::id::{Incarnation, Post};

use super::Core;
use super::action::{Action, State, Verdict};
use super::event::{Actor, StopLevel};
use super::worker::Worker;
use crate::config::plan::{OnStandstill, QueueIx, StageIx};

/// What was seen at one look.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Look {
    /// Every thread of every worker at work; empty if none of them can be part of a standstill.
    pub threads: BTreeMap<Thread, ThreadSeen>,
    /// The queues that any of them waits at.
    pub queues: BTreeMap<QueueIx, QueueSeen>,
}

/// Whose thread it is, and its number there.
pub type Thread = (Post, u16);

/// What was seen of a thread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ThreadSeen {
    /// Of which run of the worker.
    pub incarnation: Incarnation,
    /// What it waits for; `None` if it does not wait, or for something else.
    pub wait: Option<Wait>,
    /// Changes with each wait and with each item that it begins with.
    pub stamp: (u64, u64),
}

/// What a thread waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Wait {
    /// Room for so many items in a queue.
    Room(QueueIx, u64),
    /// An item of any of these queues.
    Item(Vec<QueueIx>),
}

/// A queue.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueSeen {
    /// Slots that are free, or are being written to.
    pub room: u64,
    /// Items that could be taken now.
    pub ready: u64,
    /// Items in workers' hands.
    pub leased: u64,
    /// Items that wait for the time of their retry.
    pub delayed: u64,
    /// Items that the supervisor is about to take out.
    pub dead: u64,
    /// Items sent, acked and returned so far.
    pub totals: (u64, u64, u64),
}

impl QueueSeen {
    /// Whether nothing has moved. A commit that finds no room claims slots and gives them back, which is no movement.
    fn is_still(&self, before: &Self) -> bool {
        Self { room: 0, ..*self } == Self { room: 0, ..*before }
    }
}

/// What is known of standstills.
#[derive(Debug, Default)]
pub(super) struct Watch {
    before: Look,
    /// The present one, in words.
    standing: Option<String>,
}

impl Core {
    /// The present standstill, in words.
    pub fn standstill(&self) -> Option<&str> {
        self.standstills.standing.as_deref()
    }

    /// One more look. A standstill is told when it begins, changes, and is over.
    pub(super) fn looked(&mut self, look: Look, now: Instant) {
        if self.level() >= Some(StopLevel::Now) {
            return; // What stands still at the end is part of the report.
        }
        let words = self.find_standstill(&look);
        self.standstills.before = look;
        if words == self.standstills.standing {
            return;
        }
        self.standstills.standing.clone_from(&words);
        self.out.push(Action::Standstill(words.clone()));
        if let (Some(words), OnStandstill::End) = (words, self.plan.on_standstill) {
            self.ladder.blame(Verdict::Standstill { words });
            self.raise(StopLevel::Now, Actor::Core, now);
        }
    }

    fn find_standstill(&self, look: &Look) -> Option<String> {
        let mut stuck: BTreeMap<Thread, &Wait> =
            look.threads.iter().filter_map(|(id, thread)| Some((*id, self.stuck_wait(*id, thread)?))).collect();
        loop {
            let stages = 0..self.plan.stages.len();
            let helpers: Vec<bool> = stages.map(|stage| self.can_help(stage, look, &stuck)).collect();
            let before = stuck.len();
            stuck.retain(|_, wait| self.is_hopeless_wait(wait, look, &helpers));
            if stuck.len() == before {
                break;
            }
        }
        let stuck: Vec<(&Worker, &Wait)> =
            stuck.into_iter().filter_map(|((post, _), wait)| Some((self.worker(post)?, wait))).collect();
        self.circle_in_words(&stuck, look)
    }

    /// What a thread waits for, if it has waited for that since the look before and nothing else hinders it.
    fn stuck_wait<'a>(&self, id: Thread, thread: &'a ThreadSeen) -> Option<&'a Wait> {
        let worker = self.worker(id.0)?;
        let at_work = matches!(worker.state, State::Ready | State::Draining)
            && worker.incarnation == thread.incarnation
            && worker.paused.is_none()
            && worker.run.asked.is_none();
        let is_same = self.standstills.before.threads.get(&id) == Some(thread);
        thread.wait.as_ref().filter(|_| at_work && is_same)
    }

    /// Whether anybody of a stage can do something: it has a worker that has not ended for good, and of which a thread does
    /// not wait with the stuck ones.
    fn can_help(&self, stage: StageIx, look: &Look, stuck: &BTreeMap<Thread, &Wait>) -> bool {
        self.crew(stage).filter(|worker| !worker.is_over()).any(|worker| {
            let mut its = look.threads.range((worker.post, 0)..=(worker.post, u16::MAX)).peekable();
            its.peek().is_none() || its.any(|(id, _)| !stuck.contains_key(id))
        })
    }

    /// Whether a wait cannot end by itself, nor by any stage that can help (`helpers`, by stage).
    fn is_hopeless_wait(&self, wait: &Wait, look: &Look, helpers: &[bool]) -> bool {
        let seen = |queue: &QueueIx| {
            let (now, before) = (look.queues.get(queue)?, self.standstills.before.queues.get(queue)?);
            (now.is_still(before) && now.delayed == 0).then_some(now)
        };
        let helps = |stages: &[StageIx]| stages.iter().any(|stage| helpers[*stage]);
        match wait {
            Wait::Room(queue, slots) => seen(queue).is_some_and(|now| {
                let consumers = &self.plan.queues[*queue].consumers;
                // A queue that nobody takes from any more has rules of its own.
                let is_left = consumers.iter().all(|stage| self.is_complete(*stage));
                now.room < *slots && now.dead == 0 && !is_left && !helps(consumers)
            }),
            Wait::Item(queues) => queues.iter().all(|queue| {
                seen(queue).is_some_and(|now| {
                    let plan = &self.plan.queues[*queue];
                    now.ready == 0 && !helps(&plan.producers) && (now.leased == 0 || !helps(&plan.consumers))
                })
            }),
        }
    }

    /// The stages of which one could end a wait.
    fn helpers_of(&self, wait: &Wait, look: &Look) -> Vec<StageIx> {
        match wait {
            Wait::Room(queue, _) => self.plan.queues[*queue].consumers.clone(),
            Wait::Item(queues) => queues
                .iter()
                .flat_map(|queue| {
                    let plan = &self.plan.queues[*queue];
                    let holders = look.queues.get(queue).is_some_and(|seen| seen.leased > 0);
                    plan.producers.iter().chain(plan.consumers.iter().filter(move |_| holders))
                })
                .copied()
                .collect(),
        }
    }

    /// Those of the stuck that wait for each other, in words. The others wait for these, and would be no help. `None` if
    /// nothing is in any of them: then they wait for what comes from outside.
    fn circle_in_words(&self, stuck: &[(&Worker, &Wait)], look: &Look) -> Option<String> {
        let mut ways: BTreeMap<StageIx, BTreeSet<StageIx>> = BTreeMap::new();
        for (worker, wait) in stuck {
            ways.entry(worker.stage?).or_default().extend(self.helpers_of(wait, look));
        }
        let in_circle: BTreeSet<StageIx> = ways.keys().copied().filter(|stage| leads_back(*stage, &ways)).collect();
        let circle: Vec<&(&Worker, &Wait)> =
            stuck.iter().filter(|(worker, _)| worker.stage.is_some_and(|stage| in_circle.contains(&stage))).collect();
        let holds_any = circle.iter().any(|(_, wait)| match wait {
            Wait::Room(..) => true,
            Wait::Item(queues) => queues.iter().any(|queue| look.queues.get(queue).is_some_and(|seen| seen.leased > 0)),
        });
        if !holds_any {
            return None;
        }
        let mut waits: BTreeMap<(StageIx, &Wait), BTreeSet<&str>> = BTreeMap::new();
        for (worker, wait) in circle {
            waits.entry((worker.stage?, wait)).or_default().insert(&worker.name);
        }
        let parts = waits.iter().map(|((stage, wait), workers)| {
            let who = match (workers.len(), workers.first()) {
                (1, Some(name)) => format!("{name} waits"),
                (number, _) => format!("{number} workers of {} wait", self.plan.stages[*stage].name),
            };
            format!("{who} for {}", self.wait_in_words(wait, look))
        });
        Some(parts.collect::<Vec<_>>().join(", "))
    }

    fn wait_in_words(&self, wait: &Wait, look: &Look) -> String {
        let name = |queue: &QueueIx| self.plan.queues[*queue].name.as_str();
        match wait {
            Wait::Room(queue, 0 | 1) => format!("room in queue {}", name(queue)),
            Wait::Room(queue, slots) => format!("room for {slots} items in queue {}", name(queue)),
            Wait::Item(queues) => {
                let names: Vec<&str> = queues.iter().map(name).collect();
                let noun = if names.len() == 1 { "queue" } else { "queues" };
                let held: u64 = queues.iter().filter_map(|queue| look.queues.get(queue)).map(|seen| seen.leased).sum();
                let held = match held {
                    0 => String::new(),
                    1 => " (1 item of it is in a worker's hands)".to_owned(),
                    held => format!(" ({held} items of it are in workers' hands)"),
                };
                format!("an item of {noun} {}{held}", names.join(", "))
            }
        }
    }
}

/// Whether a stage is reached from itself.
fn leads_back(stage: StageIx, ways: &BTreeMap<StageIx, BTreeSet<StageIx>>) -> bool {
    let (mut seen, mut open) = (BTreeSet::new(), vec![stage]);
    while let Some(next) = open.pop() {
        for to in ways.get(&next).into_iter().flatten() {
            if *to == stage {
                return true;
            }
            if seen.insert(*to) {
                open.push(*to);
            }
        }
    }
    false
}
