//! What a run of a worker leaves behind, outside of its group, does not outlive the start of the next one.

use brigade_tests::{Sandbox, is_alive, until};
use nix::sys::signal::Signal;

use crate::pipelines::task;

/// A service that goes to the background, and notes who of its earlier runs is still there.
const SERVICE: &str = r#"
touch pids
for pid in $(cat pids); do
    kill -0 $pid 2> /dev/null && echo $pid >> copies
done
before=$(wc -l < pids)
setsid sh -c 'echo $$ >> pids; exec sleep 600' &
while test $(wc -l < pids) = $before; do sleep 0.01; done
"#;

fn pids(sandbox: &Sandbox) -> Vec<i32> {
    let text = std::fs::read_to_string(sandbox.path("pids")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn a_service_that_goes_to_the_background_is_there_once_and_is_told_so() {
    let sandbox = Sandbox::new();
    sandbox.write("service.sh", SERVICE);
    let keys = "restart = \"permanent\"\ngive_up_after = \"0s\"\nmax_restarts = 3\nbackoff = \"10ms\"";
    let mut run = sandbox.run(&task(&["sh", "service.sh"], keys));
    let report = run.wait().with_code(3);
    assert_eq!(pids(&sandbox).len(), 4, "the first run, and three restarts");
    assert!(!sandbox.path("copies").exists(), "an earlier run was still there");
    let words = "left 1 process behind: does it go to the background? Run it in the foreground";
    assert!(run.said().contains(&format!("only/0 {words}; ")), "{}", run.said());
    assert!(report.verdict.ends_with(&format!("exit code 0; its run before {words}")), "{}", report.verdict);
    run.assert_nobody_left();
}

#[test]
fn what_a_worker_leaves_that_is_not_started_again_stays_until_the_end() {
    let sandbox = Sandbox::new();
    sandbox.write("service.sh", SERVICE);
    let other = "[stages.other]\ncommand = [\"rogue\", \"sleep\"]\n";
    let mut run = sandbox.run(&format!("{}{other}", task(&["sh", "service.sh"], "")));
    run.until_status("the first one has ended", |status| status["stages"][0]["state"] == "complete");
    let left = pids(&sandbox);
    assert!(left.len() == 1 && is_alive(left[0]), "others may rely on it");
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    until("it has gone with the run", || !is_alive(left[0]));
}
