//! Control groups: a bound on the memory of a worker and of all that it starts, kept by the kernel. Where such groups are
//! not given to us, that is said; without this a limit would be believed in that nobody keeps.
//!
//! Only version 2 of control groups will do, and only a part of the tree that is ours: as root on most machines, or under
//! a manager that delegates (`Delegate=yes` in a unit of systemd). The kernel keeps limits in groups without processes of
//! their own, hence two kinds of groups below the one that we were started in:
//!
//! ```text
//! brigade-PID-supervisor        we ourselves, moved there
//! brigade-PID-STAGE-N-RUN       one per run of a worker; gone with it
//! ```

use std::fs::{self, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// The groups of one supervisor. Dropped, those that are empty are removed.
#[derive(Debug)]
pub struct Groups {
    base: PathBuf,
    prefix: String,
    /// Groups that could not be removed yet: something that a worker has left behind still lives in them.
    left: Vec<PathBuf>,
}

/// The group of one run of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    path: PathBuf,
}

/// Where our own group lies, and why no other can be made there, in words.
fn base() -> Result<PathBuf, String> {
    let read = |path: &str| fs::read_to_string(path).map_err(|error| format!("{path} cannot be read: {error}"));
    place(&read("/proc/self/cgroup")?, &read("/proc/self/mountinfo")?)
}

/// The folder of a process's group of version 2, from what `/proc` says of its groups and of what is mounted.
fn place(groups: &str, mounts: &str) -> Result<PathBuf, String> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::"));
    let own = own.ok_or("this machine has no control groups of version 2")?;
    let mount = mounts.lines().find_map(|line| {
        let (before, after) = line.split_once(" - ")?;
        let mut fields = before.split(' ').skip(3);
        after.starts_with("cgroup2 ").then_some((fields.next()?, fields.next()?))
    });
    let (root, point) = mount.ok_or("control groups of version 2 are not mounted")?;
    let below = Path::new(own).strip_prefix(root).unwrap_or(Path::new(own).strip_prefix("/").unwrap_or(Path::new("")));
    Ok(Path::new(point).join(below))
}

/// Whether memory can be bound for groups below `base`; else why not.
fn look_at(base: &Path) -> Result<(), String> {
    let place = base.display();
    let read = |name: &str| fs::read_to_string(base.join(name)).map_err(|error| format!("{place}/{name}: {error}"));
    if !read("cgroup.controllers")?.split_whitespace().any(|controller| controller == "memory") {
        return Err(format!("memory is not under control in the control group {place}"));
    }
    for name in ["", "cgroup.procs", "cgroup.subtree_control"] {
        rustix::fs::access(base.join(name), rustix::fs::Access::WRITE_OK)
            .map_err(|error| format!("the control group {place} is not ours: {error}"))?;
    }
    Ok(())
}

/// Why `memory_max` cannot be kept where this process runs; `None`: as far as can be seen, it can.
pub fn obstacle() -> Option<String> {
    base().and_then(|base| look_at(&base)).err()
}

impl Groups {
    /// Makes ready for groups below our own, by moving into one of them.
    ///
    /// # Errors
    /// Why that cannot be done, in words.
    pub fn begin() -> Result<Self, String> {
        Self::below(base()?, std::process::id())
    }

    fn below(base: PathBuf, pid: u32) -> Result<Self, String> {
        look_at(&base)?;
        remove_old(&base);
        let groups = Self { base, prefix: format!("brigade-{pid}"), left: Vec::new() };
        let failed = |what: &str, error: &io::Error| format!("cannot {what} {}: {error}", groups.base.display());
        let control = groups.base.join("cgroup.subtree_control");
        let is_on = |text: String| text.split_whitespace().any(|controller| controller == "memory");
        if !fs::read_to_string(&control).is_ok_and(is_on) {
            let ours = groups.supervisor();
            fs::create_dir(&ours).map_err(|error| failed("make a group in", &error))?;
            fs::write(ours.join("cgroup.procs"), pid.to_string())
                .map_err(|error| failed("move to a group of our own in", &error))?;
            fs::write(&control, "+memory")
                .map_err(|error| failed("bind memory below, as other processes may be in it as well:", &error))?;
        }
        Ok(groups)
    }

    fn supervisor(&self) -> PathBuf {
        self.base.join(format!("{}-supervisor", self.prefix))
    }

    /// A group for one run of a worker, and where its process enters it (by writing `0`).
    ///
    /// # Errors
    /// The kernel refuses.
    pub fn make(&self, stage: &str, replica: u16, run: u32, memory_max: u64) -> io::Result<(Group, OwnedFd)> {
        let path = self.base.join(format!("{}-{stage}-{replica}-{run}", self.prefix));
        fs::create_dir(&path)?;
        let made = (|| {
            fs::write(path.join("memory.max"), memory_max.to_string())?;
            // All of the worker goes or none: half of a process tree is of no use. An old kernel does not know it.
            let _ = fs::write(path.join("memory.oom.group"), "1");
            OpenOptions::new().write(true).open(path.join("cgroup.procs"))
        })();
        match made {
            Ok(entrance) => Ok((Group { path }, entrance.into())),
            Err(error) => {
                let _ = fs::remove_dir(&path);
                Err(error)
            }
        }
    }

    /// Ends a group whose worker is gone. Whether the kernel killed something in it for lack of memory.
    pub fn end(&mut self, group: Group) -> bool {
        let events = fs::read_to_string(group.path.join("memory.events")).unwrap_or_default();
        if fs::remove_dir(&group.path).is_err() {
            self.left.push(group.path);
        }
        oom_kills(&events) > 0
    }
}

/// Removes groups of supervisors that are no more, as far as nobody lives in them.
fn remove_old(base: &Path) {
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix("brigade-")?.split('-').next()?.parse::<u32>().ok());
        if pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists()) {
            let _ = fs::remove_dir(entry.path());
        }
    }
}

fn oom_kills(events: &str) -> u64 {
    let count = events.lines().find_map(|line| line.strip_prefix("oom_kill "));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

impl Drop for Groups {
    fn drop(&mut self) {
        for path in &self.left {
            let _ = fs::remove_dir(path);
        }
        // Back to where we were started, as far as that takes us: a group with limits below takes no processes again.
        let ours = self.supervisor();
        if ours.exists() && fs::write(self.base.join("cgroup.subtree_control"), "-memory").is_ok() {
            let _ = fs::write(self.base.join("cgroup.procs"), std::process::id().to_string());
            let _ = fs::remove_dir(ours);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder that looks like a control group. What the kernel would add to new groups, a test adds.
    fn tree(controllers: &str) -> tempfile::TempDir {
        let base = tempfile::tempdir().expect("a folder");
        for (name, content) in
            [("cgroup.controllers", controllers), ("cgroup.procs", ""), ("cgroup.subtree_control", "")]
        {
            fs::write(base.path().join(name), content).expect("written");
        }
        base
    }

    #[test]
    fn our_group_is_found_wherever_the_tree_is_mounted() {
        let mounts = "24 1 0:22 / /proc rw - proc proc rw\n30 1 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let found = place("1:name=x:/a\n0::/system.slice/b.service\n", mounts);
        assert_eq!(found, Ok(PathBuf::from("/sys/fs/cgroup/system.slice/b.service")));
        assert_eq!(place("0::/\n", mounts), Ok(PathBuf::from("/sys/fs/cgroup/")));
        let bound = "30 1 0:26 /docker/7 /sys/fs/cgroup ro - cgroup2 cgroup rw\n";
        assert_eq!(place("0::/docker/7/sub\n", bound), Ok(PathBuf::from("/sys/fs/cgroup/sub")));
        assert!(place("4:memory:/a\n", mounts).expect_err("version 1 alone").contains("version 2"));
        assert!(place("0::/\n", "").expect_err("not there").contains("not mounted"));
    }

    #[test]
    fn where_memory_is_not_under_control_that_is_said() {
        let base = tree("cpu pids");
        let words = Groups::below(base.path().to_owned(), 7).expect_err("refused");
        assert!(words.contains("memory is not under control in the control group"), "{words}");
        let words = look_at(Path::new("/proc/no/such/group")).expect_err("refused");
        assert!(words.contains("cgroup.controllers"), "{words}");
    }

    #[test]
    fn a_worker_gets_a_group_with_its_limit_and_its_end_tells_of_kills() {
        let base = tree("cpu memory pids");
        let (old, living) = (base.path().join("brigade-4194305-a-0-1"), base.path().join("brigade-1-a-0-1"));
        fs::create_dir(&old).expect("made");
        fs::create_dir(&living).expect("made");
        let mut groups = Groups::below(base.path().to_owned(), 7).expect("ready");
        let ours = base.path().join("brigade-7-supervisor");
        assert_eq!(fs::read_to_string(ours.join("cgroup.procs")).expect("there"), "7");
        assert_eq!(fs::read_to_string(base.path().join("cgroup.subtree_control")).expect("there"), "+memory");
        assert!(!old.exists() && living.exists(), "no process has a number above 4194304");
        let path = base.path().join("brigade-7-hash-0-3");
        groups.make("hash", 0, 3, 1 << 20).expect_err("no kernel has put cgroup.procs there");
        fs::remove_dir_all(&path).expect("it holds the files that we wrote");
        for (events, killed) in [("low 0\noom 2\noom_kill 1\n", true), ("oom 0\noom_kill 0\n", false), ("", false)] {
            fs::create_dir_all(&path).expect("made");
            fs::write(path.join("memory.events"), events).expect("written");
            assert_eq!(groups.end(Group { path: path.clone() }), killed, "{events}");
        }
        assert_eq!(groups.left.len(), 3, "what is not empty is kept for later");
    }
}
