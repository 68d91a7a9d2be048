//! Exact files with several replicas or threads: one writer for each file, or none.

use brigade_tests::Sandbox;

use crate::pipelines::pair;

const ITEMS: u64 = 2000;

#[test]
fn one_exact_file_for_several_writers_is_refused() {
    for keys in ["replicas = 2", "threads = 2"] {
        let sandbox = Sandbox::new();
        let taker = ["bucket", "keep-exact", "${here}/kept"];
        let ended = sandbox.run(&pair(&["bucket", "emit", &ITEMS.to_string()], "", &taker, keys)).wait();
        ended.with_code(1);
        for words in ["kept has another writer already", "replicas = 1 and threads = 1"] {
            assert!(ended.err.contains(words), "{keys}: {}", ended.err);
        }
    }
}

#[test]
fn with_a_file_for_each_writer_every_item_is_in_one_of_them_once() {
    let sandbox = Sandbox::new();
    let taker = ["bucket", "keep-exact", "${here}/kept-%r-%t"];
    let text = pair(&["bucket", "emit", &ITEMS.to_string()], "", &taker, "replicas = 2\nthreads = 2");
    sandbox.run(&text).wait().with_code(0);
    let files = ["kept-0-0", "kept-0-1", "kept-1-0", "kept-1-1"].map(|file| sandbox.path(file));
    let text = files.map(|file| std::fs::read_to_string(file).expect("each writer has one")).concat();
    let mut kept: Vec<u64> = text.lines().map(|line| line.parse().expect("a number")).collect();
    kept.sort_unstable();
    assert!(kept.into_iter().eq(0..ITEMS));
}
