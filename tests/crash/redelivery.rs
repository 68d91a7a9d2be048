//! How long after the SIGKILL of a worker the item that it held is with another one. Without it "at once" would be a word.

use brigade_tests::{Sandbox, monotonic_ns, until_some};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const TEXT: &str = r#"
name = "redelivery"
[queues.raw]
max_deliveries = "unlimited"
[stages.source]
command = ["bucket", "emit", "1"]
outputs = ["raw"]
[stages.hold]
command = ["wave", "hold"]
inputs = ["raw"]
replicas = 2
max_restarts = "unlimited"
backoff = "1ms"
backoff_max = "5ms"
env = { ENOUGH = "${here}/enough", KEPT = "${here}/kept" }
"#;

/// One item goes to and fro between two workers: whoever has it is killed when the other one is ready.
fn latencies(kills: usize) -> Vec<u64> {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(TEXT);
    let began = || -> Vec<(i32, u64)> {
        let text = std::fs::read_to_string(sandbox.path("kept")).unwrap_or_default();
        let whole = &text[..text.rfind('\n').map_or(0, |end| end + 1)];
        let parse = |line: &str| {
            let mut words = line.split(' ').skip(1);
            Some((words.next()?.parse().ok()?, words.next()?.parse().ok()?))
        };
        whole.lines().map(|line| parse(line).expect("three numbers")).collect()
    };
    let mut taken = Vec::new();
    for nth in 0..kills {
        let (holder, _) = until_some("somebody holds it", || began().get(nth).copied());
        run.pid_when("hold/0", "ready");
        run.pid_when("hold/1", "ready");
        let killed = monotonic_ns();
        kill(Pid::from_raw(holder), Signal::SIGKILL).expect("the holder is there");
        let (_, again) = until_some("it came again", || began().get(nth + 1).copied());
        taken.push(again.saturating_sub(killed));
    }
    sandbox.write("enough", "");
    let report = run.wait().with_code(0);
    assert_eq!(report.queues["raw"].redelivered, kills as u64);
    taken.sort_unstable();
    taken
}

#[test]
fn an_item_comes_again_after_every_death_of_who_held_it() {
    assert_eq!(latencies(10).len(), 10);
}

#[test]
#[ignore = "a measurement: run by .ci/storm"]
fn how_long_it_takes_until_an_item_comes_again() {
    let taken = latencies(500);
    let at = |share: usize| taken[(taken.len() * share / 1000).min(taken.len() - 1)] as f64 / 1e6;
    eprintln!(
        "redelivery after {} kills: p50 {:.2} ms, p90 {:.2} ms, p99 {:.2} ms, most {:.2} ms",
        taken.len(),
        at(500),
        at(900),
        at(990),
        at(1000)
    );
}
