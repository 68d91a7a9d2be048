//! What the checks need to know of the world besides the file. A parameter, so that a test (or a program that embeds
//! the supervisor) can set it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use rustix::thread::CpuSet;

use crate::trust::{self, Doubt};

/// Where the pipeline file is checked.
#[derive(Clone, Debug)]
pub struct Surroundings {
    /// The folder of the running `brigade`: bare program names are looked up here first.
    pub bin_dir: PathBuf,
    /// `PATH`: where they are looked up then.
    pub path: Option<OsString>,
    /// The working directory of stages that name none, absolute. Relative paths of the command line start here.
    pub cwd: PathBuf,
    /// What `replicas = "cpus"` means, at least 1.
    pub cpus: u16,
    /// The cores on which this process may run, ascending.
    pub cores: Vec<u16>,
    /// The user as whom the supervisor runs.
    pub euid: u32,
    /// Its place in the line for processors, -20 to 19.
    pub nice: i32,
    /// Root may run what others can change (`--allow-writable`).
    pub allow_writable: bool,
}

impl Surroundings {
    /// Those of this process.
    pub fn of_this_process() -> Self {
        let cwd = std::env::current_dir().unwrap_or_else(|_| PathBuf::from("/"));
        let exe = std::env::current_exe().ok();
        let bin_dir = exe.as_ref().and_then(|exe| exe.parent()).map_or_else(|| cwd.clone(), PathBuf::from);
        let cpus = std::thread::available_parallelism().map_or(1, |cpus| u16::try_from(cpus.get()).unwrap_or(u16::MAX));
        Self {
            bin_dir,
            path: std::env::var_os("PATH"),
            cwd,
            cpus,
            cores: cores(),
            euid: rustix::process::geteuid().as_raw(),
            nice: rustix::process::getpriority_process(None).unwrap_or(0),
            allow_writable: false,
        }
    }

    /// The same, but root may run what others can change if this says so.
    #[must_use]
    pub fn allow_writable(self, allow_writable: bool) -> Self {
        Self { allow_writable, ..self }
    }

    /// Why root should not believe what lies at a path: somebody who is neither root nor `user` could have written it.
    /// `None`: nothing is wrong with it, or nobody runs as root, or all this is allowed.
    pub(super) fn doubt(&self, path: &Path, user: Option<u32>) -> Option<Doubt> {
        if !self.is_root() || self.allow_writable {
            return None;
        }
        let owners: Vec<u32> = std::iter::once(0).chain(user).collect();
        trust::doubt(path, &owners)
    }

    /// Whether the supervisor runs as root.
    pub fn is_root(&self) -> bool {
        self.euid == 0
    }
}

fn cores() -> Vec<u16> {
    let Ok(set) = rustix::thread::sched_getaffinity(None) else { return Vec::new() };
    (0..=u16::MAX)
        .take_while(|core| usize::from(*core) < CpuSet::MAX_CPU)
        .filter(|core| set.is_set((*core).into()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_a_folder_and_a_cpu() {
        let here = Surroundings::of_this_process();
        assert!(here.bin_dir.is_dir() && here.bin_dir.is_absolute());
        assert!(here.cwd.is_absolute());
        assert!(here.cpus >= 1);
        assert!(!here.cores.is_empty());
    }
}
