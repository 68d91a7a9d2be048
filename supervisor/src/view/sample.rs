//! A picture of a pipeline at work, for the tests of what shows it.

use crate::status::{QueueStatus, StageStatus, Status, WorkerStatus};

/// `walk` is complete, `hash` works with four workers (one of which was killed), `report` is ready.
pub fn running() -> Status {
    let queue = |name: &str, ready, leased, acked| QueueStatus {
        name: name.to_owned(),
        capacity: 1_024,
        ready,
        leased,
        staged: 0,
        late: 1,
        retry: 0,
        dead: 2,
        kept: 2,
        sent: 20_000,
        acked,
        redelivered: 3,
        shape: if name == "sums" { "{ path: text, crc: u32 }" } else { "not checked" }.to_owned(),
    };
    Status {
        pipeline: "checksum".to_owned(),
        state: "running".to_owned(),
        pid: 4_240,
        elapsed_s: 12.34,
        stages: vec![
            stage("walk", "complete", vec![worker("walk/0", None, "exited", 20_000)]),
            stage(
                "hash",
                "ready",
                vec![
                    worker("hash/0", Some(4_251), "ready", 5_012),
                    worker("hash/1", Some(4_252), "ready", 4_988),
                    WorkerStatus {
                        let_go: false,
                        incarnation: 3,
                        restarts: 2,
                        last_exit: Some("killed by SIGSEGV (core dumped)".to_owned()),
                        last_words: vec!["reading item 17".to_owned(), "unexpected end".to_owned()],
                        next_start_s: Some(1.5),
                        ..worker("hash/2", None, "backoff", 4_871)
                    },
                    worker("hash/3", Some(4_254), "paused", 5_001),
                ],
            ),
            stage("report", "ready", vec![worker("report/0", Some(4_255), "ready", 19_870)]),
        ],
        queues: vec![queue("paths", 124, 4, 19_872), queue("sums", 0, 1, 19_870)],
        standstill: None,
        outlook: None,
        report: None,
    }
}

/// A stage of this name.
pub fn stage(name: &str, state: &str, workers: Vec<WorkerStatus>) -> StageStatus {
    StageStatus { name: name.to_owned(), state: state.to_owned(), workers }
}

/// A worker in its first run.
pub fn worker(id: &str, pid: Option<i32>, state: &str, processed: u64) -> WorkerStatus {
    WorkerStatus {
        let_go: false,
        id: id.to_owned(),
        pid,
        incarnation: 1,
        state: state.to_owned(),
        processed,
        restarts: 0,
        last_exit: (state == "exited").then(|| "exit code 0".to_owned()),
        last_words: Vec::new(),
        next_start_s: None,
        since_s: 3.25,
        doing: (state == "ready").then(|| "waits for an item".to_owned()),
    }
}
