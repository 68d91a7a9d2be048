//! What a stage waits for before it starts: nothing starts after something that has failed.

use brigade_tests::{Sandbox, until};
use nix::sys::signal::Signal;

/// A one-shot `migrate`, and `web`, which needs it.
fn site(migrate: &str, condition: &str, web: &str) -> String {
    format!(
        r#"
name = "site"
[stages.migrate]
command = ["sh", "-c", {migrate:?}]
restart = "temporary"
ready = "fd"
[stages.web]
command = ["bucket", "serve"]
env = {{ LEDGER = "${{ledger}}" }}
depends_on = [{condition}]
{web}
"#
    )
}

const CONDITIONS: [&str; 2] = [r#""migrate""#, r#"{ stage = "migrate", condition = "completed" }"#];

#[test]
fn nothing_starts_after_a_one_shot_dependency_that_has_failed() {
    for condition in CONDITIONS {
        for web in ["", "restart = \"permanent\""] {
            let sandbox = Sandbox::new();
            let report = sandbox.run(&site("exit 1", condition, web)).wait().with_code(1);
            assert_eq!(
                report.verdict,
                "stage web cannot start: it depends on migrate, and migrate/0 has failed: exit code 1"
            );
            assert_eq!(sandbox.ledger().count("serving"), 0);
        }
    }
}

#[test]
fn a_service_starts_when_its_preparation_has_completed_and_runs_until_it_is_stopped() {
    let sandbox = Sandbox::new();
    let text = site("while ! test -e go; do sleep 0.01; done", CONDITIONS[1], "restart = \"permanent\"");
    let mut run = sandbox.run(&text);
    run.pid_when("migrate/0", "starting");
    let waits = run.worker("web/0").expect("it is in the status")["doing"].clone();
    assert_eq!(waits, "waits for migrate to complete");
    assert_eq!(sandbox.ledger().count("serving"), 0);
    sandbox.write("go", "");
    until("the service is at work", || sandbox.ledger().count("serving") == 1);
    assert!(run.is_running());
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
    assert_eq!(sandbox.ledger().count("served"), 1);
}
