//! The oldest late items that a receiver has found: the order in which late items are taken.
//!
//! A receiver must take the late items of each sender in the order of their positions. It reads the bitmap of hints word by
//! word, so one look may miss an item and then see a later item of the same sender. Therefore a receiver looks twice. It
//! takes an item only if it has seen the item in one look, and a second look, begun after that, finds no older item.
//!
//! This is sufficient for items that were never leased. A sender publishes its items one after the other, and so does the
//! sweep for a dead sender. When a receiver sees the hint of an item, all earlier items of that sender are published,
//! and their hints are visible to each look that begins afterwards. An earlier item cannot wait at its position in the ring
//! either: the later item was passed over there, hence the earlier one was passed before it.
//!
//! Two looks per item would cost `n²` for `n` late items. So a receiver keeps a list: the oldest sixteenth of the items that
//! the first look found, cut off before the oldest item that only the second look found. What is said above holds for each
//! item in the list, for all time: whatever was published before it was seen by the second look. So items that were never
//! leased keep their order however old the list is. An item that another receiver returns meanwhile comes after those in
//! the list; an item that this receiver returns takes its place in the list.
//!
//! Each entry is checked when its turn comes: its hint must still be there, and the slot must still hold the item that was
//! claimed at that position.
//!
//! An item may also [stand behind](super::spare) items that wait in the ring. As long as it is the oldest one, its receiver
//! takes items of the ring, and keeps the list for as long as no other item becomes late.
//!
//! With several receivers, one of them may have claimed the hint of an item and not yet leased it, or may be clearing the
//! mark of a part of the bitmap. Another receiver then takes a later item first, as if the first receiver were slow.

use super::spare::order_of;

/// A list holds one of so many late items that were found, and at least one. Two in the models, which have a few items.
const SHARE: usize = if cfg!(any(model_loom, model_shuttle)) { 2 } else { 16 };

/// A list holds so many at most: 1 MiB of the receiver's memory.
const MOST: usize = 1 << 16;

/// How often to look until two looks agree. Each vain attempt means that an older item came between the two; the
/// bound is for a broken process.
const ATTEMPTS: usize = 1 << 10;

/// A hint that was seen, and the position that stood beside its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hinted {
    /// Index of the slot; of a damaged bitmap maybe not one of the ring's.
    pub slot: usize,
    /// The position at which the slot was claimed last.
    pub born: u64,
}

impl Hinted {
    /// Where it stands among others that are compared with the same `base`. Positions count up and wrap around, so they
    /// are compared on the circle. A total order for any values: the words are input.
    fn turn(self, base: u64) -> (i64, usize) {
        (order_of(self.born).wrapping_sub(order_of(base)) as i64, self.slot)
    }
}

/// The late items that a receiver takes next. Private to the receiver.
#[derive(Debug, Default)]
pub struct Oldest {
    /// The oldest last.
    found: Vec<Hinted>,
    /// The count of hints before the list was filled.
    hints: u64,
}

impl Oldest {
    /// The oldest.
    pub(super) fn first(&self) -> Option<Hinted> {
        self.found.last().copied()
    }

    /// Takes the oldest out of the list.
    pub(super) fn pop(&mut self) -> Option<Hinted> {
        self.found.pop()
    }

    /// Clears the list if its first item may not be taken yet and further items have become late, as the count of `hints`
    /// tells.
    pub(super) fn refresh(&mut self, hints: u64, may_take: impl Fn(Hinted) -> bool) {
        if self.hints != hints && self.first().is_some_and(|first| !may_take(first)) {
            self.clear();
        }
        if self.found.is_empty() {
            self.hints = hints;
        }
    }

    /// Fills the list. `visit` looks at all hints that are set. False if there is none.
    pub(super) fn find(&mut self, visit: impl Fn(&mut dyn FnMut(Hinted))) -> bool {
        for _ in 0..ATTEMPTS {
            let (mut count, mut oldest) = (0, None::<Hinted>);
            visit(&mut |hinted| {
                count += 1;
                oldest = oldest.filter(|oldest| oldest.turn(oldest.born) <= hinted.turn(oldest.born)).or(Some(hinted));
            });
            let Some(oldest) = oldest else { return false };
            self.found.clear();
            match (count / SHARE).min(MOST) {
                0 | 1 => self.found.push(oldest),
                most => self.collect(oldest.born, most, &visit),
            }
            self.cut(oldest.born, &visit);
            if !self.found.is_empty() {
                return true;
            }
        }
        false
    }

    /// Collects the oldest, `most` of them.
    fn collect(&mut self, base: u64, most: usize, visit: &impl Fn(&mut dyn FnMut(Hinted))) {
        let found = &mut self.found;
        visit(&mut |hinted| {
            found.push(hinted);
            if found.len() == 2 * most {
                found.select_nth_unstable_by_key(most, |hinted| hinted.turn(base));
                found.truncate(most);
            }
        });
        found.sort_unstable_by_key(|hinted| std::cmp::Reverse(hinted.turn(base)));
        found.drain(..found.len().saturating_sub(most));
    }

    /// Looks again, and cuts the list off before the oldest item that is not in it.
    fn cut(&mut self, base: u64, visit: &impl Fn(&mut dyn FnMut(Hinted))) {
        let mut cut: Option<(i64, usize)> = None;
        visit(&mut |hinted| {
            let turn = hinted.turn(base);
            if self.found.binary_search_by(|found| turn.cmp(&found.turn(base))).is_err() {
                cut = Some(cut.map_or(turn, |cut| cut.min(turn)));
            }
        });
        if let Some(cut) = cut {
            let newer = self.found.partition_point(|found| found.turn(base) > cut);
            self.found.drain(..newer);
        }
    }

    /// The receiver has returned an item itself: it comes in its turn, and not after the list.
    pub(super) fn add(&mut self, hinted: Hinted) {
        let Some(base) = self.found.first().map(|newest| newest.born) else { return };
        let at = self.found.partition_point(|found| found.turn(base) > hinted.turn(base));
        if at > 0 {
            self.found.insert(at, hinted);
        }
    }

    /// The receiver has returned items, and it is not known which.
    pub(super) fn clear(&mut self) {
        self.found.clear();
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    /// Takes all hints, and gives their slots in that order, and how many hints were looked at.
    fn drain(hints: Vec<Hinted>) -> (Vec<usize>, usize) {
        let (hints, looks) = (RefCell::new(hints), Cell::new(0));
        let (mut oldest, mut order) = (Oldest::default(), Vec::new());
        let visit = |look: &mut dyn FnMut(Hinted)| {
            hints.borrow().iter().for_each(|hinted| look(*hinted));
            looks.set(looks.get() + hints.borrow().len());
        };
        while oldest.find(visit) {
            while let Some(hinted) = oldest.pop() {
                order.push(hinted.slot);
            }
            hints.borrow_mut().retain(|hinted| !order.contains(&hinted.slot));
        }
        (order, looks.get())
    }

    #[test]
    fn the_oldest_comes_first_also_where_positions_wrap_around() {
        for start in [5, u64::MAX - 300, i64::MAX as u64 - 300] {
            let hinted = |slot: usize| Hinted { slot, born: start.wrapping_add((slot as u64 * 7) % 1000) };
            let (order, _) = drain((0..1000).map(hinted).collect());
            let mut right: Vec<usize> = (0..1000).collect();
            right.sort_by_key(|slot| slot * 7 % 1000);
            assert_eq!(order, right);
        }
    }

    #[test]
    fn looks_rise_in_proportion_to_the_items() {
        for items in [2_000, 8_000] {
            let (order, looks) = drain((0..items).map(|slot| Hinted { slot, born: slot as u64 }).collect());
            assert!(order.len() == items && looks < 64 * items, "{looks} looks at {items} hints");
        }
    }

    #[test]
    fn garbage_for_positions_ends_nothing_and_hides_nothing() {
        let hinted =
            |slot: usize| Hinted { slot, born: [0, 0, u64::MAX, 1 << 63, slot as u64 * 0x9e37_79b9][slot % 5] };
        let (mut order, _) = drain((0..500).map(hinted).collect());
        order.sort_unstable();
        assert!(order.into_iter().eq(0..500));
    }

    /// Each look sees one hint less of the front: those are set between the looks.
    #[test]
    fn a_list_ends_before_the_first_hint_that_only_the_second_look_has_seen() {
        let missing = Cell::new(3);
        let mut oldest = Oldest::default();
        assert!(oldest.find(|look| {
            missing.set(missing.get() - 1);
            (0..200)
                .filter(|slot| *slot != 5 || missing.get() == 0)
                .for_each(|slot| look(Hinted { slot, born: slot as u64 }));
        }));
        assert!(std::iter::from_fn(|| oldest.pop()).map(|hinted| hinted.slot).eq(0..5));
    }
}
