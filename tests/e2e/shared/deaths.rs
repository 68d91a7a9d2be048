//! Managers that are stopped and killed, and what their clients notice of it.

use std::sync::{Arc, Mutex};
use std::thread;

use brigade::manager::state::State;
use brigade::manager::{ask, snapshot};
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
    let state = snapshot::load(&file).expect("it is whole").expect("it is there");
    assert_ne!(state, State::default());
}

#[test]
fn whatever_was_acknowledged_before_a_stop_is_in_the_snapshot() {
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
fn a_killed_manager_is_an_error_once_and_then_the_new_one_is_found() {
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
    for _ in 0..3 {
        counter.add(1).unwrap();
        {
            let mut manager = manager.lock().expect("nobody panics");
            manager.child.kill().expect("it runs");
            manager.child.wait().expect("it is our child");
        }
        assert!(matches!(counter.add(1), Err(SharedError::ManagerGone)));
        assert_eq!(counter.add(1).unwrap(), 1, "the new one starts from the last snapshot: there was none");
    }
    assert_eq!(list.len().unwrap(), 0);
    pipeline.push(&2).unwrap();
    assert!(matches!(pipeline.flush(), Err(SharedError::ManagerGone)));
    pipeline.push(&3).unwrap();
    pipeline.flush().unwrap();
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), [3]);
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

#[test]
fn a_damaged_snapshot_is_put_aside_and_the_manager_starts_empty() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("shared");
    std::fs::write(&file, "BRGDSHR\x01 and then something else").expect("there is room");
    let manager = Manager::start(&file);
    assert!(ask::describe(&manager.sender, LIMIT).unwrap().is_empty());
    let names: Vec<_> =
        std::fs::read_dir(folder.path()).expect("it is there").flatten().map(|it| it.file_name()).collect();
    assert!(matches!(&names[..], [name] if name.to_string_lossy().starts_with("shared.damaged-")), "{names:?}");
}
