//! Chance that can be repeated: the same seed gives the same throws. Without it a storm that found something could not be
//! sent through again.

/// A generator of numbers (splitmix64).
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Those of this seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Any number.
    pub fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.throw() % end
    }

    /// True once in so many throws.
    pub fn once_in(&mut self, throws: u64) -> bool {
        self.below(throws) == 0
    }

    /// One of these.
    pub fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize]
    }
}

/// How many bytes item `n` of a storm has: mostly few, often none, sometimes more than lie inline, rarely up to 1 MiB.
pub fn size_in_storm(seed: u64, n: u64) -> usize {
    let mut dice = Dice::new(seed ^ n.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    let size = match dice.below(3000) {
        0 => dice.below(1 << 20),
        1..20 => dice.below(64 << 10),
        20..500 => 0,
        500..1000 => dice.below(4096),
        _ => dice.below(200),
    };
    size as usize
}

/// How often item `n` of a storm goes round the loop of a stage that feeds itself.
pub fn hops_in_storm(seed: u64, n: u64) -> u8 {
    Dice::new(seed.rotate_left(17) ^ n.wrapping_mul(0xBF58_476D_1CE4_E5B9)).below(8).saturating_sub(4) as u8
}

/// Whether item `n` of a storm goes round the loop of two stages: few do, so that the loop has room for all of them.
pub fn goes_round_in_storm(n: u64) -> bool {
    n.is_multiple_of(20) && n < 20 * LOOP_ROOM
}

/// The capacity of the queues in a loop of two stages: not fewer than the items that ever come there.
pub const LOOP_ROOM: u64 = 600;

/// The monotonic clock, which is the same in all processes, in nanoseconds.
pub fn monotonic_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}
