//! A worker: one post, its state, its present run, and what falls due for it next. Without it nobody would know which
//! process fills a post, nor until when to be patient with it.

use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, Post};

use super::action::{Ask, State, Verdict};
use super::backoff::after;
use super::event::{Actor, Exit};
use super::intensity::Intensity;
use super::trial::Trial;
use crate::config::plan::{MANAGER_STAGE, MIN_UPTIME, RestartPolicy, Role, StageIx, StagePlan};

/// A worker, as `status` shows it.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its number within the pipeline, from 1.
    pub post: Post,
    /// Its stage; `None`: it is the manager.
    pub stage: Option<StageIx>,
    /// Its number within the stage, from 0.
    pub replica: u16,
    /// Such as `hash/0`.
    pub name: String,
    /// The present run, or the last one; `Incarnation::NONE` before the first.
    pub incarnation: Incarnation,
    /// The process, as long as there is one and it is known.
    pub pid: Option<i32>,
    /// What it is doing.
    pub state: State,
    /// Since when it is in that state; `None` as long as it has never changed.
    pub since: Option<Instant>,
    /// How often it was started again, in all.
    pub restarts: u32,
    /// How its last process ended.
    pub last_exit: Option<Exit>,
    /// How its last run ended, in words: how its process did, and what was said about it by itself or by who killed it.
    pub last_end: Option<String>,
    /// What the run before the present one left behind, in words.
    pub(super) left_behind: Option<String>,
    /// What was last said about its failures: by itself, by a spawn that failed, or by the core when it had it killed.
    pub last_words: Option<String>,
    /// When it will be started again, in [`State::Backoff`].
    pub next_start: Option<Instant>,
    /// Since when its process is stopped by a signal (SIGSTOP and the like).
    pub paused: Option<Instant>,
    /// What it goes by.
    pub(super) rules: Rules,
    /// What is known of its process.
    pub(super) process: Process,
    /// What has happened in the present run.
    pub(super) run: Run,
    /// Failures in a row, for the wait before the next start.
    pub(super) failures: u32,
    /// Its latest crashes.
    pub(super) intensity: Intensity,
    /// Its stage was made smaller, and it is to go, or has gone.
    pub let_go: bool,
    /// Its stage grew by it while the pipeline was running, and it has never been ready.
    pub(super) is_addition: bool,
    /// What is new about it, if it has not been ready since.
    pub(super) trial: Option<Trial>,
    /// Why it has failed alone, for the run's verdict.
    pub(super) failure: Option<Verdict>,
    /// It was an addition that could not be started, and was dropped.
    pub dropped: bool,
    /// Its process was started with what an earlier plan says, and is to be started anew.
    pub(super) stale: bool,
    /// One of its runs has got something done.
    pub(super) has_worked: bool,
    /// Whether its last run ended well; `None` if it has not ended, or was asked to stop.
    pub(super) ended_well: Option<bool>,
    /// Items were in the queues that its stage takes from when its last run ended.
    pub(super) left_items: bool,
    /// It exited 0 when all its inputs were closed and nothing was left in them.
    pub(super) saw_end: bool,
    /// It was ready once, in whichever run, since its group went down last: who starts after it need not wait for it
    /// again. Otherwise a stage that is killed again and again would keep those before it from ever starting.
    pub(super) was_ready: bool,
}

/// What is known of the process of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Process {
    /// There is none.
    None,
    /// A spawn was asked for and not answered yet.
    Asked,
    /// It lives, since then.
    Alive(Instant),
}

/// What has happened in one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Run {
    /// It said hello: it will also say when it is ready.
    pub(super) hello: bool,
    /// Since when it is ready.
    pub(super) ready: Option<Instant>,
    /// How it was asked to stop, and who wanted it.
    pub(super) asked: Option<(Ask, Actor)>,
    /// When patience ends, and why it is killed then.
    pub(super) patience: Option<(Instant, String)>,
    /// Until when it may take to be ready, if it has asked for more time than it had, and what it asked for.
    pub(super) extended: Option<(Instant, Duration)>,
    /// SIGKILL is on its way.
    pub(super) killed: bool,
    /// It goes down with the worker of this name, and is to be started again.
    pub(super) goes_with: Option<String>,
    /// It was asked to go because its stage was made smaller.
    pub(super) let_go: bool,
    /// It ends in order, to be started anew at once.
    pub(super) replaced: bool,
    /// Because the operator wants it, however it ends.
    pub(super) at_will: bool,
    /// It was aborted, as it gave no sign that it still worked.
    pub(super) hung: bool,
    /// It was killed for being paused at the end of its stage.
    pub(super) killed_paused: bool,
    /// It said that it cannot work.
    pub(super) failing: bool,
    /// Because something that it needs is not there for now.
    pub(super) outage: bool,
    /// And that it never will.
    pub(super) hopeless: bool,
    /// Why its exit is no success though its code is one, in words.
    pub(super) misread: Option<String>,
    /// What was said about its failure.
    pub(super) words: Option<String>,
}

/// The part of a stage's plan that decisions need; the manager has no plan, but rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) role: Role,
    pub(super) restart: RestartPolicy,
    pub(super) max_restarts: Option<u32>,
    pub(super) restart_period: Duration,
    pub(super) give_up_after: Duration,
    pub(super) outage_timeout: Duration,
    pub(super) backoff: Duration,
    pub(super) backoff_max: Duration,
    pub(super) start_timeout: Duration,
    pub(super) stop_timeout: Duration,
    pub(super) must_say_ready: bool,
}

impl Rules {
    pub(super) fn of(stage: &StagePlan) -> Self {
        Self {
            role: stage.role(),
            restart: stage.restart,
            max_restarts: stage.max_restarts,
            restart_period: stage.restart_period,
            give_up_after: stage.give_up_after,
            outage_timeout: stage.outage_timeout,
            backoff: stage.backoff,
            backoff_max: stage.backoff_max,
            start_timeout: stage.start_timeout,
            stop_timeout: stage.stop_timeout,
            must_say_ready: stage.must_say_ready(),
        }
    }

    /// Those of the manager: the defaults of a stage, and always there.
    pub(super) const MANAGER: Self = Self {
        role: Role::Service,
        restart: RestartPolicy::Permanent,
        max_restarts: Some(5),
        restart_period: Duration::from_secs(60),
        give_up_after: Duration::from_secs(120),
        outage_timeout: Duration::from_secs(600),
        backoff: Duration::from_millis(100),
        backoff_max: Duration::from_secs(5),
        start_timeout: Duration::from_secs(30),
        stop_timeout: Duration::from_secs(10),
        must_say_ready: true,
    };
}

/// What falls due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Its wait is over.
    Start,
    /// A program that cannot say that it is ready has lived long enough to be believed.
    Uptime,
    /// It should have been ready by now.
    StartTimeout,
    /// Patience with it is at its end.
    Patience,
    /// It is paused, and its stage waits for it alone to end.
    Paused,
}

impl Worker {
    pub(super) fn new(post: Post, stage: Option<StageIx>, stage_name: &str, replica: u16, rules: Rules) -> Self {
        Self {
            post,
            stage,
            replica,
            name: format!("{stage_name}/{replica}"),
            incarnation: Incarnation::NONE,
            pid: None,
            state: State::Pending,
            since: None,
            restarts: 0,
            last_exit: None,
            last_end: None,
            left_behind: None,
            last_words: None,
            next_start: None,
            paused: None,
            rules,
            process: Process::None,
            run: Run::default(),
            failures: 0,
            intensity: Intensity::default(),
            let_go: false,
            is_addition: false,
            trial: None,
            failure: None,
            dropped: false,
            stale: false,
            has_worked: false,
            ended_well: None,
            left_items: false,
            saw_end: false,
            was_ready: false,
        }
    }

    /// The manager, over for as long as nobody wants it.
    pub(super) fn manager(post: Post) -> Self {
        Self { state: State::Exited, ..Self::new(post, None, MANAGER_STAGE, 0, Rules::MANAGER) }
    }

    /// It has come to its end in the run that this one continues, and is not started.
    pub(super) fn has_done_before(&mut self) {
        self.state = State::Exited;
        self.ended_well = Some(true);
        self.last_end = Some("complete in the earlier run".to_owned());
    }

    /// Whether it has done all that it had to do: its last run ended well, and by itself.
    pub fn is_done(&self) -> bool {
        self.state == State::Exited && self.ended_well == Some(true)
    }

    /// Something was said about a failure of the present run.
    pub(super) fn blame(&mut self, words: String) {
        self.last_words = Some(words.clone());
        self.run.words = Some(words);
    }

    /// How the present run ended, in words. `exit`: `None` if there is none, or none yet.
    pub(super) fn end_in_words(&self, exit: Option<Exit>) -> String {
        if let (Some(exit), Some(why)) = (exit, &self.run.misread) {
            return match exit {
                Exit::Code(0) => format!("exited with code 0 {why}"),
                Exit::Code(_) | Exit::Signal { .. } => format!("{exit} {why}"),
            };
        }
        match (exit, &self.run.words) {
            (Some(exit), Some(words)) => format!("{exit}: {words}"),
            (Some(exit), None) => exit.to_string(),
            (None, Some(words)) => words.clone(),
            (None, None) => "it could not be started".to_owned(),
        }
    }

    /// Whether it will not be started again and has no process.
    pub(super) fn is_over(&self) -> bool {
        match self.state {
            State::Exited | State::Failed => true,
            State::Pending | State::Starting | State::Ready | State::Draining | State::Stopping | State::Backoff => {
                false
            }
        }
    }

    /// Whether stages that start after its own may do so, as far as it is concerned.
    pub(super) fn is_up(&self) -> bool {
        self.state == State::Exited || self.was_ready
    }

    /// Whether it has ended because it was asked to, and not because its work was done.
    pub(super) fn was_stopped(&self) -> bool {
        self.state == State::Exited && self.ended_well.is_none() && !self.let_go && self.rules.role != Role::Service
    }

    /// Whether it has ended for good, and not well.
    pub fn has_failed(&self) -> bool {
        self.is_over() && self.ended_well == Some(false)
    }

    /// Whether its last run ended by itself, and not well.
    pub(super) fn has_failed_at_work(&self) -> bool {
        self.ended_well == Some(false)
    }

    /// Whether it is on its way down with others, to be started again with them.
    pub(super) fn is_going_down(&self) -> bool {
        self.run.goes_with.is_some() && self.process != Process::None
    }

    fn ready_by(&self, alive_since: Instant) -> Instant {
        let by = after(alive_since, self.rules.start_timeout);
        self.run.extended.map_or(by, |(until, _)| until.max(by))
    }

    /// What falls due next, and when. `inputs_closed`: since when all queues that its stage takes from are closed.
    ///
    /// Both the deadline and what is done at it come from here, so that they cannot disagree.
    pub(super) fn due(&self, inputs_closed: Option<Instant>) -> Option<(Instant, Due)> {
        let alive_since = match self.process {
            Process::None => return self.next_start.map(|at| (at, Due::Start)),
            Process::Asked => return None,
            Process::Alive(since) => since,
        };
        if self.run.killed {
            return None;
        }
        let starting = self.state == State::Starting && !self.run.failing;
        let by_uptime = starting && !self.rules.must_say_ready && !self.run.hello;
        let paused = match (self.paused, inputs_closed, &self.run.asked) {
            (Some(paused), Some(closed), None) => Some(after(paused.max(closed), self.rules.stop_timeout)),
            (_, _, Some(_)) | (None, _, None) | (_, None, None) => None,
        };
        // Of two at the same instant the first in this list counts.
        let candidates = [
            by_uptime.then(|| (after(alive_since, MIN_UPTIME), Due::Uptime)),
            (starting && !by_uptime).then(|| (self.ready_by(alive_since), Due::StartTimeout)),
            self.run.patience.as_ref().map(|(at, _)| (*at, Due::Patience)),
            paused.map(|at| (at, Due::Paused)),
        ];
        candidates.into_iter().flatten().min_by_key(|(at, _)| *at)
    }
}
