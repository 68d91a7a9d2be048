//! How full a queue is, and what has gone through it.

use super::file::Queue;
use super::geometry::UNDERTAKER;
use super::place::Count;
use super::places::{Sums, Taken};
use super::slot::Kind;
use crate::id::Post;
use crate::shm::clock;

/// Slots by what they are. Each slot is counted at the instant at which it was looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// Empty.
    pub free: u64,
    /// Waiting to be taken.
    pub ready: u64,
    /// In a receiver's hands.
    pub leased: u64,
    /// Being written, or part of a batch that is not committed yet.
    pub staged: u64,
    /// Came back, or passed over: next to be taken.
    pub late: u64,
    /// Failed, and wait for the time of their retry.
    pub retry: u64,
    /// Out of deliveries, to be put aside by the supervisor.
    pub dead: u64,
}

impl Depth {
    /// Items that are neither done nor dead: what is left when everybody has ended.
    pub fn left(&self) -> u64 {
        self.ready + self.leased + self.staged + self.late + self.retry
    }
}

/// More than any count can be: what stands in the file is input, and sums of it are not to overflow.
const MOST: u64 = 1 << 48;

/// What has gone through a queue since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Items sent.
    pub sent: u64,
    /// Items acked.
    pub acked: u64,
    /// Deliveries that came to nothing, after which the item came back.
    pub returned: u64,
    /// Dead items that were taken out.
    pub buried: u64,
}

/// What a member has done at a queue since it joined. What stands in the file is input: the numbers are there to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Whose it is.
    pub post: Post,
    /// The number of its thread.
    pub lane: u16,
    /// Items sent.
    pub sent: u64,
    /// Items acked.
    pub acked: u64,
}

impl Queue {
    /// What the members that are present have done. Exact for those that rest.
    pub fn work(&self) -> impl Iterator<Item = Work> + '_ {
        self.shared.places.taken().map(|Taken { index, post, lane }| {
            let place = self.place(index);
            Work { post, lane, sent: place.own(Count::Sent), acked: place.own(Count::Acked) }
        })
    }

    /// Counts the slots. Reads `capacity` words.
    pub fn depth(&self) -> Depth {
        let (mut depth, ring, now) = (Depth::default(), &self.shared.ring, clock());
        for slot in 0..self.capacity() {
            let count = match ring.word(slot).kind() {
                Kind::Free => &mut depth.free,
                Kind::Filling | Kind::Staged => &mut depth.staged,
                Kind::Ready => &mut depth.ready,
                Kind::Leased | Kind::Settled => &mut depth.leased,
                Kind::Late if ring.is_waiting(slot, || now) => &mut depth.retry,
                Kind::Late => &mut depth.late,
                Kind::Dead => &mut depth.dead,
            };
            *count += 1;
        }
        depth
    }

    /// Sums the members' counts. Exact when nobody is at work and the dead are swept.
    pub fn totals(&self) -> Totals {
        let mut totals = Totals { buried: self.place(UNDERTAKER).total(Count::Acked).min(MOST), ..Totals::default() };
        for Sums { sent, acked, returned } in self.shared.places.sums() {
            totals.sent = totals.sent.saturating_add(sent).min(MOST);
            totals.acked = totals.acked.saturating_add(acked).min(MOST);
            totals.returned = totals.returned.saturating_add(returned).min(MOST);
        }
        totals
    }

    /// `Some(stamp)` if every slot was free (or dead) when it was looked at. If two calls, one after the other, give the
    /// same stamps for all queues of a loop, then no item was anywhere in the loop between them: laps only go up, so
    /// that each slot was free all the time.
    pub fn idle_stamp(&self) -> Option<u64> {
        let mut stamp = 0u64;
        for slot in 0..self.capacity() {
            let word = self.shared.ring.word(slot);
            match word.kind() {
                Kind::Free | Kind::Dead => stamp = stamp.wrapping_mul(31).wrapping_add(word.0),
                Kind::Filling | Kind::Staged | Kind::Ready | Kind::Leased | Kind::Settled | Kind::Late => return None,
            }
        }
        Some(stamp)
    }
}
