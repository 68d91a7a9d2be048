//! Processes that turn against what is around them: their supervisor, their descriptors, the table of files.

use std::os::unix::process::CommandExt;
use std::time::Duration;

use brigade_tests::{Sandbox, holds_for_a_while, until};

use crate::pipelines::{finite, line, task};

#[test]
fn one_that_kills_its_parents_group_leaves_nobody_behind_and_the_next_run_goes_on() {
    const ITEMS: u64 = 5_000;
    let sandbox = Sandbox::new();
    let source = ["bucket", "emit-exact", "0", &ITEMS.to_string()];
    let honest = line(&source, &["bucket", "pass"], "");
    let text = format!(
        "{honest}\n[stages.beside]\ncommand = [\"sh\", \"-c\", \"until test -e gate; do sleep 0.01; done; exec $0 fratricide\", {:?}]\n\
         cwd = {:?}\n",
        brigade_tests::binary("rogue"),
        sandbox.folder(),
    );
    // Or the tests themselves would be of that group.
    let mut run = sandbox.run_with(&text, |command| _ = command.process_group(0));
    until("items flow", || sandbox.ledger().count("kept") > 100);
    sandbox.write("gate", "");
    assert_eq!(run.wait().signal, Some(9));
    run.assert_nobody_left();
    let report = sandbox.run(&honest).wait().with_code(0);
    assert_eq!((report.queues["done"].sent, report.queues["done"].acked), (ITEMS, ITEMS));
}

#[test]
fn one_that_opens_ten_thousand_files_takes_them_from_nobody_else() {
    let sandbox = Sandbox::new();
    let beside = "[stages.beside]\ncommand = [\"rogue\", \"open\", \"10000\"]\nrestart = \"permanent\"\n\
                  env = { LEDGER = \"${ledger}\" }\nlimits = { nofile = \"20000\" }\n";
    let text = format!("{}\n{beside}", finite(2_000, &["bucket", "pass"], ""));
    let mut run = sandbox.run(&text);
    until("they are open, or as many as there may be", || sandbox.ledger().count("opened") == 1);
    let opened = *sandbox.ledger().times("opened").keys().next().expect("it noted how many");
    assert!(opened > 1_000, "{opened}");
    run.wait().with_code(0);
    sandbox.ledger().assert_once("kept", 2_000);
    run.assert_nobody_left();
}

#[test]
fn one_that_closes_all_its_descriptors_lives_on_and_is_stopped_like_any_other() {
    let sandbox = Sandbox::new();
    let script = "for n in 0 1 2 3 4 5 6 7 8 9; do eval \"exec $n>&-\"; done; while true; do sleep 1000; done";
    let mut run = sandbox.run(&task(&["bash", "-c", script], "restart = \"permanent\""));
    run.pid_when("only/0", "ready");
    let lives = || run.worker("only/0").is_some_and(|it| it["state"] == "ready" && it["incarnation"] == 1);
    assert!(holds_for_a_while(Duration::from_secs(1), lives), "{}", run.said());
    sandbox.stop("--now");
    run.wait();
    run.assert_nobody_left();
}
