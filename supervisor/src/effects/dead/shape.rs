//! The shape of the items that dead letters hold. The bytes of an item do not say what they are, so a letter must not be
//! sent to a queue whose items have another shape by now: a receiver would read it as something else.

use std::fmt;

use brigade_protocol::queue::{Mismatch, Noted, Queue};
use brigade_protocol::shape::{self, Canonical, TypeNote};
use serde::{Deserialize, Serialize};

/// The shape of an item, as its queue knew it when the item was put aside.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ItemShape {
    /// Not known, and not checked: no typed handle had noted one, or the file is older than these notes.
    #[default]
    Unknown,
    /// In its canonical form.
    Known {
        /// The shape.
        #[serde(with = "serde_bytes")]
        bytes: Vec<u8>,
        /// Of the bytes.
        hash: u64,
    },
    /// It is larger than a queue keeps, and known by its hash alone.
    TooLarge {
        /// Of its canonical form.
        hash: u64,
    },
}

/// Why a letter cannot be sent to a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfit {
    letter: String,
    queue: String,
}

impl ItemShape {
    /// The shape of the items in a queue.
    pub fn of(queue: &Queue) -> Self {
        match queue.shape() {
            Noted::Shape(note) => match note.canonical() {
                Some(Canonical { bytes, hash }) => Self::Known { bytes, hash },
                None => Self::Unknown,
            },
            Noted::TooLarge { hash } => Self::TooLarge { hash },
            Noted::Nothing | Noted::Unreadable => Self::Unknown,
        }
    }

    /// Whether items of this shape may be sent to a queue. A queue that has noted no shape notes this one, so that every
    /// handle which joins later is compared with it.
    ///
    /// # Errors
    /// The queue holds items of another shape, or one of the two cannot be read.
    pub fn join(&self, queue: &Queue) -> Result<(), Unfit> {
        let unfit = |queue: String| Unfit { letter: self.to_string(), queue };
        match self {
            Self::Unknown => Ok(()),
            Self::Known { bytes, hash } => {
                let Some(note) = self.note() else { return Err(unfit(in_words(queue))) };
                let canonical = Canonical { bytes: bytes.clone(), hash: *hash };
                queue.note_shape(&note, &canonical).map_err(|mismatch| match mismatch {
                    Mismatch::Other { held, difference } => unfit(format!("{held} (in the letter: {difference})")),
                    Mismatch::OtherTooLarge | Mismatch::Unreadable => unfit(in_words(queue)),
                })
            }
            Self::TooLarge { hash } => match queue.shape() {
                Noted::Nothing => Ok(()),
                Noted::TooLarge { hash: held } if held == *hash => Ok(()),
                Noted::TooLarge { .. } | Noted::Shape(_) | Noted::Unreadable => Err(unfit(in_words(queue))),
            },
        }
    }

    /// The shape, for people and for comparison; `None` if it is not known as a whole.
    fn note(&self) -> Option<TypeNote> {
        match self {
            Self::Known { bytes, hash } => shape::read(bytes, *hash),
            Self::Unknown | Self::TooLarge { .. } => None,
        }
    }
}

fn in_words(queue: &Queue) -> String {
    match queue.shape() {
        Noted::Nothing => "not known".to_owned(),
        Noted::Shape(note) => note.to_string(),
        Noted::TooLarge { .. } => "too large to be shown".to_owned(),
        Noted::Unreadable => "not readable".to_owned(),
    }
}

impl fmt::Display for ItemShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.note()) {
            (_, Some(note)) => note.fmt(f),
            (Self::Unknown, None) => f.write_str("not known"),
            (Self::Known { .. }, None) => f.write_str("not readable"),
            (Self::TooLarge { .. }, None) => f.write_str("too large to be shown"),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a dead letter has the shape {}, and the shape of the queue's items is now {}; run the pipeline with the \
             program whose items have the shape of the letter and retry then, or drop the letter",
            self.letter, self.queue
        )
    }
}
