//! Who may know whom.

use std::path::Path;

use brigade_tests::workspace;

use crate::source::{Source, assert_none, sources};

/// Places below `inside` that hold one of these words.
fn places(inside: &str, words: &[&str]) -> Vec<String> {
    let sources: Vec<Source> = sources().into_iter().filter(|source| source.is_in(inside)).collect();
    assert!(!sources.is_empty(), "there is no {inside}");
    sources.iter().flat_map(|source| source.places_of(words)).collect()
}

#[test]
fn the_core_has_no_clock_and_touches_nothing() {
    let forbidden = [
        "Instant::now",
        "SystemTime",
        "std::fs",
        "std::io",
        "std::process",
        "std::thread",
        "std::net",
        "std::os",
        "std::env",
        "nix::",
        "rustix::",
        "libc::",
        "mio::",
        "ipc_channel",
        "tracing",
        "jiff",
        "println!",
        concat!("thread::", "sleep"),
    ];
    assert_none("the core reaches out", &places("supervisor/src/core", &forbidden));
}

#[test]
fn the_core_knows_the_plan_and_the_ids_alone() {
    let mut found = places("supervisor/src/core", &["crate::", "brigade_protocol::"]);
    found.retain(|place| {
        let known = ["crate::config::plan", "crate::core::", "brigade_protocol::id"];
        !known.iter().any(|known| place.contains(known))
    });
    assert_none("the core knows more than the plan and the ids", &found);
}

#[test]
fn sources_and_effects_know_neither_each_other_nor_the_reactor() {
    assert_none(
        "sources reach over",
        &places("supervisor/src/sources", &["crate::effects", "crate::reactor", "super::super"]),
    );
    assert_none(
        "effects reach over",
        &places("supervisor/src/effects", &["crate::sources", "crate::reactor", "super::super"]),
    );
}

#[test]
fn shared_memory_has_never_heard_of_queues() {
    assert_none(
        "shm knows more than memory",
        &places(
            "protocol/src/shm",
            &["crate::queue", "crate::page", "crate::control", "crate::shared", "slot", "lease"],
        ),
    );
}

#[test]
fn worker_and_supervisor_never_meet_and_the_protocol_knows_neither() {
    let crates = [
        ("protocol", &["brigade-worker", "brigade ="][..]),
        ("worker", &["brigade ="]),
        ("supervisor", &["brigade-worker"]),
    ];
    for (folder, strangers) in crates {
        let manifest = std::fs::read_to_string(workspace().join(folder).join("Cargo.toml")).expect("a manifest");
        let dependencies = manifest.split("dependencies]").skip(1);
        for section in dependencies {
            let lines = section.lines().take_while(|line| !line.starts_with('['));
            let met: Vec<_> = lines
                .filter(|line| {
                    strangers.iter().any(|name| {
                        line.starts_with(name.trim_end_matches(" ="))
                            && line
                                .trim_start_matches(|c: char| c.is_alphanumeric() || c == '-')
                                .starts_with([' ', '.', '='])
                            && line.split([' ', '.', '=']).next() == Some(name.trim_end_matches(" ="))
                    })
                })
                .collect();
            assert!(met.is_empty(), "{folder}/Cargo.toml: {met:?}");
        }
    }
    assert_none("the worker knows the supervisor", &places("worker/src", &["brigade::"]));
    assert_none("the supervisor knows the worker", &places("supervisor/src", &["brigade_worker::"]));
}

#[test]
fn unsafe_code_lives_in_one_place_and_elsewhere_gives_a_reason() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in("protocol/src/shm")) {
        let used = source
            .code()
            .iter()
            .any(|(_, line)| line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("unsafe impl"));
        let reasons = source.text.matches("expect(unsafe_code, reason = ").count();
        if used && reasons == 0 {
            faults.push(source.path.clone());
        }
        if source.text.contains(concat!("allow", "(unsafe_code")) {
            faults.push(format!("{}: allows it without a reason", source.path));
        }
    }
    assert_none("unsafe code outside protocol/src/shm and without #[expect(unsafe_code, reason = …)]", &faults);
}

#[test]
fn every_unsafe_block_says_why_it_is_safe() {
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_test()) {
        let lines: Vec<&str> = source.text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let near = at.saturating_sub(6)..=at;
            if (code.contains("unsafe {") || code.contains("unsafe impl"))
                && !lines[near].iter().any(|line| line.contains("SAFETY:"))
            {
                faults.push(format!("{}:{}", source.path, at + 1));
            }
        }
    }
    assert_none("unsafe without // SAFETY:", &faults);
}

#[test]
fn every_crash_point_has_a_test_of_its_name() {
    let tests: String = sources()
        .iter()
        .filter(|source| source.is_in("tests/crash") || source.is_in("tests/e2e/shared"))
        .map(|source| source.text.clone())
        .collect();
    let mut faults = Vec::new();
    for source in sources().iter().filter(|source| !source.is_in("tests")) {
        for (number, line) in source.code() {
            if let Some((_, rest)) = line.split_once("crash_point!(\"") {
                let name = rest.split('"').next().unwrap_or_default();
                if !tests.contains(&format!("fn {name}()")) {
                    faults.push(format!("{}:{number}: {name}", source.path));
                }
            }
        }
    }
    assert_none("crash points that no test in tests/crash or tests/e2e/shared is named after", &faults);
}

#[test]
fn the_workspace_is_where_the_tests_believe_it() {
    assert!(Path::new(workspace()).join("Cargo.lock").exists());
}
