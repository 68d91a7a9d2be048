//! When a worker that lives and does nothing is not believed to be at work any more.

use std::time::Duration;

use serde::Serialize;

/// How long a worker of a stage may be without a sign of life. The default is: for ever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Watch {
    /// A handler thread that holds an item has to begin with or finish one within this time, in which it does not wait at
    /// a queue. 1 s or more; `None`: never.
    pub progress_timeout: Option<Duration>,
}
