//! What one handler thread is about to hand on: kept in private memory until one commit puts it into the queues,
//! together with the end of the items that it came from and a checkpoint.

mod commit;

use std::ops::Range;

use brigade_protocol::codec;
use brigade_protocol::id::ItemId;
use brigade_protocol::page::{Lane, MAX_CHECKPOINT};
use brigade_protocol::queue::{Member, Queue, Wait};
use brigade_protocol::shared::op::Kind;
use serde::Serialize;

use crate::context::Context;
use crate::error::{CheckpointError, OpenError, Refusal};
use crate::shared::{Batch, Handle};

/// So many handles of shared containers are kept, as to make one costs two allocations.
const KNOWN_HANDLES: usize = 16;

/// Results on their way, of one handler thread.
pub(crate) struct Outbox {
    ctx: Context,
    ports: Vec<Port>,
    /// Those of the ports, by which this thread sends.
    members: Vec<Member>,
    lane: Lane,
    mode: Mode,
    /// The encoded items, one behind the other.
    bytes: Vec<u8>,
    entries: Vec<(usize, Range<usize>)>,
    checkpoint: Option<Vec<u8>>,
    /// Of shared state.
    changes: Batch,
    /// The last few containers that were changed.
    handles: Vec<Handle>,
    /// The next commit is the last one.
    finishes: bool,
    warned: bool,
    /// The item in hand, and how often it was delivered.
    item: Option<(ItemId, u16)>,
}

/// One output queue.
struct Port {
    name: String,
    queue: Queue,
    waiting: usize,
    /// How many of those came from items before the one in hand.
    earlier: usize,
}

impl Port {
    fn capacity(&self) -> usize {
        self.queue.capacity()
    }
}

/// When what is sent goes out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    /// With the item that it came from.
    WithItem,
    /// At once: a source that keeps no checkpoint.
    AtOnce,
    /// With the next checkpoint.
    WithCheckpoint,
    /// With the commit of a transaction.
    WithTransaction,
}

/// Where an outbox stood, to go back to.
pub(crate) struct Mark {
    entries: usize,
    checkpoint: Option<Vec<u8>>,
}

impl Outbox {
    pub(crate) fn new(ctx: &Context) -> Result<Self, OpenError> {
        let mode = if ctx.station().takes_items() { Mode::WithItem } else { Mode::AtOnce };
        Self::with_mode(ctx, mode)
    }

    /// One of a [`Transaction`](crate::Transaction).
    pub(crate) fn of_transaction(ctx: &Context) -> Result<Self, OpenError> {
        Self::with_mode(ctx, Mode::WithTransaction)
    }

    fn with_mode(ctx: &Context, mode: Mode) -> Result<Self, OpenError> {
        let outputs = &ctx.station().outputs;
        let join = |line: &crate::station::Line| {
            let member = line.queue.join(ctx.station().welcome.post, ctx.thread());
            member.map_err(|error| OpenError::Queue { queue: line.name.clone(), error })
        };
        let port = |line: &crate::station::Line| Port {
            name: line.name.clone(),
            queue: line.queue.clone(),
            waiting: 0,
            earlier: 0,
        };
        Ok(Self {
            members: outputs.iter().map(join).collect::<Result<_, _>>()?,
            ports: outputs.iter().map(port).collect(),
            lane: ctx.station().stop.page().lane(ctx.thread()),
            mode,
            ctx: ctx.clone(),
            bytes: Vec::new(),
            entries: Vec::new(),
            checkpoint: None,
            changes: Batch::default(),
            handles: Vec::new(),
            finishes: false,
            warned: false,
            item: None,
        })
    }

    pub(crate) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// The item in hand: its id, and how often it was delivered.
    pub(crate) fn item(&self) -> Option<(ItemId, u16)> {
        self.item
    }

    /// A handler begins with an item.
    pub(crate) fn begin(&mut self, item: ItemId, deliveries: u16) {
        self.item = Some((item, deliveries));
    }

    /// The handler is done with it.
    pub(crate) fn end(&mut self) {
        self.item = None;
    }

    /// The handle of a shared container, which is made if it is not one of the last few that were asked for.
    pub(crate) fn handle(&mut self, kind: Kind, name: &str, make: impl FnOnce(&Context) -> Handle) -> Handle {
        if let Some(known) = self.handles.iter().find(|known| known.is(kind, name)) {
            return known.clone();
        }
        let handle = make(&self.ctx);
        if self.handles.len() >= KNOWN_HANDLES {
            self.handles.remove(0);
        }
        self.handles.push(handle.clone());
        handle
    }

    /// The output of this name, or the first.
    pub(crate) fn port(&self, name: Option<&str>) -> Option<usize> {
        match name {
            None => (!self.ports.is_empty()).then_some(0),
            Some(name) => self.ports.iter().position(|port| port.name == name),
        }
    }

    /// Takes one item on its way.
    pub(crate) fn send(&mut self, port: usize, item: &impl Serialize) -> Result<(), Refusal> {
        match self.mode {
            Mode::WithItem | Mode::WithTransaction => {}
            // What a source takes is what it makes: it is paused here.
            Mode::AtOnce | Mode::WithCheckpoint => _ = self.ctx.station().stop.while_held(None),
        }
        if self.mode == Mode::AtOnce {
            return self.encode_now(port, item);
        }
        if self.mode == Mode::WithTransaction && self.ports[port].waiting >= self.ports[port].capacity() {
            let (queue, capacity) = (self.ports[port].name.clone(), self.ports[port].capacity());
            return Err(Refusal::MoreThanCapacity { queue, capacity });
        }
        let start = self.bytes.len();
        codec::encode(item, &mut self.bytes)?;
        let (len, max) = (self.bytes.len() - start, self.ports[port].queue.geometry().max_item_bytes as usize);
        if len > max {
            self.bytes.truncate(start);
            return Err(Refusal::TooLarge { len, max });
        }
        self.entries.push((port, start..self.bytes.len()));
        self.ports[port].waiting += 1;
        let Port { waiting, earlier, .. } = self.ports[port];
        if waiting - earlier > self.ports[port].capacity() {
            return self.overflow(port);
        }
        Ok(())
    }

    /// Sends one item by itself, encoded into its slot.
    fn encode_now(&mut self, port: usize, item: &impl Serialize) -> Result<(), Refusal> {
        let stop = &self.ctx.station().stop;
        let waiting = self.lane.waiting();
        let wait = Wait { deadline: None, interrupted: &|| stop.now_or_wait(&waiting) };
        let member = &mut self.members[port];
        let mut draft = member.draft(&self.ports[port].queue, &wait)?;
        codec::encode_to(item, &mut draft)?;
        member.send_draft(&mut draft)?;
        Ok(())
    }

    fn send_now(&mut self, port: usize, range: Range<usize>) -> Result<(), Refusal> {
        let stop = &self.ctx.station().stop;
        let waiting = self.lane.waiting();
        let wait = Wait { deadline: None, interrupted: &|| stop.now_or_wait(&waiting) };
        self.members[port].send(&self.bytes[range], &wait)?;
        Ok(())
    }

    /// More from one item than the queue can hold at once: what it has sent so far goes out by itself. What came from
    /// others before it stays for the commit.
    fn overflow(&mut self, port: usize) -> Result<(), Refusal> {
        if !self.warned {
            self.warned = true;
            let (queue, capacity) = (&self.ports[port].name, self.ports[port].capacity());
            tracing::warn!(
                queue,
                capacity,
                "more results at once than the queue has room for: they cannot be committed together, and may be sent again if this process dies now; raise the queue's capacity"
            );
        }
        let earlier = self.ports.iter().map(|port| port.earlier).sum();
        let entries = self.entries.split_off(earlier);
        let mut sent = Ok(());
        for (port, range) in entries {
            sent = sent.and_then(|()| self.send_now(port, range));
        }
        self.bytes.truncate(self.entries.last().map_or(0, |(_, range)| range.end));
        self.ports.iter_mut().for_each(|port| port.waiting = port.earlier);
        sent
    }

    /// The last committed checkpoint. From now on what is sent goes out with the next checkpoint.
    pub(crate) fn restore<C: serde::de::DeserializeOwned>(&mut self) -> Result<Option<C>, codec::DecodeError> {
        if self.mode == Mode::AtOnce {
            self.mode = Mode::WithCheckpoint;
        }
        self.lane.checkpoint().map(|bytes| codec::decode(&bytes)).transpose()
    }

    /// The checkpoint that the next commit will write, or else the last committed one.
    pub(crate) fn pending<C: serde::de::DeserializeOwned>(&self) -> Result<Option<C>, codec::DecodeError> {
        let bytes = self.checkpoint.clone().or_else(|| self.lane.checkpoint());
        bytes.map(|bytes| codec::decode(&bytes)).transpose()
    }

    /// Sets the checkpoint of the next commit; a source commits by this.
    pub(crate) fn checkpoint(&mut self, checkpoint: &impl Serialize) -> Result<(), CheckpointError> {
        let mut bytes = Vec::new();
        codec::encode(checkpoint, &mut bytes)?;
        if bytes.len() > MAX_CHECKPOINT {
            return Err(CheckpointError::TooLarge { len: bytes.len(), max: MAX_CHECKPOINT });
        }
        self.checkpoint = Some(bytes);
        match self.mode {
            Mode::WithItem | Mode::WithTransaction => Ok(()),
            Mode::AtOnce | Mode::WithCheckpoint => {
                self.mode = Mode::WithCheckpoint;
                self.commit_alone()?;
                Ok(())
            }
        }
    }

    /// Forgets everything that is not committed.
    pub(crate) fn roll_back(&mut self) {
        self.forget();
        self.checkpoint = None;
    }

    /// Where it stands. What is sent and changed from now on comes from another item, and what was changed before stays.
    pub(crate) fn mark(&mut self) -> Mark {
        self.changes.keep();
        self.ports.iter_mut().for_each(|port| port.earlier = port.waiting);
        Mark { entries: self.entries.len(), checkpoint: self.checkpoint.clone() }
    }

    /// Forgets what came after the mark, which is the last one: the handler failed.
    pub(crate) fn back_to(&mut self, mark: Mark) {
        for (port, _) in self.entries.drain(mark.entries.min(self.entries.len())..) {
            self.ports[port].waiting -= 1;
        }
        self.bytes.truncate(self.entries.last().map_or(0, |(_, range)| range.end));
        self.changes.drop_fresh();
        self.checkpoint = mark.checkpoint;
    }

    fn forget(&mut self) {
        self.entries.clear();
        self.bytes.clear();
        self.changes = Batch::default();
        self.ports.iter_mut().for_each(|port| (port.waiting, port.earlier) = (0, 0));
    }

    /// Whether half of an output would be taken by what is on its way: more is not to be collected, as a commit has to
    /// find room for all of it at once.
    pub(crate) fn is_laden(&self) -> bool {
        self.changes.is_laden() || self.ports.iter().any(|port| port.waiting > 0 && 2 * port.waiting >= port.capacity())
    }

    /// Whether what is on its way is more than an output can hold at all.
    pub(crate) fn is_overladen(&self) -> bool {
        self.ports.iter().any(|port| port.waiting > port.capacity())
    }
}
