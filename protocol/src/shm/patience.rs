//! How often to look before going to sleep, and how soon to look at all.
//!
//! Spinning pays when the other side is at work on another core, and costs it its time when it is not, so each success
//! doubles the length and each failure halves it.
//!
//! Looking at once does not pay when both sides are busy and one is a little faster: it then waits for every single item
//! on the other's heels, and the two take each other's cache lines away at each step, which is several times slower than
//! to let the other get ahead. So one that has found what it waited for at its first look a few times on end *gathers*: it
//! lets a moment pass (a microsecond, about) before it looks. When that brings it no more than one item, it was in vain.

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    looks: u32,
    /// How often on end it was rewarded at the first look.
    at_once: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self { looks: Self::LEAST, at_once: 0 }
    }
}

impl Patience {
    const LEAST: u32 = 16;
    const MOST: u32 = 1024;
    /// As many first looks that find something are no coincidence.
    const ON_HEELS: u32 = 4;
    /// How many pauses of the processor to let pass.
    const PAUSES: u32 = 256;

    /// How often to look this time.
    pub fn looks(self) -> u32 {
        self.looks
    }

    /// Whether to let a moment pass first.
    pub fn gathers(self) -> bool {
        self.at_once >= Self::ON_HEELS
    }

    /// Lets that moment pass.
    pub fn gather() {
        (0..Self::PAUSES).for_each(|_| std::hint::spin_loop());
    }

    /// To look on was, or would have been, worth it.
    pub fn rewarded(&mut self) {
        self.looks = (self.looks * 2).min(Self::MOST);
        self.at_once = 0;
    }

    /// Look number `look`, from 0, has found something.
    pub fn found(&mut self, look: u32) {
        let at_once = if look <= 1 { (self.at_once + 1).min(Self::ON_HEELS) } else { 0 };
        self.rewarded();
        self.at_once = at_once;
    }

    /// It has gathered, and there was no more than there would have been without.
    pub fn gathered_in_vain(&mut self) {
        self.at_once = 0;
    }

    /// It was not worth it.
    pub fn disappointed(&mut self) {
        self.looks = (self.looks / 2).max(Self::LEAST);
        self.at_once = 0;
    }
}
