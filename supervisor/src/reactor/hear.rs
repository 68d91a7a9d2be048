//! From news to events.

use std::sync::Arc;
use std::time::{Duration, Instant};

use brigade_protocol::control::{Order, Report};
use brigade_protocol::crash_point;
use brigade_protocol::id::{Incarnation, Post};

use super::{Reactor, SLICE};
use crate::control::{Answer, Request, StopRequest};
use crate::core::event::{Actor, Event, StopLevel};
use crate::door::Entry;
use crate::effects::signal::{self, To};
use crate::figures::counted;
use crate::sources::commands::Call;
use crate::sources::exits;

/// How long the last words of a worker are waited for when it is gone: what it says through its line to us, which is
/// closed then, unless somebody outside of its group has inherited it, and what it wrote to stderr, if the disk lets that be read.
const WORDS_GRACE: Duration = Duration::from_millis(100);
/// The same for a process whose exit may be a success: whether it is depends on what it said.
const REPORT_GRACE: Duration = Duration::from_secs(10);

impl Reactor {
    pub(super) fn hear_signals(&mut self) {
        for number in self.signals.take() {
            // SIGCHLD stands for any number of them; and were one ever dropped, there would be others that fill the socket.
            self.children = true;
            match number {
                libc::SIGTERM | libc::SIGINT => {
                    if self.core.level() == Some(StopLevel::Now) {
                        self.killed_by = Some(number);
                    }
                    self.events.push_back(Event::StopNext(Actor::Signal(number)));
                    // One by one: each is a rung of the ladder.
                    self.decide();
                }
                libc::SIGHUP if !self.signals.has_terminal() => _ = self.reload(Actor::Signal(number)),
                libc::SIGHUP => self.events.push_back(Event::StopAt(StopLevel::Drain, Actor::Signal(number))),
                _ => {}
            }
        }
    }

    pub(super) fn hear_children(&mut self) {
        if !std::mem::take(&mut self.children) {
            return;
        }
        let begun = Instant::now();
        while let Some((pid, exit)) = exits::next_ended() {
            self.hear_calls();
            match self.roster.leader(pid) {
                Some(present) => {
                    present.ended = Some(exit);
                    let (post, incarnation, deliver) = (present.post, present.incarnation, Arc::clone(&self.deliver));
                    self.capture.ask_last_words(post, incarnation, move |words| {
                        deliver(post, incarnation, Entry::LastWords(words));
                    });
                    // While the leader is not reaped, the group cannot be anybody else's.
                    signal::kill(pid);
                    self.keeping.is_over(pid);
                    exits::reap(pid);
                    self.roster.forget_pid(pid);
                    crash_point!("worker_reaped");
                }
                None if self.keeping.pid() == Some(pid) => {
                    exits::reap(pid);
                    self.keeper_ended(exit);
                }
                None => {
                    tracing::debug!(pid, ?exit, "reaped an orphan");
                    exits::reap(pid);
                }
            }
            if begun.elapsed() >= SLICE {
                (self.more, self.children) = (true, true);
                break;
            }
        }
        while let Some((pid, paused)) = exits::next_paused() {
            let Some(present) = self.roster.leader(pid) else { continue };
            let (post, incarnation) = (present.post, present.incarnation);
            self.events.push_back(if paused {
                Event::Paused { post, incarnation }
            } else {
                Event::Resumed { post, incarnation }
            });
        }
    }

    /// An exit counts when the whole group is gone: only then can nothing of it touch shared memory any more. And when
    /// all that it had said has been heard: a worker says why it fails and exits, and the news of the exit, which the
    /// kernel brings, can overtake its words, which another thread reads.
    ///
    /// What follows from each exit is done at once, and after a while the rest has to wait for the next turn: a thousand
    /// deaths at once take a while to sweep up, and meanwhile somebody may want an answer.
    pub(super) fn look_after_groups(&mut self) {
        let now = Instant::now();
        for post in self.roster.ended() {
            if now.elapsed() >= SLICE {
                self.more = true;
                return;
            }
            self.hear_calls();
            let Some(present) = self.roster.at_mut(post) else { continue };
            if present.gone.is_none() && signal::is_gone(present.pid) {
                present.gone = Some(now);
                if let Some(door) = present.door.take() {
                    self.doors.give_up(door, &self.porters);
                }
            }
            let Some(gone) = present.gone else { continue };
            let (has_words, is_heard) = (present.last_words.is_some(), present.heard || present.announced);
            let Some(exit) = present.ended else { continue };
            // Taken for a success, it would never be started again: so no word of it may be missed.
            let grace = if !is_heard && self.may_be_success(post, exit) { REPORT_GRACE } else { WORDS_GRACE };
            let waited = now.duration_since(gone);
            if (!is_heard && waited < grace) || (!has_words && waited < WORDS_GRACE) {
                continue;
            }
            let Some(present) = self.roster.leave(post) else { continue };
            self.want_manager.remove(&post);
            self.ready_lines.close(post);
            self.close_notes(post);
            if post == self.core.manager_post() {
                self.manager = None;
            }
            let incarnation = present.incarnation;
            let is_unannounced = present.orders.is_some() && present.heard && !present.announced;
            self.leaver = Some((post, incarnation, present.last_words.unwrap_or_default()));
            let left = self.left_by(post, is_unannounced);
            self.end_limits(post, incarnation);
            self.events.push_back(Event::Exited { post, incarnation, exit, left });
            self.decide();
            self.leaver = None;
        }
    }

    pub(super) fn hear_calls(&mut self) {
        while let Ok(call) = self.calls.try_recv() {
            self.answer(call);
            self.decide();
        }
    }

    pub(super) fn hear_doors(&mut self) {
        let begun = Instant::now();
        while let Ok((post, incarnation, entry)) = self.entries.try_recv() {
            self.hear_door(post, incarnation, entry);
            self.decide();
            self.hear_calls();
            if begun.elapsed() >= SLICE {
                self.more = true;
                return;
            }
        }
    }

    fn hear_door(&mut self, post: Post, incarnation: Incarnation, entry: Entry) {
        if self.roster.get(post, incarnation).is_none() {
            return; // It is gone already.
        }
        match entry {
            Entry::Knocked(orders) => {
                let Some(present) = self.roster.get(post, incarnation) else { return };
                present.door = None;
                present.orders = Some(orders);
                self.events.push_back(Event::Hello { post, incarnation });
            }
            Entry::Refused(words) => self.hear_failed(post, incarnation, words, true, false),
            Entry::Broke(words) => self.hear_failed(post, incarnation, words, false, false),
            Entry::Said(report) => self.hear_report(post, incarnation, report),
            Entry::LastWords(words) => {
                if let Some(present) = self.roster.get(post, incarnation) {
                    present.last_words = Some(words);
                }
            }
            Entry::Closed => {
                if let Some(present) = self.roster.get(post, incarnation) {
                    present.heard = true;
                }
            }
        }
    }

    fn hear_report(&mut self, post: Post, incarnation: Incarnation, report: Report) {
        match report {
            Report::Ready => self.events.push_back(Event::Ready { post, incarnation }),
            Report::Failed { words, permanent, outage } => {
                self.hear_failed(post, incarnation, words, permanent, outage);
            }
            Report::Done => self.announce(post, incarnation),
            Report::Leaving => {
                self.announce(post, incarnation);
                self.hear_leaving(post, incarnation);
            }
            Report::ItemFailed { queue, item, words } => self.item_failed(post, incarnation, &queue, item, words),
            Report::WantManager => {
                // Told only when it asks: else what it does not read would fill its channel, and we would wait for it.
                if self.manager.is_some() {
                    self.tell_manager(post);
                } else {
                    self.want_manager.insert(post);
                    self.events.push_back(Event::WantManager);
                }
            }
            Report::ManagerOpen(open) if post == self.core.manager_post() => {
                self.manager = Some(open);
                for post in std::mem::take(&mut self.want_manager) {
                    self.tell_manager(post);
                }
            }
            Report::ManagerOpen(_) => {
                let words = "it says that it is the manager, and is not".to_owned();
                self.hear_failed(post, incarnation, words, true, false);
            }
        }
    }

    fn hear_failed(&mut self, post: Post, incarnation: Incarnation, words: String, permanent: bool, outage: bool) {
        self.announce(post, incarnation);
        self.events.push_back(Event::Failed { post, incarnation, words, permanent, outage });
    }

    /// It says that it exits now.
    fn announce(&mut self, post: Post, incarnation: Incarnation) {
        if let Some(present) = self.roster.get(post, incarnation) {
            present.announced = true;
        }
    }

    /// Only those leave who were told to: else one could be started again and again, without a wait.
    fn hear_leaving(&mut self, post: Post, incarnation: Incarnation) {
        let stage = self.core.worker(post).and_then(|worker| worker.stage);
        if let Some(items) = stage.and_then(|stage| self.core.plan().stages[stage].limits.max_items) {
            let words = format!("it has done its {}", counted(items, "item"));
            self.events.push_back(Event::Leaving { post, incarnation, words });
        }
    }

    fn tell_manager(&self, post: Post) {
        let orders = self.roster.at(post).and_then(|present| present.orders.as_ref());
        if let (Some(orders), Some(manager)) = (orders, &self.manager)
            && let Err(error) = orders.send(Order::Manager(manager.clone()))
        {
            tracing::debug!(%error, "a worker was gone before it heard of the manager");
        }
    }

    fn answer(&mut self, call: Call) {
        let answer = match call.request {
            Request::Status => Answer::Status(Box::new(self.picture())),
            Request::Stop(how) => {
                let (level, words) = match how {
                    StopRequest::Drain => (StopLevel::Drain, "draining: sources stop, what is queued is finished"),
                    StopRequest::Now => (StopLevel::Now, "stopping: items in hand are finished, the rest stays queued"),
                    StopRequest::Kill => (StopLevel::Kill, "killing every worker"),
                };
                self.events.push_back(Event::StopAt(level, Actor::Operator));
                Answer::Stopping(words.to_owned())
            }
            Request::Retry { queue, which } => self.retry(&queue, &which),
            Request::Drop { queue, which } => self.drop_letters(&queue, &which),
            Request::Signal { who, signal, group } => {
                self.signal_them(&who, signal, if group { To::Group } else { To::Process })
            }
            Request::Restart { who } => self.restart(&who),
            Request::Scale { sizes } => self.scale(&sizes),
            Request::Reload => self.reload(Actor::Operator),
            Request::Spare { stage } => self.lend_spare(&stage),
            Request::Pause { stage, paused } => self.pause(stage, paused),
            Request::Shared { name } => {
                // The manager may take its time: not in this thread.
                crate::shared::answer(self.manager.clone(), self.dir.clone(), name, call.answer);
                return;
            }
        };
        let _ = call.answer.send(answer);
    }
}
