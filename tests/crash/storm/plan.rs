//! The pipeline of a storm, as its seed wants it.

use std::fmt;

use brigade_tests::{Dice, LOOP_ROOM};

use crate::storm::ledger::OTHERS;

/// What every stage and every queue of a storm has.
const STAGE: &str = "max_restarts = \"unlimited\"\nbackoff = \"1ms\"\nbackoff_max = \"20ms\"\n\
                     env = { ENOUGH = \"${here}/enough\", KEPT = \"${here}/kept\", MENDED = \"${here}/mended\" }";

/// What a stage in the middle does with an item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Hands it on.
    Pass,
    /// The same, and counts it in shared state, as part of the same commit.
    Tally,
    /// Fails some of them once or twice, and then hands them on.
    Nack,
    /// Cannot do some of them before they are mended: they become dead letters, and are sent again.
    Poison,
    /// Asks for most of them to come again later, and then hands them on: nearly all of its queue is delayed.
    Later,
    /// Ends its process at some of them, by an exit with code 0 or an abort, and hands them on when they come again.
    Rash,
    /// Hands it on by transactions of its own, up to twenty items to a commit, from all of its inputs.
    Transact,
    /// Sends most of them back to its own queue first, up to three times, and counts that in the item.
    Round,
    /// Sends some of them first round a loop, in which a second stage counts the rounds.
    Circle,
    /// Hands it on with plain handles: sent and acked are two steps, so that it can come out twice.
    Plain,
}

impl Work {
    fn mode(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Tally => "tally",
            Self::Nack => "nack",
            Self::Poison => "poison",
            Self::Later => "later",
            Self::Rash => "rash",
            Self::Transact => "transact",
            Self::Round => "round",
            Self::Circle => "circle",
            Self::Plain => "relay",
        }
    }

    /// Whether items go through it several times.
    pub fn is_loop(self) -> bool {
        matches!(self, Self::Round | Self::Circle)
    }

    /// Whether its worker takes and sends by itself, on one thread.
    fn is_by_hand(self) -> bool {
        matches!(self, Self::Transact | Self::Plain)
    }
}

/// A source, some stages in the middle, and a sink.
#[derive(Debug)]
pub struct Plan {
    /// One worker and one thread everywhere, with up to 500 items to a commit, and two sources: what each source made comes out
    /// in its order.
    pub is_straight: bool,
    chunk: u64,
    source_pause: u64,
    sink_batch: u64,
    sink_pause: u64,
    pub middle: Vec<Middle>,
    /// What each stage in the middle and the sink take from: capacity and size.
    levels: Vec<(u64, &'static str)>,
    /// How long an item that failed waits at first, in ms. Not where order is promised: nothing fails there.
    retry_delay: u64,
}

/// A stage in the middle.
#[derive(Debug)]
pub struct Middle {
    pub work: Work,
    /// It has two outputs, and the stage behind it two inputs.
    pub forks: bool,
    pub replicas: u64,
    threads: u64,
    batch: u64,
    pause: u64,
}

impl Plan {
    pub fn draw(dice: &mut Dice) -> Self {
        let is_straight = dice.once_in(4);
        let many = |dice: &mut Dice, choices: &[u64]| if is_straight { 1 } else { dice.one_of(choices) };
        let mut middle: Vec<Middle> = Vec::new();
        for _ in 0..2 + dice.below(2) {
            let is_behind_a_fork = middle.last().is_some_and(|stage| stage.forks);
            let has_loop = middle.iter().any(|stage| stage.work.is_loop());
            let work = match dice.below(20) {
                _ if is_straight => dice.one_of(&[Work::Pass, Work::Pass, Work::Tally, Work::Transact]),
                0 => Work::Tally,
                1..3 => Work::Nack,
                3..5 => Work::Poison,
                // It takes from one queue.
                5..7 if !is_behind_a_fork => Work::Plain,
                7..9 => Work::Later,
                9..11 => Work::Rash,
                11..14 => Work::Transact,
                // It gives back to the queue from which it takes.
                14..16 if !is_behind_a_fork && !has_loop => Work::Round,
                16..18 if !has_loop => Work::Circle,
                _ => Work::Pass,
            };
            let batch = dice.one_of(if is_straight { &[1, 1, 100, 500][..] } else { &[1, 1, 4, 16, 100, 500] });
            middle.push(Middle {
                work,
                forks: dice.once_in(3),
                replicas: many(dice, &[1, 2, 3, 4]),
                threads: if work.is_by_hand() { 1 } else { many(dice, &[1, 1, 2, 3]) },
                batch: if work.is_by_hand() { 1 } else { batch },
                pause: 0,
            });
        }
        let levels: Vec<_> = (0..=middle.len())
            .map(|_| (dice.one_of(&[1, 2, 7, 64, 600]), dice.one_of(&["64B", "256B", "1KiB", "4KiB"])))
            .collect();
        let mut plan = Self {
            is_straight,
            chunk: 1 + dice.below(levels[0].0),
            source_pause: 0,
            sink_batch: many(dice, &[1, 4, 32, 300]),
            sink_pause: 0,
            middle,
            levels,
            retry_delay: dice.one_of(&[0, 0, 2, 20]),
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

    /// Whether one of its stages does so.
    pub fn has(&self, work: Work) -> bool {
        self.middle.iter().any(|stage| stage.work == work)
    }

    /// How many stages take from queues.
    pub fn takers(&self) -> usize {
        self.levels.len()
    }

    /// The queues that the taker of this number takes from.
    pub fn inputs(&self, taker: usize) -> Vec<String> {
        let is_forked = taker > 0 && self.middle[taker - 1].forks;
        ["q", "r"][..1 + usize::from(is_forked)].iter().map(|letter| format!("{letter}{taker}")).collect()
    }

    /// In how many classes the source's items come in order, each for itself: those of one number at each fork. 0: in none.
    pub fn ordered_classes(&self) -> u64 {
        match (self.is_straight, self.middle.iter().any(|stage| stage.forks)) {
            (false, _) => 0,
            (true, false) => 1,
            (true, true) => 2,
        }
    }

    /// The pipeline file.
    pub fn text(&self, seed: u64) -> String {
        let mut text = "name = \"storm\"\n".to_owned();
        for (taker, (capacity, item_bytes)) in self.levels.iter().enumerate() {
            let is = |work| self.middle.get(taker).is_some_and(|stage| stage.work == work);
            let (is_poisoned, is_delayed) = (is(Work::Poison), is(Work::Later));
            let delay = self.retry_delay;
            // Letters are sent again as far as there is room.
            let most = if is_poisoned { "3" } else { "\"unlimited\"" };
            let capacity = if is_poisoned || is_delayed { capacity.max(&64) } else { capacity };
            for queue in self.inputs(taker) {
                text += &format!(
                    "[queues.{queue}]\ncapacity = {capacity}\nitem_bytes = {item_bytes:?}\n\
                     max_item_bytes = \"1100KiB\"\nmax_deliveries = {most}\n\
                     retry_delay = \"{delay}ms\"\nretry_delay_max = \"{}ms\"\n",
                    4 * delay
                );
            }
        }
        let Self { chunk, source_pause, sink_batch, sink_pause, .. } = self;
        text += &format!(
            "[stages.source]\ncommand = [\"wave\", \"emit\", \"{seed}\", \"{chunk}\", \"{source_pause}\"]\n\
             outputs = [\"q0\"]\n{STAGE}\n"
        );
        if self.is_straight {
            text += &format!(
                "[stages.other]\ncommand = [\"wave\", \"emit\", \"{seed}\", \"{chunk}\", \"{source_pause}\", \"{OTHERS}\"]\n\
                 outputs = [\"q0\"]\n{STAGE}\n"
            );
        }
        for (n, Middle { work, replicas, threads, batch, pause, forks: _ }) in self.middle.iter().enumerate() {
            let (mode, mut inputs, mut outputs) = (work.mode(), self.inputs(n), self.inputs(n + 1));
            match work {
                Work::Round => outputs.extend(self.inputs(n)),
                Work::Circle => {
                    text += &loop_of_two(seed);
                    inputs.push("k".to_owned());
                    outputs.push("l".to_owned());
                }
                _ => {}
            }
            text += &format!(
                "[stages.m{n}]\ncommand = [\"wave\", \"{mode}\", \"{seed}\", \"{pause}\"]\ninputs = {inputs:?}\n\
                 outputs = {outputs:?}\nreplicas = {replicas}\nthreads = {threads}\nbatch = {batch}\n{STAGE}\n",
            );
        }
        text += &format!(
            "[stages.sink]\ncommand = [\"wave\", \"keep\", \"{seed}\", \"{sink_pause}\"]\ninputs = {:?}\n\
             batch = {sink_batch}\n{STAGE}\n",
            self.inputs(self.middle.len())
        );
        text
    }
}

/// The queues and the second stage of a loop of two stages. It has room for all items that ever come there: two stages that
/// wait for each other's room, both queues full, would stand still.
fn loop_of_two(seed: u64) -> String {
    let queue = |name| {
        format!(
            "[queues.{name}]\ncapacity = {LOOP_ROOM}\nitem_bytes = \"256B\"\nmax_item_bytes = \"1100KiB\"\n\
             max_deliveries = \"unlimited\"\n"
        )
    };
    let stage = format!(
        "[stages.hop]\ncommand = [\"wave\", \"hop\", \"{seed}\", \"0\"]\ninputs = [\"l\"]\noutputs = [\"k\"]\n\
         replicas = 2\nbatch = 4\n{STAGE}\n"
    );
    queue("l") + &queue("k") + &stage
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {}/{}us", self.chunk, self.source_pause)?;
        for (n, Middle { work, forks, replicas, threads, batch, pause }) in self.middle.iter().enumerate() {
            let fork = if *forks { " fork" } else { "" };
            write!(f, " q{} {}{fork} {replicas}x{threads}/{batch}/{pause}us", self.levels[n].0, work.mode())?;
        }
        let last = self.levels[self.middle.len()].0;
        write!(f, " q{last} sink {}/{}us", self.sink_batch, self.sink_pause)?;
        if self.retry_delay > 0 { write!(f, " retry {}ms", self.retry_delay) } else { Ok(()) }
    }
}
