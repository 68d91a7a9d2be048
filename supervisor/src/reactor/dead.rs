//! What becomes of items that fail: swept after a death, put aside as dead letters, sent again or dropped when somebody
//! asks for it.

use std::time::Instant;

use brigade_protocol::crash_point;
use brigade_protocol::id::{Incarnation, ItemId, Post};
use brigade_protocol::queue::DeadItem;

use super::act::committed;
use super::{QueueInUse, Reactor, SOON};
use crate::control::Answer;
use crate::core::event::Event;
use crate::effects::dead::{Attempt, Which};
use crate::figures::counted;

/// Nobody's post: the supervisor's own, when it sends.
const NOBODY: Post = Post(0);
/// More words than the SDK sends are not kept.
const WORDS: usize = 2000;

impl Reactor {
    pub(super) fn sweep(&mut self, post: Post, incarnation: Incarnation) {
        // What cannot be believed is not followed: nothing is done to a spoilt queue, and what a spoilt page says to be
        // committed is not.
        self.look_for_spoilt_of(post);
        let (name, replica) = self.name_of(post);
        let is_page_spoilt = self.is_page_spoilt(post);
        let stage = self.core.worker(post).and_then(|worker| worker.stage);
        self.note_death(post, incarnation);
        let mut dead = 0u64;
        for index in 0..self.queues.len() {
            if self.queues[index].spoilt {
                continue;
            }
            let page = |of: Post| self.pages.get(&of).filter(|_| of != post || !is_page_spoilt);
            let committed = |post, lane| committed(page(post), lane);
            let swept = self.queues[index].queue.sweep(post, committed);
            if let Some(stage) = stage {
                self.add_progress(post, stage, index, &swept);
            }
            if !swept.is_clean() {
                let queue = &self.core.plan().queues[index].name;
                let (returned, dead, rolled_back) = (swept.returned, swept.dead, swept.rolled_back);
                tracing::info!(
                    "{name}/{replica} held items of queue {queue}: {returned} go back, {dead} are dead letters, {rolled_back} were not sent yet"
                );
            }
            dead = dead.saturating_add(swept.dead);
            if swept.dead > 0 {
                let end = self.end_of(post);
                self.put_dead_aside_with(index, &format!("its worker {name}/{replica} {end}"));
            }
            crash_point!("queue_swept");
        }
        self.earlier.swept(post, dead);
    }

    fn end_of(&self, post: Post) -> String {
        let end = self.core.worker(post).and_then(|worker| worker.last_end.as_ref());
        end.map_or_else(|| "died".to_owned(), |end| format!("died: {end}"))
    }

    /// A death is an attempt that came to nothing, of each item that the worker was at.
    fn note_death(&mut self, post: Post, incarnation: Incarnation) {
        let stage = self.core.worker(post).and_then(|worker| worker.stage);
        let (Some(page), Some(stage)) = (self.pages.get(&post), stage) else { return };
        let inputs = &self.core.plan().stages[stage].inputs;
        // What stands in a page is input.
        let held = (0..page.lanes()).filter_map(|lane| page.lane(lane).holds());
        let held: Vec<_> = held.filter_map(|(input, item)| Some((*inputs.get(usize::from(input))?, item))).collect();
        if held.is_empty() {
            return;
        }
        let (name, replica) = self.name_of(post);
        let attempt = Attempt {
            worker: format!("{name}/{replica}"),
            incarnation: incarnation.0,
            time_us: jiff::Timestamp::now().as_microsecond(),
            words: self.end_of(post),
            stderr_tail: match &self.leaver {
                Some((leaver, of, words)) if (*leaver, *of) == (post, incarnation) => words.clone(),
                Some(_) | None => Vec::new(),
            },
        };
        for (queue, item) in held {
            self.history.note(queue, item, attempt.clone());
        }
    }

    /// A worker says that it could not do an item.
    pub(super) fn item_failed(
        &mut self,
        post: Post,
        incarnation: Incarnation,
        queue: &str,
        item: ItemId,
        words: String,
    ) {
        let plan = self.core.plan();
        let stage = self.core.worker(post).and_then(|worker| worker.stage);
        let inputs = stage.map_or(&[][..], |stage| &plan.stages[stage].inputs);
        let Some(queue) = inputs.iter().copied().find(|index| plan.queues[*index].name == queue) else { return };
        let (name, replica) = self.name_of(post);
        let attempt = Attempt {
            worker: format!("{name}/{replica}"),
            incarnation: incarnation.0,
            time_us: jiff::Timestamp::now().as_microsecond(),
            words: words.chars().take(WORDS).collect(),
            stderr_tail: Vec::new(),
        };
        self.history.note(queue, item, attempt);
        self.judge_dead();
    }

    /// A run with a limit of dead letters stops as soon as it can, without waiting until they are put aside.
    fn judge_dead(&mut self) {
        let Some(most) = self.core.plan().max_dead_letters else { return };
        let in_use = || self.queues.iter().filter(|in_use| !in_use.spoilt);
        // Cheap, and a hint alone; what lies in the slots takes a look at all of them.
        let new = in_use().map(|in_use| in_use.queue.deaths().saturating_sub(in_use.known));
        if new.fold(self.dead_letters, u64::saturating_add) >= most {
            let found = in_use().map(|in_use| in_use.queue.depth().dead);
            self.events.push_back(Event::DeadLetters(found.fold(self.dead_letters, u64::saturating_add)));
        }
    }

    /// Nobody tells of items that die of failures. Those that are new are put aside a moment later: what their worker has
    /// said of the failure takes another way, and is to be here by then.
    pub(super) fn look_for_dead(&mut self, now: Instant) {
        for index in 0..self.queues.len() {
            let QueueInUse { queue, deaths, stuck, due, .. } = &mut self.queues[index];
            if *due || *stuck {
                *due = false;
                self.put_dead_aside(index);
            } else if queue.deaths() != *deaths {
                *due = true;
                self.next_round = now + SOON;
            }
        }
    }

    pub(super) fn put_dead_aside(&mut self, index: usize) {
        self.put_dead_aside_with(index, "its handler failed each time; the log of the stage says why");
    }

    fn put_dead_aside_with(&mut self, index: usize, words: &str) {
        let name = &self.core.plan().queues[index].name;
        let QueueInUse { queue, dead, deaths, known, stuck, spoilt, .. } = &mut self.queues[index];
        if *spoilt {
            return;
        }
        *deaths = queue.deaths();
        *known = *deaths;
        let history = &self.history;
        let known = |item: &DeadItem<'_>| {
            let attempts = history.of(index, item.id);
            let words = attempts.last().map_or_else(|| words.to_owned(), |at| format!("{}: {}", at.worker, at.words));
            (words, attempts)
        };
        let kept = dead.take_from(queue, known, |letter| {
            let (item, deliveries, words) = (letter.key, letter.deliveries, &letter.words);
            tracing::warn!(queue = %name, %item, deliveries, "an item is a dead letter now: {words}");
        });
        match kept {
            Ok(kept) => {
                *stuck = false;
                if kept > 0 {
                    self.dead_letters = self.dead_letters.saturating_add(kept);
                    self.events.push_back(Event::DeadLetters(self.dead_letters));
                }
            }
            Err(error) => {
                if !*stuck {
                    tracing::error!(queue = %name, %error, "a dead letter cannot be kept; it stays in the queue until it can");
                }
                *stuck = true;
            }
        }
    }

    /// How many items became dead letters in this run and are kept: those that were sent again or dropped are not. While
    /// letters of earlier runs are kept as well, each that went counts as one of those.
    pub(super) fn new_dead_letters(&self) -> u64 {
        let kept = self.queues.iter().fold(0u64, |sum, in_use| sum.saturating_add(in_use.dead.len()));
        self.dead_letters.min(kept)
    }

    /// Sends dead letters again, by a place of our own in the queue.
    pub(super) fn retry(&mut self, name: &str, which: &Which) -> Answer {
        if self.core.level().is_some() {
            return Answer::Refused("the pipeline is ending: retry when it has ended, or when it runs again".into());
        }
        let Some(index) = self.queue_named(name) else { return no_queue(name) };
        self.put_dead_aside(index); // What has just run out of deliveries is meant as well.
        let QueueInUse { queue, dead, member, .. } = &mut self.queues[index];
        if queue.is_closed() {
            return Answer::Refused(format!(
                "queue {name} is closed, as all its producers are complete: retry when the pipeline has ended"
            ));
        }
        if member.is_none() {
            match queue.join(NOBODY, 0) {
                Ok(joined) => *member = Some(joined),
                Err(error) => return Answer::Refused(error.to_string()),
            }
        }
        let member = member.as_mut().expect("it has just joined");
        match dead.retry(member, which) {
            Ok(gone) => {
                let (letters, are) = (counted(gone.gone, "dead letter"), if gone.gone == 1 { "is" } else { "are" });
                tracing::info!("{letters} of queue {name} {are} sent again (by the operator)");
                Answer::Gone(gone)
            }
            Err(error) => Answer::Refused(format!("the file of dead letters of queue {name}: {error}")),
        }
    }

    /// Drops dead letters.
    pub(super) fn drop_letters(&mut self, name: &str, which: &Which) -> Answer {
        let Some(index) = self.queue_named(name) else { return no_queue(name) };
        self.put_dead_aside(index);
        let QueueInUse { queue, dead, .. } = &mut self.queues[index];
        match dead.drop_letters(Some(queue), which) {
            Ok(gone) => {
                let (letters, are) = (counted(gone.gone, "dead letter"), if gone.gone == 1 { "is" } else { "are" });
                tracing::info!("{letters} of queue {name} {are} dropped (by the operator)");
                Answer::Gone(gone)
            }
            Err(error) => Answer::Refused(format!("the file of dead letters of queue {name}: {error}")),
        }
    }

    fn queue_named(&self, name: &str) -> Option<usize> {
        self.core.plan().queues.iter().position(|queue| queue.name == name)
    }
}

fn no_queue(name: &str) -> Answer {
    Answer::Refused(format!("the pipeline that runs has no queue {name}: retry or drop when it does not run"))
}
