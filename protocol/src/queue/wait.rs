//! Waiting for an item, or for room: first a brief spin, then asleep on the queue's event count.

use std::time::{Duration, Instant};

use super::error::{Nothing, Refused};
use super::file::Shared;
use super::lease::Lease;
use super::member::Member;
use super::ring::Unfinished;
use super::take::Take;
use crate::crash_point;
use crate::id::ItemId;
use crate::shm::{EventCount, Patience, Ticket, clock};

/// Until when to wait, and what else ends it.
#[derive(Clone, Copy)]
pub struct Wait<'a> {
    /// Not longer than this; `None`: for ever.
    pub deadline: Option<Instant>,
    /// Asked before every sleep; who makes it true wakes the sleepers with [`Queue::wake_all`](super::Queue::wake_all).
    pub interrupted: &'a dyn Fn() -> bool,
}

/// A receiver looks around by itself this often, in case that the process that was to wake it was stopped just then.
const LOOK_AROUND: Duration = Duration::from_secs(1);

/// A sender looks around more often at first: it is woken only when half of the queue is empty, and the other side may
/// be waiting for this very sender before it goes on.
const FIRST_NAP: Duration = Duration::from_millis(10);
const LONGEST_NAP: Duration = Duration::from_millis(200);

/// A receiver's patience with a sender that has claimed a slot and not finished it: a moment of spinning, for one that
/// is at work; a few turns of the processor, for one that was preempted; then its slot is passed over.
#[derive(Default)]
pub struct Unhurried {
    with: Option<Unfinished>,
    looks: u32,
    /// Over all slots that it met.
    total: u32,
}

impl Unhurried {
    /// Pauses before the first look; each further one waits twice as long, for every look takes the sender the cache
    /// line that it works on.
    const PAUSES: u32 = 8;
    const LOOKS: u32 = 4;
    const YIELDS: u32 = 4;

    /// How many looks came after the first one that met such a slot, less one; `None` if none was met.
    pub fn look(&self) -> Option<u32> {
        self.total.checked_sub(1)
    }

    /// Lets a longer moment pass, with whichever slot it is.
    pub fn gather(&mut self, patience: Patience) {
        patience.gather();
        self.total += 1;
    }

    /// Waits a moment; false when it has been long enough.
    pub fn more(&mut self, unfinished: Unfinished) -> bool {
        if self.with != Some(unfinished) {
            *self = Self { with: Some(unfinished), looks: 0, total: self.total };
        }
        self.total += 1;
        if self.looks < Self::LOOKS {
            (0..Self::PAUSES << self.looks).for_each(|_| std::hint::spin_loop());
        } else {
            std::thread::yield_now();
        }
        self.looks += 1;
        self.looks <= Self::LOOKS + Self::YIELDS
    }
}

impl Wait<'_> {
    /// How long to sleep, at most `nap`; `None` if the deadline has passed.
    fn sleep(&self, nap: Duration) -> Option<Duration> {
        match self.deadline {
            None => Some(nap),
            Some(deadline) => {
                let left = deadline.saturating_duration_since(Instant::now());
                (!left.is_zero()).then(|| left.min(nap))
            }
        }
    }
}

impl Member {
    /// Sends one item, waiting for room as long as `wait` says.
    #[inline]
    pub fn send(&mut self, item: &[u8], wait: &Wait<'_>) -> Result<ItemId, Refused> {
        match self.try_send(item) {
            Err(Refused::Full) => self.when_room(wait, |member| member.try_send(item)),
            answer => answer,
        }
    }

    /// Tries again and again, as long as there is no room and `wait` allows.
    pub(super) fn when_room<T>(
        &mut self,
        wait: &Wait<'_>,
        mut attempt: impl FnMut(&mut Self) -> Result<T, Refused>,
    ) -> Result<T, Refused> {
        let mut nap = FIRST_NAP;
        loop {
            if self.patience.gathers() {
                self.patience.gather();
            }
            // A try walks over all slots in hands that stand at the tail. So after a vain one, no other is made while nothing has
            // changed at either end of its walk.
            let mut before = self.queue.shared.ring.at_tail(self.send_cursor);
            for look in 0..self.patience.looks() {
                std::hint::spin_loop();
                if look > 0 && self.queue.shared.ring.at_tail(self.send_cursor) == before {
                    continue;
                }
                match attempt(self) {
                    Err(Refused::Full) if (wait.interrupted)() => return Err(Refused::Interrupted),
                    Err(Refused::Full) => before = self.queue.shared.ring.at_tail(self.send_cursor),
                    answer => {
                        self.patience.found(look);
                        return answer;
                    }
                }
            }
            let ticket = self.queue.shared.room.prepare();
            match attempt(self) {
                Err(Refused::Full) => {}
                answer => return answer,
            }
            if (wait.interrupted)() {
                return Err(Refused::Interrupted);
            }
            let Some(sleep) = wait.sleep(nap) else { return Err(Refused::Timeout) };
            let begun = Instant::now();
            self.queue.shared.room.wait(ticket, sleep);
            self.patience.slept(begun.elapsed());
            nap = (nap * 2).min(LONGEST_NAP);
        }
    }

    /// Takes the next item, waiting for one as long as `wait` says.
    #[inline]
    pub fn recv(&mut self, wait: &Wait<'_>) -> Result<Lease, Nothing> {
        match self.try_recv() {
            Err(Nothing::Empty) => self.wait_for_one(wait),
            answer => answer,
        }
    }

    #[inline(never)]
    fn wait_for_one(&mut self, wait: &Wait<'_>) -> Result<Lease, Nothing> {
        recv_any(std::slice::from_mut(self), wait, &mut 0, Take::Single).map(|(_, lease)| lease)
    }

    /// It is on the lookout no more, and has another one called if there is something.
    fn come_in(&self) {
        let Shared { items, ring, .. } = &*self.queue.shared;
        items.come_in();
        if items.sleepers().has_sleepers() {
            ring.recheck_late();
            if ring.has_late() || !self.queue.is_empty() {
                items.call();
            }
        }
    }

    /// Makes ready to sleep until an item comes.
    fn prepare(&self) -> (EventCount, Ticket) {
        let Shared { items, ring, .. } = &*self.queue.shared;
        let ticket = items.sleepers().prepare();
        ring.recheck_late();
        (items.sleepers().clone(), ticket)
    }
}

/// Takes the next item of several queues, in turn, beginning with number `next` (which is moved on). Says which queue it
/// is from. It has [`Ended`](Nothing::Ended) when all of them have.
pub fn recv_any(
    members: &mut [Member],
    wait: &Wait<'_>,
    next: &mut usize,
    take: Take,
) -> Result<(usize, Lease), Nothing> {
    let mut out = false;
    let answer = wait_for_any(members, wait, (next, take), &mut out);
    if out {
        members.iter().for_each(Member::come_in);
    }
    answer
}

/// `out`: whether it is, or has been, on the [lookout](crate::shm::Lookout) at any of the queues, or has slept and may have
/// been called at any of them.
fn wait_for_any(
    members: &mut [Member],
    wait: &Wait<'_>,
    (next, take): (&mut usize, Take),
    out: &mut bool,
) -> Result<(usize, Lease), Nothing> {
    loop {
        match try_recv_any(members, next, take) {
            Err(Nothing::Empty) => {}
            answer => return answer,
        }
        for member in &*members {
            *out |= member.queue.shared.items.go_out();
        }
        match look_on(members, next, take) {
            Err(Nothing::Empty) => {}
            answer => return answer,
        }
        if *out {
            members.iter().for_each(|member| member.queue.shared.items.come_in());
        }
        let tickets: Vec<(EventCount, Ticket)> = members.iter().map(Member::prepare).collect();
        match try_recv_any(members, next, take) {
            Err(Nothing::Empty) => {}
            answer => return answer,
        }
        if (wait.interrupted)() {
            return Err(Nothing::Interrupted);
        }
        let due = members.iter().filter_map(|member| member.queue.shared.ring.until_due(clock)).min();
        let Some(sleep) = wait.sleep(due.unwrap_or(LOOK_AROUND).min(LOOK_AROUND)) else { return Err(Nothing::Timeout) };
        members.iter().for_each(Member::wake_senders);
        let begun = Instant::now();
        *out = true;
        EventCount::wait_any(&tickets, sleep);
        crash_point!("called");
        let time = begun.elapsed();
        members.iter_mut().for_each(|member| member.patience.slept(time));
    }
}

/// Looks for a while whether an item comes.
fn look_on(members: &mut [Member], next: &mut usize, take: Take) -> Result<(usize, Lease), Nothing> {
    let spins = members.iter().map(|member| member.patience.looks()).max().unwrap_or(0);
    let gathers = members.iter().map(|member| member.patience).find(|patience| patience.gathers());
    if let Some(patience) = gathers {
        patience.gather();
    }
    for look in 0..spins {
        std::hint::spin_loop();
        match try_recv_any(members, next, take) {
            Err(Nothing::Empty) => {}
            answer => {
                members.iter_mut().for_each(|member| member.patience.found(look));
                if gathers.is_some() {
                    let in_vain = members.iter().all(|member| member.queue.is_empty());
                    members.iter_mut().for_each(|member| member.patience.gathered(in_vain));
                }
                return answer;
            }
        }
    }
    Err(Nothing::Empty)
}

/// The same without waiting: [`Nothing::Empty`] if there is none at present.
#[inline]
pub fn try_recv_any(members: &mut [Member], next: &mut usize, take: Take) -> Result<(usize, Lease), Nothing> {
    let mut all_ended = true;
    for _ in 0..members.len() {
        let index = if *next < members.len() { *next } else { 0 };
        *next = index + 1;
        match members[index].try_take(take) {
            Ok(lease) => return Ok((index, lease)),
            Err(Nothing::Ended) => {}
            Err(Nothing::Empty) => all_ended = false,
            Err(other @ (Nothing::Timeout | Nothing::Interrupted | Nothing::Spoilt | Nothing::Copy)) => {
                return Err(other);
            }
        }
    }
    Err(if all_ended { Nothing::Ended } else { Nothing::Empty })
}
