//! How an item is taken: by itself, or as one of a run or batch, whose deliveries do not count.

use super::slot::{MOST_DELIVERIES, Word};

/// How an item is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// By itself: the delivery counts.
    Single,
    /// As the first of a run or batch: the delivery does not count, unless the item has to be taken by itself.
    First,
    /// As a further item of a run or batch. An item that has to be taken by itself stays where it is.
    More,
}

impl Take {
    /// The deliveries that a lease of a ready item has: none of them has failed before.
    #[inline]
    pub(super) const fn of_ready(self) -> u16 {
        matches!(self, Self::Single) as u16
    }

    /// The deliveries that a lease of a late item with this word has.
    pub(super) const fn of_late(self, word: Word) -> u16 {
        if word.fits_a_run() {
            return self.of_ready();
        }
        let deliveries = word.deliveries();
        if deliveries < MOST_DELIVERIES { deliveries + 1 } else { deliveries }
    }
}
