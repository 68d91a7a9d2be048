//! Whether a stage that crashes again and again can give up at all. Without this check a slip in one of four keys turns
//! "give up" into "for ever", and nobody notices before the night it matters.

use std::time::Duration;

use crate::config::plan::StagePlan;
use crate::config::units::show_duration;

/// A delay may be shorter by this much than what the doubling says, in fifths: 4 of 5.
const SHORTEST_FIFTHS: u32 = 4;

/// If the stage can never give up: what is wrong, and what to do. To give up takes `max_restarts` + 1 exits within
/// `restart_period`, and between them lie at least `max_restarts` delays.
pub(super) fn never_gives_up(stage: &StagePlan) -> Option<(String, String)> {
    let restarts = stage.max_restarts?;
    let shortest = shortest_delays(restarts, stage.backoff, stage.backoff_max) / 5 * SHORTEST_FIFTHS;
    // What happened a whole period ago does not count any more.
    if shortest < stage.restart_period {
        return None;
    }
    let (takes, period) = (show_duration(shortest), show_duration(stage.restart_period));
    let message = format!(
        "stage {:?} could never give up: {restarts} restarts take at least {takes}, but restart_period is {period}",
        stage.name
    );
    let help =
        "raise restart_period, lower max_restarts, backoff or backoff_max, or write max_restarts = \"unlimited\"";
    Some((message, help.to_owned()))
}

/// The sum of the first `count` delays, which double up to `most`.
fn shortest_delays(count: u32, first: Duration, most: Duration) -> Duration {
    let mut sum = Duration::ZERO;
    let mut delay = first.min(most);
    let mut left = count;
    while left > 0 && delay < most {
        sum += delay;
        delay = delay.saturating_mul(2).min(most);
        left -= 1;
    }
    sum.saturating_add(most.saturating_mul(left))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_double_up_to_the_cap() {
        let millis = |count, first, most| {
            shortest_delays(count, Duration::from_millis(first), Duration::from_millis(most)).as_millis()
        };
        assert_eq!(millis(0, 100, 30_000), 0);
        assert_eq!(millis(5, 100, 30_000), 100 + 200 + 400 + 800 + 1_600);
        assert_eq!(millis(4, 100, 250), 100 + 200 + 250 + 250);
        assert_eq!(millis(3, 100, 100), 300);
        assert_eq!(millis(u32::MAX, 1, 1), u128::from(u32::MAX));
    }
}
