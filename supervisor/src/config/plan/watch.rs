//! When a worker that lives and does nothing is not believed to be at work any more.

use std::time::Duration;

use serde::Serialize;

/// How long a worker of a stage may be without a sign of life. The default is: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// A handler thread that holds an item has to begin with or finish one within this time, in which it does not wait at
    /// a queue. 1 s or more; `None`: never.
    pub progress_timeout: Option<Duration>,
    /// How long it may have one item in hand, without the time in which it waits at a queue: then it is told to stop with
    /// it, and after the same time again it counts as hung. 1 s or more; `None`: for ever.
    pub item_timeout: Option<Duration>,
    /// A plain process has to say by sd_notify(3) that it lives within this time. 1 s or more; `None`: never.
    pub watchdog: Option<Duration>,
}
