//! All places of members at a queue: whose they are, seen at a glance. Most of them are free most of the time, and the
//! supervisor looks at all of them after every exit.

use super::geometry::{MEMBER_BYTES, MEMBERS};
use super::place::{ACKED, OWNER, RETURNED, SENT, owner};
use crate::id::Post;
use crate::shm::Words;
use crate::sync::Ordering;

/// Words of one place.
const PLACE_WORDS: usize = MEMBER_BYTES / 8;
/// Words of all places.
pub const PLACES_WORDS: usize = MEMBERS * PLACE_WORDS;

/// View of all places.
#[derive(Debug)]
pub struct Places {
    words: Words,
}

/// A place that somebody has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    /// The number of the place.
    pub index: u16,
    /// Whose it is.
    pub post: Post,
    /// The number of that one's thread.
    pub lane: u16,
}

/// What the counts of a place have come to, whoever had it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sums {
    /// Items sent.
    pub sent: u64,
    /// Items acked.
    pub acked: u64,
    /// Items that came back.
    pub returned: u64,
}

impl Places {
    /// Over the words of all of them.
    pub fn new(words: Words) -> Self {
        assert_eq!(words.len(), PLACES_WORDS, "words of all places");
        Self { words }
    }

    /// Those that somebody has.
    pub fn taken(&self) -> impl Iterator<Item = Taken> + '_ {
        (0..MEMBERS as u16).filter_map(|index| {
            let (post, lane) = owner(self.load(index, OWNER))?;
            Some(Taken { index, post, lane })
        })
    }

    /// Those that nobody has.
    pub fn free(&self) -> impl Iterator<Item = u16> + '_ {
        (0..MEMBERS as u16).filter(|index| owner(self.load(*index, OWNER)).is_none())
    }

    /// The counts of all.
    pub fn sums(&self) -> impl Iterator<Item = Sums> + '_ {
        (0..MEMBERS as u16).map(|index| Sums {
            sent: self.load(index, SENT),
            acked: self.load(index, ACKED),
            returned: self.load(index, RETURNED),
        })
    }

    fn load(&self, index: u16, word: usize) -> u64 {
        // Acquire: pairs with `Place::take`, and with `Place::done`.
        self.words.at(usize::from(index) * PLACE_WORDS + word).load(Ordering::Acquire)
    }
}

impl Sums {
    /// Whether these can be counts: none comes near this in a million years.
    pub fn are_plausible(&self) -> bool {
        [self.sent, self.acked, self.returned].iter().all(|count| *count <= 1 << 48)
    }
}

// The bench of the queue's tests is not built for the models.
#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;
    use crate::queue::tests::{SMALL, queue};

    #[test]
    fn places_are_told_apart_by_their_owners() {
        let bench = queue(SMALL);
        let places = &bench.queue.shared.places;
        let taken = || places.taken().collect::<Vec<_>>();
        assert_eq!((taken(), places.free().next()), (Vec::new(), Some(0)));
        let (one, other) = (bench.member(7), bench.queue.join(Post(8), 3).expect("a free place"));
        let both = [Taken { index: 0, post: Post(7), lane: 0 }, Taken { index: 1, post: Post(8), lane: 3 }];
        assert_eq!((taken(), places.free().next()), (both.to_vec(), Some(2)));
        assert_eq!(places.free().count(), MEMBERS - 2);
        drop((one, other));
        bench.queue.sweep(Post(7), |_, _| 0);
        assert_eq!((taken(), places.free().next()), (both[1..].to_vec(), Some(0)));
    }

    #[test]
    fn counts_that_cannot_be_are_seen() {
        let sums = Sums { sent: 1 << 48, acked: 0, returned: 3 };
        assert!(sums.are_plausible());
        assert!(!Sums { returned: (1 << 48) + 1, ..sums }.are_plausible());
    }
}
