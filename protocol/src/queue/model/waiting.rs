//! How a member of the bench waits for an item.

use std::time::Duration;

use super::bench::{Bench, Taken};

impl Bench {
    /// As `recv_any` at one queue, without looking for a while. `None` when `ends` says so, asked before each sleep.
    pub fn recv(&self, owner: u16, mut ends: impl FnMut() -> bool) -> Option<Taken> {
        let mut out = false;
        loop {
            if let Some(taken) = self.try_recv(owner) {
                return Some(self.found(taken, out));
            }
            out |= self.items().go_out();
            if out {
                self.items().come_in();
            }
            let ticket = self.items().sleepers().prepare();
            self.ring().recheck_late();
            if let Some(taken) = self.try_recv(owner) {
                return Some(self.found(taken, out));
            }
            if ends() {
                return None;
            }
            self.wake_senders();
            self.items().sleepers().wait(ticket, Duration::ZERO);
            out = true;
        }
    }

    /// As `Member::come_in`, after an item was taken.
    fn found(&self, taken: Taken, out: bool) -> Taken {
        if out {
            self.items().come_in();
            if self.items().sleepers().has_sleepers() {
                self.ring().recheck_late();
                if self.ring().has_late() || self.ring().waiting() > 0 {
                    self.items().call();
                }
            }
        }
        taken
    }
}
