//! Faults of the keys by which workers that are ready, and those that hang, are noticed, and what becomes of those that can be had.

use std::time::Duration;

use super::Bench;
use crate::config::plan::{Readiness, Watch};
use crate::config::print;

fn taker(lines: &str) -> String {
    format!(
        "name = 'p'\n[queues.q]\n[stages.walk]\ncommand = ['walk']\noutputs = ['q']\n[stages.hash]\ncommand = ['hash']\n\
         inputs = ['q']\n{lines}\n"
    )
}

#[test]
fn times_of_hung_workers_are_believed_and_printed_so_that_they_are_read_again() {
    let bench = Bench::new();
    let believed = |lines: &str| {
        let plan = bench.load(&taker(lines)).unwrap_or_else(|faults| panic!("{faults}"));
        let printed = print::print(&plan);
        let again = bench.load(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
        assert_eq!(again.stages[1].watch, plan.stages[1].watch, "{printed}");
        plan.stages[1].watch
    };
    assert_eq!(believed(""), Watch::default());
    let watch = Watch {
        progress_timeout: Some(Duration::from_secs(90)),
        item_timeout: Some(Duration::from_secs(3600)),
        watchdog: None,
    };
    assert_eq!(believed("progress_timeout = '1m 30s'\nitem_timeout = '1h'"), watch);
}

#[test]
fn times_of_hung_workers_that_cannot_be_are_faults() {
    let bench = Bench::new();
    let faults = bench.stage_faults("progress_timeout = '10ms'\nprogress_timeouts = '1s'\nitem_timeout = '1s'");
    let expected = [
        "4:20 progress_timeout is less than 1s (it may be 1s to 365d)",
        "4:20 progress_timeout is for stages with inputs: its time is that of a worker with an item in hand (remove it)",
        "5:1 unknown key \"progress_timeouts\" in stage \"walk\" (did you mean \"progress_timeout\"?)",
        "6:16 item_timeout is for stages with inputs: its time is that of a worker with an item in hand (remove it)",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_plain_process_says_that_it_is_ready_in_one_of_the_known_ways() {
    let bench = Bench::new();
    let ready = |lines: &str| {
        let text = format!("name = 'p'\n[stages.walk]\ncommand = ['walk']\n{lines}\n");
        let plan = bench.load(&text).unwrap_or_else(|faults| panic!("{faults}"));
        let printed = print::print(&plan);
        let again = bench.load(&printed).unwrap_or_else(|faults| panic!("{faults}\n{printed}"));
        assert_eq!(again.stages[0].ready, plan.stages[0].ready, "{printed}");
        plan.stages[0].ready
    };
    assert_eq!([ready(""), ready("ready = 'alive'")], [Readiness::Alive; 2]);
    assert_eq!(ready("ready = 'fd'"), Readiness::Fd);
    assert_eq!(ready("ready = 'notify'\nwatchdog = '20s'"), Readiness::Notify);
    assert_eq!(
        bench.stage_faults("watchdog = '20s'"),
        ["4:12 watchdog is for processes that say by sd_notify that they live (set ready = \"notify\", or remove it)"]
    );
    assert_eq!(bench.stage_faults("ready = 'alife'"), ["4:9 ready cannot be \"alife\" (did you mean \"alive\"?)"]);
    let faults = bench.load(&taker("ready = 'fd'")).expect_err("it is for plain processes").to_string();
    assert!(
        faults.contains("ready is for plain processes: the workers of a stage with queues say by the SDK"),
        "{faults}"
    );
}
