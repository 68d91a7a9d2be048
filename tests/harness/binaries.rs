//! Finds the binaries of the build that a test belongs to, and has those built that `cargo test` does not build by
//! itself. Without it the tests would need a build beforehand, and could test an old one.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The workspace's folder.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests lie in the workspace")
}

/// The path of a built program, such as `brigade`.
pub fn binary(name: &str) -> PathBuf {
    folder().join(name)
}

/// The folder of the built programs. The first call builds what is not fresh.
///
/// # Panics
///
/// When the build fails.
pub fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let exe = std::env::current_exe().expect("a test knows its own path");
        // …/target/PROFILE/deps/e2e-0123456789abcdef
        let folder = exe.ancestors().nth(2).expect("a test lies in the folder deps of a profile's folder").to_owned();
        build(&folder);
        folder
    })
}

fn build(folder: &Path) {
    // nextest starts a process for every test: one of them asks cargo, the others see that it was asked.
    let stamp = std::env::var("NEXTEST_RUN_ID").ok().map(|run| folder.join(format!(".brigade-built-{run}")));
    if stamp.as_ref().is_some_and(|stamp| stamp.exists()) {
        return;
    }
    let profile = match folder.file_name().and_then(|name| name.to_str()) {
        None | Some("debug") => "dev",
        Some(name) => name,
    };
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| env!("CARGO").into()));
    cargo.current_dir(workspace()).args(["build", "--quiet", "--bins", "-p", "brigade", "-p", "brigade-examples"]);
    cargo.args(["--profile", profile, "--target-dir"]).arg(folder.parent().expect("a profile lies in target"));
    let status = cargo.status().expect("cargo starts");
    assert!(status.success(), "cannot build what is to be tested: {cargo:?}");
    assert!(folder.join("brigade").exists(), "the build left no brigade in {}", folder.display());
    if let Some(stamp) = stamp {
        std::fs::write(stamp, "").expect("the folder of the build can be written");
    }
}
