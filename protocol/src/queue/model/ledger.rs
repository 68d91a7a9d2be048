//! What the members of a bench have begun and ended, as they themselves know it.

use std::collections::HashMap;

/// Items, by what was done with them.
#[derive(Default)]
pub struct Ledger {
    pub begun: Vec<u64>,
    pub sent: Vec<u64>,
    pub acking: Vec<u64>,
    pub acked: Vec<u64>,
    pub dead: u64,
    pub ended: bool,
}

impl Ledger {
    /// Everything balances, by the counts of the places and by the items themselves.
    pub fn balance(&self, sent: u64, acked: u64) {
        assert_eq!(sent, acked + self.dead, "an item was lost, doubled or counted wrongly");
        assert!((self.sent.len() as u64..=self.begun.len() as u64).contains(&sent), "sends are counted wrongly");
        assert!((self.acked.len() as u64..=self.acking.len() as u64).contains(&acked), "acks are counted wrongly");
        let mut times: HashMap<u64, u32> = HashMap::new();
        for item in &self.acked {
            *times.entry(*item).or_default() += 1;
        }
        assert!(times.values().all(|times| *times == 1), "an item was acked twice");
        let missing = self.sent.iter().filter(|item| !self.acking.contains(item)).count();
        assert!(missing as u64 <= self.dead, "an item was lost");
    }
}
