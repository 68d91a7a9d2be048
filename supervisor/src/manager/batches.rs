//! Changes of shared state that belong to workers' batches. Without this a worker that is killed between adding to a map
//! and acknowledging its item would leave the item to be added once more.
//!
//! A worker says what its batch will change before it commits the batch ([`Op::Prepare`]), and commits by one store in its
//! page, which the manager sees too. Before the manager does anything for anybody it looks at the pages of those who have
//! prepared something, and makes the changes of every batch that is committed: whoever has seen anything of a batch finds
//! all of it here. That they were made is written to the journal at that place ([`Op::Settle`]), so that a later manager
//! makes them at the same place.
//!
//! What was prepared by a process that died before its commit stays until the next one at its post prepares something.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use brigade_protocol::codec;
use brigade_protocol::id::Incarnation;
use brigade_protocol::page::Page;
use brigade_protocol::shared::numbered::{HEAD_BYTES, put_number};
use brigade_protocol::shared::op::{Bytes, CounterOp, Kind, ListOp, MapOp, Op, Origin, Outcome, Refusal};

use super::journal::frame;
use super::state::{State, apply};
use crate::state::StateDir;

/// The client under whose name the manager writes to the journal. Clients draw their names from 2¹²⁸.
const OURSELVES: u128 = 0;

/// What one thread has prepared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prepared {
    /// The number of its batch.
    pub batch: u64,
    /// Encoded operations.
    pub ops: Vec<Bytes>,
}

/// What was prepared and is not known to be committed, by thread.
pub type Batches = BTreeMap<Origin, Prepared>;

/// Takes in what a batch will change. The names and kinds that it is about are there and right from now on, and no
/// container ever goes: all that can still be refused when it is done is a sum.
pub(super) fn prepare(state: &mut State, from: &Origin, batch: u64, ops: &[Bytes]) -> Result<Outcome, Refusal> {
    let mut kinds: BTreeMap<String, Kind> = BTreeMap::new();
    for bytes in ops {
        let (name, wanted) = subject(&decoded(bytes)?).ok_or(Refusal::Malformed)?;
        state.may_be(&name, wanted)?;
        let is = *kinds.entry(name).or_insert(wanted);
        if is != wanted {
            return Err(Refusal::WrongKind { is, wanted });
        }
    }
    kinds.into_iter().for_each(|(name, kind)| state.make(&name, kind));
    state.batches.insert(from.clone(), Prepared { batch, ops: ops.to_vec() });
    Ok(Outcome::Done)
}

/// Does what was prepared.
pub(super) fn settle(state: &mut State, from: &Origin, batch: u64) -> Outcome {
    let Some(prepared) = state.batches.remove(from).filter(|prepared| prepared.batch == batch) else {
        return Outcome::Refused(Refusal::Unknown);
    };
    for (name, refusal, times) in make(state, &prepared.ops) {
        let what = if times == 1 { "a change".to_owned() } else { format!("{times} changes") };
        tracing::error!("{what} that {from} has committed cannot be made to shared `{name}`: {refusal}");
    }
    Outcome::Done
}

/// Makes changes that were looked at when they were prepared. Gives the container, the reason and the number of those that
/// could not be made.
pub(super) fn make(state: &mut State, ops: &[Bytes]) -> Vec<(String, Refusal, u64)> {
    let mut refused = Vec::new();
    for bytes in ops {
        let op = decoded(bytes).expect("it was looked at when it was prepared");
        for (refusal, times) in refusals(apply(state, &op)) {
            let (name, _) = subject(&op).expect("a change is about a container");
            refused.push((name, refusal, times));
        }
    }
    refused
}

/// Why changes could not be made, and how many each time.
fn refusals(outcome: Outcome) -> Vec<(Refusal, u64)> {
    let all = match outcome {
        Outcome::Refused(refusal) => vec![(refusal, 1)],
        Outcome::Added { overflows, not_numbers } => {
            vec![(Refusal::Overflow, overflows), (Refusal::NotANumber, not_numbers)]
        }
        Outcome::Done
        | Outcome::Length(_)
        | Outcome::Value(_)
        | Outcome::Items(_)
        | Outcome::Number(_)
        | Outcome::Numbers(_)
        | Outcome::Exchanged(_)
        | Outcome::Containers(_)
        | Outcome::Dump(_) => Vec::new(),
    };
    all.into_iter().filter(|(_, times)| *times > 0).collect()
}

/// Makes the changes of all committed batches in a copy of what is in the folder, for those who look only.
pub fn see_committed(state: &mut State, shared: &Path) {
    for (from, batch) in Pages::beside(shared).committed(&state.batches) {
        settle(state, &from, batch);
    }
}

fn decoded(bytes: &Bytes) -> Result<Op, Refusal> {
    let op: Op = codec::decode(bytes).map_err(|_| Refusal::Malformed)?;
    if is_change(&op) { Ok(op) } else { Err(Refusal::Malformed) }
}

/// Whether it is an operation that can be part of a batch: it changes something, makes sense whatever else has happened
/// by the time it is done, and what was packed can be unpacked.
fn is_change(op: &Op) -> bool {
    match op {
        Op::List { op: ListOp::Extend(items), .. } => items.is_sound(),
        Op::Map { op: MapOp::Extend(items), .. } => items.is_sound() && items.len().is_multiple_of(2),
        Op::List { op, .. } => matches!(op, ListOp::Clear),
        Op::Map { op, .. } => {
            matches!(op, MapOp::Insert(..) | MapOp::Remove(_) | MapOp::Add(_) | MapOp::AddEach(_) | MapOp::Clear)
        }
        Op::Counter { op, .. } => matches!(op, CounterOp::Add(_) | CounterOp::AddEach(_) | CounterOp::Swap(_)),
        Op::Create { .. } | Op::Describe | Op::Dump { .. } | Op::Prepare { .. } | Op::Settle { .. } => false,
    }
}

/// What it is about.
fn subject(op: &Op) -> Option<(String, Kind)> {
    match op {
        Op::List { name, .. } => Some((name.clone(), Kind::List)),
        Op::Map { name, .. } => Some((name.clone(), Kind::Map)),
        Op::Counter { name, .. } => Some((name.clone(), Kind::Counter)),
        Op::Create { .. } | Op::Describe | Op::Dump { .. } | Op::Prepare { .. } | Op::Settle { .. } => None,
    }
}

/// The pages of the workers, as far as they have been looked at.
#[derive(Debug, Default)]
pub(super) struct Pages {
    /// None: there are none, and nothing can be part of a batch.
    dir: Option<StateDir>,
    open: HashMap<(String, u16), (Page, u64)>,
}

impl Pages {
    /// Those of the pipeline whose shared state is in this folder.
    pub(super) fn beside(shared: &Path) -> Self {
        Self { dir: shared.parent().map(StateDir::at), open: HashMap::new() }
    }

    fn path(&self, from: &Origin) -> Option<PathBuf> {
        // The name comes from a client and becomes that of a file.
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let dir = self.dir.as_ref().filter(|_| !from.stage.is_empty() && from.stage.chars().all(is_name))?;
        Some(dir.page(&from.stage, from.replica))
    }

    fn page(&mut self, from: &Origin, is_new: impl Fn(u64) -> bool) -> Result<&Page, String> {
        let key = (from.stage.clone(), from.replica);
        if self.open.get(&key).is_none_or(|(_, inode)| is_new(*inode)) {
            let path = self.path(from).ok_or("there is no such worker")?;
            // The inode first: should the file be replaced in between, it is opened once more, and not once too seldom.
            let inode = std::fs::metadata(&path).map_err(|error| error.to_string())?.ino();
            self.open.insert(key.clone(), (Page::open(&path).map_err(|error| error.to_string())?, inode));
        }
        let (page, _) = &self.open[&key];
        if from.lane < page.lanes() { Ok(page) } else { Err(format!("it has {} threads", page.lanes())) }
    }

    /// Whether a batch may be prepared: it is the next one of the run of the worker that is on now. One of an earlier run may
    /// still have been on its way here when that died.
    pub(super) fn may_prepare(&mut self, from: &Origin, incarnation: u32, batch: u64) -> Result<(), Refusal> {
        let not_next = |words: String| Refusal::NotNext { words };
        // A run with another number of threads has a new page, and this manager may have looked at the old one before.
        let now = self.path(from).and_then(|path| std::fs::metadata(path).ok()).map(|file| file.ino());
        let page = self.page(from, |inode| Some(inode) != now).map_err(not_next)?;
        let (now, committed) = (page.incarnation(), page.lane(from.lane).committed());
        if now != Incarnation(incarnation) {
            return Err(not_next(format!("run {incarnation} of {from} is over, this is run {}", now.0)));
        }
        if batch != committed + 1 {
            return Err(not_next(format!("batch {batch} of {from}, which has committed {committed}")));
        }
        Ok(())
    }

    /// Batches that were prepared and are committed by now.
    pub(super) fn committed(&mut self, batches: &Batches) -> Vec<(Origin, u64)> {
        let is_committed = |(from, prepared): &(&Origin, &Prepared)| match self.page(from, |_| false) {
            Ok(page) => page.lane(from.lane).has_shared(prepared.batch),
            Err(_) => false,
        };
        batches.iter().filter(is_committed).map(|(from, prepared)| (from.clone(), prepared.batch)).collect()
    }

    /// The changes of that batch are made, and the journal says so.
    pub(super) fn settled(&mut self, from: &Origin, batch: u64) {
        if let Ok(page) = self.page(from, |_| false) {
            page.lane(from.lane).settle_shared(batch);
        }
    }
}

/// The journal's record that a batch is settled.
pub(super) fn record(from: &Origin, batch: u64, records: &mut Vec<u8>) {
    let mut message = vec![0; HEAD_BYTES];
    put_number(&mut message, 0, 0);
    codec::encode(&Op::Settle { from: from.clone(), batch }, &mut message).expect("it has an encoding");
    frame(OURSELVES, &message, records);
}

#[cfg(test)]
mod tests {
    use brigade_protocol::id::Post;

    use super::super::table::Table;
    use super::*;

    /// Numbers of operations.
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1000);

    /// A state folder with the page of `count/0`, two threads, in its third run.
    fn folder() -> (tempfile::TempDir, Page) {
        let base = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(base.path().join("pages")).expect("made");
        let page = Page::create(&StateDir::at(base.path()).page("count", 0), Post(1), 2).expect("a page");
        page.begin(Incarnation(3));
        (base, page)
    }

    fn table(base: &Path) -> Table {
        let shared = base.join("shared");
        let (store, state) = super::super::store::Store::open(&shared).expect("a store");
        Table::kept_in(state, store, &shared)
    }

    fn origin(lane: u16) -> Origin {
        Origin { stage: "count".into(), replica: 0, lane }
    }

    fn add(number: i64) -> Op {
        Op::Counter { name: "sum".into(), op: CounterOp::Add(number) }
    }

    fn ask(table: &Table, op: Op) -> Outcome {
        asked(table, NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed), &op)
    }

    fn asked(table: &Table, number: u64, op: &Op) -> Outcome {
        let mut message = vec![0; HEAD_BYTES];
        put_number(&mut message, number, number);
        codec::encode(op, &mut message).expect("it has an encoding");
        table.perform(7, message, (number, number), op.clone())
    }

    fn prepare(incarnation: u32, batch: u64, lane: u16, ops: &[Op]) -> Op {
        let encoded = |op: &Op| {
            let mut bytes = Vec::new();
            codec::encode(op, &mut bytes).expect("it has an encoding");
            Bytes::from(bytes)
        };
        Op::Prepare { from: origin(lane), incarnation, batch, ops: ops.iter().map(encoded).collect() }
    }

    fn sum(table: &Table) -> Outcome {
        ask(table, Op::Counter { name: "sum".into(), op: CounterOp::Get })
    }

    #[test]
    fn what_was_prepared_is_seen_from_the_commit_on_and_after_the_manager_has_died() {
        let (base, page) = folder();
        let (zero, one) = (page.lane(0), page.lane(1));
        let first = table(base.path());
        assert_eq!(asked(&first, 1, &prepare(3, 1, 0, &[add(1), add(10)])), Outcome::Done);
        assert_eq!(asked(&first, 2, &prepare(3, 1, 1, &[add(100)])), Outcome::Done);
        assert_eq!(sum(&first), Outcome::Number(0));
        zero.mark_shared(1);
        zero.commit(1);
        assert_eq!(sum(&first), Outcome::Number(11));
        assert!(!zero.may_have_shared());
        drop(first);
        let second = table(base.path());
        assert_eq!(sum(&second), Outcome::Number(11));
        one.mark_shared(1);
        one.commit(1);
        drop(second);
        let third = table(base.path());
        assert_eq!(sum(&third), Outcome::Number(111));
        third.close().save().expect("saved");
        assert_eq!(sum(&table(base.path())), Outcome::Number(111));
    }

    #[test]
    fn what_a_dead_process_prepared_and_did_not_commit_never_happens() {
        let (base, page) = folder();
        let (table, lane) = (table(base.path()), page.lane(0));
        assert_eq!(asked(&table, 1, &prepare(3, 1, 0, &[add(1)])), Outcome::Done);
        lane.mark_shared(1);
        // It dies; another one commits something else under that number, and later prepares something.
        page.begin(Incarnation(4));
        lane.begin_batch();
        lane.commit(1);
        assert_eq!(sum(&table), Outcome::Number(0));
        assert_eq!(asked(&table, 2, &prepare(4, 2, 0, &[add(20)])), Outcome::Done);
        lane.mark_shared(2);
        lane.commit(2);
        assert_eq!(sum(&table), Outcome::Number(20));
    }

    #[test]
    fn only_the_next_batch_of_the_run_that_is_on_can_be_prepared() {
        let (base, page) = folder();
        let table = table(base.path());
        let refused = |op: Op| match ask(&table, op) {
            Outcome::Refused(refusal) => refusal.to_string(),
            other => panic!("{other:?}"),
        };
        assert!(refused(prepare(2, 1, 0, &[add(1)])).contains("run 2 of count/0 (thread 0) is over"));
        assert!(refused(prepare(3, 2, 0, &[add(1)])).contains("has committed 0"));
        assert!(refused(prepare(3, 1, 2, &[add(1)])).contains("2 threads"));
        let from = Origin { stage: "../pages/count".into(), replica: 0, lane: 0 };
        let strange = Op::Prepare { from, incarnation: 3, batch: 1, ops: Vec::new() };
        assert!(refused(strange).contains("no such worker"));
        assert_eq!(refused(Op::Settle { from: origin(0), batch: 1 }), Refusal::Malformed.to_string());
        // What cannot be part of a batch, and what would meet another kind when it is done.
        let get = Op::Counter { name: "sum".into(), op: CounterOp::Get };
        assert_eq!(refused(prepare(3, 1, 0, &[get])), Refusal::Malformed.to_string());
        let list = Op::List { name: "sum".into(), op: ListOp::Clear };
        assert!(refused(prepare(3, 1, 0, &[add(1), list])).contains("it is a counter, not a list"));
        assert!(!page.lane(0).has_shared(1));
    }

    #[test]
    fn a_page_that_was_made_anew_is_noticed() {
        let (base, page) = folder();
        let table = table(base.path());
        assert_eq!(asked(&table, 1, &prepare(3, 1, 0, &[add(1)])), Outcome::Done);
        drop(page);
        let wider = Page::renew(&StateDir::at(base.path()).page("count", 0), Post(1), 3).expect("made anew");
        wider.begin(Incarnation(1));
        assert_eq!(asked(&table, 2, &prepare(1, 1, 2, &[add(5)])), Outcome::Done);
        wider.lane(2).mark_shared(1);
        wider.lane(2).commit(1);
        assert_eq!(sum(&table), Outcome::Number(5));
    }
}
