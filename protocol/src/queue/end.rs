//! The end of the stream: when a receiver may leave. Not when nothing waits, but when nothing can come back any more.

use super::member::Member;
use super::ring::Ring;
use super::slot::Kind;
use crate::sync::{Ordering, fence};

impl Ring {
    /// The first slot from number `from` on that is not done with; the number of slots if there is none. Only after the
    /// queue was seen closed: a slot that is free then stays free, so none need be looked at twice.
    pub fn first_not_free(&self, from: usize) -> usize {
        // Pairs with the look of a sender at `closed` after it has claimed a slot: either it sees the close, or its
        // slot is seen here.
        fence(Ordering::SeqCst);
        (from..self.slots())
            .find(|slot| match self.word(*slot).kind() {
                Kind::Free | Kind::Dead => false,
                Kind::Filling | Kind::Staged | Kind::Ready | Kind::Leased | Kind::Settled | Kind::Late => true,
            })
            .unwrap_or(self.slots())
    }
}

impl Member {
    /// Whether the queue is closed and nothing is in it or in anybody's hands.
    pub(super) fn is_at_end(&mut self) -> bool {
        if !self.queue.is_closed() {
            return false;
        }
        self.first_not_free = self.queue.shared.ring.first_not_free(self.first_not_free);
        self.first_not_free == self.queue.capacity()
    }
}
