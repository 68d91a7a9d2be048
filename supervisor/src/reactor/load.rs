//! The load of the manager of shared state: the operations that it has applied, and its share of a core over the last
//! seconds. No queue shows what it does, so a pipeline that waits for it would seem idle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use brigade_protocol::id::Post;

use super::Reactor;
use crate::sources::cpu;

/// The share is that of so many rounds.
const LOOKS: usize = 5;

/// Looks at the processor time of one process.
#[derive(Debug, Default)]
pub(super) struct Load {
    pid: Option<i32>,
    /// When, and how much time had been used by then; oldest first.
    looks: VecDeque<(Instant, Duration)>,
}

impl Load {
    /// One more look. Another process begins from the start.
    fn look(&mut self, pid: i32, now: Instant, used: Duration) {
        if self.pid != Some(pid) {
            (self.pid, self.looks) = (Some(pid), VecDeque::new());
        }
        if self.looks.len() > LOOKS {
            self.looks.pop_front();
        }
        self.looks.push_back((now, used));
    }

    /// Percent of a core that this process has used between the first and the last look; `None` before the second one.
    fn percent(&self, pid: i32) -> Option<u64> {
        let ((begun, before), (ended, after)) = (self.looks.front()?, self.looks.back()?);
        let time = ended.saturating_duration_since(*begun).as_millis();
        if self.pid != Some(pid) || time == 0 {
            return None;
        }
        u64::try_from(after.saturating_sub(*before).as_millis() * 100 / time).ok()
    }
}

impl Reactor {
    /// Looks at the processor time of the manager, if there is one.
    pub(super) fn look_at_load(&mut self, now: Instant) {
        let manager = self.core.workers().find(|worker| worker.stage.is_none());
        let Some(pid) = manager.and_then(|manager| manager.pid) else { return };
        if let Some(used) = cpu::used(pid) {
            self.load.look(pid, now, used);
        }
    }

    /// What the manager's process does, in words.
    pub(super) fn load_of_manager(&self, pid: i32) -> Option<String> {
        Some(format!("uses {} % of a core", self.load.percent(pid)?))
    }

    /// Operations that the present run of the manager has applied; 0 for any other post.
    pub(super) fn operations(&self, post: Post) -> u64 {
        let is_manager = post == self.core.manager_post();
        self.pages.get(&post).filter(|_| is_manager).map_or(0, |page| page.operations())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_that_of_the_last_seconds_and_of_one_process() {
        let (mut load, begun) = (Load::default(), Instant::now());
        let at = |second: u64| begun + Duration::from_secs(second);
        assert_eq!(load.percent(7), None);
        load.look(7, at(0), Duration::from_secs(100));
        assert_eq!(load.percent(7), None);
        load.look(7, at(1), Duration::from_millis(100_750));
        assert_eq!((load.percent(7), load.percent(8)), (Some(75), None));
        (2..20).for_each(|second| load.look(7, at(second), Duration::from_millis(100_750)));
        assert_eq!(load.percent(7), Some(0));
        load.look(8, at(20), Duration::ZERO);
        assert_eq!((load.percent(7), load.percent(8)), (None, None));
        load.look(8, at(22), Duration::from_secs(3));
        assert_eq!(load.percent(8), Some(150));
    }
}
