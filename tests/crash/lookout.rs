//! Death, and a stop, of those who call receivers and of those who are called, while others sleep.

use brigade_tests::{Report, Run, Sandbox, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::stage::{ITEMS, Line};

/// Two receivers are asleep when the source begins.
fn with_two_asleep(source_env: &str, middle_env: &str, more: &str, meanwhile: impl FnOnce(&Run, &Sandbox)) -> Report {
    let sandbox = Sandbox::new();
    let gate = sandbox.path("asleep").display().to_string();
    let source = ["bucket", "emit-after", &gate, "200"];
    let line = Line { source: &source, source_env, middle_env, keys: "replicas = 2", ..Line::default() };
    let mut run = sandbox.run(&(line.text() + &more.replace("${folder}", &sandbox.path("").display().to_string())));
    for worker in ["middle/0", "middle/1"] {
        let pid = run.pid_when(worker, "ready");
        until("it sleeps", || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('S'))
        });
    }
    sandbox.write("asleep", "");
    meanwhile(&run, &sandbox);
    let report = run.wait().with_code(0);
    sandbox.ledger().assert_each("kept", ITEMS);
    let raw = &report.queues["raw"];
    assert_eq!((raw.left, raw.acked), (0, raw.sent));
    report
}

/// The one who calls dies with the word set and nobody woken; it has sent its first item, at least.
#[test]
fn calling() {
    let report = with_two_asleep("env.DIE_AT = \"calling\"", "", "", |_, _| {});
    assert_eq!(report.stages["source"].restarts, 1);
    assert!(report.queues["raw"].sent > ITEMS, "{report:?}");
}

/// It stands still there instead: another one, who sends later, has the receivers woken all the same.
#[test]
fn calling_stands_still() {
    let other =
        "[stages.other]\ncommand = [\"bucket\", \"emit-after\", \"${folder}/gate\", \"100\"]\noutputs = [\"raw\"]\n";
    let report = with_two_asleep("env.STAND_STILL_AT = \"calling\"", "", other, |run, sandbox| {
        let pid = run.pid_when("source/0", "paused");
        sandbox.write("gate", "");
        until("all that was sent is done", || {
            let queue = &run.status()["queues"][0];
            queue["sent"].as_u64() > Some(100) && queue["acked"] == queue["sent"]
        });
        kill(Pid::from_raw(pid), Signal::SIGCONT).expect("it is there");
    });
    assert_eq!(report.queues["raw"].sent, ITEMS + 100);
}

/// The one who is called dies before it has looked. So does the other one, when its turn comes.
#[test]
fn called() {
    let report = with_two_asleep("", "env.DIE_AT = \"called\"", "", |_, _| {});
    assert!((1..=2).contains(&report.stages["middle"].restarts), "{report:?}");
    assert_eq!(report.queues["raw"].sent, ITEMS);
}
