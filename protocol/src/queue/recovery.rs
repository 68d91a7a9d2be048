//! Recovery: what becomes of the slots that dead owners held. Slots of a batch whose commit was stored roll forward, all
//! others roll back; the commit is the only thing that tells one from the other.

use super::delayed::Instant;
use super::returned::Returned;
use super::ring::{Held, Ring};
use super::slot::{Kind, Word};
use super::spare::SPARES;
use crate::crash_point;

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Items that were leased and wait again.
    pub returned: u64,
    /// Items that were leased and ran out of deliveries.
    pub dead: u64,
    /// Slots that were being filled or cleaned up, or staged in a batch that was not committed: their items had not been sent,
    /// or were done.
    pub rolled_back: u64,
    /// Slots of a committed batch that were not finished yet: they are now.
    pub rolled_forward: u64,
    /// Items that the dead had sent since they joined, as their places say now.
    pub sent: u64,
    /// Items that they had acked since then.
    pub acked: u64,
}

impl Swept {
    /// Whether the dead held anything that had to be given back or put aside.
    pub fn is_clean(&self) -> bool {
        (self.returned, self.dead, self.rolled_back) == (0, 0, 0)
    }
}

/// What is known of the owner of a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It may still act: hands off.
    Alive,
    /// It is dead, and the batch that the slot belongs to (if to any) was not committed.
    Dead,
    /// It is dead, and has committed the batch that the slot belongs to.
    Committed,
    /// It is dead, as `Dead` is, but most likely by no fault of the item that it held: that delivery does not count.
    Cut,
}

impl Ring {
    /// Finishes or gives back all that dead owners held, in the order in which the slots were claimed: receivers look
    /// meanwhile, and must find a sender's items in their order. `fate` is asked about slots that somebody owns. Only for
    /// owners that cannot act any more. May be repeated, and may be broken off anywhere and begun again.
    ///
    /// `copy` copies the item of one slot into another; see [`Ring::exchange`].
    pub fn sweep(&self, now: Instant, fate: impl Fn(usize, u16) -> Fate, copy: impl Fn(usize, usize) -> bool) -> Swept {
        let done = || {
            crash_point!("sweep_slot_done");
        };
        let (mut held, age) = (Vec::new(), self.ages());
        for slot in 0..self.slots() {
            let word = self.word(slot);
            match word.kind() {
                Kind::Free | Kind::Ready | Kind::Dead => {}
                // Whoever made it late, or claimed its hint, may have died before the next step.
                Kind::Late => self.show_late(slot, now),
                Kind::Filling | Kind::Staged | Kind::Leased | Kind::Settled => {
                    if fate(slot, word.owner()) != Fate::Alive {
                        held.push((age(slot), slot));
                        continue;
                    }
                }
            }
            done();
        }
        for spare in self.slots()..self.slots() + SPARES {
            let word = self.word(spare);
            let is_held = matches!(word.kind(), Kind::Filling | Kind::Staged);
            if is_held && fate(spare, word.owner()) != Fate::Alive {
                held.push((age(spare), spare));
            }
        }
        held.sort_unstable();
        // The room that these items give up is a result's, which comes in its turn.
        let given_up: Vec<usize> = held.iter().filter_map(|(_, slot)| self.given_up_for(*slot, &fate)).collect();
        let mut swept = Swept::default();
        for (_, slot) in held {
            if slot >= self.slots() {
                self.recover_spare(slot, &fate, &copy, &mut swept);
            } else if !given_up.contains(&slot) {
                self.recover(slot, &fate, &mut swept);
            }
            done();
        }
        swept
    }

    /// Finishes or gives back one slot.
    fn recover(&self, slot: usize, fate: &impl Fn(usize, u16) -> Fate, swept: &mut Swept) {
        let word = self.word(slot);
        let owner = word.owner();
        match word.kind() {
            Kind::Free | Kind::Ready | Kind::Dead | Kind::Late => {}
            Kind::Filling => match fate(slot, owner) {
                Fate::Alive => {}
                // Also what belongs to a batch: a slot that is filled is not yet part of it.
                Fate::Dead | Fate::Cut | Fate::Committed => swept.rolled_back += u64::from(self.take_back(slot, owner)),
            },
            Kind::Staged => match fate(slot, owner) {
                Fate::Alive => {}
                Fate::Dead | Fate::Cut => swept.rolled_back += u64::from(self.take_back(slot, owner)),
                Fate::Committed => swept.rolled_forward += u64::from(self.publish_staged(Held { slot, word }, owner)),
            },
            Kind::Leased => match fate(slot, owner) {
                Fate::Alive => {}
                Fate::Dead | Fate::Committed => self.fail(slot, owner, swept),
                Fate::Cut => self.spare(slot, owner, swept),
            },
            Kind::Settled => match fate(slot, owner) {
                Fate::Alive => {}
                Fate::Dead => self.fail(slot, owner, swept),
                Fate::Cut => self.spare(slot, owner, swept),
                Fate::Committed => swept.rolled_forward += u64::from(self.free_settled(Held { slot, word }, owner)),
            },
        }
    }

    /// The slot of the item that gives up its room for the result in this spare slot, if that result is committed.
    fn given_up_for(&self, spare: usize, fate: &impl Fn(usize, u16) -> Fate) -> Option<usize> {
        let word = self.word(spare);
        let is_committed = || word.kind() == Kind::Staged && fate(spare, word.owner()) == Fate::Committed;
        (spare >= self.slots() && is_committed()).then(|| self.room_of(spare)).flatten().map(|room| room.slot())
    }

    /// Finishes or gives back one spare slot.
    fn recover_spare(
        &self,
        spare: usize,
        fate: &impl Fn(usize, u16) -> Fate,
        copy: &impl Fn(usize, usize) -> bool,
        swept: &mut Swept,
    ) {
        let word = self.word(spare);
        let owner = word.owner();
        if self.given_up_for(spare, fate).is_some() {
            swept.rolled_forward += u64::from(self.exchange(Held { slot: spare, word }, owner, copy));
        } else if fate(spare, owner) != Fate::Alive {
            swept.rolled_back += u64::from(self.take_back(spare, owner));
        }
    }

    /// A slot whose item was never sent is free again.
    fn take_back(&self, slot: usize, owner: u16) -> bool {
        let mine = |word: Word| word.is(Kind::Filling, owner) || word.is(Kind::Staged, owner);
        self.leave(slot, mine, Word::freed).is_some()
    }

    /// An item whose owner did not come to finish it goes back without this delivery being counted.
    fn spare(&self, slot: usize, owner: u16, swept: &mut Swept) {
        self.delayed.forget(slot);
        let mine = |word: Word| word.is(Kind::Leased, owner) || word.is(Kind::Settled, owner);
        // It was delivered all the same, and its receiver may have begun with it: the next attempt has a higher number.
        if let Some(word) = self.leave(slot, mine, |word| Self::uncounted(word).with_alone(true)) {
            self.announce(slot, word);
            swept.returned += 1;
        }
    }

    /// An item that its owner did not finish goes back, or is dead. The death of a worker is no failure after which to
    /// wait: its restart waits long enough.
    fn fail(&self, slot: usize, owner: u16, swept: &mut Swept) {
        self.delayed.forget(slot); // Its owner may have died between this and the word.
        let mine = |word: Word| word.is(Kind::Leased, owner) || word.is(Kind::Settled, owner);
        if let Some(word) = self.leave(slot, mine, |word| self.after_death(word)) {
            match self.announce(slot, word) {
                Returned::Late => swept.returned += 1,
                Returned::Dead => swept.dead += 1,
            }
        }
    }
}
