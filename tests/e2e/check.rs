//! `brigade check`, and a pipeline file as a newcomer writes it.

use brigade_tests::{Said, Sandbox};

use crate::pipelines::finite;

fn check(sandbox: &Sandbox, text: &str, more: &[&str]) -> Said {
    let mut command = sandbox.brigade(["check"]);
    command.arg(sandbox.pipeline(text)).args(more);
    Sandbox::say(command)
}

#[test]
fn a_good_file_is_summed_up_in_one_line() {
    let sandbox = Sandbox::new();
    let said = check(&sandbox, &finite(5, &["bucket", "pass"], "replicas = 4"), &[]);
    assert_eq!((said.code, said.err.as_str()), (Some(0), ""));
    assert!(said.out.starts_with("line: 3 stages, 6 workers, 2 queues, "), "{}", said.out);
    assert_eq!(said.out.lines().count(), 1);
    assert!(!sandbox.state().exists(), "nothing is made by a check");
}

#[test]
fn a_misspelt_key_is_shown_with_its_place_and_what_was_meant() {
    let sandbox = Sandbox::new();
    let text = finite(5, &["bucket", "pass"], "replcas = 4");
    let line = text.lines().position(|line| line.starts_with("replcas")).expect("it is there") + 1;
    let said = check(&sandbox, &text, &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains(&format!("pipeline.toml:{line}:1")), "no file, line and column:\n{}", said.err);
    assert!(said.err.contains("replcas = 4") && said.err.contains('^'), "no line with a caret:\n{}", said.err);
    assert!(said.err.contains("did you mean") && said.err.contains("replicas"), "{}", said.err);
    let ran = sandbox.run(&text).wait();
    assert_eq!(ran.code, Some(2), "run refuses what check refuses");
    assert_eq!(ran.err, said.err, "and in the same words");
    assert!(!sandbox.state().exists(), "before it makes anything");
}

#[test]
fn all_faults_are_shown_at_once() {
    let sandbox = Sandbox::new();
    let text = finite(5, &["no-such-program"], "stop_timeout = 5\nrestart = \"never\"")
        .replace("inputs = [\"done\"]", "inputs = [\"dnoe\"]")
        .replace("capacity = 64", "capacity = 0");
    let said = check(&sandbox, &text, &[]);
    assert_eq!(said.code, Some(2));
    for fault in ["no-such-program", "stop_timeout", "\"never\"", "dnoe", "capacity"] {
        assert!(said.err.contains(fault), "{fault} is not named:\n{}", said.err);
    }
}

#[test]
fn a_file_that_is_no_toml_and_one_that_is_missing_are_faults() {
    let sandbox = Sandbox::new();
    let said = check(&sandbox, "name = \"x\"\n[stages", &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("pipeline.toml:2"), "{}", said.err);
    let said = Sandbox::say(sandbox.brigade(["check", "nowhere.toml"]));
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("nowhere.toml"), "{}", said.err);
}

#[test]
fn the_printed_plan_is_a_pipeline_file_of_its_own() {
    let sandbox = Sandbox::new();
    let said = check(&sandbox, &finite(5, &["bucket", "pass"], ""), &["--print"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    assert!(said.out.contains("max_restarts = 5") && said.out.contains("stop_timeout = \"10s\""), "{}", said.out);
    let again = check(&sandbox, &said.out, &["--print"]);
    assert_eq!((again.code, again.out), (Some(0), said.out));
}

#[test]
fn variables_have_defaults_and_are_set_on_the_command_line() {
    let sandbox = Sandbox::new();
    let text = "name = \"v\"\n[vars]\ncode = \"0\"\n[stages.only]\ncommand = [\"rogue\", \"exit\", \"${code}\"]\n";
    let run = |sets: &[&str]| {
        sandbox
            .run_with(text, |command| {
                command.args(sets);
            })
            .wait()
    };
    run(&[]).with_code(0);
    run(&["--set", "code=78"]).with_code(1);
    let said = check(&sandbox, &text.replace("${code}", "${cdoe}"), &[]);
    assert_eq!(said.code, Some(2));
    assert!(said.err.contains("cdoe") && said.err.contains("did you mean"), "{}", said.err);
}

#[test]
fn usage_faults_have_code_2() {
    let sandbox = Sandbox::new();
    for args in [&["run"][..], &["frobnicate"], &["check", "--set", "novalue", "x.toml"]] {
        let said = Sandbox::say(sandbox.brigade(args));
        assert_eq!(said.code, Some(2), "{args:?}: {}", said.err);
    }
    assert_eq!(Sandbox::say(sandbox.brigade(["--version"])).code, Some(0));
    assert_eq!(Sandbox::say(sandbox.brigade(["--help"])).code, Some(0));
}
