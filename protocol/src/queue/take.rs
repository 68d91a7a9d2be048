//! How an item is taken: by itself, or as one of a run or batch, whose deliveries do not count.

use super::slot::Word;

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
    /// The deliveries that a lease of an item with this word has.
    #[inline]
    pub(super) const fn count(self, word: Word) -> u16 {
        match self {
            Self::First | Self::More if word.fits_a_run() => 0,
            Self::Single | Self::First | Self::More => word.deliveries().saturating_add(1),
        }
    }
}
