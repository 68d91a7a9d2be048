//! Groups of stages that share their fate. Without them a crash could only ever concern the one process that crashed.

use std::time::Duration;

use serde::Serialize;

use super::StageIx;

/// Who goes down with a worker that crashed and is to be started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Strategy {
    /// Nobody. The default, and how stages without a group behave.
    OneForOne,
    /// All other workers of the group, those of its own stage too.
    OneForAll,
    /// The workers of all stages that are named after its own in the group.
    RestForOne,
}

/// A group. A stage is in one group at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Its name: letters, digits, `-`, `_`; at most 64 bytes.
    pub name: String,
    /// Its stages in the order in which the file names them; never empty.
    pub stages: Vec<StageIx>,
    /// Default one-for-one.
    pub strategy: Strategy,
    /// More restarts after crashes of its workers than this, together, within `restart_period` give up; `None`: only
    /// the limits of its stages count. Default `None`.
    pub max_restarts: Option<u32>,
    /// Default 60 s.
    pub restart_period: Duration,
}

impl Group {
    /// Whether the (other) workers of one stage go down with a worker of another, or of the same one.
    pub fn takes_along(&self, crashed: StageIx, other: StageIx) -> bool {
        let place = |stage| self.stages.iter().position(|known| *known == stage);
        let Some((crashed, other)) = place(crashed).zip(place(other)) else { return false };
        match self.strategy {
            Strategy::OneForOne => false,
            Strategy::OneForAll => true,
            Strategy::RestForOne => other > crashed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strategy_says_who_goes_down_with_whom() {
        let group = |strategy| Group {
            name: "g".into(),
            stages: vec![7, 2, 5],
            strategy,
            max_restarts: None,
            restart_period: Duration::from_secs(60),
        };
        let along = |strategy, crashed| -> Vec<usize> {
            (0..9).filter(|other| group(strategy).takes_along(crashed, *other)).collect()
        };
        assert_eq!(along(Strategy::OneForOne, 7), [] as [usize; 0]);
        assert_eq!(along(Strategy::OneForAll, 2), [2, 5, 7]);
        assert_eq!(along(Strategy::RestForOne, 7), [2, 5]);
        assert_eq!(along(Strategy::RestForOne, 2), [5]);
        assert_eq!(along(Strategy::RestForOne, 5), [] as [usize; 0]);
        assert_eq!(along(Strategy::OneForAll, 1), [] as [usize; 0], "it is in no group");
    }
}
