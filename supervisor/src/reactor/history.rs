//! What is remembered of items that failed, for the case that they become dead letters. Without it a dead letter could say
//! how its last attempt ended, and nothing of the others.

use std::collections::VecDeque;

use brigade_protocol::id::ItemId;

use crate::effects::dead::Attempt;

/// Attempts that are remembered, of all items of all queues; then the oldest are forgotten.
const ATTEMPTS: usize = 1024;

/// Attempts that came to nothing, oldest first. Items that were done after all are forgotten in the course of time.
#[derive(Debug, Default)]
pub(super) struct History {
    attempts: VecDeque<(usize, ItemId, Attempt)>,
}

impl History {
    /// One more attempt at an item of queue number `queue`.
    pub(super) fn note(&mut self, queue: usize, item: ItemId, attempt: Attempt) {
        if self.attempts.len() == ATTEMPTS {
            self.attempts.pop_front();
        }
        self.attempts.push_back((queue, item, attempt));
    }

    /// What is known of an item.
    pub(super) fn of(&self, queue: usize, item: ItemId) -> Vec<Attempt> {
        let its = self.attempts.iter().filter(|(in_queue, id, _)| (*in_queue, *id) == (queue, item));
        its.map(|(_, _, attempt)| attempt.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(words: &str) -> Attempt {
        let (worker, words) = ("hash/0".to_owned(), words.to_owned());
        Attempt { worker, incarnation: 1, time_us: 0, words, stderr_tail: Vec::new() }
    }

    #[test]
    fn each_item_has_its_own_attempts_in_their_order() {
        let mut history = History::default();
        for (queue, item, words) in [(0, 1, "a"), (1, 1, "b"), (0, 2, "c"), (0, 1, "d")] {
            history.note(queue, ItemId(item), attempt(words));
        }
        assert_eq!(history.of(0, ItemId(1)), [attempt("a"), attempt("d")]);
        assert_eq!(history.of(1, ItemId(2)), []);
    }

    #[test]
    fn it_does_not_grow_for_ever() {
        let mut history = History::default();
        for item in 0..3 * ATTEMPTS as u64 {
            history.note(0, ItemId(item), attempt(""));
        }
        assert_eq!(history.attempts.len(), ATTEMPTS);
        assert_eq!(history.of(0, ItemId(0)), []);
    }
}
