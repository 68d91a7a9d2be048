//! What the SDK says and does in a forked copy of the worker: it refuses, and ends a copy that returns from the author's
//! code.

use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use brigade_protocol::shm::is_forked_copy as is_copy;
use rustix::io::write;
use rustix::stdio::stderr;

/// Why a handle refuses.
pub(crate) const REFUSED: &str = "this process is a forked copy of the worker, and only the worker itself may use its \
                                  queues: let the copy execute another program, or make it a stage of its own";

const IGNORED: &str = concat!(
    r#"{"timestamp":"","level":"ERROR","target":"brigade_worker","fields":{"message":"a forked copy of the worker acknowledged or gave "#,
    r#"back an item: that was ignored, because only the worker itself may use its queues"}}"#,
    "\n"
);

const ENDED: &str = concat!(
    r#"{"timestamp":"","level":"ERROR","target":"brigade_worker","fields":{"message":"a forked copy of the worker returned to the SDK and "#,
    r#"was ended with exit code 1: only the worker itself may use its queues; let the copy execute another program, or "#,
    r#"end it by process::exit"}}"#,
    "\n"
);

/// In a copy, ends the process. Runs no destructors and no exit handlers: what they would end belongs to the worker.
#[inline]
pub(crate) fn end_if_copy() {
    if is_copy() {
        end();
    }
}

#[cold]
fn end() -> ! {
    write_line(ENDED);
    signal_hook::low_level::exit(1)
}

/// Says once that a copy did something which is ignored, and which has no error to return.
#[cold]
pub(crate) fn ignored() {
    static SAID: AtomicBool = AtomicBool::new(false);
    if !SAID.swap(true, Ordering::Relaxed) {
        write_line(IGNORED);
    }
}

/// Says something in a copy.
pub(crate) fn say(words: &str) {
    write_line(&format!("{words}\n"));
}

/// Writes a line without a lock: another thread of the worker may have held it at the fork.
fn write_line(line: &str) {
    let _ = write(stderr(), line.as_bytes()); // There is no other place to say it.
}
