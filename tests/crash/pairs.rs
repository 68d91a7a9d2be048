//! Two deaths, or three: of a worker at each of its points, and of the supervisor in what follows. A sweep that relies on
//! what an earlier sweep, which was broken off, has left as it was would lose an item here.
//!
//! Who dies writes down where: a pair that is never reached fails.

mod cases;

use std::sync::atomic::{AtomicUsize, Ordering};

use brigade_tests::Sandbox;

use crate::exact::{assert_kept, completes, dies, start, told};
use cases::{CASES, Case};

/// The worker of the case dies at its point, the supervisor in what follows from it.
fn die_both(case: &Case, supervisor: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let mut run = start(&sandbox, &case.text(true), supervisor);
    (case.meanwhile)(&mut run, &sandbox);
    dies(run, &sandbox, supervisor);
    let told = told(&sandbox);
    assert_eq!(told.len(), 2, "{} and {supervisor}: {told:?}", case.point);
    assert_eq!(told[0].0, case.name(), "{} was to die first: {told:?}", case.point);
    sandbox.write("gate", "");
    sandbox
}

/// The next run completes, and its ledger is exact.
fn goes_on(case: &Case, sandbox: &Sandbox) {
    let report = completes(sandbox, &case.text(false), &case.expected(), case.doubles);
    assert_eq!(report.queues["raw"].dead, case.dead, "{}", case.point);
    if case.is_tallied {
        let said = sandbox.ask(&["shared", "sum", "--json"]);
        let sum: serde_json::Value = serde_json::from_str(&said.out).expect("JSON");
        assert_eq!(sum["value"].as_u64(), Some((0..crate::exact::ITEMS).sum()), "{}: {sum}", case.point);
    }
}

/// Where the supervisor comes by in the sweep after a worker's death: the point, the how manieth time there, and how often it
/// comes there in a whole sweep of the two queues for one who has a place at one of them. `returned_late` only if the worker had
/// items in hand.
const IN_THE_SWEEP: [(&str, u64, u64); 9] = [
    ("worker_reaped", 1, 1),
    ("sweep_counts_settled", 1, 1),
    ("sweep_slot_done", 1, 32),
    ("sweep_slot_done", 4, 32),
    ("sweep_slots_done", 1, 2),
    ("sweep_place_freed", 1, 1),
    ("queue_swept", 1, 2),
    ("queue_swept", 2, 2),
    ("returned_late", 1, 0),
];

/// Does all of them, some at a time.
fn side_by_side<T: Sync>(all: &[T], try_one: impl Fn(&T) + Sync) {
    let next = AtomicUsize::new(0);
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads.min(all.len()) {
            scope.spawn(|| {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    try_one(one);
                }
            });
        }
    });
}

#[test]
fn a_worker_at_each_point_and_the_supervisor_at_each_of_its_sweep() {
    let all = CASES.iter().flat_map(|case| IN_THE_SWEEP.iter().map(move |at| (case, at)));
    let fitting = |(case, at): &(&Case, &(&str, u64, u64))| case.holds || at.0 != "returned_late";
    side_by_side(&all.filter(fitting).collect::<Vec<_>>(), |(case, (point, nth, each))| {
        let supervisor = format!("{point}:{}", nth + each * case.sweeps_before);
        goes_on(case, &die_both(case, &supervisor));
    });
}

#[test]
fn a_worker_at_its_last_delivery_and_the_supervisor_when_it_keeps_the_letter() {
    let cases: Vec<_> = CASES.iter().filter(|case| case.holds && case.sweeps_before == 0).collect();
    side_by_side(&cases, |case| {
        // This one is at an item that has failed once before.
        let most = if case.point == "late_leased" { 2 } else { 1 };
        let queue = format!("capacity = 16\nmax_deliveries = {most}");
        // One item to a commit: the deliveries of several items that are held together do not count.
        let keys = case.keys.replace("batch = 4", "batch = 1");
        let last = Case { queue: &queue, keys: &keys, ..(*case).clone() };
        for point in ["dead_letter_kept", "dead_letter_buried"] {
            // Half of them at each point.
            if case.point.len().is_multiple_of(2) == (point == "dead_letter_kept") {
                its_items_become_letters(&last, &die_both(&last, point));
            }
        }
    });
}

/// What the worker held are letters; sent again, they come out, and everything has come out once.
fn its_items_become_letters(case: &Case, sandbox: &Sandbox) {
    let report = sandbox.run(&case.text(false)).wait().with_code(0);
    crate::exact::balances(&report);
    let letters = report.queues["raw"].dead;
    assert!((1..=4).contains(&letters), "{}: {report:?}", case.point);
    let said = sandbox.ask(&["dead", "list", "--json"]);
    let list: Vec<serde_json::Value> = serde_json::from_str(&said.out).expect("a list");
    assert_eq!(list.len() as u64, letters, "each is kept once: {list:?}");
    assert_eq!(sandbox.ask(&["dead", "retry", "--all"]).code, Some(0));
    // It continues the run that was complete.
    sandbox.run(&case.text(false)).wait().with_code(0);
    assert_kept(sandbox, &case.expected(), case.doubles);
}

/// What a supervisor comes to when it finds what another one has left.
const AT_THE_NEXT_START: [&str; 16] = [
    "folder_taken",
    "sweep_counts_settled",
    "sweep_slot_done:3",
    "sweep_slots_done",
    "sweep_place_freed",
    "sweep_place_freed:2",
    "resume_swept_one",
    "resume_swept_one:2",
    "resume_opened_one",
    "resume_opened_one:2",
    "resume_orders_kept",
    "resume_disowned_one",
    "resume_disowned_one:2",
    "page_renewed:2",
    "worker_spawned",
    "worker_spawned:3",
];

#[test]
fn a_worker_and_the_supervisor_and_the_next_supervisor_in_its_start() {
    let cases = CASES.iter().filter(|case| case.sweeps_before == 0).cycle();
    let all: Vec<_> = cases.zip(AT_THE_NEXT_START.iter().chain(&AT_THE_NEXT_START)).collect();
    side_by_side(&all, |(case, then)| {
        let sandbox = die_both(case, "sweep_slot_done:4");
        dies(start(&sandbox, &case.text(false), then), &sandbox, then);
        assert_eq!(told(&sandbox).len(), 3);
        goes_on(case, &sandbox);
    });
}

/// Where a sink with an exact file, and a source with checkpoints, come by.
const OF_THE_SINK: [&str; 6] =
    ["leased:3", "batch_settled_one:3", "batch_noted:3", "batch_committed:3", "batch_freed_one:3", "batch_settled:3"];
const OF_THE_SOURCE: [&str; 7] = [
    "batch_filling:30",
    "batch_numbered:30",
    "batch_staged_one:30",
    "batch_noted:30",
    "batch_committed:30",
    "batch_published_one:30",
    "batch_rolled_forward:30",
];

#[test]
fn source_middle_and_sink_each_at_a_point_and_the_supervisor_in_the_last_of_their_sweeps() {
    let middle = CASES.iter().filter(|case| case.is_of_the_middle);
    let all = middle.zip(OF_THE_SINK.iter().cycle()).zip(OF_THE_SOURCE.iter().cycle());
    side_by_side(&all.collect::<Vec<_>>(), |((case, sink), source)| {
        let (sink_keys, source_keys) = (format!("env.DIE_AT = \"{sink}\""), format!("env.DIE_AT = \"{source}\""));
        let sandbox = Sandbox::new();
        // The next run of the middle may be at work when the supervisor takes it along, and plain handles hand on and ack in
        // two steps.
        let doubles = case.doubles + u64::from(case.middle.contains(&"relay"));
        let all = Case { sink_keys: &sink_keys, more_source_keys: &source_keys, doubles, ..(*case).clone() };
        dies(start(&sandbox, &all.text(true), "queue_swept:5"), &sandbox, "queue_swept:5");
        let points: Vec<_> = told(&sandbox).into_iter().map(|(point, _)| point).collect();
        assert_eq!(points.len(), 4, "{points:?}");
        for point in [case.point, sink, source] {
            let name = point.split(':').next().unwrap_or(point);
            assert!(points.iter().any(|point| point == name), "nobody died at {point}: {points:?}");
        }
        goes_on(&all, &sandbox);
    });
}
