//! What a manager keeps through its death at any instant, through damage and through a full disk.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread::{self, JoinHandle};

use brigade::manager::state::State;
use brigade::manager::store::{self, Store};
use brigade_worker::shared::{ManagerDoor, Shared, SharedError};
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_bytes::ByteBuf;

use crate::deaths::names;
use crate::stage::{Manager, door, until};

/// Starts a manager again whenever one is asked for and none lives, as the supervisor does.
struct Keeper {
    manager: Arc<Mutex<Manager>>,
    shared: Shared,
    thread: JoinHandle<()>,
}

impl Keeper {
    fn new(folder: &Path, first: &[(&str, &str)]) -> Self {
        let manager = Arc::new(Mutex::new(Manager::start_with(folder, first)));
        let (wants, wanted) = mpsc::channel();
        let door = Arc::new(ManagerDoor::new(Box::new(move || {
            let _ = wants.send(());
        })));
        let (of_thread, weak, folder) = (Arc::clone(&manager), Arc::downgrade(&door), folder.to_owned());
        let thread = thread::spawn(move || {
            for () in wanted {
                let mut manager = of_thread.lock().expect("nobody panics");
                if manager.child.try_wait().expect("it is our child").is_some() {
                    *manager = Manager::start(&folder);
                }
                if let Some(door) = weak.upgrade() {
                    door.set(manager.sender.clone());
                }
            }
        });
        Self { manager, shared: Shared::new(door), thread }
    }

    fn kill(&self) {
        let mut manager = self.manager.lock().expect("nobody panics");
        manager.child.kill().expect("it is our child");
        manager.child.wait().expect("it is our child");
    }

    fn end(self) {
        drop(self.shared);
        self.thread.join().expect("it ends with the last handle");
    }
}

#[test]
fn however_often_the_manager_is_killed_every_operation_counts_exactly_once() {
    const THREADS: u64 = 4;
    const KILLS: usize = 25;
    let base = tempfile::tempdir().expect("a folder");
    let keeper = Keeper::new(&base.path().join("shared"), &[]);
    let (over, done) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let clients: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (shared, over, done) = (keeper.shared.clone(), Arc::clone(&over), Arc::clone(&done));
            thread::spawn(move || {
                let (list, counter) = (shared.list::<u64>("list"), shared.counter("counter"));
                let (map, mut pipeline) = (shared.map::<u64, i64>("map"), shared.list::<u64>("piped").pipeline());
                let mut rounds = 0;
                while !over.load(Ordering::Relaxed) {
                    list.push(&(rounds * THREADS + thread)).unwrap();
                    counter.add(1).unwrap();
                    map.add_all([(thread, 1), (99, 1)]).unwrap();
                    (0..2000).for_each(|n| pipeline.push(&((rounds * 2000 + n) * THREADS + thread)).unwrap());
                    rounds += 1;
                    done.fetch_add(1, Ordering::Relaxed);
                }
                pipeline.flush().unwrap();
                rounds
            })
        })
        .collect();
    for _ in 0..KILLS {
        let before = done.load(Ordering::Relaxed);
        until("they go on", || done.load(Ordering::Relaxed) > before + 5);
        keeper.kill();
    }
    over.store(true, Ordering::Relaxed);
    let rounds: Vec<u64> = clients.into_iter().map(|client| client.join().expect("no client sees an error")).collect();
    let sum: u64 = rounds.iter().sum();
    assert_eq!(keeper.shared.counter("counter").get().unwrap(), sum as i64);
    let map = keeper.shared.map::<u64, i64>("map");
    assert_eq!(map.get(&99).unwrap(), Some(sum as i64));
    for (thread, rounds) in (0..).zip(&rounds) {
        assert_eq!(map.get(&thread).unwrap(), Some(*rounds as i64));
    }
    drop(map);
    for (name, each) in [("list", 1), ("piped", 2000)] {
        let items: Vec<u64> = keeper.shared.list(name).iter().unwrap().collect();
        assert_eq!(items.len() as u64, sum * each, "{name}");
        assert_eq!(items.iter().collect::<BTreeSet<_>>().len(), items.len(), "{name}: nothing twice");
        for thread in 0..THREADS {
            assert!(items.iter().filter(|item| **item % THREADS == thread).is_sorted(), "{name}: in order");
        }
    }
    keeper.end();
}

/// A manager that dies at this point has kept all that it acknowledged, and the next one applies what was under way once.
fn dies_at(point: &str) {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    let keeper = Keeper::new(&folder, &[("BRIGADE_CRASH", point)]);
    let (list, counter) = (keeper.shared.list::<ByteBuf>("list"), keeper.shared.counter("counter"));
    let first = keeper.manager.lock().expect("nobody panics").child.id();
    let (item, mut pushed) = (ByteBuf::from(vec![7; 8 << 20]), 0);
    while keeper.manager.lock().expect("nobody panics").child.id() == first {
        assert!(pushed < 30, "{point} was never reached");
        pushed += 1;
        assert_eq!(list.push(&item).unwrap(), pushed, "{point}");
        assert_eq!(counter.add(1).unwrap(), pushed as i64, "{point}");
    }
    keeper.kill();
    assert_eq!(list.len().unwrap(), pushed, "{point}");
    assert_eq!(counter.get().unwrap(), pushed as i64, "{point}");
    // A snapshot goes to the disk beside the changes: the death in it may cut one that was being written.
    let names = names(base.path());
    assert!(names.iter().all(|name| name == "shared" || name.starts_with("shared.cut-")), "{point}: {names:?}");
    drop((list, counter));
    keeper.end();
}

#[test]
fn manager_journal_before() {
    dies_at("manager_journal_before:9");
}

#[test]
fn manager_journal_copied() {
    dies_at("manager_journal_copied:9");
}

#[test]
fn manager_journal_written() {
    dies_at("manager_journal_written:9");
}

#[test]
fn manager_snapshot_written() {
    dies_at("manager_snapshot_written");
}

#[test]
fn manager_journal_begun() {
    dies_at("manager_journal_begun");
}

#[test]
fn manager_snapshot_renamed() {
    dies_at("manager_snapshot_renamed");
}

/// Up to where there is something, behind which is room for more.
fn written(journal: &[u8]) -> usize {
    journal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1)
}

/// As an earlier version would have written it: without room for more, and nothing between the records.
fn as_before(journal: &[u8]) -> Vec<u8> {
    let mut old = [&journal[..7], &[1], &journal[8..16]].concat();
    let mut rest = &journal[16..];
    while let Some((length, _)) = rest.split_first_chunk().filter(|(length, _)| **length != [0; 4]) {
        let record = 8 + u32::from_le_bytes(*length) as usize;
        old.extend_from_slice(&rest[..record]);
        rest = &rest[record.next_multiple_of(8)..];
    }
    old
}

#[test]
fn a_journal_of_the_earlier_version_is_gone_on_with_in_another_one() {
    for cut in [0, 3] {
        let base = tempfile::tempdir().expect("a folder");
        let folder = base.path().join("shared");
        let manager = Manager::start(&folder);
        let counter = door(manager.sender.clone()).counter("counter");
        (0..10).for_each(|_| _ = counter.add(1).unwrap());
        drop(manager);
        let journal = folder.join("journal.0");
        let old = as_before(&std::fs::read(&journal).expect("it is there"));
        std::fs::write(&journal, &old[..old.len() - cut]).expect("there is room");
        let kept = if cut == 0 { 10 } else { 9 };
        for more in 0..3 {
            let manager = Manager::start(&folder);
            assert_eq!(door(manager.sender.clone()).counter("counter").add(1).unwrap(), kept + more + 1);
        }
        assert!(!journal.exists(), "a snapshot has taken its place");
        let names = names(base.path());
        assert_eq!(names.iter().filter(|name| name.starts_with("shared.cut-")).count(), cut.min(1), "{names:?}");
        assert_eq!(names.len(), 1 + cut.min(1), "{names:?}");
    }
}

#[test]
fn a_record_that_was_cut_is_put_aside_and_all_before_it_is_kept() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    let manager = Manager::start(&folder);
    let counter = door(manager.sender.clone()).counter("counter");
    (0..10).for_each(|_| _ = counter.add(1).unwrap());
    drop(manager);
    let journal = folder.join("journal.0");
    let bytes = std::fs::read(&journal).expect("it is there");
    std::fs::write(&journal, &bytes[..written(&bytes) - 3]).expect("there is room");
    let manager = Manager::start(&folder);
    let counter = door(manager.sender.clone()).counter("counter");
    assert_eq!(counter.get().unwrap(), 9);
    assert_eq!(counter.add(1).unwrap(), 10);
    drop(manager);
    let manager = Manager::start(&folder);
    assert_eq!(door(manager.sender.clone()).counter("counter").get().unwrap(), 10, "it goes on behind the cut");
    let names = names(base.path());
    assert!(
        matches!(&names[..], [_, name] if name.starts_with("shared.cut-") && name.ends_with("-journal.0")),
        "{names:?}"
    );
}

#[test]
fn a_damaged_journal_is_put_aside_whole_and_all_before_the_damage_is_kept() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    let manager = Manager::start(&folder);
    let counter = door(manager.sender.clone()).counter("counter");
    (0..10).for_each(|_| _ = counter.add(1).unwrap());
    drop(manager);
    let journal = folder.join("journal.0");
    let mut bytes = std::fs::read(&journal).expect("it is there");
    let last = written(&bytes) - 1;
    bytes[last] ^= 1;
    std::fs::write(&journal, &bytes).expect("there is room");
    for _ in 0..2 {
        let manager = Manager::start(&folder);
        assert_eq!(door(manager.sender.clone()).counter("counter").get().unwrap(), 9);
    }
    let names = names(base.path());
    assert!(
        matches!(&names[..], [_, name] if name.starts_with("shared.damaged-") && name.ends_with("-journal.0")),
        "{names:?}"
    );
    assert_eq!(std::fs::read(base.path().join(&names[1])).expect("it is kept"), bytes);
}

#[test]
fn a_row_of_journals_with_a_gap_is_believed_up_to_the_gap() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    let manager = Manager::start(&folder);
    door(manager.sender.clone()).counter("counter").add(1).unwrap();
    drop(manager);
    std::fs::copy(folder.join("journal.0"), folder.join("journal.2")).expect("there is room");
    let (store, state) = Store::open(&folder).expect("it can be used");
    assert_eq!(state.containers().len(), 1);
    drop(store);
    assert_eq!(store::look(&folder).expect("it can be read"), state);
    let names = names(base.path());
    assert!(names[1].starts_with("shared.damaged-") && names[1].ends_with("-journal.2"), "{names:?}");
}

#[test]
fn nothing_there_is_no_state_and_looking_makes_nothing() {
    let base = tempfile::tempdir().expect("a folder");
    assert_eq!(store::look(&base.path().join("shared")).expect("nothing is no error"), State::default());
    assert!(names(base.path()).is_empty());
}

#[test]
fn what_has_no_room_is_refused_and_the_rest_goes_on() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    let manager = Manager::start(&folder);
    let shared = door(manager.sender.clone());
    let (list, counter) = (shared.list::<Vec<u8>>("list"), shared.counter("counter"));
    assert_eq!(counter.add(1).unwrap(), 1);
    let room = |bytes| {
        let pid = Pid::from_raw(manager.child.id() as i32);
        let limit = Rlimit { current: bytes, maximum: None };
        prlimit(pid, Resource::Fsize, limit).expect("it is our child");
    };
    room(Some(10_000));
    assert_eq!(list.push([1u8; 2000].as_slice()).unwrap(), 1);
    for _ in 0..3 {
        assert!(matches!(list.push([2u8; 20_000].as_slice()), Err(SharedError::NotSaved { .. })));
        assert_eq!(list.len().unwrap(), 1, "nothing of it is there");
    }
    assert_eq!(counter.add(1).unwrap(), 2, "for small ones there is still room");
    room(None);
    assert_eq!(list.push([3u8; 20_000].as_slice()).unwrap(), 2, "there is room again");
    drop((shared, manager));
    let manager = Manager::start(&folder);
    let shared = door(manager.sender.clone());
    assert_eq!(shared.list::<Vec<u8>>("list").iter().unwrap().map(|item| item[0]).collect::<Vec<_>>(), [1, 3]);
    assert_eq!(shared.counter("counter").get().unwrap(), 2);
    assert_eq!(names(base.path()), ["shared"]);
}
