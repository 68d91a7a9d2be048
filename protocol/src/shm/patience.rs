//! How often to look before going to sleep. Spinning pays when the other side is at work on another core, and costs it its
//! time when it is not, so each success doubles the length and each failure halves it.

/// See the module's text.
#[derive(Clone, Copy, Debug)]
pub struct Patience(u32);

impl Default for Patience {
    fn default() -> Self {
        Self(Self::LEAST)
    }
}

impl Patience {
    const LEAST: u32 = 16;
    const MOST: u32 = 1024;

    /// How often to look this time.
    pub fn looks(self) -> u32 {
        self.0
    }

    /// To look on was, or would have been, worth it.
    pub fn rewarded(&mut self) {
        self.0 = (self.0 * 2).min(Self::MOST);
    }

    /// It was not.
    pub fn disappointed(&mut self) {
        self.0 = (self.0 / 2).max(Self::LEAST);
    }
}
