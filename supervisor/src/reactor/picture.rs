//! The picture of the pipeline, as it is now.

use std::collections::HashMap;
use std::time::Instant;

use brigade_protocol::id::Post;

use super::Reactor;
use crate::config::plan::{MANAGER_STAGE, StageIx};
use crate::core::action::State;
use crate::core::event::StopLevel;
use crate::core::{StageState, Worker};
use crate::status::{QueueStatus, StageStatus, Status, WorkerStatus, shape_in_words};

/// A state in one word.
pub fn word(state: State) -> &'static str {
    match state {
        State::Pending => "pending",
        State::Starting => "starting",
        State::Ready => "ready",
        State::Draining => "draining",
        State::Stopping => "stopping",
        State::Backoff => "backoff",
        State::Exited => "exited",
        State::Failed => "failed",
    }
}

fn stage_word(state: StageState) -> &'static str {
    match state {
        StageState::Pending => "pending",
        StageState::Starting => "starting",
        StageState::Ready => "ready",
        StageState::Draining => "draining",
        StageState::Stopping => "stopping",
        StageState::Complete => "complete",
        StageState::Stopped => "stopped",
        StageState::Failed => "failed",
    }
}

impl Reactor {
    pub(super) fn picture(&self) -> Status {
        let plan = self.core.plan();
        let now = Instant::now();
        let done = self.progress().by_post();
        let mut stages: Vec<StageStatus> = plan
            .stages
            .iter()
            .enumerate()
            .filter(|(index, stage)| !stage.removed || !self.core.is_gone(*index))
            .map(|(index, stage)| StageStatus {
                name: stage.name.clone(),
                state: self.stage_state(index).to_owned(),
                workers: self
                    .core
                    .workers()
                    .filter(|worker| worker.stage == Some(index))
                    .map(|worker| self.worker(worker, &done, now))
                    .collect(),
            })
            .collect();
        if let Some(manager) = self.core.workers().find(|worker| worker.stage.is_none()) {
            let state = word(manager.state).to_owned();
            stages.push(StageStatus {
                name: MANAGER_STAGE.into(),
                state,
                workers: vec![self.worker(manager, &done, now)],
            });
        }
        let running = |word: &str| stages.iter().any(|stage| stage.state == word);
        let state = match self.core.level() {
            None if running("pending") || running("starting") => "starting",
            None => "running",
            Some(StopLevel::Drain) => "draining",
            Some(StopLevel::Now | StopLevel::Kill) => "stopping",
        };
        Status {
            pipeline: plan.name.clone(),
            state: state.to_owned(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            elapsed_s: now.duration_since(self.started).as_secs_f64(),
            queues: self.queues_in_use().map(|index| self.queue(index)).collect(),
            stages,
            standstill: self.core.standstill().map(str::to_owned),
            outlook: self.outlook(),
            report: None,
        }
    }

    fn stage_state(&self, index: StageIx) -> &'static str {
        match self.core.stage_state(index) {
            Some(StageState::Ready) if self.paused.contains(&index) => "paused",
            Some(state) => stage_word(state),
            None => "pending",
        }
    }

    fn worker(&self, worker: &Worker, done: &HashMap<Post, u64>, now: Instant) -> WorkerStatus {
        let done = [done.get(&worker.post), self.done_before.get(&worker.post)].into_iter().flatten();
        let paused = worker.paused.is_some() && worker.pid.is_some();
        WorkerStatus {
            id: worker.name.clone(),
            pid: worker.pid,
            incarnation: worker.incarnation.0,
            state: if paused { "paused" } else { word(worker.state) }.to_owned(),
            processed: done.fold(self.operations(worker.post), |sum, more| sum.saturating_add(*more)),
            let_go: worker.let_go,
            restarts: worker.restarts.into(),
            last_exit: worker.last_end.clone(),
            last_words: self.last_words.get(&worker.post).cloned().unwrap_or_default(),
            next_start_s: worker.next_start.map(|at| at.saturating_duration_since(now).as_secs_f64()),
            doing: self.doing(worker),
            since_s: worker.since.map_or(0.0, |since| now.saturating_duration_since(since).as_secs_f64()),
        }
    }

    /// The queues of the plan, and those that were removed from it with an item on its way into them.
    fn queues_in_use(&self) -> impl Iterator<Item = usize> {
        let plan = self.core.plan();
        (0..self.queues.len())
            .filter(|index| !plan.queues[*index].removed || self.queues[*index].queue.depth().left() > 0)
    }

    /// What it does at present. What stands in its page is input.
    fn doing(&self, worker: &Worker) -> Option<String> {
        if let Some(words) = self.core.pending_for(worker) {
            return Some(words);
        }
        let pid = worker.pid?;
        if worker.stage.is_none() {
            return self.load_of_manager(pid);
        }
        if let Some(words) = self.noted_status(worker.post, worker.incarnation) {
            return Some(words);
        }
        let (stage, page) = (worker.stage?, self.pages.get(&worker.post)?);
        if let Some(words) = self.waits_in_words(worker, stage) {
            return Some(words);
        }
        let mut lanes = (0..page.lanes()).map(|number| page.lane(number));
        if let Some((input, item)) = lanes.find_map(|lane| lane.holds()) {
            return Some(format!("at {}", self.item_in_words(stage, input, item)));
        }
        let takes = !self.core.plan().stages[stage].inputs.is_empty();
        takes.then(|| "waits for an item".to_owned())
    }

    fn queue(&self, index: usize) -> QueueStatus {
        let in_use = &self.queues[index];
        let (depth, totals) = (in_use.queue.depth(), in_use.queue.totals());
        QueueStatus {
            name: self.core.plan().queues[index].name.clone(),
            capacity: in_use.queue.capacity() as u64,
            ready: depth.ready,
            leased: depth.leased,
            staged: depth.staged,
            late: depth.late,
            retry: depth.retry,
            dead: totals.buried + depth.dead,
            kept: in_use.dead.len(),
            sent: totals.sent,
            acked: totals.acked,
            redelivered: totals.returned,
            shape: shape_in_words(&in_use.queue.shape()),
        }
    }

    /// Keeps the picture in the state folder, for when this process is no more.
    pub(super) fn keep_picture(&self) {
        if let Err(error) = keep(&self.dir, &self.picture()) {
            tracing::warn!(%error, "cannot write {}", self.dir.status().display());
        }
    }
}

/// Writes a picture to the state folder: whole, or not at all.
pub fn keep(dir: &crate::state::StateDir, picture: &Status) -> std::io::Result<()> {
    let new = dir.status().with_extension("json.new");
    std::fs::write(&new, serde_json::to_vec(picture)?)?;
    std::fs::rename(new, dir.status())
}
