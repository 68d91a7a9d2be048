//! What a storm decides to do, and when: drawn from its seed alone. Without it, nobody could say what a seed fixes and
//! what it does not.

use brigade_tests::Dice;

/// One disturbance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// After so many more acks in all queues (or fewer, if they take long).
    pub acks: u64,
    pub deed: Deed,
    /// Chooses among those who are there then.
    pub choice: u64,
    /// If the supervisor dies of it: the next one is killed in its start as well, after so many milliseconds.
    pub start_dies: Option<u64>,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A worker that is ready is killed.
    KillWorker,
    /// One is stopped for a while, and then killed or let go.
    Pause,
    /// All that are ready are killed, and the manager.
    KillReady,
    /// The supervisor is killed.
    KillSupervisor,
    /// Everything is killed, each process by its own pid.
    KillAll,
    /// The pipeline file is read again, with another name for a stage or a queue.
    Rename,
    /// All dead letters are sent again.
    Retry,
}

impl Decision {
    /// The decision of this number in the storm of this seed, which waits for `pace` acks at the most.
    pub fn draw(seed: u64, number: u64, pace: u64) -> Self {
        let mut dice = Dice::new(seed.rotate_left(32) ^ number.wrapping_mul(0xA24B_AED4_963E_E407));
        Self {
            acks: dice.below(pace),
            deed: match dice.below(100) {
                0..75 => Deed::KillWorker,
                75..81 => Deed::Pause,
                81..85 => Deed::KillReady,
                85..90 => Deed::KillSupervisor,
                90..93 => Deed::KillAll,
                93..95 => Deed::Rename,
                _ => Deed::Retry,
            },
            choice: dice.throw(),
            start_dies: dice.once_in(3).then(|| dice.below(60)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storm::plan::Plan;

    fn drawn(seed: u64) -> (String, Vec<Decision>) {
        let plan = Plan::draw(&mut Dice::new(seed)).text(seed);
        (plan, (0..500).map(|number| Decision::draw(seed, number, 1000)).collect())
    }

    #[test]
    fn the_same_seed_draws_the_same_pipeline_and_the_same_disturbances() {
        for seed in 0..50 {
            assert_eq!(drawn(seed), drawn(seed));
            assert_ne!(drawn(seed).1, drawn(seed + 1).1);
        }
        // For ever: a seed in the documentation is to mean the same storm in a year.
        let (plan, decisions) = drawn(1);
        let first = (crc32fast::hash(plan.as_bytes()), decisions[0].clone());
        assert_eq!(
            first,
            (
                3_420_493_314,
                Decision { acks: 56, deed: Deed::KillWorker, choice: 12_634_733_894_835_514_069, start_dies: Some(7) },
            )
        );
    }

    #[test]
    fn every_deed_and_every_kind_of_work_is_drawn() {
        let all: Vec<_> = (0..200).flat_map(|seed| drawn(seed).1).map(|decision| decision.deed).collect();
        let deeds = [Deed::KillWorker, Deed::Pause, Deed::KillReady, Deed::KillSupervisor, Deed::KillAll];
        for deed in deeds.into_iter().chain([Deed::Rename, Deed::Retry]) {
            assert!(all.contains(&deed), "{deed:?}");
        }
        let plans: Vec<_> = (0..200).map(|seed| Plan::draw(&mut Dice::new(seed))).collect();
        for mode in [
            "\"pass\"",
            "\"tally\"",
            "\"nack\"",
            "\"poison\"",
            "\"later\"",
            "\"rash\"",
            "\"transact\"",
            "\"relay\"",
            "\"round\"",
            "\"circle\"",
            "\"r1\"",
            "\"r2\"",
            "stages.other",
            "batch = 500",
        ] {
            assert!(plans.iter().any(|plan| plan.text(1).contains(mode)), "{mode}");
        }
    }
}
