//! State of an earlier run that cannot be used, as after a restart of the machine: it is put aside, every run says so until
//! one is complete, and an exact file whose checkpoint is not known is not cut.

use brigade_tests::{Ended, Sandbox, reboot, until};
use nix::sys::signal::Signal;

fn text(items: u64) -> String {
    format!(
        r#"
name = "missing"
[queues.items]
capacity = 64
[stages.source]
command = ["bucket", "emit-exact", "0", "{items}"]
outputs = ["items"]
[stages.sink]
command = ["bucket", "keep-exact", "${{here}}/kept"]
inputs = ["items"]
"#
    )
}

const MANY: u64 = 1_000_000;

fn kept(sandbox: &Sandbox) -> String {
    std::fs::read_to_string(sandbox.path("kept")).unwrap_or_default()
}

/// A run that was killed with items in the file, and the file as it was then.
fn broken_off() -> (Sandbox, String) {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&text(MANY));
    until("items are kept", || kept(&sandbox).len() > 1000);
    run.signal(Signal::SIGKILL);
    run.wait();
    run.assert_nobody_left();
    let file = kept(&sandbox);
    (sandbox, file)
}

fn said(ended: &Ended, code: i32, words: &[&str]) {
    assert_eq!(ended.code, Some(code), "{}", ended.err);
    assert!(words.iter().all(|words| ended.err.contains(words)), "{words:?}: {}", ended.err);
}

#[test]
fn an_exact_file_is_not_cut_when_its_checkpoint_was_put_aside_by_a_restart_of_the_machine() {
    let (sandbox, file) = broken_off();
    reboot(&sandbox);
    let ended = sandbox.run(&text(MANY)).wait();
    said(
        &ended,
        1,
        &["before the last start of this machine", "an exact file is not written to until it is moved away"],
    );
    assert_eq!(kept(&sandbox), file);
    for _ in 0..2 {
        let ended = sandbox.run(&text(MANY)).wait();
        let holds = format!("kept holds {} bytes, and how many of them were committed is not known", file.len());
        said(
            &ended,
            1,
            &["put aside in an earlier run: page ", "put aside in an earlier run: queue ", &holds, "--fresh"],
        );
        assert_eq!(kept(&sandbox), file);
    }
    std::fs::rename(sandbox.path("kept"), sandbox.path("kept.before")).expect("moved away");
    // Shorter, to come to its end: what the source has committed is not known, so it may be told something else.
    let ended = sandbox.run(&text(200)).wait();
    said(&ended, 2, &["stage source would continue from the checkpoint"]);
    let ended = sandbox.run_with(&text(200), |command| _ = command.arg("--fresh")).wait();
    said(&ended, 0, &["nothing lost"]);
    assert!(kept(&sandbox).lines().map(|line| line.parse::<u64>().expect("a number")).eq(0..200));
}

#[test]
fn what_was_put_aside_is_said_at_the_end_of_the_run_that_is_complete_without_it_and_of_no_other() {
    let (sandbox, _) = broken_off();
    reboot(&sandbox);
    sandbox.run(&text(200)).wait();
    std::fs::rename(sandbox.path("kept"), sandbox.path("kept.before")).expect("moved away");
    let ended = sandbox.run(&text(200)).wait();
    said(&ended, 0, &["nothing lost in this run", "put aside in an earlier run: page "]);
    let report = ended.report();
    assert_eq!((report.put_aside.len(), report.verdict.as_str()), (3, "complete"), "{report:?}");
    assert!(kept(&sandbox).lines().map(|line| line.parse::<u64>().expect("a number")).eq(0..200));
    let ended = sandbox.run(&text(200)).wait();
    assert_eq!(ended.with_code(0).put_aside, Vec::<String>::new());
    assert!(!ended.err.contains("put aside"), "{}", ended.err);
}

#[test]
fn an_exact_file_is_not_cut_when_its_page_was_damaged() {
    let (sandbox, file) = broken_off();
    std::fs::write(sandbox.state().join("pages/sink-0.page"), "no page").expect("written");
    said(&sandbox.run(&text(MANY)).wait(), 1, &["is not a usable page"]);
    said(&sandbox.run(&text(MANY)).wait(), 1, &["is not known", "kept holds"]);
    assert_eq!(kept(&sandbox), file);
}
