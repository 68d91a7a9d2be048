//! The look at workers that live and do nothing: whether those with an item in hand still give signs of life. Their
//! pages are read here, once a second; what follows is the core's to decide.
//!
//! A thread's time is counted from look to look and not by the clock: had the supervisor itself been stopped for an hour,
//! nobody would be to blame for it.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use brigade_protocol::id::{Incarnation, ItemId, Post};
use brigade_protocol::page::Life;

use super::{ROUND, Reactor};
use crate::config::plan::{StageIx, Watch as Rules};
use crate::config::show_duration;
use crate::core::Worker;
use crate::core::action::State;
use crate::core::event::Event;

/// What was seen of the threads of those who run.
#[derive(Debug, Default)]
pub(super) struct Watch {
    last_look: Option<Instant>,
    seen: HashMap<(Post, u16), Seen>,
}

/// What was seen of a thread.
#[derive(Clone, Copy, Debug)]
struct Seen {
    incarnation: Incarnation,
    life: Life,
    /// For how long it has held an item without a sign of life.
    still: Duration,
    /// For how long it has been at its present item.
    at_item: Duration,
    /// It was told that this is too long.
    told: bool,
}

impl Seen {
    /// Before the first look.
    const NOTHING: Self = Self {
        incarnation: Incarnation::NONE,
        life: Life { begun: 0, done: 0, waits: false },
        still: Duration::ZERO,
        at_item: Duration::ZERO,
        told: false,
    };

    /// One more look, `step` after the last.
    fn look(&mut self, incarnation: Incarnation, life: Life, holds: bool, step: Duration) {
        let stuck = holds && !life.waits && (self.incarnation, self.life) == (incarnation, life);
        self.still = if stuck { self.still + step } else { Duration::ZERO };
        if !holds || (self.incarnation, self.life.begun) != (incarnation, life.begun) {
            (self.at_item, self.told) = (Duration::ZERO, false);
        } else if !life.waits {
            self.at_item += step;
        }
        (self.incarnation, self.life) = (incarnation, life);
    }

    /// Since when it is too much, in words.
    fn too_much(&self, rules: Rules) -> Option<String> {
        if let Some(time) = rules.progress_timeout.filter(|time| self.still >= *time) {
            return Some(format!("made no progress for {}", show_duration(time)));
        }
        let time = rules.item_timeout.map(|time| 2 * time).filter(|time| self.at_item >= *time)?;
        Some(format!("spent {}, twice the item_timeout,", show_duration(time)))
    }

    /// It is to be told that its item takes too long, once for each item: gives how long that is.
    fn is_late(&mut self, rules: Rules) -> Option<Duration> {
        let time = rules.item_timeout.filter(|time| !self.told && self.at_item >= *time)?;
        self.told = true;
        Some(time)
    }
}

impl Reactor {
    /// Tells the core of those who hang.
    pub(super) fn look_for_hung(&mut self, now: Instant) {
        let last = self.watch.last_look.replace(now).unwrap_or(now);
        let step = now.saturating_duration_since(last).min(2 * ROUND);
        if self.core.plan().stages.iter().all(|stage| stage.watch == Rules::default()) {
            return;
        }
        let progress = self.progress();
        let (mut events, mut late, mut seen) = (Vec::new(), Vec::new(), std::mem::take(&mut self.watch.seen));
        for worker in self.core.workers() {
            let Some(stage) = worker.stage.filter(|_| is_at_work(worker)) else { continue };
            let rules = self.core.plan().stages[stage].watch;
            let (true, Some(page)) = (rules != Rules::default(), self.pages.get(&worker.post)) else { continue };
            let (post, incarnation) = (worker.post, worker.incarnation);
            for number in 0..page.lanes() {
                let (lane, seen) = (page.lane(number), seen.entry((post, number)).or_insert(Seen::NOTHING));
                let holds = lane.holds().filter(|_| worker.paused.is_none());
                let life = lane.life(progress.of_thread(post, number));
                seen.look(incarnation, life, holds.is_some(), step);
                let Some((input, item)) = holds else { continue };
                let item = || self.item_in_words(stage, input, item);
                if let Some(what) = seen.too_much(rules) {
                    events.push(Event::Hung { post, incarnation, words: format!("{what} on {}", item()) });
                } else if let Some(time) = seen.is_late(rules) {
                    lane.mark_late(life);
                    let words = format!("{} has spent {} on {}", worker.name, show_duration(time), item());
                    late.push((post, words));
                }
            }
        }
        self.watch.seen = seen;
        self.events.extend(events);
        for (post, words) in late {
            tracing::warn!("{words}, its item_timeout: the handler is told to stop with it");
            self.wake_soon(post);
        }
    }

    pub(super) fn item_in_words(&self, stage: StageIx, input: u16, item: ItemId) -> String {
        let plan = self.core.plan();
        // What stands in a page is input.
        match plan.stages[stage].inputs.get(usize::from(input)) {
            Some(queue) => format!("item {item} of queue {}", plan.queues[*queue].name),
            None => "an item".to_owned(),
        }
    }
}

/// Whether it may hold an item; who is being stopped has other deadlines, as the core knows.
fn is_at_work(worker: &Worker) -> bool {
    match worker.state {
        State::Ready | State::Draining => true,
        State::Pending | State::Starting | State::Stopping | State::Backoff | State::Exited | State::Failed => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LIFE: Life = Life { begun: 4, done: 3, waits: false };

    fn hangs_after(looks: &[(u32, Life, bool)]) -> Vec<bool> {
        let rules = Rules { progress_timeout: Some(2 * SECOND), item_timeout: None, watchdog: None };
        let mut seen = Seen::NOTHING;
        let look = |(incarnation, life, holds): &(u32, Life, bool)| {
            seen.look(Incarnation(*incarnation), *life, *holds, SECOND);
            seen.too_much(rules).is_some()
        };
        looks.iter().map(look).collect()
    }

    #[test]
    fn one_that_shows_the_same_life_at_each_look_hangs() {
        assert_eq!(hangs_after(&[(1, LIFE, true); 4]), [false, false, true, true]);
    }

    #[test]
    fn any_sign_of_life_begins_the_time_anew() {
        for other in [Life { begun: 5, ..LIFE }, Life { done: 4, ..LIFE }, Life { waits: true, ..LIFE }] {
            let looks = [(1, LIFE, true), (1, LIFE, true), (1, other, true), (1, LIFE, true), (1, LIFE, true)];
            assert_eq!(hangs_after(&looks), [false; 5], "{other:?}");
        }
        let empty = [(1, LIFE, true), (1, LIFE, true), (1, LIFE, false), (1, LIFE, true), (1, LIFE, true)];
        assert_eq!(hangs_after(&empty), [false, false, false, false, true], "it was idle in between");
        assert_eq!(hangs_after(&[(1, LIFE, true), (1, LIFE, true), (2, LIFE, true), (2, LIFE, true)]), [false; 4]);
    }

    #[test]
    fn whoever_waits_or_holds_nothing_never_hangs() {
        assert_eq!(hangs_after(&[(1, Life { waits: true, ..LIFE }, true); 9]), [false; 9]);
        assert_eq!(hangs_after(&[(1, LIFE, false); 9]), [false; 9]);
    }

    #[test]
    fn an_item_that_takes_too_long_is_told_once_and_is_too_much_at_twice_the_time() {
        let rules = Rules { progress_timeout: None, item_timeout: Some(2 * SECOND), watchdog: None };
        let mut seen = Seen::NOTHING;
        let mut look = |life: Life| {
            seen.look(Incarnation(1), life, true, SECOND);
            (seen.is_late(rules), seen.too_much(rules))
        };
        assert_eq!([look(LIFE), look(LIFE)], [(None, None), (None, None)]);
        for _ in 0..9 {
            assert_eq!(look(Life { waits: true, ..LIFE }), (None, None), "it waits at a queue");
        }
        assert_eq!(look(Life { done: 4, ..LIFE }), (Some(2 * SECOND), None), "it has committed something");
        assert_eq!(look(LIFE), (None, None));
        assert_eq!(look(LIFE), (None, Some("spent 4s, twice the item_timeout,".to_owned())));
        assert_eq!(look(Life { begun: 5, ..LIFE }), (None, None), "another item");
        assert_eq!(look(Life { begun: 5, ..LIFE }), (None, None));
        assert_eq!(look(Life { begun: 5, ..LIFE }), (Some(2 * SECOND), None));
    }
}
