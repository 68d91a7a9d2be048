//! Dead letters as version 1 wrote them: a letter was known by its item's id, within a *life* of the queue that was counted by
//! a record of its own kind. Such a file is read as it is, and written as one of the present version when it is opened for
//! writing.

use brigade_protocol::codec::{self, DecodeError};
use brigade_protocol::id::ItemKey;
use serde::{Deserialize, Serialize};

use super::records::Record;
use super::{Attempt, DeadLetter};

/// A record of version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum FirstRecord {
    Letter(FirstLetter),
    /// From here on the queue is another one, which gives the ids of the one before again.
    Anew,
    /// `(life, id)` of letters that were about to be sent again, and the ids of the items that they were to become. The queue
    /// of that format cannot be opened any more, so nothing was sent to the queue that there is now.
    Sending(Vec<((u32, u64), u64)>),
}

/// A letter of version 1.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FirstLetter {
    pub id: u64,
    pub time_us: i64,
    pub deliveries: u16,
    pub words: String,
    pub attempts: Vec<Attempt>,
    #[serde(with = "serde_bytes")]
    pub bytes: Vec<u8>,
}

/// What is known from the records before.
#[derive(Debug, Default)]
pub(super) struct First {
    lives: u32,
}

impl First {
    /// A record of version 1 as one of the present version; `None` for those that have no meaning any more.
    pub(super) fn record(&mut self, body: &[u8]) -> Result<Option<Record>, DecodeError> {
        Ok(match codec::decode(body)? {
            FirstRecord::Letter(letter) => Some(Record::Letter(self.letter(letter))),
            FirstRecord::Anew => {
                self.lives += 1;
                None
            }
            FirstRecord::Sending(_) => None,
        })
    }

    /// The life of its queue had no number. It gets one from what the letter holds: the same whenever the file is read, and
    /// another one for every letter.
    fn letter(&self, letter: FirstLetter) -> DeadLetter {
        let FirstLetter { id, time_us, deliveries, words, attempts, bytes } = letter;
        let known = [&self.lives.to_le_bytes()[..], &id.to_le_bytes(), &time_us.to_le_bytes(), &bytes];
        let key = ItemKey { life: hash(known.into_iter().flatten()).max(1), id };
        DeadLetter { key, time_us, deliveries, words, attempts, bytes }
    }
}

/// FNV-1a, and a mixing of its bits.
fn hash<'a>(bytes: impl Iterator<Item = &'a u8>) -> u64 {
    let sum =
        bytes.fold(0xcbf2_9ce4_8422_2325, |sum: u64, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    (sum ^ (sum >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}
