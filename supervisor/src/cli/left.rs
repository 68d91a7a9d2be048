//! The last picture that a pipeline has left in its state folder, for when nothing runs there any more.

use std::io;

use brigade_protocol::queue::Queue;

use crate::state::StateDir;
use crate::status::{QueueStatus, Status, shape_in_words};

/// The last picture of a pipeline that does not run.
///
/// # Errors
/// In words, when there is none.
pub fn left(dir: &StateDir) -> Result<Status, String> {
    let path = dir.status();
    let text = std::fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            format!("no pipeline runs on {}, and none has come so far as to leave its numbers", dir.root().display())
        }
        _ => format!("cannot read {}: {error}", path.display()),
    })?;
    let status = serde_json::from_str(&text).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    let mut status = at_rest(status);
    if status.report.is_none() {
        count_again(&mut status.queues, dir);
    }
    Ok(status)
}

/// The picture of a killed supervisor is older than its end; the queues themselves know how they stand.
fn count_again(queues: &mut [QueueStatus], dir: &StateDir) {
    for status in queues {
        // After a restart of the machine, say, a queue is refused: then the old numbers are the best there are.
        let Ok(queue) = Queue::open(&dir.queue(&status.name)) else { continue };
        let (depth, totals) = (queue.depth(), queue.totals());
        status.ready = depth.ready;
        status.leased = depth.leased;
        status.staged = depth.staged;
        status.late = depth.late;
        status.retry = depth.retry;
        status.dead = totals.buried + depth.dead;
        status.sent = totals.sent;
        status.acked = totals.acked;
        status.redelivered = totals.returned;
        status.shape = shape_in_words(&queue.shape());
    }
}

/// A picture that says that something runs was the last one before the supervisor was killed; its workers died with it.
pub fn at_rest(mut status: Status) -> Status {
    status.pid = 0;
    if status.state == "ended" {
        return status;
    }
    let interrupted = |state: &mut String| {
        if !matches!(state.as_str(), "pending" | "complete" | "stopped" | "exited" | "failed") {
            "interrupted".clone_into(state);
        }
    };
    interrupted(&mut status.state);
    for stage in &mut status.stages {
        interrupted(&mut stage.state);
        for worker in &mut stage.workers {
            interrupted(&mut worker.state);
            (worker.pid, worker.next_start_s) = (None, None);
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::view::sample::running;

    #[test]
    fn the_last_picture_is_read_from_the_folder() {
        let base = tempfile::tempdir().expect("a temporary folder");
        let dir = StateDir::at(&base.path().join("one"));
        drop(dir.take("checksum").expect("taken"));
        assert!(left(&dir).expect_err("none").ends_with("and none has come so far as to leave its numbers"));
        std::fs::write(dir.status(), serde_json::to_string(&running()).expect("JSON")).expect("written");
        assert_eq!(left(&dir).expect("read").state, "interrupted");
        std::fs::write(dir.status(), "{").expect("written");
        assert!(left(&dir).expect_err("cut").starts_with("cannot read "));
    }
}
