//! Who lives: the processes of a run, found in `/proc` by what they inherited, so that grandchildren and those in a
//! session of their own are found as well.

use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// A living process of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's.
    pub parent: i32,
    /// Its process group's.
    pub group: i32,
    /// `R`, `S`, `T`, `Z`, …
    pub state: char,
    /// Such as `hash/0`; of a grandchild, the worker it comes from.
    pub worker: String,
    /// Its program and arguments.
    pub command: String,
}

/// All workers of the run on this state folder, and all that they have started. Not the supervisor.
pub fn processes_of(state: &Path) -> Vec<Process> {
    let mut door = b"BRIGADE_DOOR=".to_vec();
    door.extend(state.as_os_str().as_bytes());
    let all = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| {
        let env = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
        let mut vars = env.split(|byte| *byte == 0);
        vars.clone().find(|var| var.starts_with(&door) && var.get(door.len()) == Some(&b'/'))?;
        let worker = vars.find_map(|var| var.strip_prefix(b"BRIGADE_WORKER=")).unwrap_or_default();
        let command = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        let (state, parent, group) = stat(pid)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).replace('\0', " ").trim().to_owned();
        Some(Process { pid, parent, group, state, worker: text(worker), command: text(&command) })
    })
    .filter(|process| process.state != 'Z')
    .collect()
}

/// The keeper of this supervisor.
pub fn keeper_of(supervisor: i32) -> Option<i32> {
    let all = std::fs::read_dir("/proc").expect("there is a /proc").flatten();
    let mut pids = all.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.find(|pid| {
        let is_child = stat(*pid).is_some_and(|(state, parent, _)| parent == supervisor && state != 'Z');
        is_child && std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|words| words == b"brigade\0keeper\0")
    })
}

/// Whether a process of this number is there and is no zombie.
pub fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|(state, _, _)| state != 'Z')
}

/// State, parent and group.
fn stat(pid: i32) -> Option<(char, i32, i32)> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and can hold any character.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
}
