//! What handles do, alone and many at once.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use brigade_protocol::shared::op::Kind;
use brigade_protocol::shared::parts::PART_BYTES;
use brigade_worker::shared::{Exchange, ManagerDoor, SharedError};

use crate::stage::shared;

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
    let error = shared.list::<String>("l").get(0).unwrap_err();
    let words = "shared `l` holds u8, and this program uses it for text (text instead of u8)";
    assert!(matches!(error, SharedError::OtherShape { .. }) && error.to_string().starts_with(words), "{error}");
    assert!(matches!(shared.list::<String>("l").push("one"), Err(SharedError::OtherShape { .. })));
    assert_eq!(shared.list::<u8>("l").len().unwrap(), 1, "nothing was changed");
    assert!(matches!(shared.list::<serde_json::Value>("l").len(), Err(SharedError::Unreadable { .. })));
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

#[test]
fn without_a_manager_an_operation_says_so_after_its_time() {
    let door = ManagerDoor::new(Box::new(|| {}));
    let waited = Duration::from_millis(20);
    assert!(matches!(door.current(waited), Err(SharedError::NoManager { waited: said }) if said == waited));
}
