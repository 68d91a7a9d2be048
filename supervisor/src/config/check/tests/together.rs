//! Faults of values that are right alone and wrong together.

use super::Bench;

#[test]
fn sizes_of_a_queue_must_fit_each_other() {
    let bench = Bench::new();
    assert_eq!(
        bench.queue_faults("item_bytes = '2KiB'\nmax_item_bytes = '1KiB'"),
        [
            "10:18 max_item_bytes is 1KiB, less than item_bytes, which is 2KiB (raise max_item_bytes or lower item_bytes)"
        ]
    );
    assert_eq!(
        bench.queue_faults("capacity = 16777216\nmax_item_bytes = '1MiB'"),
        [
            "10:18 queue \"q\" could grow to 16TiB, more than 1TiB (lower capacity or max_item_bytes: their product counts)"
        ]
    );
    let plan = bench.load(
        "name = 'p'\n[queues.q]\nitem_bytes = '128KiB'\n[stages.a]\ncommand = ['walk']\noutputs = ['q']\n\
         [stages.b]\ncommand = ['hash']\ninputs = ['q']\n",
    );
    assert_eq!(plan.unwrap().queues[0].max_item_bytes, 128 << 10, "the default grows with item_bytes");
}

#[test]
fn queues_without_both_ends_are_faults() {
    let bench = Bench::new();
    let faults = bench.faults(
        "name = 'p'\n[queues.a]\n[queues.b]\n[queues.c]\n[stages.walk]\ncommand = ['walk']\noutputs = ['a', 'x', 'a']\n\
         inputs = ['b']\n",
    );
    let expected = [
        "2:9 queue \"a\" has no receiver (add inputs = [\"a\"] to the stage that takes its items)",
        "3:9 queue \"b\" has no sender (add outputs = [\"b\"] to the stage that makes its items)",
        "4:9 queue \"c\" is used by no stage (remove it, or name it in the outputs of one stage and the inputs of another)",
        "7:17 unknown queue \"x\" in outputs (declare it with a line [queues.x])",
        "7:22 queue \"a\" is twice in outputs (name it once)",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_circle_without_a_source_is_a_fault() {
    let bench = Bench::new();
    let text = "name = 'p'\n[queues.a]\n[queues.b]\n[queues.c]\n\
                [stages.one]\ncommand = ['walk']\ninputs = ['a']\noutputs = ['b', 'c']\n\
                [stages.two]\ncommand = ['walk']\ninputs = ['b']\noutputs = ['a']\n\
                [stages.after]\ncommand = ['walk']\ninputs = ['c']\n";
    let help = "(let a stage without inputs send to one of their queues)";
    assert_eq!(
        bench.faults(text),
        [format!("7:11 stages \"one\", \"two\" feed only each other: no source sends into this circle {help}")]
    );
    let alone = "name = 'p'\n[queues.a]\n[stages.one]\ncommand = ['walk']\ninputs = ['a']\noutputs = ['a']\n";
    assert_eq!(
        bench.faults(alone),
        [format!("5:11 stage \"one\" feeds only itself: no source sends into this circle {help}")]
    );
}

#[test]
fn a_circle_with_a_source_is_a_loop_of_the_plan() {
    let bench = Bench::new();
    let text = "name = 'p'\n[queues.a]\n[queues.b]\n[queues.c]\n\
                [stages.source]\ncommand = ['walk']\noutputs = ['a']\n\
                [stages.one]\ncommand = ['walk']\ninputs = ['a']\noutputs = ['b', 'c']\n\
                [stages.two]\ncommand = ['walk']\ninputs = ['b']\noutputs = ['a']\n\
                [stages.after]\ncommand = ['walk']\ninputs = ['c']\n";
    let plan = bench.load(text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(plan.loops.len(), 1);
    assert_eq!((&plan.loops[0].stages[..], &plan.loops[0].queues[..]), (&[1, 2][..], &[0, 1][..]));
    let starts_after: Vec<_> = plan.stages.iter().map(|stage| stage.starts_after.clone()).collect();
    assert_eq!(starts_after, [vec![1], vec![3], vec![], vec![]], "nobody in a circle waits for the others of it");
}

#[test]
fn too_many_workers_are_a_fault() {
    let bench = Bench::new();
    let stages: String = (0..15).map(|n| format!("[stages.s{n}]\ncommand = ['walk']\nreplicas = 4096\n")).collect();
    let faults = bench.faults(&format!("name = 'p'\n{stages}"));
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(faults[0].contains("the pipeline has 61440 workers, more than 60000"), "{faults:?}");
    let shared = bench.faults(
        "name = 'p'\n[queues.q]\n[stages.a]\ncommand = ['walk']\nreplicas = 40\nthreads = 100\noutputs = ['q']\n\
         [stages.b]\ncommand = ['walk']\ninputs = ['q']\n",
    );
    assert_eq!(
        shared,
        ["2:9 queue \"q\" is shared by 4001 threads, more than 4000 (lower replicas or threads of its stages: \
          replicas × threads counts, of all together)"]
    );
}

#[test]
fn a_restart_window_that_can_never_be_hit_is_a_fault() {
    let bench = Bench::new();
    let help =
        "(raise restart_period, lower max_restarts, backoff or backoff_max, or write max_restarts = \"unlimited\")";
    assert_eq!(
        bench.stage_faults("max_restarts = 20\nrestart_period = '1m'"),
        [format!(
            "5:18 stage \"walk\" could never give up: 20 restarts take at least 1m 1s 40ms, but restart_period is 1m {help}"
        )]
    );
    assert_eq!(bench.stage_faults("max_restarts = 20").len(), 1, "the default period is too short for that many");
    let tight = |period| format!("backoff = '1s'\nbackoff_max = '1s'\nrestart_period = '{period}'");
    assert_eq!(
        bench.stage_faults(&tight("4s")),
        [format!(
            "6:18 stage \"walk\" could never give up: 5 restarts take at least 4s, but restart_period is 4s {help}"
        )],
        "what happened a whole period ago does not count any more"
    );
    let text = format!("name = 'p'\n[stages.walk]\ncommand = ['walk']\n{}\n", tight("4001ms"));
    bench.load(&text).unwrap_or_else(|faults| panic!("{faults}"));
    assert_eq!(
        bench.stage_faults("backoff = '1m'\nbackoff_max = '30s'"),
        ["4:11 backoff is 1m, more than backoff_max, which is 30s (lower backoff or raise backoff_max)"]
    );
    for fine in [
        "",
        "max_restarts = 'unlimited'\nrestart_period = '1s'",
        "max_restarts = 20\nrestart = 'temporary'",
        "backoff = '1m'\nmax_restarts = 'unlimited'",
    ] {
        let text = format!("name = 'p'\n[stages.walk]\ncommand = ['walk']\n{fine}\n");
        bench.load(&text).unwrap_or_else(|faults| panic!("{faults}"));
    }
}
