//! A queue in use, with what the reactor knows of it.

use brigade_protocol::queue::{Member, Queue};

use crate::effects::dead::DeadFile;

/// A queue in use.
#[derive(Debug)]
pub(super) struct QueueInUse {
    pub(super) queue: Queue,
    pub(super) dead: DeadFile,
    /// [`Queue::deaths`] when dead letters were last taken.
    pub(super) deaths: u64,
    /// They could not be kept when last tried (a full disk); said once.
    pub(super) stuck: bool,
    /// There were new ones at the last look; they are put aside at the next.
    pub(super) due: bool,
    /// By this dead letters are sent again. Kept to the end: see [`crate::effects::dead`].
    pub(super) member: Option<Member>,
    /// Its shared words make no sense: it is left as it is.
    pub(super) spoilt: bool,
}

impl QueueInUse {
    pub(super) fn new((queue, dead): (Queue, DeadFile)) -> Self {
        Self { spoilt: false, deaths: 0, stuck: false, due: false, member: None, queue, dead }
    }
}
