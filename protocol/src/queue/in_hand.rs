//! Items in the hands of one post, for the supervisor: when a process has ended, they say whether its end was in order.

use super::file::Queue;
use super::slot::Kind;
use crate::id::{ItemId, Post};

/// An item that a post has taken and has neither finished nor given back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InHand {
    /// Its identity.
    pub id: ItemId,
    /// It becomes a dead letter if this delivery fails.
    pub is_last: bool,
}

impl Queue {
    /// The items in the hands of a post. Exact when nothing of the post can act any more, and before it is swept. Reads the
    /// words of all slots if the post has a place here.
    pub fn in_hand_of(&self, post: Post) -> Vec<InHand> {
        let places: Vec<u16> =
            self.shared.places.taken().filter(|taken| taken.post == post).map(|taken| taken.index).collect();
        if places.is_empty() {
            return Vec::new();
        }
        let words = (0..self.capacity()).map(|slot| (slot, self.shared.ring.word(slot)));
        words
            .filter(|(_, word)| word.kind() == Kind::Leased && places.contains(&word.owner()))
            .map(|(slot, word)| {
                let is_last = self.shared.ring.after_failure(word).kind() == Kind::Dead;
                InHand { id: self.content(slot).0, is_last }
            })
            .collect()
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;
    use crate::queue::Geometry;

    #[test]
    fn what_is_neither_acked_nor_given_back_is_in_hand() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let geometry = Geometry { capacity: 8, item_bytes: 64, max_item_bytes: 64, max_deliveries: Some(2) };
        let queue = Queue::create(&folder.path().join("q"), &geometry).expect("created");
        let mut sender = queue.join(Post(1), 0).expect("joined");
        let mut taker = queue.join(Post(2), 0).expect("joined");
        let ids: Vec<_> = (0..3).map(|n| sender.try_send(&[n]).expect("there is room")).collect();
        let leases: Vec<_> = (0..3).map(|_| taker.try_recv().expect("there is an item")).collect();
        let mut leases = leases.into_iter();
        taker.ack(leases.next().expect("three"));
        taker.give_back(leases.next().expect("three"));
        assert_eq!(queue.in_hand_of(Post(2)), [InHand { id: ids[2], is_last: false }]);
        assert_eq!(queue.in_hand_of(Post(1)), []);
        assert_eq!(queue.in_hand_of(Post(3)), []);
        taker.nack(leases.next().expect("three"));
        assert_eq!(queue.in_hand_of(Post(2)), []);
        while taker.try_recv().is_ok() {}
        let last = queue.in_hand_of(Post(2)).into_iter().find(|item| item.id == ids[2]);
        assert_eq!(last, Some(InHand { id: ids[2], is_last: true }));
    }
}
