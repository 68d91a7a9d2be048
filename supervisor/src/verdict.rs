//! What a run's end means: its numbers, its words, its exit code.

use std::collections::BTreeMap;

use crate::config::plan::{MANAGER_STAGE, Plan};
use crate::core::action::Verdict;
use crate::status::{QueueReport, Report, StageReport, Status};

/// Exit code: complete, or drained.
pub const FINE: u8 = 0;
/// Exit code: an error.
pub const ERROR: u8 = 1;
/// Exit code: wrong usage, or a fault in the pipeline file.
pub const FAULT: u8 = 2;
/// Exit code: a worker was restarted too often.
pub const GAVE_UP: u8 = 3;
/// Exit code: stopped, and items are left in the queues.
pub const LEFT: u8 = 4;

/// The numbers of a run, from its last picture.
pub fn report(plan: &Plan, verdict: &Verdict, picture: &Status) -> Report {
    // Those of the file as it was read last; the manager is none of them.
    let stages = picture.stages.iter().filter(|stage| stage.name != MANAGER_STAGE);
    let stages: BTreeMap<String, StageReport> = stages
        .map(|stage| {
            let processed = stage.workers.iter().map(|worker| worker.processed).sum();
            let restarts = stage.workers.iter().map(|worker| worker.restarts).sum();
            (stage.name.clone(), StageReport { processed, restarts })
        })
        .collect();
    let mut lost = 0i64;
    let queues: BTreeMap<String, QueueReport> = picture
        .queues
        .iter()
        .map(|queue| {
            let left = queue.ready + queue.leased + queue.staged + queue.late + queue.retry;
            let found = queue.acked + left + queue.dead;
            lost += queue.sent as i64 - found as i64;
            let (sent, acked, redelivered, dead) = (queue.sent, queue.acked, queue.redelivered, queue.dead);
            (queue.name.clone(), QueueReport { sent, acked, redelivered, left, dead, kept: queue.kept })
        })
        .collect();
    let left: u64 = queues.values().map(|queue| queue.left).sum();
    let (words, exit_code) = words(verdict, left);
    Report {
        pipeline: plan.name.clone(),
        verdict: words,
        exit_code,
        elapsed_s: (picture.elapsed_s * 1000.0).round() / 1000.0,
        stages,
        queues,
        lost,
        put_aside: Vec::new(),
    }
}

fn words(verdict: &Verdict, left: u64) -> (String, u8) {
    let by_left = if left == 0 { FINE } else { LEFT };
    match verdict {
        Verdict::Complete if left > 0 => ("ended before its queues were empty".to_owned(), by_left),
        Verdict::Complete => ("complete".to_owned(), by_left),
        Verdict::Drained => ("drained".to_owned(), by_left),
        Verdict::Ended { stage } => (format!("drained when stage {stage} had ended"), by_left),
        Verdict::Stopped => ("stopped".to_owned(), by_left),
        Verdict::Abandoned { stage } => {
            (format!("stage {stage} ended and left nobody to take from its queues"), by_left)
        }
        Verdict::GaveUp { worker, words } => {
            (format!("restart intensity reached: {worker} was restarted too often, at last: {words}"), GAVE_UP)
        }
        Verdict::Hopeless { worker, words } => (format!("{worker} can never work: {words}"), ERROR),
    }
}
