//! What every file owes its reader.

use crate::source::{assert_none, sources};

#[test]
fn every_file_opens_with_what_would_be_missing_without_it() {
    let silent: Vec<_> = sources().into_iter().filter(|source| !source.text.starts_with("//!")).collect();
    assert_none("files that do not open with //!", &silent.into_iter().map(|source| source.path).collect::<Vec<_>>());
}

#[test]
fn no_file_is_longer_than_400_lines() {
    let long = sources()
        .into_iter()
        .map(|source| (source.text.lines().count(), source.path))
        .filter(|(lines, _)| *lines > 400);
    assert_none("files to be split", &long.map(|(lines, path)| format!("{path}: {lines}")).collect::<Vec<_>>());
}

#[test]
fn nothing_is_left_to_do() {
    let words = [concat!("todo", "!("), concat!("unimplemented", "!("), concat!("dbg", "!(")];
    let mut found: Vec<String> = Vec::new();
    for source in sources() {
        for (line, number) in source.text.lines().zip(1..) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert_none("unfinished", &found);
}

#[test]
fn no_test_is_ignored_without_a_reason() {
    let bare = concat!("#[", "ignore]");
    let found = sources().into_iter().filter(|source| source.text.contains(bare)).map(|source| source.path);
    assert_none("ignored, and nobody knows why", &found.collect::<Vec<_>>());
}

#[test]
fn tests_wait_for_conditions_and_not_for_time() {
    let sleep = concat!("thread::", "sleep");
    let mut found = Vec::new();
    let tests =
        sources().into_iter().filter(|source| source.is_in("tests/") && !source.is_in("tests/harness/until.rs"));
    for source in tests.filter(|source| !source.is_in("tests/workers") && !source.is_in("tests/slow")) {
        for (line, number) in source.text.lines().zip(1..) {
            if line.contains(sleep) {
                found.push(format!("{}:{number}", source.path));
            }
        }
    }
    assert_none("sleeps", &found);
}

#[test]
fn no_path_of_a_machine_and_no_host_is_written_down() {
    let words = [concat!("/wo", "rk/"), concat!("/tmp", "/wt"), concat!("/ho", "me/"), concat!("/Us", "ers/")];
    let mut found = Vec::new();
    for source in sources() {
        for (line, number) in source.text.lines().zip(1..) {
            if words.iter().any(|word| line.contains(word)) {
                found.push(format!("{}:{number}: {}", source.path, line.trim()));
            }
        }
    }
    assert_none("paths of a machine", &found);
}

#[test]
fn names_say_something() {
    let empty = ["utils", "util", "helpers", "helper", "common", "misc", "prelude"];
    let found = sources()
        .into_iter()
        .map(|source| source.path)
        .filter(|path| path.trim_end_matches(".rs").split('/').any(|part| empty.contains(&part)));
    assert_none("names that say nothing", &found.collect::<Vec<_>>());
}
