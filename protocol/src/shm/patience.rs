//! How often to look before going to sleep, and how soon to look at all.
//!
//! Spinning pays when the other side is at work on another core, and costs it its time when it is not, so each success
//! doubles the length and each failure halves it.
//!
//! Looking at once does not pay when both sides are busy and one is a little faster: it then waits for every single item
//! on the other's heels, and the two take each other's cache lines away at each step, which is several times slower than
//! to let the other get ahead. So one that has found what it waited for at its first look a few times on end *gathers*: it
//! lets a moment pass (four microseconds, about; less if there is room for a few things only) before it looks. When that brings it no more than one item, as with two
//! that answer each other, it was in vain, and twice as many first looks must find something before it gathers again.

use std::time::Duration;

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    looks: u32,
    /// How often on end it was rewarded at the first look.
    at_once: u32,
    /// How often that must be before it gathers.
    coincidence: u32,
    /// How many pauses of the processor to let pass then.
    pauses: u32,
}

impl Patience {
    const WORTH: Duration = Duration::from_micros(50);
    const LEAST: u32 = 16;
    const MOST: u32 = 1024;
    /// As many first looks that find something are no coincidence, at first and at most.
    const ON_HEELS: u32 = 4;
    const NEVER: u32 = 1 << 14;
    const PAUSES: u32 = 256;

    /// With room for so many things between the two sides. In the moment that it lets pass the other one should not be long
    /// at the end of that room, where it waits in turn.
    pub fn with_room(room: u32) -> Self {
        let pauses = room.saturating_mul(4).min(Self::PAUSES);
        Self { looks: Self::LEAST, at_once: 0, coincidence: Self::ON_HEELS, pauses }
    }

    /// How often to look this time.
    pub fn looks(self) -> u32 {
        self.looks
    }

    /// Whether to let a moment pass first.
    pub fn gathers(self) -> bool {
        self.at_once >= self.coincidence
    }

    /// Lets that moment pass.
    pub fn gather(self) {
        (0..self.pauses).for_each(|_| std::hint::spin_loop());
    }

    /// To look on was, or would have been, worth it.
    fn rewarded(&mut self) {
        self.looks = (self.looks * 2).min(Self::MOST);
        self.at_once = 0;
    }

    /// Look number `look`, from 0, has found something.
    pub fn found(&mut self, look: u32) {
        let at_once = if look <= 1 { self.at_once.saturating_add(1) } else { 0 };
        self.rewarded();
        self.at_once = at_once;
    }

    /// It has gathered: in vain, if there was no more than there would have been without.
    pub fn gathered(&mut self, in_vain: bool) {
        if in_vain {
            self.at_once = 0;
            self.coincidence = (self.coincidence * 2).min(Self::NEVER);
        } else {
            self.coincidence = (self.coincidence / 2).max(Self::ON_HEELS);
        }
    }

    /// It had to sleep for so long in the end. To sleep and to be woken takes about 50 µs: who has slept for less
    /// would have done better to look on.
    pub fn slept(&mut self, time: Duration) {
        if time < Self::WORTH { self.rewarded() } else { self.disappointed() }
    }

    /// It was not worth it.
    fn disappointed(&mut self) {
        self.looks = (self.looks / 2).max(Self::LEAST);
        self.at_once = 0;
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;

    /// What it waits for is there at the first look, so many times on end.
    fn found_at_once(patience: &mut Patience, times: u32) {
        (0..times).for_each(|_| patience.found(0));
    }

    #[test]
    fn one_that_is_on_the_others_heels_gathers_until_it_is_not() {
        let mut patience = Patience::with_room(1024);
        found_at_once(&mut patience, 3);
        assert!(!patience.gathers());
        found_at_once(&mut patience, 1);
        assert!(patience.gathers());
        patience.gathered(false);
        patience.found(0);
        assert!(patience.gathers(), "it was worth it");
        patience.found(5);
        assert!(!patience.gathers());
    }

    #[test]
    fn what_was_in_vain_is_tried_ever_more_rarely_and_as_often_as_at_first_when_it_pays_again() {
        let mut patience = Patience::with_room(1024);
        for needed in [4, 8, 16, 32] {
            found_at_once(&mut patience, needed - 1);
            assert!(!patience.gathers(), "{needed}");
            found_at_once(&mut patience, 1);
            assert!(patience.gathers(), "{needed}");
            patience.gathered(true);
        }
        found_at_once(&mut patience, 64);
        (0..10).for_each(|_| patience.gathered(false));
        patience.disappointed();
        found_at_once(&mut patience, 4);
        assert!(patience.gathers());
    }

    #[test]
    fn a_small_queue_leaves_less_time_to_gather() {
        let pauses = [1, 16, 1 << 24].map(|room| Patience::with_room(room).pauses);
        assert_eq!(pauses, [4, 64, Patience::PAUSES]);
    }

    #[test]
    fn looks_grow_with_success_and_shrink_without_within_their_bounds() {
        let mut patience = Patience::with_room(1024);
        let least = patience.looks();
        patience.disappointed();
        assert_eq!(patience.looks(), least);
        patience.rewarded();
        assert_eq!(patience.looks(), 2 * least);
        (0..100).for_each(|_| patience.rewarded());
        let most = patience.looks();
        patience.rewarded();
        assert_eq!(patience.looks(), most);
    }
}
