//! What a run's end means: its numbers, its words, its exit code.

use std::collections::BTreeMap;

use crate::config::plan::{MANAGER_STAGE, Plan};
use crate::core::action::Verdict;
use crate::figures::counted;
use crate::status::{QueueReport, Report, StageReport, Status};

/// Exit code: complete, or drained.
pub const FINE: u8 = 0;
/// Exit code: an error.
pub const ERROR: u8 = 1;
/// Exit code: wrong usage, or a fault in the pipeline file.
pub const FAULT: u8 = 2;
/// Exit code: a worker was given up, after crashes or an outage, or failed and is not restarted.
pub const GAVE_UP: u8 = 3;
/// Exit code: the run ended before its work was done.
pub const LEFT: u8 = 4;

/// Exit code: items became dead letters in this run.
pub const DEAD_LETTERS: u8 = 5;
/// Exit code: workers waited for each other, and `on_standstill` is `end`.
pub const STANDSTILL: u8 = 6;

/// The numbers of a run, from its last picture. `dead`: items that became dead letters in this run, and that are kept.
pub fn report(plan: &Plan, verdict: &Verdict, picture: &Status, dead: u64) -> Report {
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
    let standstill = picture.standstill.clone().filter(|_| left > 0);
    let (mut words, mut exit_code) = words(verdict, left, dead);
    if *verdict == Verdict::Complete && left > 0 {
        words = format!("ended before its queues were empty: {}", kept_in(plan, &queues).join(", "));
    }
    // The last letters of a run are found at its end.
    let limit = plan.max_dead_letters.filter(|most| dead >= *most);
    let may_be_worse = exit_code == FINE || *verdict == Verdict::Stopped;
    if may_be_worse && (limit.is_some() || exit_code == FINE && dead > 0 && plan.fail_on_dead_letters) {
        exit_code = DEAD_LETTERS;
        words.push_str(&format!(" with {}", counted(dead, "dead letter")));
        if let Some(most) = limit {
            words.push_str(&format!(" (max_dead_letters = {most})"));
        }
    }
    if let Some(standstill) = standstill.as_ref().filter(|_| !matches!(verdict, Verdict::Standstill { .. })) {
        words.push_str(&format!(" at a standstill: {standstill}"));
    }
    Report {
        pipeline: plan.name.clone(),
        verdict: words,
        exit_code,
        elapsed_s: (picture.elapsed_s * 1000.0).round() / 1000.0,
        stages,
        queues,
        lost,
        standstill,
        put_aside: Vec::new(),
    }
}

/// What is left in queues, and for which stages: `3 items in queue sums for stage report`.
fn kept_in(plan: &Plan, queues: &BTreeMap<String, QueueReport>) -> Vec<String> {
    let kept = plan.queues.iter().filter_map(|queue| Some((queue, queues.get(&queue.name)?.left)));
    kept.filter(|(_, left)| *left > 0)
        .map(|(queue, left)| {
            let takers: Vec<&str> = queue.consumers.iter().map(|stage| plan.stages[*stage].name.as_str()).collect();
            let stages = if takers.len() == 1 { "stage" } else { "stages" };
            format!("{} in queue {} for {stages} {}", counted(left, "item"), queue.name, takers.join(", "))
        })
        .collect()
}

fn words(verdict: &Verdict, left: u64, dead: u64) -> (String, u8) {
    let by_left = if left == 0 { FINE } else { LEFT };
    match verdict {
        Verdict::Complete if left > 0 => ("ended before its queues were empty".to_owned(), by_left),
        Verdict::Complete => ("complete".to_owned(), by_left),
        Verdict::Drained => ("drained".to_owned(), by_left),
        Verdict::Ended { stage } => (format!("drained when stage {stage} had ended"), by_left),
        Verdict::Stopped => ("stopped".to_owned(), by_left),
        Verdict::NeverStarts { stage, words } => (format!("stage {stage} cannot start: {words}"), ERROR),
        Verdict::Standstill { words } => (format!("ended at a standstill: {words}"), STANDSTILL),
        // Also with nothing left: those that were stopped for it had not done their work.
        Verdict::Abandoned { stage } => (format!("stage {stage} ended and left nobody to take from its queues"), LEFT),
        Verdict::DeadLetters { most } => {
            let words = format!("stopped at {} (max_dead_letters = {most})", counted(dead, "dead letter"));
            (words, DEAD_LETTERS)
        }
        Verdict::Failed { worker, words } => {
            (format!("{worker} failed, and a temporary stage is not restarted: {words}"), GAVE_UP)
        }
        Verdict::GaveUp { worker, reason, words } => (format!("gave up on {worker}: {reason}, last: {words}"), GAVE_UP),
        Verdict::Hopeless { worker, words } => (format!("{worker} can never work: {words}"), ERROR),
    }
}
