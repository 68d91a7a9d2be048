//! The life of a worker: started, known, ready, ended, started again. Without it news about a process would have no
//! consequence.

use std::time::Instant;

use brigade_protocol::id::{Incarnation, Post};

use super::Core;
use super::action::{Action, Ask, State, Verdict};
use super::backoff::after;
use super::event::{Actor, Exit, Left, Progress, StopLevel};
use super::exit::Meaning;
use super::policy::{Ending, Next, next};
use super::worker::{Process, Run};
use crate::config::plan::{Exits, Role};

impl Core {
    /// Index of the worker whose present run this is, as long as its process lives or is being made. News about any
    /// other run is stale, and this is the one place where it is dropped.
    pub(super) fn current(&self, post: Post, incarnation: Incarnation) -> Option<usize> {
        let ix = usize::from(post.0).checked_sub(1)?;
        let worker = self.workers.get(ix)?;
        (worker.incarnation == incarnation && worker.process != Process::None).then_some(ix)
    }

    /// Puts a worker into another state, and says so.
    pub(super) fn change(&mut self, ix: usize, to: State, cause: impl Into<String>, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        let from = worker.state;
        if from != to {
            worker.state = to;
            worker.since = Some(now);
            let (post, incarnation, cause) = (worker.post, worker.incarnation, cause.into());
            self.out.push(Action::Changed { post, incarnation, from, to, cause, actor });
        }
    }

    /// Starts the next run. Only for a worker without a process.
    pub(super) fn start(&mut self, ix: usize, cause: &str, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        if worker.incarnation != Incarnation::NONE && !worker.run.replaced {
            worker.restarts += 1;
        }
        worker.incarnation = worker.incarnation.next();
        worker.process = Process::Asked;
        worker.run = Run::default();
        worker.ended_well = None;
        worker.left_behind = None;
        worker.failure = None;
        worker.stale = false;
        worker.next_start = None;
        let (post, incarnation) = (worker.post, worker.incarnation);
        self.change(ix, State::Starting, cause, actor, now);
        self.out.push(Action::Spawn { post, incarnation });
    }

    /// Its process is there. What was decided while it was being made is done now.
    pub(super) fn spawned(&mut self, ix: usize, pid: i32, now: Instant) {
        let worker = &mut self.workers[ix];
        if worker.process != Process::Asked {
            return;
        }
        worker.process = Process::Alive(now);
        worker.pid = Some(pid);
        if let Some((ask, actor)) = worker.run.asked {
            if self.ladder.level() == Some(StopLevel::Kill) {
                self.kill(ix, "killed with the whole pipeline", actor, now);
            } else {
                self.send_stop(ix, ask, now);
            }
        } else if worker.run.failing {
            self.lose_patience(ix, "it said that it cannot work", now);
        }
    }

    /// There is no process, and there was none.
    pub(super) fn spawn_failed(&mut self, ix: usize, words: String, permanent: bool, now: Instant) {
        let worker = &mut self.workers[ix];
        if worker.process == Process::Asked {
            worker.blame(words);
            worker.run.hopeless = permanent && worker.run.asked.is_none();
            self.ended(ix, None, &Left { items_left: true, ..Left::default() }, now);
        }
    }

    pub(super) fn said_ready(&mut self, ix: usize, now: Instant) {
        let worker = &mut self.workers[ix];
        worker.run.ready.get_or_insert(now);
        worker.was_ready = true;
        worker.is_addition = false;
        // Not the process that is to go.
        if !worker.run.at_will {
            worker.trial = None;
        }
        if worker.state == State::Starting && !worker.run.failing {
            let drains = self.ladder.level().is_some() && worker.rules.role == Role::Consumer;
            let state = if drains { State::Draining } else { State::Ready };
            self.change(ix, state, "ready", Actor::Core, now);
        }
    }

    /// It cannot work, and is expected to exit by itself.
    pub(super) fn said_failed(&mut self, ix: usize, words: String, permanent: bool, outage: bool, now: Instant) {
        let worker = &mut self.workers[ix];
        worker.blame(words);
        if worker.run.asked.is_some() || worker.run.hopeless {
            return;
        }
        (worker.run.failing, worker.run.outage) = (true, outage);
        self.lose_patience(ix, "it said that it cannot work", now);
        if permanent {
            self.workers[ix].run.hopeless = true;
            if !self.is_dispensable(ix) && self.workers[ix].trial.is_none() {
                self.hopeless(ix, None, now);
            }
        }
    }

    /// The run before this one had left something behind, which is part of how that one ended.
    pub(super) fn left_behind(&mut self, ix: usize, words: String) {
        let worker = &mut self.workers[ix];
        if let Some(end) = &mut worker.last_end {
            end.push_str(&format!("; it {words}"));
        }
        worker.left_behind = Some(words);
    }

    /// Its process has ended.
    pub(super) fn exited(&mut self, ix: usize, exit: Exit, left: &Left, now: Instant) {
        let worker = &mut self.workers[ix];
        worker.last_exit = Some(exit);
        worker.has_worked |= left.progress != Progress::None;
        let (post, incarnation) = (worker.post, worker.incarnation);
        self.out.push(Action::Sweep { post, incarnation });
        self.ended(ix, Some(exit), left, now);
    }

    /// A run has ended, or has never begun: decides what follows.
    fn ended(&mut self, ix: usize, exit: Option<Exit>, left: &Left, now: Instant) {
        let inputs_closed = self.inputs_closed(self.workers[ix].stage).is_some();
        let company = self.has_company(ix);
        let stopping = self.level() >= Some(StopLevel::Now);
        let comes_back = self.comes_back(ix);
        let asked = self.workers[ix].run.asked.is_some() || stopping || comes_back;
        if !asked {
            self.workers[ix].run.misread = exit.and_then(|exit| self.why_no_success(ix, exit, left));
        }
        let meaning = exit.map_or(Meaning::Crash, |exit| self.meaning(ix, exit));
        let never_introduced = exit.is_some() && !self.is_introduced(ix);
        let worker = &mut self.workers[ix];
        (worker.process, worker.pid, worker.paused) = (Process::None, None, None);
        worker.left_items = left.items_left;
        let ending = Ending {
            meaning,
            asked,
            hopeless: worker.run.hopeless,
            failing: worker.run.failing,
            inputs_closed,
            items_left: left.items_left,
            never_introduced,
            spared: worker.run.killed_paused && company,
        };
        let actor = worker.run.asked.map_or(Actor::Core, |(_, actor)| actor);
        let mut cause = worker.end_in_words(exit);
        if let Some(words) = &worker.left_behind {
            cause.push_str(&format!("; its run before {words}"));
        }
        worker.last_end = Some(cause.clone());
        // One that the operator wants started again is, however it ends.
        let is_crash = meaning != Meaning::Success && !worker.run.at_will;
        if worker.run.replaced && !ending.asked && !ending.hopeless && !ending.failing && !is_crash {
            self.go_on(ix, &format!("replaced: {cause}"), Actor::Core, now);
            return;
        }
        match next(worker.rules.role, worker.rules.restart, ending) {
            Next::Rest if comes_back => {
                // It may have become ready while it was to go down.
                worker.was_ready = false;
                let with = if worker.run.goes_with.is_some() { " with the others" } else { ", as it is wanted again" };
                self.pend(ix, &format!("{cause}; starts again{with}"), actor, now);
            }
            Next::Rest => {
                let well = meaning == Meaning::Success && !ending.failing || ending.spared;
                worker.ended_well = (!ending.asked).then_some(well);
                let is_in_order = exit == Some(Exit::Code(0)) && meaning == Meaning::Success && !ending.failing;
                worker.saw_end = is_in_order && inputs_closed && !left.items_left && !ending.asked;
                if self.workers[ix].has_failed_at_work() {
                    self.has_failed_for_good(ix, &cause);
                    cause.push_str("; a temporary stage is not restarted");
                }
                self.rest(ix, &cause, actor, now);
            }
            Next::Restart => self.restart(ix, cause, left.progress, now),
            Next::GiveUp => self.give_up(ix, "a temporary stage is not restarted".to_owned(), cause, now),
            Next::Hopeless if self.is_dispensable(ix) => self.drop_addition(ix, &cause, now),
            Next::Hopeless if self.workers[ix].trial.is_some() => {
                let worker = &self.workers[ix];
                let verdict = Verdict::Hopeless { worker: worker.name.clone(), words: worker.end_in_words(exit) };
                self.fail_alone(ix, verdict, &cause, now);
            }
            Next::Hopeless => {
                self.change(ix, State::Failed, cause, Actor::Core, now);
                self.hopeless(ix, exit, now);
            }
        }
    }

    /// What its exit means. One that we killed has not ended as it wanted, whatever the stage says of SIGKILL.
    fn meaning(&self, ix: usize, exit: Exit) -> Meaning {
        let worker = &self.workers[ix];
        match worker.stage {
            _ if worker.run.killed || worker.run.hung => Meaning::Crash,
            Some(stage) => match Meaning::of(exit, &self.plan.stages[stage].exits) {
                Meaning::Success if worker.run.misread.is_some() => Meaning::Crash,
                meaning => meaning,
            },
            None => Meaning::of(exit, &Exits::default()),
        }
    }

    /// It is over, in order.
    pub(super) fn rest(&mut self, ix: usize, cause: &str, actor: Actor, now: Instant) {
        self.workers[ix].next_start = None;
        self.change(ix, State::Exited, cause, actor, now);
    }

    /// Asks a worker to stop, or takes it out of the line if it has no process. Asking again changes nothing, unless
    /// it is for more.
    pub(super) fn ask(&mut self, ix: usize, ask: Ask, actor: Actor, cause: &str, now: Instant) {
        let worker = &mut self.workers[ix];
        if worker.is_over() {
            return;
        }
        if worker.process == Process::None {
            self.rest(ix, cause, actor, now);
            return;
        }
        match (worker.run.asked, ask) {
            (Some((Ask::Now, _)), _) | (Some((Ask::Drain, _)), Ask::Drain | Ask::Renew) => return,
            (Some((Ask::Drain | Ask::Renew, _)), _) | (None, _) => {}
        }
        worker.run.asked = Some((ask, actor));
        let alive = matches!(worker.process, Process::Alive(_));
        let killed = worker.run.killed;
        self.change(ix, State::Stopping, cause, actor, now);
        if alive && !killed {
            self.send_stop(ix, ask, now);
        }
    }

    fn send_stop(&mut self, ix: usize, ask: Ask, now: Instant) {
        let worker = &self.workers[ix];
        let (post, incarnation) = (worker.post, worker.incarnation);
        self.out.push(Action::Stop { post, incarnation, ask });
        self.lose_patience(ix, "it was asked to stop", now);
    }

    /// It is killed if it is still there after its stop timeout, unless its end was to come sooner.
    pub(super) fn lose_patience(&mut self, ix: usize, since: &str, now: Instant) {
        let worker = &mut self.workers[ix];
        let (at, timeout) = (after(now, worker.rules.stop_timeout), worker.rules.stop_timeout);
        if matches!(worker.process, Process::Alive(_)) && worker.run.patience.as_ref().is_none_or(|(old, _)| at < *old)
        {
            worker.run.patience = Some((at, format!("still there {timeout:?} after {since}")));
        }
    }

    /// SIGKILL to its group, once.
    pub(super) fn kill(&mut self, ix: usize, why: &str, actor: Actor, now: Instant) {
        let worker = &mut self.workers[ix];
        if matches!(worker.process, Process::Alive(_)) && !worker.run.killed {
            worker.run.killed = true;
            worker.run.words.get_or_insert_with(|| why.to_owned());
            let (post, incarnation) = (worker.post, worker.incarnation);
            self.change(ix, State::Stopping, why, actor, now);
            self.out.push(Action::Kill { post, incarnation, why: why.to_owned() });
        }
    }
}
