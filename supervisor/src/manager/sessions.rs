//! What the manager remembers of its clients, so that one whose manager was killed can ask again and is told what came
//! of its operation, not served twice.

use std::collections::{BTreeMap, VecDeque};

use brigade_protocol::shared::WINDOW;
use brigade_protocol::shared::op::Outcome;

/// Outcomes by the numbers of their operations, in order.
pub(super) type Outcomes = VecDeque<(u64, Outcome)>;

/// Outcomes that clients may not have read yet, by client.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sessions {
    /// Public for the snapshot alone.
    pub(super) held: BTreeMap<u128, Outcomes>,
}

impl Sessions {
    /// What came of that operation, if it was applied and is remembered.
    pub fn recorded(&self, client: u128, number: u64) -> Option<&Outcome> {
        let outcomes = self.held.get(&client)?;
        outcomes.iter().find(|(known, _)| *known == number).map(|(_, outcome)| outcome)
    }

    /// Remembers an outcome, and forgets those that the client has seen. No more than [`WINDOW`] are kept: a client
    /// leaves no more of them unread.
    pub fn record(&mut self, client: u128, number: u64, seen: u64, outcome: Outcome) {
        let outcomes = self.held.entry(client).or_default();
        while outcomes.front().is_some_and(|(known, _)| *known < seen) || outcomes.len() >= WINDOW {
            outcomes.pop_front();
        }
        outcomes.push_back((number, outcome));
    }

    /// The client is gone for good.
    pub fn forget(&mut self, client: u128) {
        self.held.remove(&client);
    }

    /// Forgets all clients but these.
    pub fn keep_only(&mut self, wanted: impl Fn(u128) -> bool) {
        self.held.retain(|client, _| wanted(*client));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_is_known_until_its_client_has_seen_it() {
        let mut sessions = Sessions::default();
        for number in 1..=3 {
            sessions.record(7, number, 1, Outcome::Number(number as i64 * 10));
        }
        assert_eq!(sessions.recorded(7, 1), Some(&Outcome::Number(10)));
        assert_eq!(sessions.recorded(8, 1), None);
        sessions.record(7, 4, 3, Outcome::Done);
        assert_eq!((sessions.recorded(7, 2), sessions.recorded(7, 3)), (None, Some(&Outcome::Number(30))));
        (5..500).for_each(|number| sessions.record(7, number, 0, Outcome::Done));
        assert_eq!(sessions.held[&7].len(), WINDOW);
        assert!(sessions.recorded(7, 499).is_some());
        sessions.forget(7);
        assert_eq!(sessions, Sessions::default());
    }
}
