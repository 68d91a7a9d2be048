//! What a new process is bound to between fork and exec: whose it is, how much it may use, and that it dies with us. A step
//! that cannot be taken keeps the program from being started: a limit that is not there is worse than no worker.
//!
//! Everything here happens in a process that has only this one of our threads, in our memory or a copy of it: system calls
//! alone, no memory is asked for, no lock is taken. The calls are those of rustix, which go to the kernel directly: libc's
//! own change of user would look for the other threads.

use std::os::fd::OwnedFd;

use rustix::fs::Mode;
use rustix::io::{Errno, FdFlags, fcntl_setfd, write};
use rustix::process::{
    Pid, Resource, Rlimit, Signal, getppid, set_parent_process_death_signal, setpriority_process, setrlimit, umask,
};
use rustix::thread::{
    CpuSet, Gid, Uid, sched_setaffinity, set_no_new_privs, set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};

use crate::config::plan::Limits;

/// All that is done, ready before the fork.
#[derive(Debug)]
pub(super) struct Confine {
    parent: Option<Pid>,
    /// Where the process writes its number to belong to a control group.
    group: Option<OwnedFd>,
    nice: Option<i32>,
    cpus: Option<Box<CpuSet>>,
    rlimits: Vec<(Resource, Rlimit)>,
    umask: Option<Mode>,
    groups: Option<Vec<Gid>>,
    gid: Option<Gid>,
    uid: Option<Uid>,
    no_new_privs: bool,
    keep: Vec<OwnedFd>,
}

/// A step, so that it can be named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Step {
    Group = 1,
    Nice,
    Cpus,
    Limits,
    User,
    Privileges,
}

impl Step {
    const ALL: [Self; 6] = [Self::Group, Self::Nice, Self::Cpus, Self::Limits, Self::User, Self::Privileges];

    /// The step that this byte stands for.
    pub(super) fn of(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|step| *step as u8 == byte)
    }

    /// What could not be done, for people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::Group => "enter its control group (memory_max)",
            Self::Nice => "set nice",
            Self::Cpus => "bind it to its cpus",
            Self::Limits => "set its limits",
            Self::User => "become its user and group",
            Self::Privileges => "give up new privileges",
        }
    }
}

impl Confine {
    /// What these limits come to. `keep`: descriptors that the program is to have. `group`: see the field.
    pub(super) fn new(limits: &Limits, group: Option<OwnedFd>, keep: Vec<OwnedFd>) -> Self {
        let identity = limits.identity.as_ref();
        let limit = |(limit, bound): (&crate::config::rlimit::Rlimit, &crate::config::plan::Bound)| {
            (limit.resource(), Rlimit { current: bound.soft, maximum: bound.hard })
        };
        Self {
            parent: Some(rustix::process::getpid()),
            group,
            nice: limits.nice,
            cpus: limits.cpus.as_ref().map(|cpus| Box::new(set_of(cpus))),
            rlimits: limits.rlimits.iter().map(limit).collect(),
            umask: limits.umask.map(Mode::from_raw_mode),
            groups: identity.map(|identity| identity.groups.iter().copied().map(Gid::from_raw).collect()),
            gid: identity.map(|identity| Gid::from_raw(identity.gid)),
            uid: limits.uid().map(Uid::from_raw),
            no_new_privs: limits.no_new_privs,
            keep,
        }
    }

    /// Whether it makes the process another user's.
    pub(super) fn changes_user(&self) -> bool {
        self.groups.is_some() || self.gid.is_some() || self.uid.is_some()
    }

    /// Does all of it to this process. The step that could not be taken, if it is one that has a name.
    pub(super) fn apply(&self) -> Result<(), (Option<Step>, Errno)> {
        self.limit().map_err(|(step, error)| (Some(step), error))?;
        // Last, because a change of user clears it.
        set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| (None, error))?;
        // We may have died before the line above; then nobody would ever tell the child.
        if getppid() != self.parent {
            return Err((None, Errno::SRCH));
        }
        Ok(())
    }

    fn limit(&self) -> Result<(), (Step, Errno)> {
        let failed = |step| move |error| (step, error);
        if let Some(group) = &self.group {
            write(group, b"0").map_err(failed(Step::Group))?;
        }
        if let Some(nice) = self.nice {
            setpriority_process(None, nice).map_err(failed(Step::Nice))?;
        }
        if let Some(cpus) = &self.cpus {
            sched_setaffinity(None, cpus).map_err(failed(Step::Cpus))?;
        }
        for (resource, limit) in &self.rlimits {
            setrlimit(*resource, *limit).map_err(failed(Step::Limits))?;
        }
        if let Some(mask) = self.umask {
            umask(mask);
        }
        self.become_somebody().map_err(failed(Step::User))?;
        if self.no_new_privs {
            set_no_new_privs(true).map_err(failed(Step::Privileges))?;
        }
        Ok(())
    }

    /// Groups first and the user last: afterwards there are no rights left to change anything by.
    fn become_somebody(&self) -> Result<(), Errno> {
        if self.uid.is_some() {
            // A program may open /dev/stderr, which is this pipe again.
            for stream in [rustix::stdio::stdout(), rustix::stdio::stderr()] {
                rustix::fs::fchown(stream, self.uid, None)?;
            }
        }
        if let Some(groups) = &self.groups {
            set_thread_groups(groups)?;
        }
        if let Some(gid) = self.gid {
            set_thread_res_gid(gid, gid, gid)?;
        }
        if let Some(uid) = self.uid {
            set_thread_res_uid(uid, uid, uid)?;
        }
        Ok(())
    }

    /// Lets the program have the listed descriptors, when everything else has become close-on-exec.
    pub(super) fn keep_listed(&self) -> Result<(), Errno> {
        self.keep.iter().try_for_each(|fd| fcntl_setfd(fd, FdFlags::empty()))
    }
}

fn set_of(cpus: &[u16]) -> CpuSet {
    let mut set = CpuSet::new();
    for core in cpus {
        set.set(usize::from(*core));
    }
    set
}
