//! What two versions of a file differ in.

use std::path::Path;

use super::*;
use crate::config::{Surroundings, load};

const LINE: &str = "name = 'line'\n[queues.raw]\n[queues.done]\n[stages.make]\ncommand = ['true']\noutputs = ['raw']\n\
                    [stages.middle]\ncommand = ['true', 'x']\nreplicas = 2\ninputs = ['raw']\noutputs = ['done']\n\
                    [stages.keep]\ncommand = ['true']\ninputs = ['done']\n";

fn plan(text: &str) -> Plan {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("pipeline.toml");
    std::fs::write(&file, text).expect("written");
    let plan =
        load(Path::new(&file), &[], &Surroundings::of_this_process()).unwrap_or_else(|faults| panic!("{faults}"));
    Plan { file: "pipeline.toml".into(), ..plan }
}

fn found(old: &str, new: &str) -> Result<Difference, Vec<String>> {
    difference(&plan(old), plan(new), |_| true)
}

fn words(new: &str) -> Vec<String> {
    found(LINE, new).unwrap_or_else(|refused| panic!("{refused:?}")).words
}

#[test]
fn the_same_file_changes_nothing_and_neither_does_the_order_in_it() {
    assert_eq!(words(LINE), [""; 0]);
    let (head, make) = LINE.split_at(LINE.find("[stages.make]").expect("there"));
    let (make, rest) = make.split_at(make.find("[stages.middle]").expect("there"));
    let moved = found(LINE, &format!("{head}{rest}{make}")).expect("it can be had");
    assert_eq!(moved.words, [""; 0]);
    assert_eq!(moved.plan, plan(LINE), "stages keep their numbers");
}

#[test]
fn what_has_changed_is_named_and_only_those_are_renewed_whose_processes_it_concerns() {
    let new = LINE.replace("'x'", "'y'").replace("replicas = 2", "replicas = 3\nbatch = 4\nrestart = 'permanent'");
    let found = found(LINE, &new).expect("it can be had");
    let expected =
        ["stage middle: command, batch or on_panic, restart policy changed", "stage middle: 3 workers instead of 2"];
    assert_eq!((found.words, found.renewed), (expected.map(str::to_owned).to_vec(), vec![1]));
    let quiet =
        LINE.replace("replicas = 2", "replicas = 2\nmax_restarts = 7\nstop_timeout = '3s'\nprogress_timeout = '9s'");
    let found = self::found(LINE, &quiet).expect("it can be had");
    let expected = ["stage middle: restart policy, timeouts or stop_signal, timeouts of hung workers changed"];
    assert_eq!((found.words, found.renewed), (expected.map(str::to_owned).to_vec(), vec![]));
}

#[test]
fn what_is_new_comes_behind_and_what_is_gone_keeps_its_number() {
    let new = LINE
        .replace("[queues.done]", "[queues.other]")
        .replace("'done'", "'other'")
        .replace("[stages.keep]", "[stages.watch]\ncommand = ['true']\n[stages.store]");
    let found = found(LINE, &new).expect("it can be had");
    let expected = [
        "queue done: removed",
        "queue other: new",
        "stage keep: removed",
        "stage middle: outputs changed",
        "stage watch: new",
        "stage store: new",
    ];
    assert_eq!(found.words, expected);
    assert_eq!((found.made, found.renewed), (vec![2], vec![1]));
    let plan = &found.plan;
    assert_eq!((plan.queues[1].removed, plan.stages[2].removed, plan.stages[2].replicas), (true, true, 0));
    assert_eq!((plan.stages[1].outputs.clone(), plan.stages[4].inputs.clone()), (vec![2], vec![2]));
    assert_eq!((plan.queues[2].producers.clone(), plan.queues[2].consumers.clone()), (vec![1], vec![4]));
    assert_eq!(plan.stages[1].starts_after, [4], "also who starts after whom");
    // And back: the stage takes its old number, the queue is closed for this run.
    let again = difference(plan, self::plan(LINE), |_| true).expect_err("the queue was removed");
    assert_eq!(again, ["queue done: it was removed in this run, and is closed; call it something else"]);
    let back = LINE.replace("queues.done", "queues.third").replace("'done'", "'third'");
    let again = difference(plan, self::plan(&back), |_| true).expect("it can be had");
    assert!(!again.plan.stages[2].removed && again.plan.stages[4].removed);
    let early = difference(plan, self::plan(&back), |_| false).expect_err("it has not gone yet");
    assert_eq!(early, ["stage keep: its processes of before are still there; try again in a moment"]);
}

#[test]
fn what_cannot_be_had_while_it_runs_is_said_all_at_once() {
    let new = LINE
        .replace("'line'", "'lane'")
        .replace("[queues.raw]", "[queues.raw]\ncapacity = 7")
        .replace("replicas = 2", "threads = 2\nreplicas = 2")
        + "[logs]\nkeep_files = 3\n";
    let refused = found(LINE, &new).expect_err("none of it");
    let begins =
        ["its name would be", "[logs] cannot", "queue raw: capacity, item_bytes", "stage middle: threads stay"];
    assert_eq!(refused.len(), begins.len(), "{refused:?}");
    for (refused, begin) in refused.iter().zip(begins) {
        assert!(refused.starts_with(begin), "{refused}");
    }
}
