//! From actions to deeds.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::sync::Arc;

use brigade_protocol::control::{
    DOOR_ENV, INCARNATION_ENV, Order, PIPELINE_ENV, QueueRef, TOKEN_ENV, WORKER_ENV, Welcome,
};
use brigade_protocol::crash_point;
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::page::{Page, PageError, StopWord};
use brigade_protocol::shared::SHARED_ENV;

use super::Reactor;
use crate::config::plan::{Limits, MANAGER_STAGE, Role};
use crate::core::Worker;
use crate::core::action::{Action, Ask, State};
use crate::core::event::{Actor, StopLevel};
use crate::door::Door;
use crate::effects::signal;
use crate::effects::spawn::{self, Launch, NOTIFY_ENV, NotSpawned, Process};
use crate::kin::cookie::RUN_ENV;
use crate::logs::{Source, Stream};
use crate::missing::Missing;
use crate::roster::Present;

impl Reactor {
    pub(super) fn act(&mut self, action: Action) {
        // A change is noted in a form of its own.
        if !matches!(action, Action::Changed { .. }) {
            tracing::debug!(?action);
        }
        match action {
            Action::Spawn { post, incarnation } => self.to_spawn.push_back((post, incarnation)),
            Action::Stop { post, incarnation, ask } => self.ask_to_stop(post, incarnation, ask),
            Action::Abort { post, incarnation, why: _ } => {
                if let Some(present) = self.roster.get(post, incarnation)
                    && present.ended.is_none()
                {
                    signal::abort(present.pid);
                }
            }
            Action::Kill { post, incarnation, why } => {
                let (name, replica) = self.name_of(post);
                if let Some(present) = self.roster.get(post, incarnation)
                    && present.ended.is_none()
                {
                    tracing::warn!("{name}/{replica} is killed: {why}");
                    signal::kill(present.pid);
                }
            }
            Action::Sweep { post, incarnation } => self.sweep(post, incarnation),
            Action::Close(queue) => {
                tracing::debug!(queue = self.core.plan().queues[queue].name, "closed: all its producers are complete");
                self.queues[queue].queue.close();
                crash_point!("queue_closed");
            }
            Action::WatchLoop(index) => self.loops[index].begin(),
            Action::Changed { post, incarnation, from, to, cause, actor } => {
                if to == State::Exited {
                    self.note_done(post);
                }
                self.note_change((post, incarnation), (from, to), &cause, actor);
                self.tell_change(post, incarnation, (from, to), &cause, actor);
            }
            Action::Outlook(Some(outlook)) => tracing::warn!("{}", super::drain::in_words(&outlook)),
            Action::Outlook(None) => tracing::info!("the drain is expected to be done in time"),
            Action::Standstill(Some(words)) => tracing::warn!(
                "standstill: {words}; none of them can continue before another does, and the items stay where they are; \
                 give a full queue more capacity, or have the stages take and acknowledge in another order"
            ),
            Action::Standstill(None) => tracing::info!("the standstill is over"),
            Action::Level(level, actor) => {
                self.tell_level(level, actor);
                self.resume_all(level);
            }
            Action::Finish(verdict) => self.verdict = Some(verdict),
        }
    }

    pub(super) fn spawn(&mut self, post: Post, incarnation: Incarnation) -> Result<i32, NotSpawned> {
        if self.core.worker(post).is_some_and(|worker| worker.state == State::Stopping) {
            let words = "asked to stop before it was started".to_owned();
            return Err(NotSpawned { words, permanent: false });
        }
        let failed = |what: &str, error: &dyn std::fmt::Display| NotSpawned {
            words: format!("cannot {what}: {error}"),
            permanent: false,
        };
        let (name, replica) = self.name_of(post);
        let plan = Arc::clone(self.core.plan());
        let stage = self.core.worker(post).and_then(|worker| worker.stage).map(|index| &plan.stages[index]);
        if let Some(index) = self.core.worker(post).and_then(|worker| worker.stage) {
            self.tell_orders(post, index)?;
        }
        if stage.is_some_and(|stage| stage.limits.uid().is_some()) {
            self.begin_page(post, incarnation).map_err(|e| failed("start it", &e))?; // It is given it in hand.
        }
        let door = self.spare_door.take().map_or_else(Door::open, Ok).map_err(|e| failed("open a door for it", &e))?;
        let worker = format!("{name}/{replica}");
        let mut own_env: Vec<(&str, OsString)> = vec![
            (DOOR_ENV, door.name.clone().into()),
            (TOKEN_ENV, door.token.clone().into()),
            (PIPELINE_ENV, plan.name.clone().into()),
            (WORKER_ENV, worker.clone().into()),
            (INCARNATION_ENV, incarnation.0.to_string().into()),
            (RUN_ENV, self.keeping.cookie().for_children().into()),
        ];
        let spawned = match stage {
            Some(stage) => {
                let descriptors = self.in_hand(stage, &door.name, replica);
                let group = self.begin_limits(stage, post, replica, incarnation);
                let ready = self.open_ready_line(stage, post, incarnation);
                let notify = self.open_notes(stage, post, incarnation).map(|way| {
                    let usec = stage.watch.watchdog.map(|time| ("WATCHDOG_USEC", time.as_micros().to_string().into()));
                    own_env.extend(way.as_ref().and(usec));
                    let (path, socket) = way.map_or((None, None), |way| (way.path, way.socket));
                    own_env.extend(path.map(|path| (NOTIFY_ENV, path)));
                    socket
                });
                match (descriptors, group, ready, notify) {
                    (Ok(descriptors), Ok(group), Ok(ready), Ok(notify)) => spawn::spawn(Launch {
                        program: &stage.program,
                        args: &stage.args,
                        cwd: &stage.cwd,
                        env: &stage.env,
                        own_env: &own_env,
                        limits: &stage.limits,
                        descriptors,
                        group,
                        ready,
                        notify,
                    }),
                    (Err(error), ..) => Err(failed("open what it is to be given", &error)),
                    (_, Err(error), ..) => Err(failed("make its control group (memory_max)", &error)),
                    (_, _, Err(error), _) => Err(failed("make the pipe by which it says that it is ready", &error)),
                    (.., Err(error)) => Err(failed("make the socket by which it says how it is", &error)),
                }
            }
            None => self.spawn_manager(own_env),
        };
        crash_point!("worker_spawned");
        let process = spawned?;
        crash_point!("worker_spawned");
        self.keeping.lives(process.pid);
        self.limited.shares.give(&worker, process.pid, &self.porters);
        let source = |stream| Source { stage: name.clone(), worker: worker.clone(), post, incarnation, stream };
        self.capture.add(source(Stream::Stdout), process.stdout);
        self.capture.add(source(Stream::Stderr), process.stderr);
        // What is needed only when it knocks: it takes a while until then, and other programs never do.
        let page = self.begin_page(post, incarnation);
        let welcome = page.map(|()| self.welcome(post, incarnation)).map_err(|error| error.to_string());
        let door = door
            .wait(post, incarnation, welcome, self.deliver.clone(), &self.porters)
            .inspect_err(|error| tracing::warn!("{worker} cannot be let in if it says hello: {error}"));
        self.roster.enter(Present {
            post,
            incarnation,
            pid: process.pid,
            door: door.ok(),
            orders: None,
            ended: None,
            heard: false,
            announced: false,
            last_words: None,
            gone: None,
        });
        self.spare_door = Door::open().ok(); // If there is none to be had, the next worker's start says so.
        Ok(process.pid)
    }

    /// Makes a post's page ready for its next run.
    fn begin_page(&mut self, post: Post, incarnation: Incarnation) -> Result<(), PageError> {
        if !self.pages.contains_key(&post) {
            let (name, replica) = self.name_of(post);
            let stage = self.core.worker(post).and_then(|worker| worker.stage);
            let lanes = stage.map_or(1, |stage| self.core.plan().stages[stage].threads);
            let path = self.dir.page(&name, replica);
            let is_missing = |source| PageError::Io { what: "create", path: path.clone(), source };
            let page = match !path.exists() && Missing::read(&self.dir).map_err(is_missing)?.has(&path) {
                true => Page::create_unknown(&path, post, lanes)?,
                false => Page::renew(&path, post, lanes)?,
            };
            self.pages.insert(post, page);
            crash_point!("page_renewed");
        } else {
            let (operations, done) = (self.operations(post), self.done_before.entry(post).or_insert(0));
            *done = done.saturating_add(operations);
        }
        let page = &self.pages[&post];
        page.begin(incarnation);
        page.set_paused(self.is_paused(post));
        Ok(())
    }

    /// Writes down in the page of a source or task that it has done its part: a run that continues this one does not start
    /// it again.
    fn note_done(&self, post: Post) {
        let Some(worker) = self.core.worker(post).filter(|worker| worker.is_done()) else { return };
        let role = worker.stage.map(|stage| self.core.plan().stages[stage].role());
        if let (Some(Role::Source | Role::Task), Some(page)) = (role, self.pages.get(&post)) {
            page.mark_complete();
            crash_point!("worker_done_noted");
        }
    }

    fn welcome(&self, post: Post, incarnation: Incarnation) -> Welcome {
        let plan = self.core.plan();
        let worker = self.core.worker(post);
        let stage = worker.and_then(|worker| worker.stage).map(|index| &plan.stages[index]);
        let (name, replica) = self.name_of(post);
        let queue = |index: &usize| {
            let name = plan.queues[*index].name.clone();
            let path = self.dir.queue(&name).to_string_lossy().into_owned();
            QueueRef { name, path, retry: plan.queues[*index].retry() }
        };
        Welcome {
            pipeline: plan.name.clone(),
            replica,
            replicas: stage.map_or(1, |stage| stage.replicas),
            post,
            incarnation,
            threads: stage.map_or(1, |stage| stage.threads),
            batch: stage.map_or(1, |stage| stage.batch),
            batch_time: stage.map_or(std::time::Duration::ZERO, |stage| stage.batch_time),
            exit_on_panic: stage.is_some_and(|stage| stage.exit_on_panic),
            max_items: stage.and_then(|stage| stage.limits.max_items),
            page: self.dir.page(&name, replica).to_string_lossy().into_owned(),
            inputs: stage.map_or_else(Vec::new, |stage| stage.inputs.iter().map(queue).collect()),
            outputs: stage.map_or_else(Vec::new, |stage| stage.outputs.iter().map(queue).collect()),
            stage: name,
        }
    }

    fn spawn_manager(&self, mut own_env: Vec<(&str, OsString)>) -> Result<Process, NotSpawned> {
        let program = std::env::current_exe().map_err(|error| NotSpawned {
            words: format!("cannot find the program brigade: {error}"),
            permanent: false,
        })?;
        own_env.push((SHARED_ENV, self.dir.shared().into()));
        spawn::spawn(Launch {
            program: &program,
            args: &["manager".to_owned()],
            cwd: self.dir.root(),
            env: &BTreeMap::new(),
            own_env: &own_env,
            limits: &Limits::default(),
            descriptors: Vec::new(),
            group: None,
            ready: None,
            notify: None,
        })
    }

    fn ask_to_stop(&mut self, post: Post, incarnation: Incarnation, ask: Ask) {
        let signal = self
            .core
            .worker(post)
            .and_then(|worker| worker.stage)
            .map(|stage| self.core.plan().stages[stage].stop_signal);
        if let Some(page) = self.pages.get(&post) {
            page.ask_stop(match ask {
                Ask::Drain => StopWord::Drain,
                Ask::Now | Ask::Renew => StopWord::Now,
            });
        }
        self.wake_soon(post);
        let is_manager = post == self.core.manager_post();
        let Some(present) = self.roster.get(post, incarnation) else { return };
        if let Some(orders) = present.orders.as_ref().filter(|_| is_manager)
            && let Err(error) = orders.send(Order::Stop)
        {
            tracing::debug!(%error, "the manager was gone before it heard that it is to stop");
        }
        // A source that drains through the SDK needs no signal, and children that it works with must not get one.
        if present.ended.is_none() && (present.orders.is_none() || ask == Ask::Now) {
            signal::stop(present.pid, signal.unwrap_or(libc::SIGTERM));
        }
        crash_point!("stop_asked");
    }

    fn tell_change(
        &mut self,
        post: Post,
        incarnation: Incarnation,
        (from, to): (State, State),
        cause: &str,
        actor: Actor,
    ) {
        let (name, replica) = self.name_of(post);
        let who = format!("{name}/{replica}");
        let by = match actor {
            Actor::Core => String::new(),
            Actor::Operator => " (by the operator)".to_owned(),
            Actor::Signal(number) => {
                format!(" (the supervisor got {})", crate::core::signal_name(number).unwrap_or("a signal"))
            }
        };
        let pid = self.roster.at(post).map_or(0, |present| present.pid);
        match to {
            State::Failed | State::Backoff => {
                tracing::warn!("{who} {}: {cause}{by}", picture_word(to));
                let leaver = self.leaver.take_if(|(leaver, of, _)| (*leaver, *of) == (post, incarnation));
                let words = leaver.map_or_else(Vec::new, |(_, _, words)| words);
                for line in &words {
                    tracing::warn!("{who} said at last: {line}");
                }
                self.last_words.insert(post, words);
            }
            State::Exited if self.core.worker(post).is_some_and(|worker| worker.dropped) => {
                tracing::warn!("{who}: {cause}");
            }
            State::Exited if self.core.worker(post).is_some_and(Worker::has_failed) => {
                tracing::warn!("{who} has failed: {cause}");
            }
            State::Ready => tracing::info!(pid, "{who} is ready{by}"),
            State::Pending | State::Starting if matches!(from, State::Ready | State::Draining) => {
                tracing::info!("{who} is {cause}");
            }
            State::Pending | State::Starting => tracing::debug!("{who} {}: {cause}{by}", picture_word(to)),
            State::Draining | State::Stopping | State::Exited => {
                tracing::info!("{who} {}: {cause}{by}", picture_word(to));
            }
        }
    }

    fn tell_level(&mut self, level: StopLevel, actor: Actor) {
        self.note_level(level, actor);
        self.tell_parent_of_stop(level);
        let by = match actor {
            Actor::Core => "the supervisor".to_owned(),
            Actor::Operator => "the operator".to_owned(),
            Actor::Signal(number) => crate::core::signal_name(number).unwrap_or("a signal").to_owned(),
        };
        match level {
            StopLevel::Drain => tracing::info!(
                "{by} ends the run: sources stop, what is queued is finished (at most {:?}); again: stop now, the rest stays in the queues",
                self.core.plan().drain_timeout
            ),
            StopLevel::Now => tracing::info!(
                "{by} stops now: items in hand are finished or given back, the rest stays in the queues; again: kill"
            ),
            StopLevel::Kill => tracing::warn!("{by} kills every worker; what they hold stays in the queues"),
        }
    }

    /// Stage and replica of a post.
    pub(super) fn name_of(&self, post: Post) -> (String, u16) {
        match self.core.worker(post) {
            Some(worker) => {
                let stage = worker.stage.map_or(MANAGER_STAGE, |stage| &self.core.plan().stages[stage].name);
                (stage.to_owned(), worker.replica)
            }
            None => (post.to_string(), 0),
        }
    }
}

/// How far a thread has committed its batches. What stands in a queue about posts and threads is input.
pub fn committed(page: Option<&Page>, lane: u16) -> u64 {
    page.filter(|page| lane < page.lanes()).map_or(0, |page| page.lane(lane).committed())
}

use super::picture::word as picture_word;
