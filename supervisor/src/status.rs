//! The picture of a pipeline: what `brigade status` shows, what the live view draws, what is kept for when nothing runs,
//! and the numbers at the end. The field names of the JSON forms are a contract with scripts.

use std::collections::BTreeMap;

use brigade_protocol::queue::Noted;
use serde::{Deserialize, Serialize};

/// A pipeline at one instant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// Its name.
    pub pipeline: String,
    /// `starting`, `running`, `draining`, `stopping`, or when nothing runs `ended` (`interrupted`, if the supervisor was
    /// killed).
    pub state: String,
    /// Of the supervisor; 0 when nothing runs.
    pub pid: i32,
    /// Seconds since the start (or, when nothing runs, that it ran).
    pub elapsed_s: f64,
    /// In the order of the pipeline file; the manager last, if it runs.
    pub stages: Vec<StageStatus>,
    /// In the order of the pipeline file.
    pub queues: Vec<QueueStatus>,
    /// Workers that wait for each other, so that none of them can continue, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<String>,
    /// What will be left in the queues, if a drain will not be done in time, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outlook: Option<String>,
    /// The numbers of the last run, when nothing runs.
    #[serde(default)]
    pub report: Option<Report>,
}

/// A stage at one instant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StageStatus {
    /// Its name.
    pub name: String,
    /// `pending`, `starting`, `ready`, `draining`, `stopping`, `complete`, `stopped` or `failed`; `paused` instead of `ready` when the
    /// operator has paused it.
    pub state: String,
    /// By replica.
    pub workers: Vec<WorkerStatus>,
}

/// A worker at one instant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Such as `hash/0`.
    pub id: String,
    /// Of its process, if there is one.
    pub pid: Option<i32>,
    /// Which run, from 1; 0 if it was never started.
    pub incarnation: u32,
    /// `pending`, `starting`, `ready`, `draining`, `stopping`, `backoff`, `exited` or `failed`; `paused` while its process
    /// is stopped by a signal.
    pub state: String,
    /// It has gone, or is to go, because its stage was made smaller.
    #[serde(default)]
    pub let_go: bool,
    /// Items that it has finished, over all its runs; of the manager, operations that it has applied.
    pub processed: u64,
    /// Starts after the first one.
    pub restarts: u64,
    /// How its last run ended, in words, such as `killed by SIGKILL: still there 10s after it was asked to stop`.
    pub last_exit: Option<String>,
    /// The last lines that a run wrote to stderr which failed, at most 10, oldest first, safe to show. Of the last such
    /// run; empty when it said nothing.
    #[serde(default)]
    pub last_words: Vec<String>,
    /// Seconds until its next start, while it waits for one.
    #[serde(default)]
    pub next_start_s: Option<f64>,
    /// Seconds in this state.
    pub since_s: f64,
    /// What it does at present, as far as it is known: what it said by sd_notify(3), or which item a thread of it has in
    /// hand, or that it waits for one; of the
    /// manager, its share of a core over the last seconds.
    #[serde(default)]
    pub doing: Option<String>,
}

/// A queue at one instant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct QueueStatus {
    /// Its name.
    pub name: String,
    /// Items that may be not free.
    pub capacity: u64,
    /// Waiting to be taken.
    pub ready: u64,
    /// In a worker's hands.
    pub leased: u64,
    /// Being written.
    pub staged: u64,
    /// Came back, to be taken next.
    pub late: u64,
    /// Failed, and wait for the time of their retry.
    #[serde(default)]
    pub retry: u64,
    /// Items that became dead letters since the queue was made.
    pub dead: u64,
    /// Dead letters that are kept now, of this run and of earlier ones.
    #[serde(default)]
    pub kept: u64,
    /// Sent since the queue was made.
    pub sent: u64,
    /// Acked since the queue was made.
    pub acked: u64,
    /// Came back since the queue was made.
    pub redelivered: u64,
    /// The shape of its items in words, such as `{ path: text, bytes: u64 }`; `not checked` if none is known.
    #[serde(default)]
    pub shape: String,
}

/// What a queue knows of the shape of its items, in words.
pub fn shape_in_words(noted: &Noted) -> String {
    match noted {
        Noted::Nothing => "not checked".to_owned(),
        Noted::Shape(note) => note.to_string(),
        Noted::TooLarge { .. } => "checked, and too large to be shown".to_owned(),
        Noted::Unreadable => "cannot be read at the moment".to_owned(),
    }
}

impl QueueStatus {
    /// Items in nobody's hands: to be taken now or later.
    pub fn waiting(&self) -> u64 {
        self.ready.saturating_add(self.late).saturating_add(self.retry)
    }
}

/// The numbers at the end of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// Name of the pipeline.
    pub pipeline: String,
    /// Why it ended, in words.
    pub verdict: String,
    /// What `brigade run` exits with.
    pub exit_code: u8,
    /// How long it ran, in seconds.
    pub elapsed_s: f64,
    /// By name.
    pub stages: BTreeMap<String, StageReport>,
    /// By name.
    pub queues: BTreeMap<String, QueueReport>,
    /// Items that are neither acked nor left nor dead. Always 0, or it is a bug of Brigade.
    pub lost: i64,
    /// Workers that waited for each other when the run ended, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standstill: Option<String>,
    /// What of an earlier run could not be used, was put aside and is missing in this one: a sentence for each file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub put_aside: Vec<String>,
}

/// A stage's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StageReport {
    /// Items finished in this run.
    pub processed: u64,
    /// Restarts in this run.
    pub restarts: u64,
}

/// A queue's numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct QueueReport {
    /// Sent since the queue was made.
    pub sent: u64,
    /// Acked since the queue was made.
    pub acked: u64,
    /// Came back since the queue was made.
    pub redelivered: u64,
    /// Still in the queue.
    pub left: u64,
    /// Items that became dead letters since the queue was made.
    pub dead: u64,
    /// Dead letters that are kept now, of this run and of earlier ones.
    #[serde(default)]
    pub kept: u64,
}
