//! Managers that are stopped and killed, and what their clients notice of it.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use brigade::manager::state::State;
use brigade::manager::{ask, store};
use brigade_protocol::control::Order;
use brigade_worker::shared::{ManagerDoor, Shared, SharedError};
use ipc_channel::ipc;

use crate::stage::{LIMIT, Manager, door, until};

#[test]
fn a_manager_that_was_stopped_starts_again_with_what_it_held() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shared");
    for round in 1..=3 {
        let mut manager = Manager::start(&file);
        let shared = door(manager.sender.clone());
        assert_eq!(shared.list::<u64>("list").extend(vec![round; 1000]).unwrap(), round as usize * 1000);
        assert_eq!(shared.counter("rounds").add(1).unwrap(), round as i64);
        if round % 2 == 0 {
            let pid = nix::unistd::Pid::from_raw(manager.child.id() as i32);
            nix::sys::signal::kill(pid, nix::sys::signal::SIGTERM).expect("it runs");
        } else {
            manager.orders.send(Order::Stop).expect("it listens");
        }
        assert_eq!(manager.exit_code(), Some(0));
        assert!(matches!(shared.counter("rounds").get(), Err(SharedError::ManagerGone)));
    }
    assert_ne!(store::look(&file).expect("it is whole"), State::default());
}

#[test]
fn whatever_was_acknowledged_before_a_stop_is_there_after_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shared");
    let mut manager = Manager::start(&file);
    let shared = door(manager.sender.clone());
    let pushers: Vec<_> = (0..4)
        .map(|_| {
            let counter = shared.counter("count");
            thread::spawn(move || std::iter::from_fn(|| counter.add(1).ok()).last().unwrap_or(0))
        })
        .collect();
    until("they are at work", || shared.counter("count").get().unwrap() > 100);
    manager.orders.send(Order::Stop).expect("it listens");
    assert_eq!(manager.exit_code(), Some(0));
    let acknowledged = pushers.into_iter().map(|pusher| pusher.join().expect("it ends")).max();
    let again = Manager::start(&file);
    assert!(Some(door(again.sender.clone()).counter("count").get().unwrap()) >= acknowledged);
}

#[test]
fn a_killed_manager_is_noticed_by_nobody_if_another_one_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shared");
    let manager = Arc::new(Mutex::new(Manager::start(&file)));
    // As in the SDK: whoever wants a manager asks, and gets it some time later from another thread.
    let (wants, wanted) = std::sync::mpsc::channel();
    let door = Arc::new(ManagerDoor::new(Box::new(move || {
        let _ = wants.send(());
    })));
    let supervisor = {
        // The door holds the other end of `wanted`: holding the door here would be waiting for oneself.
        let (manager, door, file) = (Arc::clone(&manager), Arc::downgrade(&door), file.clone());
        thread::spawn(move || {
            for () in wanted {
                let mut manager = manager.lock().expect("nobody panics");
                if manager.child.try_wait().expect("it is our child").is_some() {
                    *manager = Manager::start(&file);
                }
                if let Some(door) = door.upgrade() {
                    door.set(manager.sender.clone());
                }
            }
        })
    };
    let shared = Shared::new(door);
    let (list, counter) = (shared.list::<u64>("list"), shared.counter("counter"));
    let mut pipeline = list.pipeline();
    pipeline.push(&1).unwrap();
    pipeline.flush().unwrap();
    for round in 0..3 {
        assert_eq!(counter.add(1).unwrap(), 2 * round + 1);
        {
            let mut manager = manager.lock().expect("nobody panics");
            manager.child.kill().expect("it runs");
            manager.child.wait().expect("it is our child");
        }
        assert_eq!(counter.add(1).unwrap(), 2 * round + 2);
    }
    pipeline.push(&2).unwrap();
    pipeline.flush().unwrap();
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), [1, 2]);
    let types = ask::describe(&manager.lock().expect("nobody panics").sender, LIMIT).unwrap();
    assert_eq!(types[1].types[0].name, "u64", "the new manager was told the types too");
    drop((pipeline, list, counter, shared));
    supervisor.join().expect("it ends with the last handle");
}

#[test]
fn a_manager_whose_supervisor_died_ends_at_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut manager = Manager::start(&folder.path().join("shared"));
    let (orders, _) = ipc::channel().expect("a channel");
    drop(std::mem::replace(&mut manager.orders, orders));
    assert_eq!(manager.exit_code(), Some(1));
    assert!(manager.reports.recv().is_err());
}

pub fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("it is there").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

#[test]
fn a_damaged_snapshot_is_put_aside_and_the_manager_starts_empty() {
    let base = tempfile::tempdir().expect("a folder");
    let folder = base.path().join("shared");
    std::fs::create_dir(&folder).expect("there is room");
    std::fs::write(folder.join("snapshot"), "BRGDSHR\x03 and then something else").expect("there is room");
    let manager = Manager::start(&folder);
    assert!(ask::describe(&manager.sender, LIMIT).unwrap().is_empty());
    let names = names(base.path());
    assert!(matches!(&names[..], [_, name] if name.starts_with("shared.damaged-")), "{names:?}");
    assert!(base.path().join(&names[1]).join("snapshot").exists());
}
