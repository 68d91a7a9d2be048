//! What must hold when a worker starts or stops, and between any two calls of the core.

use brigade_protocol::id::Post;

use super::World;
use crate::core::action::State;

impl World {
    /// A worker starts after all that it needs, and after the end of all that went down with it in a crash.
    pub(super) fn check_start(&self, post: Post) {
        let Some(stage) = self.stage_of(post) else { return };
        let plan = self.core.plan();
        let is_of_stage = |post: &Post| self.stage_of(*post) == Some(stage);
        let was_started = self.runs.keys().any(is_of_stage);
        for worker in self.core.workers().filter(|worker| worker.stage.is_some()) {
            let needed = worker.stage.is_some_and(|other| plan.stages[stage].starts_after.contains(&other));
            let state = self.states.get(&worker.post).copied();
            let does_without = was_started && state == Some(State::Failed);
            let up = self.up.contains(&worker.post) || state == Some(State::Exited) || does_without;
            assert!(!needed || up, "{} is needed and not up", worker.name);
        }
        let Some(group) = plan.group_of(stage) else { return };
        for (other, process) in self.living_of(&group.stages) {
            assert!(!process.goes_down, "{other} is on its way down");
            let since = self.crashed.get(&post).copied().unwrap_or(0);
            let along = self.stage_of(*other).is_some_and(|other| group.takes_along(stage, other));
            assert!(
                !along || process.born > since || self.states.get(other) == Some(&State::Stopping),
                "{other} was to go down"
            );
        }
    }

    /// Who is asked to stop is not needed by anybody who lives, unless that one stays and only comes and goes with it.
    pub(super) fn check_stop(&self, post: Post) {
        let Some(stage) = self.stage_of(post) else { return };
        let only_for_now = self.processes.get(&post).is_some_and(|process| process.goes_down);
        // It may have been asked when it had no process yet, and others go down since. They have not relied on this run.
        let was_never_up = self.core.worker(post).is_some_and(|worker| worker.run.ready.is_none());
        for (other, process) in self.living_of(&self.core.plan().stages[stage].stops_after) {
            assert!(only_for_now && (was_never_up || !process.goes_down), "{other} still needs it");
        }
    }

    /// Whether no worker of a stage has a process or will have one, by the world's own account.
    pub(super) fn is_over(&self, stage: usize) -> bool {
        let mut crew = self.core.workers().filter(|worker| worker.stage == Some(stage));
        crew.all(|worker| {
            let is_over = matches!(worker.state, State::Exited | State::Failed);
            is_over && !self.processes.contains_key(&worker.post) && worker.next_start.is_none()
        })
    }

    /// What must hold between any two calls.
    pub(super) fn check_standing(&self) {
        for worker in self.core.workers() {
            let known = self.states.get(&worker.post).copied().unwrap_or(State::Pending);
            assert_eq!(worker.state, known, "every change of state was told");
            assert_eq!(worker.next_start.is_some(), worker.state == State::Backoff);
            let process = self.processes.get(&worker.post);
            let lives = matches!(worker.state, State::Starting | State::Ready | State::Draining | State::Stopping);
            assert_eq!(process.is_some(), lives, "{} is {:?}", worker.name, worker.state);
            assert_eq!(worker.pid.is_some(), process.is_some_and(|process| process.spawned));
        }
        assert_eq!(self.core.level(), self.level);
        let waits = self.core.deadline().is_some() || !self.processes.is_empty();
        assert!(waits || self.finish.is_some() || !self.begun, "there is always something to wait for");
    }
}
