//! State folders that cannot be used: said in words, before anything is started, and nothing of others is touched.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use brigade_tests::{Ended, Run, Sandbox, until};
use nix::sys::signal::Signal;

use crate::pipelines::{endless, finite};

fn run_on(sandbox: &Sandbox, state: &Path) -> Ended {
    let mut command = sandbox.brigade(["run"]);
    command.arg(sandbox.pipeline(&finite(5, &["bucket", "pass"], ""))).arg("--state-dir").arg(state);
    Run::start(command, sandbox).wait()
}

#[test]
fn a_folder_with_other_files_is_refused_and_left_alone() {
    let sandbox = Sandbox::new();
    let folder = sandbox.path("letters");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("letter.txt"), "dear").expect("a file");
    let ended = run_on(&sandbox, &folder);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.err.contains("is not a state folder of brigade") && ended.err.contains("--state-dir"),
        "{}",
        ended.err
    );
    assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 1);
}

#[test]
fn a_path_too_long_for_sockets_is_refused_with_numbers() {
    let sandbox = Sandbox::new();
    let ended = run_on(&sandbox, &sandbox.path(&"x".repeat(100)));
    assert_eq!(ended.code, Some(1));
    assert!(ended.err.contains("bytes long") && ended.err.contains("name a shorter one"), "{}", ended.err);
}

#[test]
fn a_file_in_place_of_the_folder_is_an_error_that_names_it() {
    let sandbox = Sandbox::new();
    let file = sandbox.write("file", "content");
    for path in [file.clone(), file.join("below")] {
        let ended = run_on(&sandbox, &path);
        assert_eq!(ended.code, Some(1));
        assert!(ended.err.contains(&path.display().to_string()), "{}", ended.err);
    }
    assert_eq!(std::fs::read_to_string(&file).expect("it is there"), "content");
}

#[test]
fn the_state_folder_is_private() {
    let sandbox = Sandbox::new();
    let mut run = sandbox.run(&endless(""));
    until("items flow", || sandbox.ledger().count("kept") > 5);
    let mode = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!(mode(&sandbox.state()), 0o700);
    assert_eq!(mode(&sandbox.state().join("control.sock")), 0o600);
    run.signal(Signal::SIGTERM);
    run.wait().with_code(0);
}
