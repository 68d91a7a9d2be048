//! How fast shared state is, measured with the manager as a process of its own.

use std::time::Instant;

use crate::stage::{Manager, door};

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
