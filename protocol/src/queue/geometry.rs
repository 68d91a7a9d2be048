//! Where everything lies in a queue's file. Computed from five numbers, and checked against the file before the first
//! word is believed.

use super::error::QueueError;
use super::late::LateLane;
use super::slot::MOST_DELIVERIES;

/// The numbers that make a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Slots: items that are not free, at most. 1 to [`Geometry::MAX_CAPACITY`].
    pub capacity: u32,
    /// Bytes of an item that have room inline. 1 to [`Geometry::MAX_INLINE`].
    pub item_bytes: u32,
    /// The largest item that may be sent, in bytes; `item_bytes` to [`Geometry::MAX_ITEM`].
    pub max_item_bytes: u32,
    /// An item that failed after so many deliveries becomes a dead letter; `None`: it comes back for ever.
    pub max_deliveries: Option<u16>,
}

/// Threads that may use a queue at the same time, over all processes.
pub const MEMBERS: usize = 4096;

/// The place behind the members': where the supervisor counts the dead letters that it has taken out.
pub const UNDERTAKER: u16 = MEMBERS as u16;

/// Bytes of a member's place: two cache lines, which processors fetch together.
pub const MEMBER_BYTES: usize = 128;

const LINE: usize = 128;
/// Words of a cache line.
const LINE_WORDS: usize = 8;
const PAGE: usize = 4096;

/// Byte offsets of the header's parts. Each that is written often has lines of its own.
pub mod header {
    use super::LINE;
    /// Magic, version, boot id, geometry, life, format, strands, checksum: written once.
    pub const FIXED: usize = 0;
    /// Words of the fixed part.
    pub const FIXED_WORDS: usize = 32;
    /// The receivers' hint.
    pub const HEAD: usize = 4 * LINE;
    /// The senders' hint.
    pub const TAIL: usize = 5 * LINE;
    /// Event count: an item has come, or the end.
    pub const ITEMS: usize = 6 * LINE;
    /// Event count: a slot has become free.
    pub const ROOM: usize = 7 * LINE;
    /// Words that are read often and hardly ever change: closed.
    pub const CLOSED: usize = 8 * LINE;
    /// Which parts of the late lane to look at.
    pub const LATE_TOP: usize = 9 * LINE;
    /// The same of the delayed lane, in the same line: receivers look at both, and hardly ever is one of them set.
    pub const DELAYED_TOP: usize = LATE_TOP + 8;
    /// When somebody is to look at the delayed lane.
    pub const NEXT_LOOK: usize = LATE_TOP + 16;
    /// Counts the hints of the late lane, so that a receiver can tell whether any came since it looked.
    pub const LATE_HINTS: usize = LATE_TOP + 24;
    /// How often a living worker has made a slot dead: tells the supervisor to look.
    pub const DEATHS: usize = 10 * LINE;
    /// Whether a receiver is on the lookout, and since when.
    pub const OUT: usize = 11 * LINE;
    /// The seal of an orderly end: a checksum of the whole file (0: not sealed), and the number of the snapshot.
    #[expect(dead_code, reason = "part of the format")]
    pub const SEAL: usize = 12 * LINE;
    /// How many places have ever had a member: those behind them were never used.
    pub const HIGHEST: usize = 13 * LINE;
    /// A hash of the shape of the items, 0 as long as none is noted.
    pub const SHAPE: usize = 14 * LINE;
}

/// Byte offsets of the arrays, and the length of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// One state word per slot, each [`Geometry::words_apart`] from the next.
    pub states: usize,
    /// One word per slot: the position at which it was claimed last.
    pub born: usize,
    /// One word per slot: the number of the batch that it belongs to.
    pub batches: usize,
    /// One word per slot: how many bytes of its large region have been allocated.
    pub backed: usize,
    /// One word per slot: when its item is due.
    pub due: usize,
    /// The late lane's bitmap.
    pub late: usize,
    /// The delayed lane's bitmap.
    pub delayed: usize,
    /// Two words per slot: the key of an item that was sent again from a dead letter.
    pub origins: usize,
    /// The shape of the items, encoded: [`SHAPE_BYTES`].
    pub shape: usize,
    /// The members' places.
    pub members: usize,
    /// The slots: item id, length, then the bytes inline.
    pub slots: usize,
    /// Bytes from one slot to the next.
    pub stride: usize,
    /// The large regions, page-aligned and sparse.
    pub large: usize,
    /// Bytes of one large region; 0 if no item is larger than the inline room.
    pub large_stride: usize,
    /// Length of the file in bytes.
    pub total: usize,
}

/// [Spare slots](super::spare), behind those of the ring.
pub const SPARE_SLOTS: usize = 8;

/// Bytes in front of a slot's inline room: item id, length. The highest bit of the length says that the item has a key of its
/// own among the origins.
pub const SLOT_HEAD: usize = 16;

/// In the word of an item's length: it was sent again from a dead letter, and keeps that one's key.
pub const HAS_ORIGIN: u64 = 1 << 63;

/// Room for the shape of the items.
pub const SHAPE_BYTES: usize = 16 << 10;

impl Geometry {
    /// Slots at most: 16,777,216.
    pub const MAX_CAPACITY: u32 = 1 << 24;
    /// Slots of a small queue at most: up to here the two sides stand on each other's cache lines all the time.
    const SMALL: u32 = 64;
    /// Inline room at most: 1 MiB.
    pub const MAX_INLINE: u32 = 1 << 20;
    /// Largest item at most: 1 GiB.
    pub const MAX_ITEM: u32 = 1 << 30;
    /// Length of a file at most: 16 TiB, what ext4 can hold and a process can map.
    pub const MAX_TOTAL: u64 = 1 << 44;

    /// Whether all numbers are within their bounds.
    pub fn check(&self) -> Result<(), QueueError> {
        let fault = |what: String| Err(QueueError::Geometry(what));
        if self.capacity == 0 || self.capacity > Self::MAX_CAPACITY {
            return fault(format!("capacity {} is not between 1 and {}", self.capacity, Self::MAX_CAPACITY));
        }
        if self.item_bytes == 0 || self.item_bytes > Self::MAX_INLINE {
            return fault(format!("item_bytes {} is not between 1 and {}", self.item_bytes, Self::MAX_INLINE));
        }
        if self.max_item_bytes < self.item_bytes || self.max_item_bytes > Self::MAX_ITEM {
            return fault(format!(
                "max_item_bytes {} is not between item_bytes ({}) and {}",
                self.max_item_bytes,
                self.item_bytes,
                Self::MAX_ITEM
            ));
        }
        if let Some(most) = self.max_deliveries
            && (most == 0 || most > MOST_DELIVERIES)
        {
            return fault(format!("max_deliveries {most} is not between 1 and {MOST_DELIVERIES}"));
        }
        let total = u64::from(self.capacity) * (u64::from(self.max_item_bytes) + u64::from(self.item_bytes) + 4096);
        if total > Self::MAX_TOTAL {
            return fault(format!("capacity times max_item_bytes is {total} bytes, more than {}", Self::MAX_TOTAL));
        }
        Ok(())
    }

    /// By how many words the state words of neighbours are apart. In a small queue both sides are always at work on the same
    /// few slots: when their words shared cache lines, each change would take the other side the line that it needs next.
    /// In a larger one they are packed, so that one line comes for eight items.
    pub fn words_apart(&self) -> usize {
        if self.capacity <= Self::SMALL { LINE_WORDS } else { 1 }
    }

    /// Where everything lies.
    pub fn layout(&self) -> Layout {
        let slots_in_all = self.capacity as usize + SPARE_SLOTS;
        let words = slots_in_all * 8;
        let states = PAGE;
        let born = (states + words * self.words_apart()).next_multiple_of(LINE);
        let batches = (born + words).next_multiple_of(LINE);
        let backed = (batches + words).next_multiple_of(LINE);
        let due = (backed + words).next_multiple_of(LINE);
        let late = (due + words).next_multiple_of(LINE);
        let lane = LateLane::words_for(self.capacity + SPARE_SLOTS as u32) * 8;
        let delayed = (late + lane).next_multiple_of(LINE);
        let behind = (delayed + lane).next_multiple_of(LINE);
        let origins = (behind + lane).next_multiple_of(LINE);
        let shape = (origins + 2 * words).next_multiple_of(LINE);
        let members = shape + SHAPE_BYTES;
        let slots = (members + (MEMBERS + 1) * MEMBER_BYTES).next_multiple_of(PAGE);
        let slot = SLOT_HEAD + self.item_bytes as usize;
        let stride = slot.next_multiple_of(if slot <= 128 { 16 } else { 64 });
        let large = (slots + slots_in_all * stride).next_multiple_of(PAGE);
        let large_stride = if self.max_item_bytes > self.item_bytes {
            (self.max_item_bytes as usize).next_multiple_of(PAGE)
        } else {
            0
        };
        Layout {
            states,
            born,
            batches,
            backed,
            due,
            late,
            delayed,
            origins,
            shape,
            members,
            slots,
            stride,
            large,
            large_stride,
            total: large + slots_in_all * large_stride,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_overlaps_and_nothing_lies_outside() {
        for (capacity, item_bytes, max_item_bytes) in
            [(1, 1, 1), (3, 64, 64), (64, 8, 8), (1024, 1024, 65_536), (65, 17, 4097)]
        {
            let geometry = Geometry { capacity, item_bytes, max_item_bytes, max_deliveries: None };
            geometry.check().expect("within bounds");
            let layout = geometry.layout();
            let n = capacity as usize;
            assert!(
                layout.states + n * 8 * geometry.words_apart() <= layout.born
                    && layout.born + n * 8 <= layout.batches
                    && layout.batches + n * 8 <= layout.backed
            );
            let lane = n.div_ceil(64) * 8;
            assert!(layout.backed + n * 8 <= layout.due && layout.due + n * 8 <= layout.late);
            assert!(layout.late + lane <= layout.delayed && layout.delayed + lane <= layout.origins);
            assert!(layout.origins + 2 * n * 8 <= layout.shape && layout.shape + SHAPE_BYTES <= layout.members);
            assert!(layout.members + (MEMBERS + 1) * MEMBER_BYTES <= layout.slots);
            assert!(layout.stride >= SLOT_HEAD + item_bytes as usize && layout.stride.is_multiple_of(16));
            assert!(layout.slots + n * layout.stride <= layout.large);
            assert!(layout.large_stride == 0 || layout.large_stride >= max_item_bytes as usize);
            assert_eq!(layout.large + (n + SPARE_SLOTS) * layout.large_stride, layout.total);
        }
    }

    #[test]
    fn neighbours_in_a_small_queue_have_cache_lines_to_themselves() {
        let bytes = |capacity: u32| {
            let layout = Geometry { capacity, item_bytes: 1, max_item_bytes: 1, max_deliveries: None }.layout();
            assert_eq!(layout.states % LINE, 0);
            (layout.born - layout.states) / (capacity as usize + SPARE_SLOTS)
        };
        assert_eq!([2, 16, 64, 1024].map(bytes), [64, 64, 64, 8]);
    }

    #[test]
    fn numbers_out_of_bounds_are_named() {
        let fine = Geometry { capacity: 1, item_bytes: 1, max_item_bytes: 1, max_deliveries: None };
        let wrong = |g: Geometry| g.check().expect_err("out of bounds").to_string();
        assert!(wrong(Geometry { capacity: 0, ..fine }).contains("capacity 0"));
        assert!(wrong(Geometry { item_bytes: 2, ..fine }).contains("max_item_bytes 1"));
        assert!(wrong(Geometry { max_deliveries: Some(0), ..fine }).contains("max_deliveries"));
        let huge = Geometry { capacity: 1 << 24, item_bytes: 1, max_item_bytes: 1 << 30, max_deliveries: None };
        assert!(wrong(huge).contains("more than"));
    }
}
