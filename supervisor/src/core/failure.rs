//! Failures: which exits are failures although their code means success, how long the supervisor keeps trying after
//! failures, and what it does when it gives up.

use std::time::Instant;

use super::Core;
use super::action::{State, Verdict};
use super::backoff::{PROVED, after, wait};
use super::event::{Actor, Exit, Left, Progress, StopLevel};
use super::exit::Meaning;
use super::intensity::{Limit, Spent};
use crate::config::plan::Role;

/// What a program must do that a stage with queues runs.
const NO_HELLO: &str = "before it said hello to the supervisor: the program of a stage with inputs or outputs must be \
                        written with the SDK, and may not end before it says hello";

impl Core {
    /// Why an exit is no success whatever its code is, as the end of a sentence about the exit; `None`: its code counts.
    pub(super) fn why_no_success(&self, ix: usize, exit: Exit, left: &Left) -> Option<String> {
        let worker = &self.workers[ix];
        let stage = &self.plan.stages[worker.stage?];
        if stage.is_plain() || worker.run.killed || worker.run.hung {
            return None;
        }
        if !self.is_introduced(ix) && worker.run.words.is_none() {
            return Some(NO_HELLO.to_owned());
        }
        if Meaning::of(exit, &stage.exits) != Meaning::Success {
            return None;
        }
        if let Some(item) = &left.in_hand {
            return Some(format!("while it had {item} in hand"));
        }
        // Another code than 0 is a success only because the pipeline file says so.
        (left.unannounced && exit == Exit::Code(0)).then(|| {
            "before its work was done: its program called exit instead of returning from the SDK's function".to_owned()
        })
    }

    /// Whether the process of a worker has shown that it is one: by its hello, or by being ready. A plain process need not.
    pub(super) fn is_introduced(&self, ix: usize) -> bool {
        let worker = &self.workers[ix];
        let is_plain = worker.stage.is_none_or(|stage| self.plan.stages[stage].is_plain());
        is_plain || worker.run.hello || worker.run.ready.is_some()
    }

    /// It crashed, or its start failed: again after a wait, unless the limits of restarts say that it is given up.
    pub(super) fn restart(&mut self, ix: usize, cause: String, progress: Progress, now: Instant) {
        let worker = &mut self.workers[ix];
        let (rules, ready, outage) = (worker.rules, worker.run.ready, worker.run.outage);
        let worked_for = |time| ready.is_some_and(|ready| now.saturating_duration_since(ready) >= time);
        if worked_for(PROVED) || progress == Progress::Much {
            worker.failures = 0;
        }
        if worked_for(rules.restart_period) || progress != Progress::None {
            worker.intensity.forget();
        }
        let limit = Limit::of(&rules);
        let spent = if outage { worker.intensity.outage(&limit, now) } else { worker.intensity.crash(&limit, now) };
        let of_group = if outage { None } else { self.limit_of_group(ix, progress, now) };
        if let Some(reason) = spent.map(|spent| spent.words(&rules)).or(of_group) {
            if self.is_dispensable(ix) {
                self.drop_addition(ix, &format!("{reason}, last: {cause}"), now);
            } else {
                self.give_up(ix, reason, cause, now);
            }
            return;
        }
        let worker = &mut self.workers[ix];
        let wait = wait(rules.backoff, rules.backoff_max, worker.failures, &mut self.random);
        worker.failures = worker.failures.saturating_add(1);
        worker.next_start = Some(after(now, wait));
        self.change(ix, State::Backoff, format!("{cause}; next start in {wait:?}"), Actor::Core, now);
        self.take_along(ix, now);
    }

    /// It is not started again, and the whole pipeline stops, unless it is on trial.
    pub(super) fn give_up(&mut self, ix: usize, reason: String, cause: String, now: Instant) {
        let words = format!("{cause}; given up: {reason}");
        let verdict = Verdict::GaveUp { worker: self.workers[ix].name.clone(), reason, words: cause };
        if self.workers[ix].trial.is_some() {
            self.fail_alone(ix, verdict, &words, now);
            return;
        }
        self.ladder.blame(verdict);
        self.change(ix, State::Failed, words, Actor::Core, now);
        self.raise(StopLevel::Now, Actor::Core, now);
    }

    /// A source or task has failed, and its stage is temporary: the others work on, but the run is not complete.
    pub(super) fn has_failed_for_good(&mut self, ix: usize, cause: &str) {
        let worker = &self.workers[ix];
        match worker.rules.role {
            Role::Source | Role::Task => {
                self.ladder.blame(Verdict::Failed { worker: worker.name.clone(), words: cause.to_owned() });
            }
            // Other workers of the stage can have done its work; if none has, the queue is left without a taker.
            Role::Consumer | Role::Service => {}
        }
    }

    /// It can never work, so the whole pipeline stops. `exit`: `None` if it lives, or never did.
    pub(super) fn hopeless(&mut self, ix: usize, exit: Option<Exit>, now: Instant) {
        let worker = &self.workers[ix];
        self.ladder.blame(Verdict::Hopeless { worker: worker.name.clone(), words: worker.end_in_words(exit) });
        self.raise(StopLevel::Now, Actor::Core, now);
    }

    /// So many items became dead letters in this run: at the limit of the plan the run stops.
    pub(super) fn dead_letters(&mut self, count: u64, now: Instant) {
        if let Some(most) = self.plan.max_dead_letters.filter(|most| count >= *most)
            && !self.winding_down
        {
            self.ladder.blame(Verdict::DeadLetters { most });
            self.raise(StopLevel::Now, Actor::Core, now);
        }
    }
}

impl Spent {
    /// The limit that was reached, in words.
    fn words(self, rules: &super::worker::Rules) -> String {
        match self {
            Self::First => "it crashed, and max_restarts is 0".to_owned(),
            Self::TooOften { most, failing } => {
                let times = if most == 1 { "once".to_owned() } else { format!("{most} times") };
                let period = rules.restart_period;
                let loop_words = format!("restarted more than {times} within {period:?}");
                if rules.give_up_after.is_zero() {
                    loop_words
                } else {
                    format!("{loop_words}, and no progress for {}s", failing.as_secs())
                }
            }
            Self::Outage { failing } => {
                format!("the outage has lasted {}s, longer than its outage_timeout", failing.as_secs())
            }
        }
    }
}
