//! What a batch will change in shared state, told to the manager before the batch is committed. Without it an item that is
//! delivered again after a crash would count twice.

use std::time::Duration;

use brigade_protocol::shared::op::{Bytes, Op, Origin, Outcome};
use brigade_protocol::shared::parts::MESSAGE_BYTES;

use super::handle::{Handle, encoded};
use super::{Shared, SharedError};

/// All of a batch's changes have to fit into one message, beside what stands around them.
const MOST: usize = MESSAGE_BYTES - (64 << 10);
/// From so many bytes on, nothing more is to be collected.
const LADEN: usize = 1 << 20;

/// Changes on their way, of one handler thread.
#[derive(Default)]
pub(crate) struct Batch {
    changes: Vec<(Handle, Bytes)>,
    bytes: usize,
}

impl Batch {
    /// Adds a change.
    pub(crate) fn push(&mut self, handle: &Handle, op: &Op) -> Result<(), SharedError> {
        let bytes = encoded(op)?;
        let (all, limit) = (self.bytes + bytes.len() + 16, MOST as u64);
        if all > MOST {
            return Err(SharedError::TooLarge { name: handle.name().to_owned(), bytes: all as u64, limit });
        }
        self.bytes = all;
        self.changes.push((handle.clone(), bytes));
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        self.changes.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// Whether it is time to commit.
    pub(crate) fn is_laden(&self) -> bool {
        self.bytes >= LADEN
    }

    /// Takes off all changes but the first so many.
    pub(crate) fn split_off(&mut self, at: usize) -> Self {
        let changes = self.changes.split_off(at.min(self.changes.len()));
        let bytes = changes.iter().map(|(_, bytes)| bytes.len() + 16).sum();
        self.bytes -= bytes;
        Self { changes, bytes }
    }

    /// Puts changes behind these.
    pub(crate) fn append(&mut self, mut later: Self) {
        self.changes.append(&mut later.changes);
        self.bytes += later.bytes;
    }

    /// Tells the manager. When this returns `Ok`, the changes are in its journal, and are made when the batch is committed.
    /// Waits up to 30 s for a manager. May be repeated; if the batch is never committed, nothing of it is.
    pub(crate) fn prepare(
        &self,
        shared: &Shared,
        from: Origin,
        incarnation: u32,
        batch: u64,
    ) -> Result<(), SharedError> {
        let Some((first, _)) = self.changes.first() else { return Ok(()) };
        let ops = self.changes.iter().map(|(_, bytes)| bytes.clone()).collect();
        let prepare = first.encoded(&Op::Prepare { from, incarnation, batch, ops })?;
        shared.client.with(|connection| {
            for (handle, _) in &self.changes {
                handle.tell(connection)?;
            }
            match first.accepted(connection.call(prepare)?)? {
                Outcome::Done => Ok(()),
                other => Err(SharedError::unexpected(&other)),
            }
        })
    }
}

/// How long to wait for the disk of the manager to have room again, if that is what is wrong.
pub(crate) fn pause_before_retry(error: &SharedError) -> Option<Duration> {
    match error {
        SharedError::NotSaved { .. } => Some(Duration::from_millis(500)),
        SharedError::ManagerGone
        | SharedError::NoManager { .. }
        | SharedError::Connect(_)
        | SharedError::ForkedCopy
        | SharedError::WrongKind { .. }
        | SharedError::OtherShape { .. }
        | SharedError::Unreadable { .. }
        | SharedError::PastTheEnd { .. }
        | SharedError::Overflow { .. }
        | SharedError::TooLarge { .. }
        | SharedError::Encode(_)
        | SharedError::Decode { .. }
        | SharedError::Refused { .. }
        | SharedError::Protocol(_) => None,
    }
}
