//! Where a worker is and how it is doing: the one thing that all of an author's code can ask.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, de::DeserializeOwned};

use crate::error::OpenError;
use crate::raw_receiver::RawReceiver;
use crate::raw_sender::RawSender;
use crate::receiver::Receiver;
use crate::sender::Sender;
use crate::shared::{SharedCounter, SharedList, SharedMap};
use crate::station::{Line, Station};
use crate::transaction::Transaction;

/// A worker's view of itself: its place in the pipeline, its stop flag, its queues. Cheap to clone, and may be handed
/// to any thread of the worker.
///
/// ```no_run
/// use std::time::Duration;
/// use brigade_worker::{Context, Exit, work};
///
/// /// Says every minute that it is there, until it is told to stop.
/// fn main() -> Exit {
///     work(|ctx: &Context| -> brigade_worker::Result {
///         while ctx.sleep(Duration::from_secs(60)) {
///             println!("{} of {} is there", ctx.worker(), ctx.pipeline());
///         }
///         Ok(())
///     })
/// }
/// ```
#[derive(Clone)]
pub struct Context {
    station: Arc<Station>,
    lane: u16,
}

impl Context {
    pub(crate) fn new(station: Arc<Station>, lane: u16) -> Self {
        Self { station, lane }
    }

    #[inline]
    pub(crate) fn station(&self) -> &Station {
        &self.station
    }

    /// The same worker, seen from handler thread `lane`.
    pub(crate) fn on_lane(&self, lane: u16) -> Self {
        Self { station: Arc::clone(&self.station), lane }
    }

    /// Number of this handler thread within its process, from 0.
    pub fn thread(&self) -> u16 {
        self.lane
    }

    /// Name of the pipeline.
    pub fn pipeline(&self) -> &str {
        &self.station.welcome.pipeline
    }

    /// Name of the stage.
    pub fn stage(&self) -> &str {
        &self.station.welcome.stage
    }

    /// Name of the worker, such as `hash/0`: stage and replica. It stays the same through restarts.
    pub fn worker(&self) -> String {
        format!("{}/{}", self.stage(), self.replica())
    }

    /// Number of this worker within its stage, from 0.
    pub fn replica(&self) -> u16 {
        self.station.welcome.replica
    }

    /// How many workers the stage has.
    pub fn replicas(&self) -> u16 {
        self.station.welcome.replicas
    }

    /// Which run of the worker this is: 1 at first, one more after each restart.
    pub fn incarnation(&self) -> u32 {
        self.station.welcome.incarnation.0
    }

    /// Handler threads in this process.
    pub fn threads(&self) -> u16 {
        self.station.welcome.threads.max(1)
    }

    /// Whether the worker should end by itself: return from a source's loop, cut a long computation short.
    ///
    /// For a worker that takes items this is true only for *stop now* (and after a signal): in a drain it goes on to
    /// the end of its queues. For a source, and for one without queues, it is true for a drain as well.
    ///
    /// It is also true, on the thread that holds the item, when an item has taken longer than the stage's `item_timeout`:
    /// return an error then, and the item counts as failed. With the next item it is false again. Costs three loads from
    /// memory.
    pub fn stop_requested(&self) -> bool {
        self.station.stop_requested() || self.station.stop.page().is_late(self.lane)
    }

    /// Sleeps, and wakes at once when the worker should stop. True: the time has passed; false: told to stop.
    pub fn sleep(&self, time: Duration) -> bool {
        let station = &self.station;
        station.stop.sleep(time, |_| self.stop_requested())
    }

    /// A sender to one of the stage's outputs. One thread uses it; ask again for another thread.
    ///
    /// # Errors
    /// The stage does not send to this queue, the queue cannot be opened, or it holds items of another shape.
    pub fn sender<T: Serialize + DeserializeOwned>(&self, queue: &str) -> Result<Sender<T>, OpenError> {
        self.raw_sender(queue).and_then(Sender::new)
    }

    /// A receiver from one of the stage's inputs. One thread uses it; ask again for another thread.
    ///
    /// # Errors
    /// The stage does not take from this queue, the queue cannot be opened, or it holds items of another shape.
    pub fn receiver<T: DeserializeOwned>(&self, queue: &str) -> Result<Receiver<T>, OpenError> {
        self.raw_receiver(queue).and_then(Receiver::new)
    }

    /// A sender of bytes, as they are.
    ///
    /// # Errors
    /// As [`sender`](Self::sender).
    pub fn raw_sender(&self, queue: &str) -> Result<RawSender, OpenError> {
        let line = find(&self.station.outputs, queue).map(|(_, line)| line);
        RawSender::new(self, line.ok_or_else(|| self.not_an_output(queue))?)
    }

    /// A receiver of bytes, which are read in place.
    ///
    /// # Errors
    /// As [`receiver`](Self::receiver).
    pub fn raw_receiver(&self, queue: &str) -> Result<RawReceiver, OpenError> {
        let (index, line) = find(&self.station.inputs, queue).ok_or_else(|| OpenError::NotAnInput {
            stage: self.stage().to_owned(),
            queue: queue.to_owned(),
            has: names(&self.station.inputs),
        })?;
        RawReceiver::new(self, index, line)
    }

    /// A transaction: items of this stage's inputs, results, changes of shared state and a checkpoint that become true
    /// together. One thread uses it; ask again for another thread.
    ///
    /// # Errors
    /// An output of the stage cannot be opened.
    pub fn transaction(&self) -> Result<Transaction<'_>, OpenError> {
        Transaction::new(self)
    }

    /// The shared list of that name (1 to 255 bytes), which all workers of the pipeline see. It is made by its first
    /// operation.
    ///
    /// ```no_run
    /// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
    /// let seen = ctx.list::<String>("seen");
    /// seen.push("one of us was here")?;
    /// println!("{} were here", seen.len()?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn list<T: Serialize + DeserializeOwned>(&self, name: &str) -> SharedList<T> {
        self.station.shared.list(name)
    }

    /// The shared map of that name (1 to 255 bytes), which all workers of the pipeline see. It is made by its first
    /// operation.
    ///
    /// ```no_run
    /// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
    /// let sizes = ctx.map::<String, u64>("sizes");
    /// sizes.insert("README.md", &1234)?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn map<K: Serialize + DeserializeOwned, V: Serialize + DeserializeOwned>(&self, name: &str) -> SharedMap<K, V> {
        self.station.shared.map(name)
    }

    /// The shared counter of that name (1 to 255 bytes), which all workers of the pipeline see. It begins at 0.
    ///
    /// ```no_run
    /// # fn example(ctx: &brigade_worker::Context) -> brigade_worker::Result {
    /// let tickets = ctx.counter("tickets");
    /// println!("mine is number {}", tickets.add(1)?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn counter(&self, name: &str) -> SharedCounter {
        self.station.shared.counter(name)
    }

    /// Names of the queues that this worker takes from, in the order of the pipeline file.
    pub fn inputs(&self) -> impl Iterator<Item = &str> {
        self.station.inputs.iter().map(|line| line.name.as_str())
    }

    /// Names of the queues that this worker sends to, in the order of the pipeline file.
    pub fn outputs(&self) -> impl Iterator<Item = &str> {
        self.station.outputs.iter().map(|line| line.name.as_str())
    }

    pub(crate) fn not_an_output(&self, queue: &str) -> OpenError {
        let has = names(&self.station.outputs);
        OpenError::NotAnOutput { stage: self.stage().to_owned(), queue: queue.to_owned(), has }
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").field("worker", &self.worker()).field("thread", &self.lane).finish_non_exhaustive()
    }
}

fn find<'a>(lines: &'a [Line], queue: &str) -> Option<(u16, &'a Line)> {
    // A stage has far fewer than 65,536 queues; the check of the pipeline file sees to it.
    lines.iter().zip(0u16..).find(|(line, _)| line.name == queue).map(|(line, index)| (index, line))
}

fn names(lines: &[Line]) -> Vec<String> {
    lines.iter().map(|line| line.name.clone()).collect()
}
