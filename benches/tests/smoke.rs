//! The benches run: each part of the program, at its quickest. What they measure is looked at by people.

use std::path::Path;
use std::process::{Command, Output};

fn benches(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_brigade-benches")).args(args).output().expect("it starts")
}

/// Measures these cases, each of whose contestants named Brigade must have come to a number.
fn measures(cases: &[&str]) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (json, plots) = (folder.path().join("all.json"), folder.path().join("plots"));
    let words = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (json_path, plots_path) = (words(&json), words(&plots));
    let mut args = vec!["--quick", "--json", &json_path, "--plots", &plots_path];
    args.extend(cases);
    let output = benches(&args);
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{said}");
    let outcomes: serde_json::Value =
        serde_json::from_slice(&std::fs::read(json).expect("it was written")).expect("JSON");
    let outcomes = outcomes.as_array().expect("a list");
    assert_eq!(outcomes.len(), cases.len(), "{said}");
    for outcome in outcomes {
        let rows = outcome["rows"].as_array().expect("a list");
        let ours = rows.iter().filter(|row| row["name"].as_str().is_some_and(|name| name.starts_with("Brigade")));
        assert!(ours.clone().count() > 0 && ours.clone().all(|row| row["median"].as_f64() > Some(0.0)), "{said}");
        let plot = plots.join(format!("{}.svg", outcome["id"].as_str().expect("a name")));
        assert!(std::fs::read_to_string(plot).expect("it was drawn").starts_with("<svg"));
    }
}

#[test]
fn pairs_and_lines_are_measured() {
    measures(&["one-1KiB", "place-1MiB", "hand-on"]);
}

#[test]
fn trips_tasks_state_and_starts_are_measured() {
    measures(&["trip-awake", "trip-asleep", "tasks", "log", "map-insert", "start", "idle"]);
}

#[test]
fn cases_are_listed_and_one_that_is_not_there_is_told() {
    let listed = benches(&["--list"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().count() > 20 && listed.contains("one-64B "), "{listed}");
    for (args, words) in
        [(["nothing"], "--list shows them"), (["--json"], "not followed by a path"), (["-x"], "usage:")]
    {
        let output = benches(&args);
        assert_eq!(output.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&output.stderr).contains(words), "{args:?}");
    }
}
