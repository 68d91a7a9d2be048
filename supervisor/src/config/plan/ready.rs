//! How it is known that a worker is ready.

use serde::Serialize;

/// Who says so. A worker that says hello through the SDK always says by it when it is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Readiness {
    /// The worker, through the SDK: all stages with queues.
    Sdk,
    /// Nobody: it is believed to be when it has lived for [`MIN_UPTIME`](super::MIN_UPTIME). The default of plain processes.
    Alive,
    /// The worker, by a newline on a descriptor that it is started with.
    Fd,
    /// The worker, by `READY=1` to a socket, as by sd_notify(3).
    Notify,
}
