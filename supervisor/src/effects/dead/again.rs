//! Letters that go: sent again under their keys, or dropped.
//!
//! A retry must neither lose the item nor do it twice, wherever it is killed:
//!
//! 1. A record says which letters become which items (ids that were not given yet), and is on the disk.
//! 2. They are sent.
//! 3. The file is written again without them and without that record, and takes the old one's place.
//!
//! Who finds the record of (1) asks the queue which of those items were sent, and does (3) with that answer. Until then
//! nobody may send by the same place of the queue: the reactor keeps its place, and what a run left is settled before the
//! next one has workers.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

use brigade_protocol::crash_point;
use brigade_protocol::id::{ItemId, ItemKey};
use brigade_protocol::queue::{Member, Queue, Refused};
use serde::{Deserialize, Serialize};

use super::records::{Record, Records, Sending, Span, file_head, written};
use super::{DeadFile, DeadLetter, ItemShape};

/// Why letters stay that would have gone.
const FULL: &str = "the queue is full: try again when there is room";

/// Which letters of a queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// All of them.
    All,
    /// Those of these keys.
    These(Vec<ItemKey>),
}

impl Which {
    fn has(&self, key: ItemKey) -> bool {
        match self {
            Self::All => true,
            Self::These(keys) => keys.contains(&key),
        }
    }
}

/// What became of letters that were to go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gone {
    /// So many went.
    pub gone: u64,
    /// So many were meant and stay.
    pub stay: u64,
    /// Why they stay, in words.
    pub why: Option<String>,
}

impl DeadFile {
    /// Sends letters again: each becomes an item at the end of the queue, with all its deliveries before it, and under the
    /// key that it had. Stops where the queue is full, and leaves letters whose items have another shape than the queue's.
    /// After an error nothing is lost, and nothing is sent that is not known to be sent.
    ///
    /// `member` must be the only one by which this process retries, and be kept until the file was settled.
    pub fn retry(&mut self, member: &mut Member, which: &Which) -> io::Result<Gone> {
        self.settle(Some(member.queue()))?;
        let max = u64::from(member.queue().geometry().max_item_bytes);
        let room = usize::try_from(member.queue().depth().free).unwrap_or(usize::MAX);
        let mut result = Gone::default();
        let mut picked = Vec::new();
        let mut becomes = member.next_item().0;
        let life = member.queue().life();
        let mut records = Records::of(&self.file)?;
        while let Some((span, letter)) = records.next_letter()? {
            if !which.has(letter.key) {
                continue;
            }
            if letter.bytes.len() as u64 > max {
                result.stay += 1;
                result.why = Some(format!("{} has more than the queue's {max} bytes now", letter.key));
            } else if picked.len() >= room {
                result.stay += 1;
                result.why = Some(FULL.to_owned());
            } else if let Err(unfit) = records.shape.join(member.queue()) {
                result.stay += 1;
                result.why = Some(unfit.to_string());
            } else {
                picked.push((span, Sending { letter: letter.key, life, becomes }));
                becomes += 1;
            }
        }
        if picked.is_empty() {
            return Ok(result);
        }
        self.append(&[Record::Sending(picked.iter().map(|(_, sending)| *sending).collect())])?;
        crash_point!("retry_noted");
        let mut sent = HashSet::new();
        for (span, sending) in &picked {
            match self.letter_at(*span).map(|letter| member.try_send_as(&letter.bytes, letter.key)) {
                Ok(Ok(_)) => _ = sent.insert(sending.letter),
                Ok(Err(Refused::Full)) => {
                    result.why = Some(FULL.to_owned());
                    break;
                }
                Ok(Err(refused)) => {
                    result.why = Some(refused.to_string());
                    break;
                }
                Err(error) => {
                    result.why = Some(format!("cannot read the letter: {error}"));
                    break;
                }
            }
            crash_point!("retry_sent");
        }
        result.gone = sent.len() as u64;
        result.stay += (picked.len() - sent.len()) as u64;
        self.write_again(|key| !sent.contains(&key))?;
        Ok(result)
    }

    /// Drops letters: they and their items are gone for good. `queue`: as for [`DeadFile::settle`].
    pub fn drop_letters(&mut self, queue: Option<&Queue>, which: &Which) -> io::Result<Gone> {
        self.settle(queue)?;
        let before = self.letters;
        self.write_again(|key| !which.has(key))?;
        Ok(Gone { gone: before - self.letters, ..Gone::default() })
    }

    /// Finishes a retry that was broken off: letters that were sent leave the file. `queue`: swept, if its members are
    /// not alive; `None` if there is none any more, and so nothing of what was sent to it.
    pub fn settle(&mut self, queue: Option<&Queue>) -> io::Result<u64> {
        let mut sent = HashSet::new();
        let mut is_open = false;
        let mut records = Records::of(&self.file)?;
        while let Some((_, record)) = records.next_record()? {
            match record {
                Record::Sending(sending) => {
                    is_open = true;
                    // A queue of another life was made since, and holds nothing of what was sent to the one before.
                    let was_sent = |it: &&Sending| {
                        queue.is_some_and(|queue| queue.life() == it.life && queue.was_sent(ItemId(it.becomes)))
                    };
                    sent.extend(sending.iter().filter(was_sent).map(|it| it.letter));
                }
                Record::Letter(_) | Record::Shape(_) => {}
            }
        }
        if is_open {
            self.write_again(|key| !sent.contains(&key))?;
        }
        Ok(sent.len() as u64)
    }

    fn letter_at(&self, span: Span) -> io::Result<DeadLetter> {
        let mut records = Records::of(&self.file)?;
        records.at = span.at;
        let found = records.next_letter()?;
        found.map(|(_, letter)| letter).ok_or_else(|| io::Error::other("it is not there any more"))
    }

    /// Writes the file again with the letters for which `stays` holds: whole, or not at all.
    pub(super) fn write_again(&mut self, stays: impl Fn(ItemKey) -> bool) -> io::Result<()> {
        let path = self.path.with_extension("dead.new");
        let mut new = OpenOptions::new().read(true).write(true).create(true).truncate(true).mode(0o600).open(&path)?;
        new.write_all(&file_head())?;
        let mut records = Records::of(&self.file)?;
        let mut shape = ItemShape::Unknown;
        while let Some((_, letter)) = records.next_letter()? {
            if stays(letter.key) {
                if shape != records.shape {
                    shape.clone_from(&records.shape);
                    new.write_all(&written(&Record::Shape(shape.clone()))?)?;
                }
                new.write_all(&written(&Record::Letter(letter))?)?;
            }
        }
        new.sync_all()?;
        crash_point!("letters_written_anew");
        std::fs::rename(&path, &self.path)?;
        if let Some(folder) = self.path.parent() {
            File::open(folder)?.sync_all()?;
        }
        *self = Self::open(&self.path)?;
        Ok(())
    }
}
