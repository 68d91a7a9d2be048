//! Whether what stands in a queue's shared words can be the work of processes that keep the rules. Without this, a
//! broken worker's scribbling would show itself only in items that never come, and in numbers that lie.

use super::claim::LOOSE_LAPS;
use super::file::Queue;
use super::geometry::{HAS_ORIGIN, MEMBERS, SLOT_HEAD};
use super::slot::{Compared, Kind, Word};
use super::spare::SPARES;
use crate::sync::Ordering;

impl Queue {
    /// What cannot be, in words; `None` if nothing is wrong as far as can be seen. Others may use the queue meanwhile.
    /// Reads the whole state of the queue, but no item.
    pub fn spoilt(&self) -> Option<String> {
        let shared = &self.shared;
        match shared.file.metadata() {
            Ok(found) if found.len() == shared.layout.total as u64 => {}
            Ok(found) => return Some(format!("its file has {} bytes instead of {}", found.len(), shared.layout.total)),
            Err(error) => return Some(format!("its file cannot be looked at: {error}")),
        }
        if !self.has_its_header() {
            return Some("its header was written over".to_owned());
        }
        let Some((head, tail)) = shared.ring.ends() else {
            return Some("its head or its tail points behind its last slot".to_owned());
        };
        // A sender that is stopped while it claims slots leaves the tail behind them, and receivers pass over them. Receivers
        // also pass slots that are laps ahead, whether or not the tail has come there.
        let most = u64::from(shared.geometry.capacity) * u64::from(LOOSE_LAPS + 4);
        if head.since(tail, shared.geometry.capacity) > most {
            return Some("its head is ahead of its tail".to_owned());
        }
        for slot in 0..self.capacity() {
            let word = shared.ring.word(slot);
            let fault = self.word_fault(slot, word).or_else(|| {
                let lap = word.lap();
                let (_, now) = shared.ring.ends()?;
                // Each lap that a slot misses is added by who passes it; one more for what is seen out of order.
                // A slot that was loose is put laps ahead of a position that is ahead of the hint, and freed in the next one.
                let most = now.lap().after(LOOSE_LAPS + 3);
                let is_ahead = lap.compared_to(most) == Compared::Later;
                let is_behind = lap.next().next().compared_to(tail.lap()) == Compared::Earlier;
                (!word.is_loose() && (is_ahead || is_behind)).then_some("is in a lap that does not fit the others")
            });
            if let Some(fault) = fault {
                return Some(format!("its slot {slot} {fault}"));
            }
        }
        for spare in self.spares() {
            let word = shared.ring.word(spare);
            let may_be = matches!(word.kind(), Kind::Free | Kind::Filling | Kind::Staged) && !word.is_late();
            if let Some(fault) = self.word_fault(spare, word).or((!may_be).then_some("is what it cannot be")) {
                return Some(format!("its spare slot {} {fault}", spare - self.capacity()));
            }
        }
        if self.shared.places.sums().any(|sums| !sums.are_plausible()) {
            return Some("its counts were written over".to_owned());
        }
        // Last: what was read above may have been zeroes of our own.
        shared.region.is_cut().then(|| "its file was cut short while it was in use".to_owned())
    }

    /// The same for a queue that nobody uses and that was [swept](Queue::sweep_all): no slot may be in anybody's hands.
    pub fn spoilt_at_rest(&self) -> Option<String> {
        self.spoilt().or_else(|| {
            let is_held = |slot: &usize| match self.shared.ring.word(*slot).kind() {
                Kind::Free | Kind::Ready | Kind::Late | Kind::Dead => false,
                Kind::Filling | Kind::Staged | Kind::Leased | Kind::Settled => true,
            };
            let slot = (0..self.capacity()).chain(self.spares()).find(is_held)?;
            Some(format!("its slot {slot} belongs to somebody who was never there"))
        })
    }

    /// The slots behind those of the ring.
    fn spares(&self) -> std::ops::Range<usize> {
        self.capacity()..self.capacity() + SPARES
    }

    fn word_fault(&self, slot: usize, word: Word) -> Option<&'static str> {
        let most = self.shared.geometry.max_deliveries;
        let deliveries = word.deliveries();
        let (is_owned, delivered) = match word.kind() {
            Kind::Free | Kind::Ready => (false, deliveries == 0),
            Kind::Filling | Kind::Staged => (true, deliveries == 0),
            Kind::Leased | Kind::Settled => (true, most.is_none_or(|most| deliveries <= most)),
            Kind::Late => (false, most.is_none_or(|most| deliveries < most)),
            Kind::Dead => (false, most.is_some_and(|most| deliveries == most)),
        };
        let may_be_late = word.kind() != Kind::Ready;
        let may_be_alone =
            matches!(word.kind(), Kind::Leased | Kind::Settled | Kind::Late | Kind::Dead) || word.is_loose();
        if is_owned && usize::from(word.owner()) >= MEMBERS || !is_owned && word.owner() != 0 {
            Some("has an owner that cannot be")
        } else if !delivered {
            Some("has a number of deliveries that cannot be")
        } else if word.is_late() && !may_be_late || word.is_alone() && !may_be_alone {
            Some("is marked in a way that cannot be")
        } else if word.kind() == Kind::Dead && self.length(slot) > u64::from(self.shared.geometry.max_item_bytes) {
            Some("holds an item of an impossible length")
        } else {
            None
        }
    }

    /// The length that stands beside an item, unchecked.
    pub(super) fn length(&self, slot: usize) -> u64 {
        self.length_word(slot) & !HAS_ORIGIN
    }

    /// The word of an item's length, with what else stands in it.
    pub(super) fn length_word(&self, slot: usize) -> u64 {
        let layout = &self.shared.layout;
        let at = layout.slots + slot * layout.stride;
        self.shared.region.words(at, SLOT_HEAD / 8).at(1).load(Ordering::Relaxed)
    }
}
