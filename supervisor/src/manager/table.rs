//! The table at which all clients of the manager meet: operations get their one order here, and each change is in the
//! journal before anyone hears what came of it. Clients that come at the same time share one write.

use std::collections::HashMap;
use std::ops::Deref;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use brigade_protocol::crash_point;
use brigade_protocol::page::Page;
use brigade_protocol::shared::op::{ListOp, MapOp, Op, Outcome, Refusal};

use super::batches::{self, Pages};
use super::journal::frame;
use super::state::{State, apply, apply_once, may_change};
use super::store::Store;

/// A closing table is quiet when nothing has come in for this long.
const QUIET: Duration = Duration::from_millis(50);
/// A closing table waits for quiet no longer than this.
const PATIENCE: Duration = Duration::from_secs(2);
/// A client that has not come back to a new manager within this time does not come: it gives up after half of it.
const COMES_BACK: Duration = Duration::from_secs(60);

/// Room for so many bytes of records is kept, at most.
const KEPT_BYTES: usize = 64 << 10;

/// Where all clients meet.
#[derive(Debug)]
pub struct Table {
    held: Mutex<Held>,
    /// Operations for whoever is next at `held`. Its lock is taken for an instant, also by the holder of the other one.
    waiting: Mutex<Vec<Arc<Pending>>>,
    /// How many connections each client has.
    present: Mutex<HashMap<u128, usize>>,
    /// Parts of requests that have come in. Relaxed, like `busy`: they only tell whether there is something to wait
    /// for; that nothing is acknowledged and lost rests on the mutex alone.
    arrived: AtomicU64,
    /// Clients whose request is being worked on or answered.
    busy: AtomicUsize,
    clients: AtomicUsize,
    begun: Instant,
    /// Where operations are counted for people.
    page: Option<Page>,
}

/// The state, and where it is kept.
#[derive(Debug)]
pub struct Held {
    state: State,
    store: Option<Store>,
    pages: Pages,
    /// Room for records, kept from one batch to the next.
    records: Vec<u8>,
}

/// An operation that waits for its turn.
#[derive(Debug)]
struct Pending {
    client: u128,
    /// As it came.
    message: Vec<u8>,
    number: u64,
    seen: u64,
    op: Op,
    outcome: Mutex<Option<Outcome>>,
}

impl Pending {
    /// What came of it.
    fn told(&self) -> Outcome {
        let outcome = lock(&self.outcome).take();
        outcome.expect("whoever takes a batch gives every operation in it its outcome")
    }
}

impl Table {
    /// A table with this on it, that is lost with the process.
    pub fn new(state: State) -> Self {
        Self::with(Held { state, store: None, pages: Pages::default(), records: Vec::new() })
    }

    /// A table with this on it, that is kept in that folder; the workers' pages are in another beside it.
    pub fn kept_in(state: State, store: Store, folder: &Path) -> Self {
        Self::with(Held { state, store: Some(store), pages: Pages::beside(folder), records: Vec::new() })
    }

    fn with(held: Held) -> Self {
        Self {
            held: Mutex::new(held),
            waiting: Mutex::default(),
            present: Mutex::default(),
            arrived: AtomicU64::new(0),
            busy: AtomicUsize::new(0),
            clients: AtomicUsize::new(0),
            begun: Instant::now(),
            page: None,
        }
    }

    /// The same table, whose operations are counted on this page of the manager.
    #[must_use]
    pub fn counted_on(self, page: Option<Page>) -> Self {
        Self { page, ..self }
    }

    /// How many clients are connected.
    pub fn clients(&self) -> usize {
        self.clients.load(Ordering::Relaxed)
    }

    /// Does what a message asks for. The outcome may be told: whatever it says is in the journal.
    pub(super) fn perform(&self, client: u128, message: Vec<u8>, numbered: (u64, u64), op: Op) -> Outcome {
        if !is_sound(&op) {
            return Outcome::Refused(Refusal::Malformed);
        }
        let (number, seen) = numbered;
        let operations = if let Op::Prepare { ops, .. } = &op { ops.len() as u64 } else { 1 };
        self.page.iter().for_each(|page| page.add_operations(operations));
        let own = Pending { client, message, number, seen, op, outcome: Mutex::default() };
        // Mostly nobody else is here, and nobody waits.
        if let Ok(mut held) = self.held.try_lock()
            && lock(&self.waiting).is_empty()
        {
            held.perform(&[&own]);
            self.shorten(&mut held);
            drop(held);
            return own.told();
        }
        let own = Arc::new(own);
        lock(&self.waiting).push(Arc::clone(&own));
        // Either the holder of this lock has taken our operation along, or it still waits and we take what waits.
        let mut held = lock(&self.held);
        if lock(&own.outcome).is_none() {
            let batch = std::mem::take(&mut *lock(&self.waiting));
            held.perform(&batch);
            self.shorten(&mut held);
        }
        drop(held);
        own.told()
    }

    /// Lets what has arrived be answered (for 2 s at most), then gives the state. As long as the guard lives nothing
    /// more is applied, so nothing is acknowledged that the holder has not seen: to end, keep it to the end.
    pub fn close(&self) -> MutexGuard<'_, Held> {
        let begun = Instant::now();
        let mut last = (begun, self.arrived.load(Ordering::Relaxed));
        while self.clients() > 0 && begun.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(2));
            let arrived = self.arrived.load(Ordering::Relaxed);
            if arrived != last.1 || self.busy.load(Ordering::Relaxed) > 0 {
                last = (Instant::now(), arrived);
            } else if last.0.elapsed() >= QUIET {
                break;
            }
        }
        lock(&self.held)
    }

    fn shorten(&self, held: &mut Held) {
        let Some(store) = &mut held.store else { return };
        if store.is_long() {
            if self.begun.elapsed() > COMES_BACK {
                let present = lock(&self.present);
                held.state.sessions.keep_only(|client| present.contains_key(&client));
            }
            store.shorten(&held.state);
        }
    }
}

impl Held {
    /// Writes what changes something, all at once, then applies everything.
    fn perform(&mut self, batch: &[impl Deref<Target = Pending>]) {
        if let Err(words) = self.settle() {
            // Whoever asked may have seen something of a batch that cannot be seen here now.
            for pending in batch {
                *lock(&pending.outcome) = Some(Outcome::Refused(Refusal::NotSaved { words: words.clone() }));
            }
            return;
        }
        let mut records = std::mem::take(&mut self.records);
        records.clear();
        let mut plan = Vec::with_capacity(batch.len());
        for pending in batch {
            let begin = records.len();
            if let Op::Prepare { from, incarnation, batch, .. } = &pending.op
                && let Err(refusal) = self.pages.may_prepare(from, *incarnation, *batch)
            {
                *lock(&pending.outcome) = Some(Outcome::Refused(refusal));
                plan.push((false, begin..begin));
                continue;
            }
            // What comes before it in the batch can only take away a reason to write it: no container ever goes.
            let changes = may_change(&self.state, &pending.op);
            let is_known = self.state.sessions.recorded(pending.client, pending.number).is_some();
            if changes && !is_known && self.store.is_some() {
                frame(pending.client, &pending.message, &mut records);
            }
            plan.push((changes, begin..records.len()));
        }
        let together = self.write(&records);
        for (pending, (changes, range)) in batch.iter().zip(plan) {
            if lock(&pending.outcome).is_some() {
                continue;
            }
            let written = match &together {
                // One large operation for which there is no room shall not take the small ones with it.
                Err(_) => self.write(&records[range]),
                Ok(()) => Ok(()),
            };
            let outcome = match written {
                Err(words) => Outcome::Refused(Refusal::NotSaved { words }),
                Ok(()) if changes => {
                    apply_once(&mut self.state, pending.client, pending.number, pending.seen, &pending.op)
                }
                Ok(()) => apply(&mut self.state, &pending.op),
            };
            *lock(&pending.outcome) = Some(outcome);
        }
        if records.capacity() <= KEPT_BYTES {
            self.records = records;
        }
    }

    /// Makes the changes of the batches that are committed by now.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        if self.state.batches.is_empty() {
            return Ok(());
        }
        let committed = self.pages.committed(&self.state.batches);
        let mut records = Vec::new();
        committed.iter().for_each(|(from, batch)| batches::record(from, *batch, &mut records));
        self.write(&records)?;
        crash_point!("manager_batch_settling");
        for (from, batch) in committed {
            apply(&mut self.state, &Op::Settle { from: from.clone(), batch });
            self.pages.settled(&from, batch);
        }
        Ok(())
    }

    fn write(&mut self, records: &[u8]) -> Result<(), String> {
        match &mut self.store {
            Some(store) if !records.is_empty() => store.append(records).map_err(|error| error.to_string()),
            Some(_) | None => Ok(()),
        }
    }

    /// Brings everything to the disk. Nothing may be done at the table afterwards.
    pub fn save(&mut self) -> std::io::Result<()> {
        self.settle().map_err(std::io::Error::other)?;
        // Clients of this manager are not those of a later run.
        self.state.sessions.keep_only(|_| false);
        self.store.as_mut().map_or(Ok(()), |store| store.close(&self.state))
    }
}

/// A client's place at the table.
pub(super) struct Seat {
    pub(super) table: Arc<Table>,
    client: u128,
}

impl Seat {
    pub(super) fn take(table: Arc<Table>, client: u128) -> Self {
        table.clients.fetch_add(1, Ordering::Relaxed);
        *lock(&table.present).entry(client).or_default() += 1;
        Self { table, client }
    }

    /// Something has come from the client; it is worked on for as long as this lives.
    pub(super) fn arrived(&self) -> Busy<'_> {
        self.table.arrived.fetch_add(1, Ordering::Relaxed);
        self.table.busy.fetch_add(1, Ordering::Relaxed);
        Busy(&self.table.busy)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut present = lock(&self.table.present);
        let left = present.get_mut(&self.client).map_or(0, |count| {
            *count -= 1;
            *count
        });
        if left == 0 {
            present.remove(&self.client);
        }
        drop(present);
        if left == 0 {
            lock(&self.table.held).state.sessions.forget(self.client);
        }
        self.table.clients.fetch_sub(1, Ordering::Relaxed);
    }
}

/// While it lives, a request is being worked on.
pub(super) struct Busy<'a>(&'a AtomicUsize);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Whether what came packed can be unpacked.
fn is_sound(op: &Op) -> bool {
    match op {
        Op::List { op: ListOp::Extend(items), .. } | Op::Map { op: MapOp::Extend(items), .. } => items.is_sound(),
        Op::Settle { .. } => false,
        Op::List { .. }
        | Op::Map { .. }
        | Op::Counter { .. }
        | Op::Create { .. }
        | Op::Describe
        | Op::Dump { .. }
        | Op::Prepare { .. } => true,
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
