//! Shows in the worker's page that a thread waits for the server of shared state. Handles know no thread: the lane is that
//! of the thread which calls them, if it is one of the worker's own.

use std::cell::RefCell;

use brigade_protocol::page::{Lane, WaitsFor};

thread_local! {
    static LANE: RefCell<Option<Lane>> = const { RefCell::new(None) };
}

/// What this thread waits for is shown in this lane from now on.
pub(crate) fn show_waits_in(lane: Lane) {
    LANE.set(Some(lane));
}

/// Does something that may wait: it is given what to call before it sleeps.
pub(super) fn waiting<R>(wait: impl FnOnce(&dyn Fn()) -> R) -> R {
    LANE.with_borrow(|lane| match lane {
        Some(lane) => {
            let waiting = lane.waiting();
            wait(&|| waiting.say(WaitsFor::Shared))
        }
        None => wait(&|| {}),
    })
}
