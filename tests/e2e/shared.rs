//! Shared lists, maps and counters, from the worker's handles to the manager: in one process where that is enough, and
//! with the manager as a process of its own where it is to die.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use brigade::manager::serve::{Table, serve};
use brigade::manager::state::State;
use brigade::manager::{ask, show, snapshot};
use brigade_protocol::codec;
use brigade_protocol::control::{DOOR_ENV, Knock, Order, Report, TOKEN_ENV, Welcome};
use brigade_protocol::id::{Incarnation, Post};
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Kind, ListOp, Op, Outcome};
use brigade_protocol::shared::parts::{self, Joined, PART_BYTES, Part};
use brigade_protocol::shared::{Connect, Reply, Request, SNAPSHOT_ENV};
use brigade_worker::shared::{Exchange, ManagerDoor, Shared, SharedError};
use ipc_channel::ipc::{self, IpcOneShotServer, IpcReceiver, IpcSender};
use serde::{Deserialize, Serialize};
use serde_json::json;

const LIMIT: Duration = Duration::from_secs(60);

fn until(what: &str, mut seen: impl FnMut() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !seen() {
        assert!(Instant::now() < deadline, "never came: {what}");
        thread::yield_now();
    }
}

fn door(sender: IpcSender<Connect>) -> Shared {
    let door = ManagerDoor::new(Box::new(|| {}));
    door.set(sender);
    Shared::new(Arc::new(door))
}

/// A manager in this process.
fn inside() -> (IpcSender<Connect>, Arc<Table>) {
    let (sender, connects) = ipc::channel().expect("a channel");
    let table = Arc::new(Table::new(State::default()));
    let own = Arc::clone(&table);
    thread::spawn(move || serve(&connects, &own));
    (sender, table)
}

fn shared() -> Shared {
    door(inside().0)
}

/// A manager in a process of its own, started as the supervisor does it.
struct Manager {
    child: Child,
    orders: IpcSender<Order>,
    reports: IpcReceiver<Report>,
    sender: IpcSender<Connect>,
}

impl Manager {
    fn start(file: &Path) -> Self {
        let (server, name) = IpcOneShotServer::<Knock>::new().expect("a server");
        let child = Command::new(env!("CARGO_BIN_EXE_shared-manager"))
            .env(DOOR_ENV, name)
            .env(TOKEN_ENV, "secret")
            .env(SNAPSHOT_ENV, file)
            .spawn()
            .expect("the manager can be started");
        let (_, Knock { orders, reports, token, .. }) = server.accept().expect("the manager knocks");
        assert_eq!(token, "secret");
        let welcome = Welcome {
            pipeline: "test".into(),
            stage: "manager".into(),
            replica: 0,
            replicas: 1,
            post: Post(1),
            incarnation: Incarnation(1),
            threads: 1,
            exit_on_panic: false,
            page: String::new(),
            inputs: vec![],
            outputs: vec![],
        };
        orders.send(Order::Welcome(Box::new(welcome))).expect("the manager listens");
        let Ok(Report::ManagerOpen(sender)) = reports.recv() else { panic!("the manager opens first") };
        let Ok(Report::Ready) = reports.recv() else { panic!("then it is ready") };
        Self { child, orders, reports, sender }
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.child.wait().expect("it is our child").code()
    }
}

impl Drop for Manager {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn handles_do_what_the_collections_of_the_language_do() {
    let shared = shared();
    let list = shared.list::<String>("list");
    assert_eq!(list.push("a").unwrap(), 1);
    assert_eq!(list.extend(["b".to_owned(), "d".to_owned()]).unwrap(), 3);
    list.insert(2, "c").unwrap();
    list.set(0, "A").unwrap();
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), ["A", "b", "c", "d"]);
    assert_eq!(list.range(1..=2).unwrap(), ["b", "c"]);
    assert_eq!(list.range(3..9).unwrap(), ["d"]);
    assert_eq!(list.remove(0).unwrap().as_deref(), Some("A"));
    assert_eq!(list.pop().unwrap().as_deref(), Some("d"));
    assert_eq!((list.get(1).unwrap().as_deref(), list.get(2).unwrap()), (Some("c"), None));
    assert!(matches!(list.set(2, "x"), Err(SharedError::PastTheEnd { position: 2, length: 2, .. })));
    list.clear().unwrap();
    assert!(list.is_empty().unwrap());

    let map = shared.map::<String, Vec<u32>>("map");
    assert_eq!(map.insert("k", &vec![1]).unwrap(), None);
    assert_eq!(map.insert("k", [2u32, 3].as_slice()).unwrap(), Some(vec![1]));
    assert_eq!(map.extend([("j".to_owned(), vec![]), ("i".to_owned(), vec![9])]).unwrap(), 3);
    assert_eq!(map.keys().unwrap(), ["i", "j", "k"]);
    assert_eq!(map.iter().unwrap().next_back(), Some(("k".to_owned(), vec![2, 3])));
    assert_eq!(map.compare_exchange("k", None, None).unwrap(), Exchange::Refused(Some(vec![2, 3])));
    assert_eq!(map.compare_exchange("k", Some(&vec![2, 3]), Some(&vec![4])).unwrap(), Exchange::Done);
    assert_eq!(map.update("k", |_| None).unwrap(), None);
    assert_eq!((map.get("k").unwrap(), map.remove("i").unwrap(), map.len().unwrap()), (None, Some(vec![9]), 1));

    let sums = shared.map::<String, i64>("sums");
    assert_eq!(sums.add("a", 2).unwrap(), 2);
    let entries = [("a".to_owned(), 1), ("b".to_owned(), -1), ("a".to_owned(), 1)];
    assert_eq!(sums.add_all(entries).unwrap(), [3, -1, 4]);

    let counter = shared.counter("counter");
    assert_eq!((counter.add(5).unwrap(), counter.swap(7).unwrap(), counter.get().unwrap()), (5, 5, 7));
    assert!(matches!(counter.add(i64::MAX), Err(SharedError::Overflow { .. })));
}

#[test]
fn a_name_used_as_another_kind_or_type_is_an_error_that_says_so() {
    let shared = shared();
    shared.counter("n").add(1).unwrap();
    let error = shared.list::<u8>("n").push(&1).unwrap_err();
    assert!(matches!(error, SharedError::WrongKind { is: Kind::Counter, wanted: Kind::List, .. }), "{error}");
    assert!(matches!(shared.list::<u8>("").len(), Err(SharedError::Refused { .. })));
    shared.list::<u8>("l").push(&1).unwrap();
    assert!(matches!(shared.list::<String>("l").get(0), Err(SharedError::Decode { .. })));
    assert_eq!(shared.counter("n").get().unwrap(), 1, "the connection is as good as before");
}

#[test]
fn what_many_threads_do_at_once_adds_up() {
    const THREADS: i64 = 8;
    const EACH: i64 = 10_000;
    let shared = shared();
    let workers: Vec<_> = (0..THREADS)
        .map(|thread| {
            let shared = shared.clone();
            thread::spawn(move || {
                let (list, sum) = (shared.list::<i64>("list"), shared.counter("sum"));
                let (map, mut pipeline) = (shared.map::<String, i64>("map"), shared.list::<i64>("piped").pipeline());
                for n in 0..EACH {
                    list.push(&(thread * EACH + n)).unwrap();
                    pipeline.push(&(thread * EACH + n)).unwrap();
                    if n % 100 == 0 {
                        sum.add(n).unwrap();
                        map.update("total", |old| Some(old.unwrap_or(0) + n)).unwrap();
                        map.add("added", n).unwrap();
                    }
                }
                pipeline.flush().unwrap();
            })
        })
        .collect();
    workers.into_iter().for_each(|worker| worker.join().expect("no worker fails"));
    for name in ["list", "piped"] {
        let items: Vec<i64> = shared.list(name).iter().unwrap().collect();
        assert_eq!(items.len() as i64, THREADS * EACH, "{name}");
        assert_eq!(items.iter().copied().collect::<BTreeSet<_>>().len(), items.len(), "{name}: nothing twice");
        for thread in 0..THREADS {
            let own = items.iter().filter(|item| **item / EACH == thread);
            assert!(own.is_sorted(), "{name}: each thread's items keep their order");
        }
    }
    let expected = THREADS * (0..EACH).step_by(100).sum::<i64>();
    assert_eq!(shared.counter("sum").get().unwrap(), expected);
    let map = shared.map::<String, i64>("map");
    assert_eq!((map.get("total").unwrap(), map.get("added").unwrap()), (Some(expected), Some(expected)));
}

#[test]
fn what_is_larger_than_a_part_is_applied_at_once_all_the_same() {
    const ITEMS: usize = 50;
    let shared = shared();
    let list = shared.list::<Vec<u8>>("list");
    let item = |n: u8| vec![n; PART_BYTES / 10];
    let writers: Vec<_> = (0..4)
        .map(|n| {
            let list = list.clone();
            thread::spawn(move || {
                for _ in 0..5 {
                    list.extend(vec![item(n); ITEMS]).unwrap();
                }
            })
        })
        .collect();
    let mut seen = 0;
    while seen < 4 * 5 * ITEMS {
        seen = list.len().unwrap();
        assert_eq!(seen % ITEMS, 0, "a part of an extend was to be seen");
    }
    writers.into_iter().for_each(|writer| writer.join().expect("no writer fails"));
    for run in list.iter().unwrap().collect::<Vec<_>>().chunks(ITEMS) {
        assert!(run.iter().all(|it| *it == run[0]), "something came between the items of an extend");
    }
    list.set(0, &vec![7; 20 * PART_BYTES]).unwrap();
    assert_eq!(list.get(0).unwrap(), Some(vec![7; 20 * PART_BYTES]));
}

fn raw(sender: &IpcSender<Connect>) -> (IpcSender<Request>, IpcReceiver<Reply>) {
    let (to_manager, requests) = ipc::channel().expect("a channel");
    let (replies, from_manager) = ipc::channel().expect("a channel");
    sender.send(Connect { requests, replies }).expect("the manager takes clients");
    (to_manager, from_manager)
}

fn encoded(op: &Op) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(op, &mut bytes).expect("operations have an encoding");
    bytes
}

#[test]
fn a_client_that_sends_nonsense_is_turned_out_alone() {
    let (sender, table) = inside();
    let bystander = door(sender.clone()).counter("bystander");
    bystander.add(1).unwrap();

    let nonsense: [fn(IpcSender<Request>); 5] = [
        |requests| requests.send(Request(Part { more: false, bytes: vec![9, 9, 9] })).expect("it is sent"),
        |requests| requests.send(Request(Part { more: false, bytes: vec![] })).expect("it is sent"),
        |requests| requests.to_opaque().to::<u8>().send(7).expect("it is sent"),
        |requests| requests.to_opaque().to::<(bool, [u8; 4])>().send((true, [255; 4])).expect("it is sent"),
        |requests| {
            let (stray, _receiver) = ipc::channel::<u8>().expect("a channel");
            requests.to_opaque().to::<(u8, IpcSender<u8>)>().send((9, stray)).expect("it is sent");
        },
    ];
    for (number, send) in nonsense.into_iter().enumerate() {
        let (requests, replies) = raw(&sender);
        send(requests);
        assert!(replies.recv().is_err(), "nonsense {number} was answered");
    }
    // A packed list whose lengths do not add up is refused; the client may go on.
    let (requests, replies) = raw(&sender);
    let mut bytes = encoded(&Op::List { name: "l".into(), op: ListOp::Extend(Items::new()) });
    let count = bytes.len() - 2;
    bytes[count] = 5;
    requests.send(Request(Part { more: false, bytes })).expect("it is sent");
    let Ok(Reply(part)) = replies.recv() else { panic!("it is answered") };
    assert!(matches!(codec::decode(&part.bytes), Ok(Outcome::Refused(_))));
    drop((requests, replies));

    sender.clone().to_opaque().to::<[u8; 3]>().send([200; 3]).expect("it is sent");
    assert_eq!(bystander.add(1).unwrap(), 2);
    let late = door(sender).counter("bystander");
    assert_eq!(late.add(1).unwrap(), 3, "new clients are let in after nonsense at the door");
    until("only the two well-behaved are left", || table.clients() == 2);
}

#[test]
fn a_client_that_dies_in_the_middle_of_a_request_leaves_nothing_of_it() {
    let (sender, table) = inside();
    let list = door(sender.clone()).list::<Vec<u8>>("list");
    list.push([1u8].as_slice()).unwrap();
    let mut items = Items::new();
    (0..10).for_each(|_| items.push(&vec![0; PART_BYTES]));
    let message = encoded(&Op::List { name: "list".into(), op: ListOp::Extend(items) });
    let (requests, replies) = raw(&sender);
    let mut left = 5;
    let _ = parts::split(message, |part| {
        left -= 1;
        requests.send(Request(part)).expect("the manager reads");
        if left == 0 { Err(()) } else { Ok(()) }
    });
    drop((requests, replies));
    until("the manager has seen its end", || table.clients() == 1);
    assert_eq!(list.iter().unwrap().collect::<Vec<_>>(), [[1]]);
}

#[test]
fn a_client_that_reads_no_answers_holds_up_nobody() {
    let (sender, _table) = inside();
    let shared = door(sender.clone());
    let list = shared.list::<Vec<u8>>("list");
    list.extend(vec![vec![0u8; 1000]; 1000]).unwrap();
    let (requests, replies) = raw(&sender);
    let snapshot = encoded(&Op::List { name: "list".into(), op: ListOp::Range(0, u64::MAX) });
    for _ in 0..3 {
        requests.send(Request(Part { more: false, bytes: snapshot.clone() })).expect("it is sent");
    }
    let Ok(Reply(first)) = replies.recv() else { panic!("the manager begins to answer") };
    assert!(first.more);
    assert_eq!(list.push([0u8].as_slice()).unwrap(), 1001);
    // When it reads again, all is as it was asked.
    let mut joined = Joined::default();
    let mut answers = Vec::from_iter(joined.take(first).expect("it is short"));
    while answers.len() < 3 {
        let Ok(Reply(part)) = replies.recv() else { panic!("the manager goes on") };
        answers.extend(joined.take(part).expect("it is short"));
    }
    let lengths: Vec<usize> = answers
        .iter()
        .map(|answer| match codec::decode(answer) {
            Ok(Outcome::Items(items)) => items.len(),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(lengths[0], 1000);
    assert!(lengths.is_sorted() && lengths[2] <= 1001, "{lengths:?}");
}

#[test]
fn many_pushes_under_way_and_many_snapshots_never_wait_for_each_other() {
    let shared = shared();
    let list = shared.list::<u64>("list");
    let reader = {
        let list = list.clone();
        thread::spawn(move || while list.iter().unwrap().len() < 300_000 {})
    };
    let mut pipeline = list.pipeline();
    (0..300_000u64).for_each(|n| pipeline.push(&n).unwrap());
    pipeline.flush().unwrap();
    reader.join().expect("the reader sees everything");
    assert!(list.iter().unwrap().eq(0..300_000), "in order");
}

#[derive(Serialize, Deserialize)]
enum Verdict {
    Good,
    Bad { lines: Vec<u32> },
}

#[derive(Serialize, Deserialize)]
struct Checked {
    path: String,
    verdict: Option<Verdict>,
}

#[test]
fn people_can_look_at_values_of_any_type() {
    let (sender, _table) = inside();
    let shared = door(sender.clone());
    let list = shared.list::<Checked>("checked");
    list.push(&Checked { path: "a".into(), verdict: Some(Verdict::Bad { lines: vec![3, 500] }) }).unwrap();
    list.push(&Checked { path: "b".into(), verdict: Some(Verdict::Good) }).unwrap();
    list.push(&Checked { path: "c".into(), verdict: None }).unwrap();
    shared.map::<String, u64>("words").insert("the", &7).unwrap();
    shared.counter("sum").add(-3).unwrap();

    let described = ask::describe(&sender, LIMIT).unwrap();
    let names: BTreeMap<_, _> = described.iter().map(|it| (it.name.as_str(), (it.kind, it.length))).collect();
    let expected = [("checked", (Kind::List, 3)), ("sum", (Kind::Counter, 1)), ("words", (Kind::Map, 1))];
    assert_eq!(names, BTreeMap::from(expected));

    let dump = ask::dump(&sender, "checked", 2, LIMIT).unwrap();
    let values: Vec<_> = dump.items.iter().map(|item| show::value(item, dump.container.types.first())).collect();
    let bad = json!({"path": "a", "verdict": {"Bad": {"lines": [3, 500]}}});
    assert_eq!(values, [bad, json!({"path": "b", "verdict": "Good"})]);
    let words = ask::dump(&sender, "words", 9, LIMIT).unwrap();
    let pair: Vec<_> =
        words.items.iter().zip(&words.container.types).map(|(it, ty)| show::value(it, Some(ty))).collect();
    assert_eq!(pair, [json!("the"), json!(7)]);
    assert!(matches!(ask::dump(&sender, "nothing", 9, LIMIT), Err(ask::AskError::Unknown(_))));
}

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

#[test]
fn without_a_manager_an_operation_says_so_after_its_time() {
    let door = ManagerDoor::new(Box::new(|| {}));
    let waited = Duration::from_millis(20);
    assert!(matches!(door.current(waited), Err(SharedError::NoManager { waited: said }) if said == waited));
}

#[test]
#[ignore = "a measurement: cargo test --release -p brigade-tests --test shared -- --ignored --nocapture"]
fn how_fast_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let manager = Manager::start(&folder.path().join("shared"));
    let shared = door(manager.sender.clone());
    let list = shared.list::<u64>("list");
    let measure = |what: &str, count: u64, work: &mut dyn FnMut()| {
        for _ in 0..3 {
            list.clear().unwrap();
            let begun = Instant::now();
            work();
            let rate = count as f64 / begun.elapsed().as_secs_f64();
            println!("{what:40} {rate:12.0} /s");
        }
    };
    measure("push, one by one", 100_000, &mut || {
        for n in 0..100_000 {
            list.push(&n).unwrap();
        }
    });
    let thousand: Vec<u64> = (0..1000).collect();
    measure("extend by 1,000", 5_000_000, &mut || {
        for _ in 0..5000 {
            list.extend(&thousand).unwrap();
        }
    });
    measure("pipeline, one by one", 5_000_000, &mut || {
        let mut pipeline = list.pipeline();
        (0..5_000_000).for_each(|n| pipeline.push(&n).unwrap());
        pipeline.flush().unwrap();
    });
    measure("iter of 1,000,000 (with their extends)", 1_000_000, &mut || {
        list.extend(0..1_000_000).unwrap();
        assert_eq!(list.iter().unwrap().count(), 1_000_000);
    });
    let words = shared.list::<String>("words");
    let texts: Vec<String> = (0..1000).map(|n| format!("word number {n}")).collect();
    measure("extend by 1,000 texts of 15", 2_000_000, &mut || {
        words.clear().unwrap();
        for _ in 0..2000 {
            words.extend(&texts).unwrap();
        }
    });
    let map = shared.map::<u64, i64>("map");
    measure("map update", 20_000, &mut || {
        for n in 0..20_000 {
            map.update(&(n % 100), |_| Some(1)).unwrap();
        }
    });
    measure("map extend by 1,000", 1_000_000, &mut || {
        for n in 0..1000 {
            map.extend((0..1000).map(|k| (n * 1000 + k, 1))).unwrap();
        }
    });
    measure("map add_all of 1,000", 1_000_000, &mut || {
        for _ in 0..1000 {
            map.add_all((0..1000).map(|k| (k, 1))).unwrap();
        }
    });
    let counter = shared.counter("counter");
    measure("counter add", 100_000, &mut || {
        for _ in 0..100_000 {
            counter.add(1).unwrap();
        }
    });
}
