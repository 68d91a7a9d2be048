//! A join of two streams by transactions, whose worker is killed again and again: no pair is mixed up, lost or made twice.

use std::collections::BTreeSet;

use brigade_tests::{Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const PAIRS: u64 = 9000;
const KILLS: usize = 25;

#[test]
fn pairs_of_two_streams_match_however_often_the_worker_is_killed() {
    let sandbox = Sandbox::new();
    let source = |name: &str| {
        format!(
            "[queues.{name}]\ncapacity = 16\nmax_deliveries = \"unlimited\"\n[stages.make-{name}]\n\
             command = [\"bucket\", \"emit-exact\", \"0\", \"{PAIRS}\"]\noutputs = [\"{name}\"]\n"
        )
    };
    let text = format!(
        "name = \"join\"\n{}{}[queues.done]\ncapacity = 16\n[stages.join]\ncommand = [\"bucket\", \"join\"]\n\
         inputs = [\"left\", \"right\"]\noutputs = [\"done\"]\nmax_restarts = \"unlimited\"\nbackoff = \"1ms\"\n\
         backoff_max = \"1ms\"\n[stages.sink]\ncommand = [\"bucket\", \"keep-exact\", \"${{here}}/kept\"]\n\
         inputs = [\"done\"]\n",
        source("left"),
        source("right")
    );
    let mut run = sandbox.run(&text);
    let (mut killed, mut done) = (BTreeSet::new(), 0);
    while killed.len() < KILLS {
        let pid = run.pid_when("join/0", "ready");
        until("it has joined more, or ended", || {
            let status = run.status();
            let queues = status["queues"].as_array().expect("queues");
            let joined = queues.iter().find(|queue| queue["name"] == "done").expect("the queue")["sent"].clone();
            joined.as_u64().expect("a number") > done
        });
        if killed.insert(pid) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        // The pairs must not come to an end before the kills do.
        done += PAIRS / (6 * KILLS as u64);
    }
    let report = run.wait().with_code(0);
    assert!(report.stages["join"].restarts >= KILLS as u64 - 1, "{report:?}");
    assert_eq!((report.queues["left"].acked, report.queues["right"].acked), (PAIRS, PAIRS), "{report:?}");
    let kept = std::fs::read_to_string(sandbox.path("kept")).expect("the sink's file");
    let kept: Vec<u64> = kept.lines().map(|line| line.parse().expect("a number")).collect();
    assert!(kept.into_iter().eq(0..PAIRS), "pairs are mixed up, lost, doubled or out of order");
}
