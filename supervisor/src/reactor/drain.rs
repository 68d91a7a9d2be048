//! The look at what a drain has left to do, for the core's forecast, and that forecast in words.

use super::Reactor;
use crate::core::event::{Event, StopLevel};
use crate::core::forecast::Outlook;
use crate::figures::{counted, rate, seconds};

impl Reactor {
    /// Tells the core what is left. It costs a look at every queue, and only a drain pays for it.
    pub(super) fn look_at_drain(&mut self) {
        if self.core.level() == Some(StopLevel::Drain) {
            let left = self.queues.iter().map(|in_use| in_use.queue.depth().left()).sum();
            self.events.push_back(Event::Left(left));
        }
    }

    /// What the core expects of the drain, in words; `None` if it will be done in time.
    pub(super) fn outlook(&self) -> Option<String> {
        self.core.outlook().map(in_words)
    }
}

pub(super) fn in_words(outlook: &Outlook) -> String {
    let Outlook { items, fewer, within, needs, remaining } = outlook;
    let (items, remaining) = (counted(*items, "item"), seconds(remaining.as_secs_f64()));
    match needs {
        Some(needs) => format!(
            "{items} left at {}/s take {}, more than the {remaining} that drain_timeout still allows: the rest stays in the \
             queues",
            rate(*fewer as f64 / within.as_secs_f64()),
            seconds(needs.as_secs_f64()),
        ),
        None => format!(
            "{items} left, and none was done in the last {}: what is left in {remaining}, at the end of drain_timeout, stays \
             in the queues",
            seconds(within.as_secs_f64()),
        ),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_outlook_reads_as_a_sentence() {
        let outlook = Outlook {
            items: 3_970,
            fewer: 182,
            within: Duration::from_secs(2),
            needs: Some(Duration::from_secs(43)),
            remaining: Duration::from_secs(28),
        };
        assert_eq!(
            in_words(&outlook),
            "3,970 items left at 91/s take 43.0 s, more than the 28.0 s that drain_timeout still allows: the rest stays in \
             the queues"
        );
        assert_eq!(
            in_words(&Outlook { items: 1, needs: None, within: Duration::from_secs(5), ..outlook }),
            "1 item left, and none was done in the last 5.0 s: what is left in 28.0 s, at the end of drain_timeout, stays in \
             the queues"
        );
    }
}
