//! The shape of a queue's items, in its file: the first typed handle notes it, all others are compared with it before
//! they read or write an item.
//!
//! The word `SHAPE` holds a hash of the shape, 0 as long as none is noted. The handle that has changed it from 0 writes the
//! shape behind it, and so does every other handle of that same shape: they all write the same bytes. A reader believes
//! these bytes only if their hash is the one in the word, so that neither a half-written shape nor a scribbled one is
//! taken for another.

use super::file::Queue;
use super::geometry::{SHAPE_BYTES, header};
use crate::shape::{self, Canonical, Difference, TypeNote};
use crate::sync::Ordering;

/// Bytes of a word.
const WORD: usize = 8;
/// Bytes of a shape that have room behind its length.
const ROOM: usize = SHAPE_BYTES - WORD;
/// In the place of a length: the shape does not fit, and is known by its hash alone.
const TOO_LARGE: u64 = u64::MAX;

/// What a queue knows of its items.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Noted {
    /// Nothing: no typed handle has joined, or none whose type has a known shape.
    Nothing,
    /// Their shape.
    Shape(TypeNote),
    /// A hash alone: the shape is larger than the room for it.
    TooLarge {
        /// Of the shape.
        hash: u64,
    },
    /// A hash alone: the shape is being written, or was damaged.
    Unreadable,
}

/// Why a handle is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mismatch {
    /// The queue holds items of another shape.
    Other {
        /// Their shape.
        held: Box<TypeNote>,
        /// Where the handle's shape first differs from it.
        difference: Difference,
    },
    /// The queue holds items of another shape, which is too large to be kept.
    OtherTooLarge,
    /// The shape of the queue's items cannot be read, at the moment or because it is damaged.
    Unreadable,
}

impl Queue {
    /// What is known of the items.
    pub fn shape(&self) -> Noted {
        let (word, text) = (self.shape_word(), self.shape_text());
        let hash = word.at(0).load(Ordering::Acquire);
        if hash == 0 {
            return Noted::Nothing;
        }
        let length = text.at(0).load(Ordering::Acquire);
        if length == TOO_LARGE {
            return Noted::TooLarge { hash };
        }
        let Some(length) = usize::try_from(length).ok().filter(|length| *length <= ROOM) else {
            return Noted::Unreadable;
        };
        let mut bytes = Vec::with_capacity(length.next_multiple_of(WORD));
        for index in 0..length.div_ceil(WORD) {
            bytes.extend_from_slice(&text.at(1 + index).load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(length);
        shape::read(&bytes, hash).map_or(Noted::Unreadable, Noted::Shape)
    }

    /// Notes the shape of the items that a handle sends or takes, or compares it with the one that is noted. Nothing is
    /// changed when it is refused.
    ///
    /// # Errors
    /// The queue holds items of another shape.
    pub fn note_shape(&self, note: &TypeNote, canonical: &Canonical) -> Result<(), Mismatch> {
        let word = self.shape_word();
        let before = word.at(0).compare_exchange(0, canonical.hash, Ordering::AcqRel, Ordering::Acquire);
        if let Err(held) = before
            && held != canonical.hash
        {
            return match self.shape() {
                Noted::Shape(held) => shape::compare(&held, note)
                    .map_err(|difference| Mismatch::Other { held: Box::new(held), difference }),
                Noted::TooLarge { .. } => Err(Mismatch::OtherTooLarge),
                Noted::Nothing | Noted::Unreadable => Err(Mismatch::Unreadable),
            };
        }
        // The same shape: its writer may have died before it was written.
        self.write_shape(&canonical.bytes);
        Ok(())
    }

    /// Forgets the shape of the items. Only for a queue that holds none and that nobody uses.
    pub fn forget_shape(&self) {
        self.shape_word().at(0).store(0, Ordering::Release);
    }

    /// Takes over what another queue knows of its items, which are moved to this one.
    pub(super) fn copy_shape(&self, from: &Self) {
        let (text, other) = (self.shape_text(), from.shape_text());
        for index in 0..text.len() {
            text.at(index).store(other.at(index).load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let hash = from.shape_word().at(0).load(Ordering::Acquire);
        self.shape_word().at(0).store(hash, Ordering::Release);
    }

    fn write_shape(&self, bytes: &[u8]) {
        let text = self.shape_text();
        if bytes.len() > ROOM {
            text.at(0).store(TOO_LARGE, Ordering::Release);
            return;
        }
        for (index, chunk) in bytes.chunks(WORD).enumerate() {
            let mut word = [0; WORD];
            word[..chunk.len()].copy_from_slice(chunk);
            text.at(1 + index).store(u64::from_le_bytes(word), Ordering::Relaxed);
        }
        text.at(0).store(bytes.len() as u64, Ordering::Release);
    }

    fn shape_word(&self) -> crate::shm::Words {
        self.shared.region.words(header::SHAPE, 1)
    }

    fn shape_text(&self) -> crate::shm::Words {
        self.shared.region.words(self.shared.layout.shape, SHAPE_BYTES / WORD)
    }
}

#[cfg(all(test, not(any(model_loom, model_shuttle))))]
mod tests {
    use super::*;
    use crate::queue::Geometry;
    use crate::shape::Shape;

    const GEOMETRY: Geometry = Geometry { capacity: 2, item_bytes: 8, max_item_bytes: 8, max_deliveries: None };

    fn queue() -> (Queue, tempfile::TempDir) {
        let dir = tempfile::tempdir().expect("a temporary folder");
        (Queue::create(&dir.path().join("q"), &GEOMETRY).expect("a queue"), dir)
    }

    fn note(shape: Shape) -> (TypeNote, Canonical) {
        let note = TypeNote { name: String::new(), shape, enums: Vec::new() };
        let canonical = note.canonical().expect("it is known");
        (note, canonical)
    }

    fn join(queue: &Queue, shape: &Shape) -> Result<(), Mismatch> {
        let (note, canonical) = note(shape.clone());
        queue.note_shape(&note, &canonical)
    }

    fn fields(parts: &[(&str, Shape)]) -> Shape {
        Shape::Struct(parts.iter().map(|(name, shape)| ((*name).to_owned(), shape.clone())).collect())
    }

    #[test]
    fn the_first_shape_is_noted_and_another_is_refused_with_its_difference() {
        let (queue, dir) = queue();
        assert_eq!(queue.shape(), Noted::Nothing);
        assert_eq!(join(&queue, &Shape::U64), Ok(()));
        assert_eq!(join(&queue, &Shape::U64), Ok(()));
        let other = Queue::open(&dir.path().join("q")).expect("the same queue");
        assert_eq!(other.shape(), Noted::Shape(note(Shape::U64).0));
        match join(&other, &Shape::I64) {
            Err(Mismatch::Other { difference, .. }) => assert_eq!(difference.to_string(), "i64 instead of u64"),
            other => panic!("{other:?}"),
        }
        assert_eq!(queue.shape(), Noted::Shape(note(Shape::U64).0), "nothing has changed");
        queue.forget_shape();
        assert_eq!(join(&other, &Shape::I64), Ok(()));
        assert_eq!(queue.shape(), Noted::Shape(note(Shape::I64).0));
    }

    #[test]
    fn a_shape_that_is_known_in_part_joins_what_it_may_be() {
        let (queue, _dir) = queue();
        let known = fields(&[("at", Shape::Text), ("n", Shape::U8)]);
        assert_eq!(join(&queue, &known), Ok(()));
        assert_eq!(join(&queue, &fields(&[("at", Shape::Text), ("n", Shape::Opaque)])), Ok(()));
        assert!(join(&queue, &fields(&[("to", Shape::Text), ("n", Shape::Opaque)])).is_err());
        assert_eq!(queue.shape(), Noted::Shape(note(known).0));
    }

    #[test]
    fn a_shape_without_room_is_known_by_its_hash() {
        let (queue, _dir) = queue();
        let large = |last: &str| {
            let mut parts: Vec<_> = (0..1000).map(|n| (format!("a_field_with_a_long_name_{n}"), Shape::U8)).collect();
            parts.push((last.to_owned(), Shape::U8));
            Shape::Struct(parts)
        };
        assert_eq!(join(&queue, &large("one")), Ok(()));
        assert_eq!(join(&queue, &large("one")), Ok(()));
        let hash = note(large("one")).1.hash;
        assert_eq!(queue.shape(), Noted::TooLarge { hash });
        assert_eq!(join(&queue, &large("another")), Err(Mismatch::OtherTooLarge));
    }

    #[test]
    fn a_shape_that_was_not_written_to_its_end_is_no_shape_and_is_written_by_the_next_of_it() {
        let (queue, _dir) = queue();
        assert_eq!(join(&queue, &Shape::U64), Ok(()));
        for damage in [0, 3, ROOM as u64 + 1] {
            queue.shape_text().at(0).store(damage, Ordering::Relaxed);
            assert_eq!(queue.shape(), Noted::Unreadable);
            assert_eq!(join(&queue, &Shape::I64), Err(Mismatch::Unreadable));
        }
        assert_eq!(join(&queue, &Shape::U64), Ok(()));
        assert_eq!(queue.shape(), Noted::Shape(note(Shape::U64).0));
        queue.shape_text().at(1).store(0x20_20_20_20, Ordering::Relaxed);
        assert_eq!(queue.shape(), Noted::Unreadable);
    }

    #[test]
    fn a_queue_that_is_moved_keeps_its_shape() {
        let (queue, dir) = queue();
        assert_eq!(join(&queue, &Shape::U64), Ok(()));
        let wider = Geometry { capacity: 4, ..GEOMETRY };
        let moved = queue.migrate(&dir.path().join("q"), &wider).expect("it has room");
        assert_eq!(moved.shape(), Noted::Shape(note(Shape::U64).0));
    }
}
