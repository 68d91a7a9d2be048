//! Limits that outlast the start of a worker: what it is given in hand because it may not open it, the control group that
//! bounds its memory, and the look at how large it has grown.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use brigade_protocol::descriptors::Use;
use brigade_protocol::id::{Incarnation, Post};

use super::Reactor;
use crate::config::plan::{Plan, StagePlan};
use crate::config::show_size;
use crate::core::action::State;
use crate::core::event::Event;
use crate::effects::group::{Group, Groups};
use crate::effects::hand_over::hand_over;
use crate::effects::share::Shares;
use crate::sources::memory;

/// What is known of the limits of those who run.
#[derive(Debug, Default)]
pub(super) struct Limited {
    /// `None`: no stage wants any, or there can be none.
    groups: Option<Groups>,
    group_of: HashMap<Post, Group>,
    pub(super) shares: Shares,
}

impl Limited {
    /// The plan is another one: it may be the first that asks for something.
    pub(super) fn go_by(&mut self, plan: &Plan) {
        if self.groups.is_none() {
            self.groups = Self::begin(plan).groups;
        }
    }

    /// Makes ready for what the plan asks for, and says which limits are not kept here.
    pub(super) fn begin(plan: &Plan) -> Self {
        let bounded = plan.stages.iter().filter(|stage| stage.limits.memory_max.is_some());
        let names: Vec<&str> = bounded.map(|stage| stage.name.as_str()).collect();
        if names.is_empty() {
            return Self::default();
        }
        let groups = Groups::begin();
        let groups = groups.inspect_err(|why| tracing::warn!("memory_max of {} is not kept: {why}", names.join(", ")));
        Self { groups: groups.ok(), ..Self::default() }
    }
}

impl Reactor {
    /// What a worker that runs as another user is given in hand.
    pub(super) fn in_hand(&self, stage: &StagePlan, door: &str, replica: u16) -> io::Result<Vec<(Use, OwnedFd)>> {
        let Some(uid) = stage.limits.uid().filter(|uid| *uid != nix::unistd::geteuid().as_raw()) else {
            return Ok(Vec::new());
        };
        let mut queues: Vec<_> = stage.inputs.iter().chain(&stage.outputs).copied().collect();
        queues.sort_unstable();
        queues.dedup();
        let names = queues.into_iter().map(|queue| self.core.plan().queues[queue].name.clone());
        let queues: Vec<_> = names.map(|name| (name.clone(), self.dir.queue(&name))).collect();
        hand_over(Path::new(door), &self.dir.page(&stage.name, replica), &queues, uid)
    }

    /// Makes a worker's control group if it is to have one: gives where its process enters.
    pub(super) fn begin_limits(
        &mut self,
        stage: &StagePlan,
        post: Post,
        replica: u16,
        incarnation: Incarnation,
    ) -> io::Result<Option<OwnedFd>> {
        self.end_group(post); // Of a run whose process could not be started.
        let (Some(groups), Some(most)) = (&self.limited.groups, stage.limits.memory_max) else { return Ok(None) };
        let (group, entrance) = groups.make(&stage.name, replica, incarnation.0, most)?;
        self.limited.group_of.insert(post, group);
        Ok(Some(entrance))
    }

    /// Removes the control group of a run that is over. Whether something in it was killed for lack of memory.
    fn end_group(&mut self, post: Post) -> bool {
        match (self.limited.group_of.remove(&post), &mut self.limited.groups) {
            (Some(group), Some(groups)) => groups.end(group),
            (None, _) | (_, None) => false,
        }
    }

    /// The worker is gone: if the kernel killed it for its memory_max, that is the reason to be told.
    pub(super) fn end_limits(&mut self, post: Post, incarnation: Incarnation) {
        let most = self.stage_of(post).and_then(|stage| stage.limits.memory_max);
        if let Some(most) = most
            && self.end_group(post)
        {
            let words = format!("out of memory: it used more than its memory_max of {}", show_size(most));
            self.events.push_back(Event::Failed { post, incarnation, words, permanent: false, outage: false });
        }
    }

    /// Has those replaced that have grown beyond their `max_rss`. Only when they have done something in this run: one that
    /// is too large from the start would be replaced for ever, and nothing would be done.
    pub(super) fn look_at_memory(&mut self) {
        if self.core.plan().stages.iter().all(|stage| stage.limits.max_rss.is_none()) {
            return;
        }
        let (mut events, done) = (Vec::new(), self.progress().by_post());
        for worker in self.core.workers() {
            let at_work = matches!(worker.state, State::Ready | State::Draining);
            let stage = worker.stage.map(|stage| &self.core.plan().stages[stage]);
            let (true, Some(pid), Some(most)) = (at_work, worker.pid, stage.and_then(|stage| stage.limits.max_rss))
            else {
                continue;
            };
            let (post, incarnation) = (worker.post, worker.incarnation);
            let has_done = done.get(&post).is_some_and(|done| *done > 0);
            if let Some(own) = memory::own(pid).filter(|own| *own > most && has_done) {
                let (own, most) = (show_size(own), show_size(most));
                let words = format!("it has grown to {own}, more than its max_rss of {most}");
                events.push(Event::Replace { post, incarnation, words });
            }
        }
        self.events.extend(events);
    }

    fn stage_of(&self, post: Post) -> Option<&StagePlan> {
        let stage = self.core.worker(post)?.stage?;
        Some(&self.core.plan().stages[stage])
    }
}
