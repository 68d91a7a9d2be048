//! The bench on which every fault of a file is tried: a folder with programs and room for one file.

mod form;
mod limits;
mod policies;
mod together;
mod values;
mod watch;
mod whole;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::config::plan::Plan;
use crate::config::{Faults, Surroundings, load};

/// A folder with programs `walk`, `hash`, `report` in `bin`, and room for a pipeline file.
struct Bench {
    folder: tempfile::TempDir,
    here: Surroundings,
}

impl Bench {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        for inner in ["bin", "path", "run", "files"] {
            std::fs::create_dir(root.join(inner)).unwrap();
        }
        for name in ["bin/walk", "bin/hash", "bin/report", "path/tool", "files/local"] {
            program(&root.join(name), 0o755);
        }
        program(&root.join("bin/readme"), 0o644);
        let path = Some(root.join("path").into_os_string());
        let here = Surroundings {
            bin_dir: root.join("bin"),
            path,
            cwd: root.join("run"),
            cpus: 3,
            cores: vec![0, 1, 2, 8],
            euid: 1000,
            nice: 0,
            allow_writable: false,
        };
        Self { folder, here }
    }

    fn root(&self) -> PathBuf {
        self.folder.path().canonicalize().unwrap()
    }

    fn load_with(&self, text: &str, sets: &[(&str, &str)]) -> Result<Plan, Faults> {
        std::fs::write(self.root().join("files/p.toml"), text).unwrap();
        let sets: Vec<_> = sets.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        load(Path::new("../files/p.toml"), &sets, &self.here)
    }

    fn load(&self, text: &str) -> Result<Plan, Faults> {
        self.load_with(text, &[])
    }

    /// Line, column, message and help of every fault, one per line, without the name of our folder.
    fn faults(&self, text: &str) -> Vec<String> {
        let faults = self.load(text).expect_err("the file has faults");
        let shown = |fault| {
            let position = faults.position(fault).map_or("-".to_owned(), |(line, column)| format!("{line}:{column}"));
            let help = fault.help.clone().unwrap_or_default();
            format!("{position} {} ({help})", fault.message).replace(&self.root().display().to_string(), "ROOT")
        };
        faults.list().iter().map(shown).collect()
    }

    /// The faults of a file whose only stage is `walk` with these lines; the first of them is line 4.
    fn stage_faults(&self, lines: &str) -> Vec<String> {
        self.faults(&format!("name = 'p'\n[stages.walk]\ncommand = ['walk']\n{lines}\n"))
    }

    /// The faults of a file with `walk` → `q` → `hash` and these lines of the queue; the first of them is line 9.
    fn queue_faults(&self, lines: &str) -> Vec<String> {
        self.faults(&format!(
            "name = 'p'\n[stages.walk]\ncommand = ['walk']\noutputs = ['q']\n[stages.hash]\ncommand = ['hash']\n\
             inputs = ['q']\n[queues.q]\n{lines}\n"
        ))
    }
}

fn program(path: &Path, mode: u32) {
    std::fs::write(path, "#!/bin/sh\n").unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}
