//! The kin of a run: all processes that descend from it, and their end when its supervisor is dead. Without it, a child
//! that a worker has put into a session of its own would go on after a SIGKILL of the supervisor, and hold what the next
//! run wants.
//!
//! When a process dies, its children lose the parent by whom they would be known. So all that are found are first
//! stopped (SIGSTOP), and looked for again until nobody new is found; only then are they killed. A signal goes by pidfd,
//! and only after the process that it names was looked at once more: never to a stranger who got the pid in between.

pub mod cookie;
mod hold;
pub mod process;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::time::{Duration, Instant};

use brigade_protocol::crash_point;

use self::cookie::{Bearer, Cookie};
use self::hold::Held;
use self::process::Process;

/// How long the keeper of the run, or of one inside of it, is left to do its work: it may know groups that nobody else
/// does. It ends by itself.
const KEEPER_GRACE: Duration = Duration::from_millis(500);
/// Between two looks.
const NAP: Duration = Duration::from_millis(5);
/// How many looks in a row must find nobody. One is not enough: in the middle of the start of a program its environment
/// cannot be read.
const EMPTY_LOOKS: u32 = 2;

/// By what the kin of a run are known, beside their descent.
#[derive(Clone, Debug)]
pub struct Kin {
    /// They carry it in their environment.
    pub cookie: Cookie,
    /// None of them started before: the start of the supervisor, in clock ticks ([`Process::start`]).
    pub since: u64,
    /// Groups whose leaders had not been reaped when the supervisor died …
    pub groups: BTreeSet<i32>,
    /// … and when that was, in clock ticks. A group of that number whose processes all started later is a stranger's.
    pub until: u64,
}

/// What came of their end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ended {
    /// How many were killed and are gone.
    pub gone: usize,
    /// Those who were killed and did not end in time.
    pub left: BTreeSet<i32>,
    /// Those whom this user may not signal.
    pub refused: BTreeSet<i32>,
}

/// Why somebody is kin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Why {
    Cookie,
    Keeper,
    Group,
    Child,
}

impl Kin {
    /// Ends all of them, and waits until they are gone, `patience` at most. Never this process, nor those from whom it
    /// descends.
    ///
    /// # Errors
    /// `/proc` cannot be read, or no process can be got hold of.
    pub fn end_all(&self, patience: Duration) -> io::Result<Ended> {
        let begun = Instant::now();
        let mut ended = Ended::default();
        let mut empty_looks = 0;
        loop {
            let mut held: Vec<Held> = Vec::new();
            let waits_for_keeper = loop {
                let found = self.look()?;
                let is_keeper = |why| why == Why::Keeper && begun.elapsed() < KEEPER_GRACE;
                let others = found.iter().filter(|(_, why)| !is_keeper(*why)).copied().collect::<Vec<_>>();
                if !self.hold(&others, &mut held, &mut ended.refused)? || begun.elapsed() > patience {
                    break others.len() < found.len();
                }
            };
            empty_looks = if held.is_empty() && !waits_for_keeper { empty_looks + 1 } else { 0 };
            // Children before those by whom they are known: who dies in the middle of this leaves nobody behind whom the
            // next one could not find.
            for one in held.iter().rev() {
                one.kill();
                crash_point!("kin_killed");
            }
            ended.left.clear();
            for one in &held {
                if one.is_gone_by(begun + patience) {
                    ended.gone += 1;
                } else {
                    ended.left.insert(one.process.pid);
                }
            }
            if empty_looks == EMPTY_LOOKS || begun.elapsed() > patience {
                return Ok(ended);
            }
            std::thread::sleep(NAP);
        }
    }

    /// Stops those who are not held yet. Gives whether there were any: then there may be more.
    fn hold(&self, found: &[(Process, Why)], held: &mut Vec<Held>, refused: &mut BTreeSet<i32>) -> io::Result<bool> {
        let mut is_new = false;
        let known: HashSet<(i32, u64)> = held.iter().map(|one| (one.process.pid, one.process.start)).collect();
        for (process, why) in found {
            if known.contains(&(process.pid, process.start)) || refused.contains(&process.pid) {
                continue;
            }
            match Held::take(*process, |now| self.is_still(now, *why)) {
                Ok(Some(one)) => {
                    held.push(one);
                    is_new = true;
                }
                Ok(None) => {}
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => is_new |= refused.insert(process.pid),
                // No descriptors left: these first, the others in the next round.
                Err(_) if !held.is_empty() => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        Ok(is_new)
    }

    /// All of them that live at present, parents before their children.
    fn look(&self) -> io::Result<Vec<(Process, Why)>> {
        let all = process::all()?;
        let spared = own_line(&all);
        // The number of a group is not given again while anybody is in it, be it a zombie.
        let is_known = |process: &&Process| process.start <= self.until && self.groups.contains(&process.group);
        let groups: HashSet<i32> = all.iter().filter(is_known).map(|process| process.group).collect();
        let able: Vec<&Process> = all
            .iter()
            .filter(|process| process.lives && process.start >= self.since && !spared.contains(&process.pid))
            .collect();
        let mut found = Vec::new();
        for process in &able {
            let why = match self.cookie.borne_by(&process.environ()) {
                Some(Bearer::Member) => Why::Cookie,
                Some(Bearer::Keeper) => Why::Keeper,
                None if groups.contains(&process.group) => Why::Group,
                None => continue,
            };
            found.push((**process, why));
        }
        let mut starts: HashMap<i32, u64> = found.iter().map(|(process, _)| (process.pid, process.start)).collect();
        loop {
            // Nobody is older than a parent: one who seems to be has lost it, and another got its number.
            let is_child = |process: &Process| starts.get(&process.parent).is_some_and(|start| *start <= process.start);
            let of_age = able.iter().filter(|process| !starts.contains_key(&process.pid) && is_child(process));
            let children: Vec<Process> = of_age.map(|process| **process).collect();
            if children.is_empty() {
                return Ok(found);
            }
            starts.extend(children.iter().map(|child| (child.pid, child.start)));
            found.extend(children.into_iter().map(|child| (child, Why::Child)));
        }
    }

    /// Whether what made it one of them still holds, as far as that can have changed since it was seen.
    fn is_still(&self, process: &Process, why: Why) -> bool {
        match why {
            Why::Cookie | Why::Keeper => self.cookie.borne_by(&process.environ()).is_some(),
            Why::Group => self.groups.contains(&process.group),
            Why::Child => true,
        }
    }
}

/// This process, and all from whom it descends.
fn own_line(all: &[Process]) -> HashSet<i32> {
    let parents: HashMap<i32, i32> = all.iter().map(|process| (process.pid, process.parent)).collect();
    let own = nix::unistd::getpid().as_raw();
    let mut line = HashSet::new();
    let mut next = Some(own);
    while let Some(pid) = next.filter(|pid| line.insert(*pid)) {
        next = parents.get(&pid).copied();
    }
    line
}

#[cfg(test)]
mod tests;
