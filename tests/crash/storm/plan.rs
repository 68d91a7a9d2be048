//! The pipeline of a storm, as its seed wants it.

use std::fmt;

use brigade_tests::Dice;

/// What every stage and every queue of a storm has.
const STAGE: &str = "max_restarts = \"unlimited\"\nbackoff = \"1ms\"\nbackoff_max = \"20ms\"\n\
                     env = { ENOUGH = \"${here}/enough\", KEPT = \"${here}/kept\" }";

/// A source, some stages in the middle, and a sink.
pub struct Plan {
    /// One worker, one thread and one item to a commit everywhere: what the source made comes out in its order.
    pub is_straight: bool,
    chunk: u64,
    source_pause: u64,
    sink_batch: u64,
    sink_pause: u64,
    middle: Vec<Middle>,
    queues: Vec<(u64, &'static str)>,
}

struct Middle {
    replicas: u64,
    threads: u64,
    batch: u64,
    pause: u64,
}

impl Plan {
    pub fn draw(dice: &mut Dice) -> Self {
        let is_straight = dice.once_in(4);
        let many = |dice: &mut Dice, choices: &[u64]| if is_straight { 1 } else { dice.one_of(choices) };
        let middle: Vec<_> = (0..2 + dice.below(2))
            .map(|_| Middle {
                replicas: many(dice, &[1, 2, 3, 4]),
                threads: many(dice, &[1, 1, 2, 3]),
                batch: many(dice, &[1, 1, 4, 16]),
                pause: 0,
            })
            .collect();
        let queues: Vec<_> = (0..=middle.len())
            .map(|_| (dice.one_of(&[1, 2, 7, 64]), dice.one_of(&["64B", "256B", "1KiB", "4KiB"])))
            .collect();
        let mut plan = Self {
            is_straight,
            chunk: 1 + dice.below(queues[0].0),
            source_pause: 0,
            sink_batch: many(dice, &[1, 4, 32]),
            sink_pause: 0,
            middle,
            queues,
        };
        // One of them is slow, or none: queues run full before it, and empty behind it.
        let pause = dice.one_of(&[50, 200, 1000]);
        let slow = dice.below(plan.middle.len() as u64 + 3);
        match slow {
            0 => plan.source_pause = pause,
            1 => plan.sink_pause = pause,
            2 => {}
            nth => plan.middle[nth as usize - 3].pause = pause,
        }
        plan
    }

    /// Whether one of its stages sleeps.
    pub fn is_slow(&self) -> bool {
        self.source_pause + self.sink_pause + self.middle.iter().map(|stage| stage.pause).sum::<u64>() > 0
    }

    /// The pipeline file.
    pub fn text(&self, seed: u64) -> String {
        let mut text = "name = \"storm\"\n".to_owned();
        for (n, (capacity, item_bytes)) in self.queues.iter().enumerate() {
            text += &format!(
                "[queues.q{n}]\ncapacity = {capacity}\nitem_bytes = {item_bytes:?}\nmax_item_bytes = \"1100KiB\"\n\
                 max_deliveries = \"unlimited\"\n"
            );
        }
        let Self { chunk, source_pause, sink_batch, sink_pause, .. } = self;
        text += &format!(
            "[stages.source]\ncommand = [\"wave\", \"emit\", \"{seed}\", \"{chunk}\", \"{source_pause}\"]\n\
             outputs = [\"q0\"]\n{STAGE}\n"
        );
        for (n, Middle { replicas, threads, batch, pause }) in self.middle.iter().enumerate() {
            text += &format!(
                "[stages.m{n}]\ncommand = [\"wave\", \"pass\", \"{seed}\", \"{pause}\"]\ninputs = [\"q{n}\"]\n\
                 outputs = [\"q{}\"]\nreplicas = {replicas}\nthreads = {threads}\nbatch = {batch}\n{STAGE}\n",
                n + 1
            );
        }
        text += &format!(
            "[stages.sink]\ncommand = [\"wave\", \"keep\", \"{seed}\", \"{sink_pause}\"]\ninputs = [\"q{}\"]\n\
             batch = {sink_batch}\n{STAGE}\n",
            self.middle.len()
        );
        text
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}/{}us", self.chunk, self.source_pause)?;
        for (n, Middle { replicas, threads, batch, pause }) in self.middle.iter().enumerate() {
            write!(f, " q{} m {replicas}x{threads}/{batch}/{pause}us", self.queues[n].0)?;
        }
        let last = self.queues[self.middle.len()].0;
        write!(f, " q{last} sink {}/{}us", self.sink_batch, self.sink_pause)
    }
}
