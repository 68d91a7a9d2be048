//! The plan: what the supervisor believes after `check`. Nothing wrong can be written down in it, so nothing
//! behind it has to check again.

pub mod difference;
mod exits;
mod group;
mod limits;
mod ready;
mod watch;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use brigade_protocol::queue::Geometry;
use brigade_protocol::retry::RetryPolicy;
use serde::Serialize;

pub use self::exits::{ExitCode, Exits};
pub use self::group::{Group, Strategy};
pub use limits::{Bound, Identity, Limits, User};
pub use ready::Readiness;
pub use watch::Watch;

/// Workers of a whole pipeline, at most: posts are numbered in 16 bits.
pub const MOST_WORKERS: u64 = 60_000;
/// Workers of one stage, at most.
pub const MOST_REPLICAS: u16 = 4_096;
/// Handler threads at one queue, at most: each has a place in its shared table of members.
pub const MOST_MEMBERS: u64 = 4_000;

/// Index of a stage in [`Plan::stages`].
pub type StageIx = usize;
/// Index of a queue in [`Plan::queues`].
pub type QueueIx = usize;

/// A whole pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Its name: letters, digits, `-`, `_`; at most 64 bytes. Names the default state folder.
    pub name: String,
    /// The pipeline file, absolute.
    pub file: PathBuf,
    /// How long a drain may take before the rest is left in the queues.
    pub drain_timeout: Duration,
    /// A run that would end with exit code 0 ends with a code of its own if items became dead letters in it. Default true.
    pub fail_on_dead_letters: bool,
    /// At so many dead letters the run stops; `None`: never. The default.
    pub max_dead_letters: Option<u64>,
    /// What follows when workers wait for each other and none can continue. Default: it is told, and nothing else.
    pub on_standstill: OnStandstill,
    /// How much of what is said is kept.
    pub logs: LogPlan,
    /// In the order of the file.
    pub queues: Vec<QueuePlan>,
    /// In the order of the file.
    pub stages: Vec<StagePlan>,
    /// In the order of the file.
    pub groups: Vec<Group>,
    /// Sets of stages that feed each other in a circle (a stage that feeds itself is one as well). Their queues
    /// end together, when everything outside that feeds them is complete and all of them are idle at once.
    pub loops: Vec<Loop>,
}

impl Plan {
    /// The group that a stage is in.
    pub fn group_of(&self, stage: StageIx) -> Option<&Group> {
        self.groups.iter().find(|group| group.stages.contains(&stage))
    }

    /// How much shared memory its queues take while no item is larger than `item_bytes`.
    pub fn inline_bytes(&self) -> u64 {
        self.queues.iter().map(|queue| queue.geometry().layout().large as u64).sum()
    }
}

impl QueuePlan {
    /// The numbers that its file is made with.
    pub fn geometry(&self) -> Geometry {
        Geometry {
            capacity: self.capacity,
            item_bytes: self.item_bytes,
            max_item_bytes: self.max_item_bytes,
            max_deliveries: self.max_deliveries,
        }
    }

    /// When its items that fail come again.
    pub fn retry(&self) -> RetryPolicy {
        RetryPolicy { delay: self.retry_delay, longest: self.retry_delay_max }
    }
}

/// How much of what workers and the supervisor say is kept, and what happens when it cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LogPlan {
    /// A file that would become longer is put aside. 4 KiB to 1 GiB. Default 16 MiB.
    pub max_file_bytes: u64,
    /// So is one that was begun this long ago. Default 1 day.
    pub max_file_age: Duration,
    /// Files of each stage that were put aside and are kept. 1 to 100,000. Default 20.
    pub keep_files: u32,
    /// How long they are kept after their last line. Default 30 days.
    pub keep_age: Duration,
    /// Bytes of all files together, of which only those that are written to are never removed. 64 KiB to 16 TiB. Default
    /// 1 GiB.
    pub max_total_bytes: u64,
    /// Files that were put aside are compressed. Default true.
    pub compress: bool,
    /// How long workers wait in their writes while their log cannot be written, before lines are dropped and counted.
    /// Default 10 s.
    pub write_timeout: Duration,
}

/// Stages and queues of one circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Loop {
    /// Its stages.
    pub stages: Vec<StageIx>,
    /// The queues that both come from and go to its stages.
    pub queues: Vec<QueueIx>,
}

/// One queue.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct QueuePlan {
    /// Its name: letters, digits, `-`, `_`; at most 64 bytes.
    pub name: String,
    /// Items that are not free, at most. 1 to 16,777,216. Default 1,024.
    pub capacity: u32,
    /// Bytes of an item that are kept inline. 16 B to 1 MiB. Default 1 KiB.
    pub item_bytes: u32,
    /// The largest item that may be sent. `item_bytes` to 1 GiB. Default 64 KiB (or `item_bytes`, if that is more).
    pub max_item_bytes: u32,
    /// After this many deliveries an item becomes a dead letter; `None`: never. Default 5.
    pub max_deliveries: Option<u16>,
    /// Wait before an item that failed comes again; doubles from there. 0 to 24 h. Default 0: at once.
    pub retry_delay: Duration,
    /// The longest such wait. `retry_delay` to 24 h. Default 5 min (or `retry_delay`, if that is more).
    pub retry_delay_max: Duration,
    /// Stages that send to it. Never empty.
    pub producers: Vec<StageIx>,
    /// Stages that take from it. Never empty.
    pub consumers: Vec<StageIx>,
    /// A later version of the file has not got it any more; its number stays taken, and nobody uses it.
    #[serde(skip)]
    pub removed: bool,
}

/// What follows when workers wait for each other and none can continue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum OnStandstill {
    /// It is told by `status`, the log and the report, and the run continues. The default.
    Report,
    /// The run ends; items stay in the queues.
    End,
}

/// When an exit leads to another start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum RestartPolicy {
    /// After every exit.
    Permanent,
    /// Unless it ended well ([`Exits::success`]) or was asked to stop. The default.
    Transient,
    /// Never.
    Temporary,
}

/// One stage: a command, and how many processes run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StagePlan {
    /// Its name: letters, digits, `-`, `_`; at most 64 bytes.
    pub name: String,
    /// The program, absolute; it exists and may be executed.
    pub program: PathBuf,
    /// Its arguments, without the program.
    pub args: Vec<String>,
    /// Added to the environment.
    pub env: BTreeMap<String, String>,
    /// Working directory, absolute.
    pub cwd: PathBuf,
    /// Processes, 1 to 4,096. Default 1.
    pub replicas: u16,
    /// Handler threads in each, 1 to 1,024. Default 1.
    pub threads: u16,
    /// Items that one commit covers at most, 1 to 4,096. Default 1. Several batches that change shared state may share one.
    pub batch: u32,
    /// The first of them waits at most so long for the others, 0 to 1 min. Default 20 ms.
    pub batch_time: Duration,
    /// Queues that it takes from.
    pub inputs: Vec<QueueIx>,
    /// Queues that it sends to.
    pub outputs: Vec<QueueIx>,
    /// Default transient.
    pub restart: RestartPolicy,
    /// More crashes than this within `restart_period`, without progress in between, are a crash loop; `None`: never.
    /// Default 5.
    pub max_restarts: Option<u32>,
    /// Default 60 s.
    pub restart_period: Duration,
    /// A worker in a crash loop is given up when it has failed for this long. Default 2 min.
    pub give_up_after: Duration,
    /// A worker that reports an outage is given up when the outage has lasted for this long. Default 10 min.
    pub outage_timeout: Duration,
    /// Wait before the first restart; doubles from there. Default 100 ms.
    pub backoff: Duration,
    /// The longest wait. Default 5 s, or `backoff` if that is more.
    pub backoff_max: Duration,
    /// How it is known that a worker is ready. Default: by its age, if it is a plain process.
    pub ready: Readiness,
    /// From spawn to ready. Default 30 s.
    pub start_timeout: Duration,
    /// From the stop signal to SIGKILL. Default 10 s.
    pub stop_timeout: Duration,
    /// Signal number of a stop. Default SIGTERM.
    pub stop_signal: i32,
    /// When a worker counts as hung. Default: never.
    pub watch: Watch,
    /// A panic of a handler ends the process, instead of being that item's failure. Default false.
    pub exit_on_panic: bool,
    /// What its exits mean.
    pub exits: Exits,
    /// Its end is the end of the pipeline: the rest is drained. Default false; never of a service.
    pub significant: bool,
    /// Stages that it names as needed.
    pub depends_on: Vec<StageIx>,
    /// Those of them that must have completed, where being ready is not enough.
    pub needs_completed: Vec<StageIx>,
    /// What its processes may do and have. Default: no limits.
    pub limits: Limits,
    /// Stages that must be ready (or complete) before this one starts: what it feeds, what it depends on, and the
    /// services. Nobody comes to wait for itself in this way.
    pub starts_after: Vec<StageIx>,
    /// Stages that must be gone before this one is asked to stop: those that depend on it; of a service, all that start
    /// after it.
    pub stops_after: Vec<StageIx>,
    /// A later version of the file has not got it any more; its number stays taken, and its workers go.
    #[serde(skip)]
    pub removed: bool,
}

/// What part a stage plays, which follows from its queues and its policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// No inputs: a drain asks it to stop; it is complete when it exits 0.
    Source,
    /// Takes items (and may hand on): it is complete when its inputs are at their end.
    Consumer,
    /// Without queues and permanent: starts first, stops last, holds up nobody's end.
    Service,
    /// Without queues: a plain process that is waited for; a drain asks it to stop.
    Task,
}

impl StagePlan {
    /// What part it plays.
    pub fn role(&self) -> Role {
        match (self.inputs.is_empty(), self.outputs.is_empty(), self.restart) {
            (false, _, _) => Role::Consumer,
            (true, false, _) => Role::Source,
            (true, true, RestartPolicy::Permanent) => Role::Service,
            (true, true, RestartPolicy::Transient | RestartPolicy::Temporary) => Role::Task,
        }
    }

    /// Whether its workers must say that they are ready. If not, one that does not say hello through the SDK counts as
    /// ready after [`MIN_UPTIME`].
    pub fn must_say_ready(&self) -> bool {
        match self.ready {
            Readiness::Sdk | Readiness::Fd | Readiness::Notify => true,
            Readiness::Alive => false,
        }
    }

    /// Whether it is a plain process: one without queues, which need not be written with the SDK.
    pub fn is_plain(&self) -> bool {
        self.inputs.is_empty() && self.outputs.is_empty()
    }
}

/// A program that cannot say that it is ready is believed to be after this long.
pub const MIN_UPTIME: Duration = Duration::from_secs(1);

/// Name of the internal stage that runs the manager of shared lists, maps and counters.
pub const MANAGER_STAGE: &str = "manager";
