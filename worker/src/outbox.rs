//! What one handler thread is about to hand on: kept in private memory until one commit puts it into the queues,
//! together with the end of the items that it came from and a checkpoint.

mod commit;

use std::cell::Cell;
use std::ops::Range;

use brigade_protocol::codec;
use brigade_protocol::id::{ItemId, ItemKey};
use brigade_protocol::page::{Lane, MAX_CHECKPOINT, WaitsFor};
use brigade_protocol::queue::{Member, Queue, SPARES, Wait};
use brigade_protocol::shared::op::Kind;
use serde::{Serialize, de::DeserializeOwned};

use crate::context::Context;
use crate::copies::is_copy;
use crate::error::{CheckpointError, OpenError, Refusal};
use crate::shape::{self, Sent};
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
    /// The hash of the shape of the type in which a checkpoint was asked for; 0: none was, or it is not known.
    checkpoint_shape: Cell<u64>,
    /// Of shared state.
    changes: Batch,
    /// The last few containers that were changed.
    handles: Vec<Handle>,
    /// The next commit is the last one.
    finishes: bool,
    item: Option<InHand>,
}

/// The item in hand.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InHand {
    pub(crate) id: ItemId,
    pub(crate) key: ItemKey,
    /// How often it was delivered.
    pub(crate) deliveries: u16,
}

/// One output queue.
struct Port {
    name: String,
    queue: Queue,
    sent: Sent,
    waiting: usize,
    /// Whether the thread's stage takes from this queue as well.
    is_loop: bool,
    /// How many of those came from items before the one in hand.
    earlier: usize,
}

impl Port {
    fn capacity(&self) -> usize {
        self.queue.capacity()
    }

    /// So many results at most are to wait for one commit, which has to find room for all of them at once: those of half a
    /// queue. Results to the stage's own queue are as many as can take the room of their items if it is full, and one by one
    /// as long as it is.
    fn most(&self, member: &Member) -> usize {
        let half = self.capacity().div_ceil(2);
        match (self.is_loop, member.was_full()) {
            (false, _) => half,
            (true, false) => half.min(SPARES),
            (true, true) => 1,
        }
    }
}

/// What a thread waits for that finds no room for so many items in an output.
fn room_in(port: usize, items: usize) -> WaitsFor {
    let queue = u16::try_from(port).expect("a stage has fewer than 65,536 outputs");
    WaitsFor::Room { queue, slots: u32::try_from(items).unwrap_or(u32::MAX) }
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
            sent: Sent::default(),
            waiting: 0,
            is_loop: ctx.station().inputs.iter().any(|input| input.name == line.name),
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
            checkpoint_shape: Cell::new(0),
            changes: Batch::default(),
            handles: Vec::new(),
            finishes: false,
            item: None,
        })
    }

    pub(crate) fn ctx(&self) -> &Context {
        &self.ctx
    }

    /// The item in hand.
    pub(crate) fn item(&self) -> Option<InHand> {
        self.item
    }

    /// A handler begins with an item.
    pub(crate) fn begin(&mut self, item: InHand) {
        self.item = Some(item);
    }

    /// The handler is done with it.
    pub(crate) fn end(&mut self) {
        self.item = None;
    }

    /// The number of the handle of a shared container, which is made if it is not one of the last few that were asked for.
    /// It holds until the next call.
    pub(crate) fn handle(&mut self, kind: Kind, name: &str, make: impl FnOnce(&Context) -> Handle) -> usize {
        if let Some(known) = self.handles.iter().position(|known| known.is(kind, name)) {
            return known;
        }
        let handle = make(&self.ctx);
        if self.handles.len() >= KNOWN_HANDLES {
            self.handles.remove(0);
        }
        self.handles.push(handle);
        self.handles.len() - 1
    }

    /// The handle of that number.
    pub(crate) fn known(&self, handle: usize) -> &Handle {
        &self.handles[handle]
    }

    /// The output of this name, or the first.
    pub(crate) fn port(&self, name: Option<&str>) -> Option<usize> {
        match name {
            None => (!self.ports.is_empty()).then_some(0),
            Some(name) => self.ports.iter().position(|port| port.name == name),
        }
    }

    /// Takes one item on its way, whose type is `T`.
    pub(crate) fn send<T: DeserializeOwned>(
        &mut self,
        port: usize,
        item: &(impl Serialize + ?Sized),
    ) -> Result<(), Refusal> {
        if is_copy() {
            return Err(Refusal::ForkedCopy);
        }
        let Port { sent, name, queue, .. } = &self.ports[port];
        sent.check::<T, _>(name, queue, item)?;
        match self.mode {
            Mode::WithItem | Mode::WithTransaction => {}
            // What a source takes is what it makes: it is paused here.
            Mode::AtOnce | Mode::WithCheckpoint => _ = self.ctx.station().stop.while_held(None),
        }
        if self.mode == Mode::AtOnce {
            return self.encode_now(port, item);
        }
        let Port { name, waiting, earlier, .. } = &self.ports[port];
        if waiting - earlier >= self.ports[port].capacity() {
            // What came from other items can be committed before, but this could never be committed together.
            return Err(Refusal::MoreThanCapacity { queue: name.clone(), capacity: self.ports[port].capacity() });
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
        Ok(())
    }

    /// Sends one item by itself, encoded into its slot.
    fn encode_now(&mut self, port: usize, item: &(impl Serialize + ?Sized)) -> Result<(), Refusal> {
        let stop = &self.ctx.station().stop;
        let waiting = self.lane.waiting();
        let wait = Wait { deadline: None, interrupted: &|| stop.now_or_wait(&waiting, room_in(port, 1)) };
        let member = &mut self.members[port];
        let mut draft = member.draft(&self.ports[port].queue, &wait)?;
        codec::encode_to(item, &mut draft)?;
        member.send_draft(&mut draft)?;
        Ok(())
    }

    /// The last committed checkpoint. From now on what is sent goes out with the next checkpoint.
    pub(crate) fn restore<C: serde::de::DeserializeOwned>(&mut self) -> Result<Option<C>, codec::DecodeError> {
        if self.mode == Mode::AtOnce {
            self.mode = Mode::WithCheckpoint;
        }
        self.checkpoint_shape.set(shape::hash::<C>());
        self.lane.checkpoint().map(|bytes| self.decoded_checkpoint(&bytes)).transpose()
    }

    /// The checkpoint that the next commit will write, or else the last committed one.
    pub(crate) fn pending<C: serde::de::DeserializeOwned>(&self) -> Result<Option<C>, codec::DecodeError> {
        self.checkpoint_shape.set(shape::hash::<C>());
        let bytes = self.checkpoint.clone().or_else(|| self.lane.checkpoint());
        bytes.map(|bytes| self.decoded_checkpoint(&bytes)).transpose()
    }

    /// A checkpoint is its type's shape, as far as the one who wrote it knew it (else 0), and then the encoded value. From
    /// now on those that are written have the shape of the type that was asked for.
    fn decoded_checkpoint<C: DeserializeOwned>(&self, bytes: &[u8]) -> Result<C, codec::DecodeError> {
        let (written, value) = bytes.split_first_chunk().ok_or(codec::DecodeError::Empty)?;
        let (written, wanted) = (u64::from_le_bytes(*written), self.checkpoint_shape.get());
        if written != 0 && wanted != 0 && written != wanted {
            return Err(codec::DecodeError::OtherType { wanted: std::any::type_name::<C>() });
        }
        codec::decode(value)
    }

    /// Whether there was a checkpoint that is not known any more.
    pub(crate) fn lacks_checkpoint(&self) -> bool {
        self.lane.is_unknown()
    }

    /// Nothing is left of what was committed under the checkpoint that is not known.
    pub(crate) fn settle_unknown(&self) {
        self.lane.settle_unknown();
    }

    /// Sets the checkpoint of the next commit; a source commits by this.
    pub(crate) fn checkpoint(&mut self, checkpoint: &impl Serialize) -> Result<(), CheckpointError> {
        if is_copy() {
            return Err(Refusal::ForkedCopy.into());
        }
        let mut bytes = self.checkpoint_shape.get().to_le_bytes().to_vec();
        let head = bytes.len();
        codec::encode(checkpoint, &mut bytes)?;
        if bytes.len() > MAX_CHECKPOINT {
            return Err(CheckpointError::TooLarge { len: bytes.len() - head, max: MAX_CHECKPOINT - head });
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
        self.changes.clear();
        self.ports.iter_mut().for_each(|port| (port.waiting, port.earlier) = (0, 0));
    }

    /// Whether the next commit changes shared state.
    pub(crate) fn changes_shared(&self) -> bool {
        !self.changes.is_empty()
    }

    /// Whether an output has as much on its way as one commit should have to find room for.
    pub(crate) fn is_laden(&self) -> bool {
        let mut ports = self.ports.iter().zip(&self.members);
        self.changes.is_laden() || ports.any(|(port, member)| port.waiting > 0 && port.waiting >= port.most(member))
    }

    /// Whether what is on its way is more than an output can hold at all.
    pub(crate) fn is_overladen(&self) -> bool {
        self.ports.iter().any(|port| port.waiting > port.capacity())
    }
}
