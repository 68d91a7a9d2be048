//! Death of the supervisor between the note that a file is missing and its being put aside.

use brigade_tests::{Sandbox, reboot, until};
use nix::sys::signal::Signal;

use crate::exact::{Exact, dies, start};

#[test]
fn missing_noted() {
    for nth in 1..=3 {
        let sandbox = Sandbox::new();
        let gate = sandbox.path("gate").display().to_string();
        let line = Exact { middle: &["bucket", "hold-first", &gate], ..Exact::default() };
        let mut run = sandbox.run(&line.text());
        until("the queue is full", || run.try_status().is_some_and(|status| status["queues"][0]["sent"] == 16));
        run.signal(Signal::SIGKILL);
        run.wait();
        run.assert_nobody_left();
        reboot(&sandbox);
        sandbox.write("kept", "of the last run");
        let point = format!("missing_noted:{nth}");
        dies(start(&sandbox, &line.text(), &point), &sandbox, &point);
        // Whatever the one that died has put aside, nothing of it is forgotten.
        let ended = sandbox.run(&line.text()).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        sandbox.write("gate", "");
        let ended = sandbox.run(&line.text()).wait();
        assert_eq!(ended.code, Some(1), "{}", ended.err);
        let words = [
            "page ",
            "sink-0.page",
            "source-0.page",
            "middle-0.page",
            "raw.queue",
            "done.queue",
            "kept holds 15 bytes",
        ];
        assert!(words.iter().all(|words| ended.err.contains(words)), "{}", ended.err);
        assert_eq!(std::fs::read_to_string(sandbox.path("kept")).expect("there"), "of the last run");
    }
}
