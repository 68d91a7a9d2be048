//! The forecast of a drain: whether what is left in the queues will be done before the drain's time is over. It is told
//! when it is known, and again when it has changed much.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::Core;
use super::action::Action;
use super::backoff::after;

/// The pace is that of this last part of the drain.
const WINDOW: Duration = Duration::from_secs(10);
/// Nothing is concluded from less.
const SHORTEST: Duration = Duration::from_secs(2);
/// That items do not get fewer is concluded from no less than this.
const NO_PACE: Duration = Duration::from_secs(5);

/// What will be left at the end of a drain is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Items that are left in all queues.
    pub items: u64,
    /// So many fewer they have become …
    pub fewer: u64,
    /// … in this time.
    pub within: Duration,
    /// How long they take at this pace; `None` if they do not get fewer.
    pub needs: Option<Duration>,
    /// How long the drain may still last.
    pub remaining: Duration,
}

/// What was seen of a drain.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    looks: VecDeque<(Instant, u64)>,
    /// The last outlook that was told, if it was that the drain will not be done in time.
    told: Option<Outlook>,
}

impl Core {
    /// The outlook, if the drain will not be done in time.
    pub fn outlook(&self) -> Option<&Outlook> {
        self.forecast.told.as_ref().filter(|_| self.ladder.drain_until().is_some())
    }

    /// So many items are left in all queues.
    pub(super) fn left(&mut self, items: u64, now: Instant) {
        let Some(until) = self.ladder.drain_until() else { return };
        let Forecast { looks, told } = &mut self.forecast;
        looks.push_back((now, items));
        // The oldest look is one window old, as nearly as can be.
        while looks.get(1).is_some_and(|(at, _)| after(*at, WINDOW) <= now) {
            looks.pop_front();
        }
        let Some((first, before)) = looks.front().copied() else { return };
        let within = now.saturating_duration_since(first);
        if within < SHORTEST {
            return;
        }
        let (fewer, remaining) = (before.saturating_sub(items), until.saturating_duration_since(now));
        let needs = (fewer > 0).then(|| within.mul_f64((items as f64 / fewer as f64).min(1e9)));
        let is_late = match needs {
            // A tenth more than the time is within the error of the pace.
            Some(needs) => needs > remaining.mul_f64(1.1),
            None => items > 0 && within >= NO_PACE,
        };
        let is_news = match (told.as_ref(), is_late) {
            (None, is_late) => is_late,
            (Some(_), false) => needs.is_some() || items == 0,
            (Some(told), true) => differs_much(told.needs, needs),
        };
        if is_news {
            *told = is_late.then_some(Outlook { items, fewer, within, needs, remaining });
            let told = *told;
            self.out.push(Action::Outlook(told));
        }
    }
}

fn differs_much(told: Option<Duration>, now: Option<Duration>) -> bool {
    match (told, now) {
        (Some(told), Some(now)) => now > told * 2 || told > now * 2,
        (told, now) => told.is_some() != now.is_some(),
    }
}
