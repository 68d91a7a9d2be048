//! Moving the items of a queue into one of other numbers: the plan was changed while items were left.

use std::path::Path;

use super::delayed::Instant;
use super::error::QueueError;
use super::file::Queue;
use super::geometry::{Geometry, UNDERTAKER};
use super::oldest::Hinted;
use super::ring::Ring;
use super::slot::{Kind, Position, Word};
use crate::crash_point;
use crate::id::ItemKey;
use crate::sync::Ordering;

impl Ring {
    /// Puts an item into a ring that is being made and that nobody else uses yet; a late one comes when it is `due`.
    /// Gives the position behind it.
    pub fn lay(&self, position: Position, kind: Kind, (deliveries, alone): (u16, bool), due: Instant) -> Position {
        let word = Word::new(kind, position.lap(), 0, deliveries).with_alone(alone);
        let next = position.next(self.capacity);
        self.state(position.index()).store(word.0, Ordering::Release); // Pairs with `word`.
        self.born.at(position.index()).store(position.word(), Ordering::Relaxed);
        self.tail.at(0).store(next.word(), Ordering::Relaxed);
        if kind == Kind::Late {
            self.delayed.set_due(position.index(), due);
            // Whoever uses the new queue first looks what of it is due already.
            let lane = if due == 0 { &self.late } else { &self.delayed.lane };
            lane.hint(position.index());
        }
        next
    }
}

impl Ring {
    /// What a slot is. A result that stands behind items which wait is one that waits itself.
    fn kind_at_rest(&self, slot: usize) -> Kind {
        let kind = self.word(slot).kind();
        let stands_behind = kind == Kind::Late && !self.is_in_turn(Hinted { slot, born: self.born_at(slot) });
        if stands_behind { Kind::Ready } else { kind }
    }
}

impl Queue {
    /// Makes a queue like `wanted` and puts it in the place of this one, at `path`, with all items in their order, their
    /// ids, deliveries and counts. Only for a queue that nobody uses, after [`Queue::sweep_all`].
    ///
    /// The new file is made beside the old one, which stays valid until it is replaced in one step: whoever dies in the
    /// middle leaves a file named `….moving`, which the next call replaces. Items that do not fit are an error
    /// ([`QueueError::Unfit`]), and nothing is changed.
    pub fn migrate(&self, path: &Path, wanted: &Geometry) -> Result<Self, QueueError> {
        let items = self.in_order();
        if items.len() > wanted.capacity as usize {
            let (count, room) = (items.len(), wanted.capacity);
            return Err(QueueError::Unfit(format!(
                "{count} item{} in it, and its capacity is {room} now",
                if count == 1 { " is" } else { "s are" }
            )));
        }
        let most = u64::from(wanted.max_item_bytes);
        if let Some(len) = items.iter().map(|(slot, _)| self.length(*slot)).find(|len| *len > most) {
            return Err(QueueError::Unfit(format!(
                "an item of {len} bytes is in it, and max_item_bytes is {most} now"
            )));
        }
        let moving = path.with_extension("moving");
        let _ = std::fs::remove_file(&moving);
        let new = Self::create_in(&moving, wanted, self.life())?;
        let moved = self.copy_to(&new, &items).and_then(|()| std::fs::rename(&moving, path));
        if let Err(source) = moved {
            let _ = std::fs::remove_file(&moving);
            return Err(QueueError::Io { what: "move the items of", path: path.to_owned(), source });
        }
        crash_point!("queue_moved");
        Ok(new)
    }

    fn copy_to(&self, new: &Self, items: &[(usize, Kind)]) -> std::io::Result<()> {
        let ring = &new.shared.ring;
        let capacity = new.shared.geometry.capacity;
        let mut position = Position::read(0, capacity).ok_or(std::io::ErrorKind::InvalidInput)?;
        for (slot, kind) in items {
            let (id, offset, len) = self.content(*slot);
            if !new.write(position.index(), id, self.shared.region.bytes(offset, len)) {
                return Err(std::io::ErrorKind::StorageFull.into());
            }
            let key = self.key_of(*slot, id);
            if key != (ItemKey { life: self.life(), id: id.0 }) {
                new.write_origin(position.index(), id, len, key);
            }
            let deliveries = self.shared.ring.word(*slot).deliveries();
            let deliveries = match (kind, new.shared.geometry.max_deliveries) {
                (Kind::Late, Some(most)) => deliveries.min(most - 1), // At least one more try.
                (Kind::Dead, Some(most)) => most,
                (_, _) => deliveries,
            };
            // Without a limit there is no death: it gets another try.
            let is_revived = *kind == Kind::Dead && new.shared.geometry.max_deliveries.is_none();
            let due = if *kind == Kind::Late { self.shared.ring.delayed.due(*slot) } else { 0 };
            let alone = self.shared.ring.word(*slot).is_alone();
            position = ring.lay(position, if is_revived { Kind::Late } else { *kind }, (deliveries, alone), due);
            crash_point!("queue_moving");
        }
        for index in 0..=UNDERTAKER {
            new.place(index).copy_counts(&self.place(index));
        }
        new.copy_shape(self);
        Ok(())
    }

    /// The slots that hold items: what came back first, then in the order of sending, the dead last.
    fn in_order(&self) -> Vec<(usize, Kind)> {
        let ring = &self.shared.ring;
        let mut items: Vec<_> = (0..self.capacity()).map(|slot| (slot, ring.kind_at_rest(slot))).collect();
        let turn = |kind| match kind {
            Kind::Late => Some(0),
            Kind::Ready => Some(1),
            Kind::Dead => Some(2),
            Kind::Free | Kind::Filling | Kind::Staged | Kind::Leased | Kind::Settled => None,
        };
        items.retain(|(_, kind)| turn(*kind).is_some());
        let age = ring.ages();
        items.sort_by_cached_key(|(slot, kind)| (turn(*kind), age(*slot)));
        items
    }
}
