//! Who lives on this machine, as `/proc` tells it. Without it, nobody could be found who is not our child.

use std::io;

/// A process, as it was when it was looked at. Its pid and its start name it: the pid alone may be given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group's.
    pub group: i32,
    /// When it started: clock ticks since the machine did.
    pub start: u64,
    /// It is not merely waiting to be reaped.
    pub lives: bool,
}

impl Process {
    /// The process of this number.
    pub fn of(pid: i32) -> Option<Self> {
        parse(pid, &std::fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The environment that it was started with. Empty if this user may not read it, and for an instant in the middle
    /// of the start of a program.
    pub fn environ(&self) -> Vec<u8> {
        std::fs::read(format!("/proc/{}/environ", self.pid)).unwrap_or_default()
    }
}

/// Whether `/proc` tells of those whom our numbers mean.
///
/// # Errors
/// There is none, or it is that of another PID namespace.
pub fn check() -> io::Result<()> {
    let own = nix::unistd::getpid().to_string();
    if std::fs::read_link("/proc/self")?.as_os_str() != own.as_str() {
        return Err(io::Error::other("/proc belongs to another PID namespace"));
    }
    Ok(())
}

/// All processes that can be seen. One that was there before the call and still is after it is among them.
///
/// # Errors
/// As [`check`], or `/proc` cannot be read.
pub fn all() -> io::Result<Vec<Process>> {
    check()?;
    let pids = std::fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    Ok(pids.filter_map(Process::of).collect())
}

/// How many clock ticks, the unit of times in `/proc`, a second has.
pub fn ticks_per_second() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    let per_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().and_then(|ticks| u64::try_from(ticks).ok());
    per_second.unwrap_or(100).max(1)
}

/// The time, in the unit of [`Process::start`].
pub fn now() -> u64 {
    let per_second = ticks_per_second();
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let [seconds, nanos] = [time.tv_sec, time.tv_nsec].map(|part| u64::try_from(part).unwrap_or(0));
    seconds * per_second + nanos * per_second / 1_000_000_000
}

fn parse(pid: i32, stat: &[u8]) -> Option<Process> {
    // The name stands in parentheses and can hold any byte.
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let fields: Vec<&str> = std::str::from_utf8(&stat[end + 1..]).ok()?.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3); // Counted as proc(5) does.
    // A process goes on without its first thread, which is then shown as dead.
    let threads: i64 = field(20)?.parse().ok()?;
    Some(Process {
        pid,
        parent: field(4)?.parse().ok()?,
        group: field(5)?.parse().ok()?,
        start: field(22)?.parse().ok()?,
        lives: !matches!(*field(3)?, "Z" | "X") || threads > 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_among_all_and_started_before_now() {
        let own = nix::unistd::getpid().as_raw();
        let found = all().expect("there is a /proc").into_iter().find(|process| process.pid == own).expect("we live");
        assert_eq!(found.parent, nix::unistd::getppid().as_raw());
        assert_eq!(found.group, nix::unistd::getpgrp().as_raw());
        assert!(found.lives && found.start > 0 && found.start <= now());
        assert_eq!(Process::of(own).map(|process| process.start), Some(found.start));
        assert_eq!(found.environ().is_empty(), std::env::vars_os().next().is_none());
    }

    #[test]
    fn a_start_is_told_in_the_unit_of_now() {
        let before = now();
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep starts");
        let pid = i32::try_from(child.id()).expect("pids are small");
        let start = Process::of(pid).expect("it lives").start;
        child.kill().and_then(|()| child.wait()).expect("killed");
        assert_eq!(Process::of(pid), None);
        assert!((before..=now()).contains(&start), "{before} {start} {}", now());
    }

    #[test]
    fn no_name_hides_a_process() {
        let stat = |name: &[u8], rest: &str| [b"43 (", name, b") ", rest.as_bytes()].concat();
        let rest = "S 7 42 42 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 3 0 8151 1 1";
        for name in [&b"sh"[..], b"a) R 1 (b", b"", b") ", b"\xff\n\xfe"] {
            let process = parse(43, &stat(name, rest)).expect("it makes sense");
            assert_eq!(process, Process { pid: 43, parent: 7, group: 42, start: 8151, lives: true });
        }
        let zombie = rest.replacen('S', "Z", 1);
        assert!(parse(43, &stat(b"x", &zombie)).expect("it makes sense").lives, "two of its threads live");
        let last = zombie.replace(" 3 0 8151", " 1 0 8151");
        assert!(!parse(43, &stat(b"x", &last)).expect("it makes sense").lives);
        assert_eq!(parse(43, b"43 (x) S 7"), None);
    }
}
