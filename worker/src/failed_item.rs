//! The failure of an item: it is told to the supervisor and in the log, and the item goes back to its queue.

use std::time::Duration;

use brigade_protocol::queue::{Lease, Member, Returned};

use crate::station::{Line, Station};

/// Gives the item back as failed, to come again after this time or when the queue's policy says so, and tells if it will
/// not come again.
pub(crate) fn nack(
    station: &Station,
    member: &mut Member,
    lease: Lease,
    line: &Line,
    after: Option<Duration>,
    why: &str,
) {
    fail(station, line, lease, after, why, |lease, wait| member.nack_after(lease, wait));
}

/// The same for an item of a run that failed: it is not known to be at fault, and comes again by itself.
pub(crate) fn fail_with_others(
    station: &Station,
    member: &mut Member,
    lease: Lease,
    line: &Line,
    after: Option<Duration>,
    why: &str,
) {
    fail(station, line, lease, after, why, |lease, wait| member.fail_with_others(lease, wait));
}

fn fail(
    station: &Station,
    line: &Line,
    lease: Lease,
    after: Option<Duration>,
    why: &str,
    give_back: impl FnOnce(Lease, Duration) -> Option<Returned>,
) {
    let (item, deliveries, queue) = (lease.id(), lease.deliveries(), line.name.as_str());
    station.item_failed(queue, item, why);
    let wait = after.unwrap_or_else(|| line.retry.wait(item, deliveries));
    match give_back(lease, wait) {
        Some(Returned::Dead) => {
            tracing::error!(%item, queue, deliveries, "the item is a dead letter now: every delivery of it failed");
        }
        Some(Returned::Late) if wait.is_zero() => {}
        Some(Returned::Late) => tracing::info!(%item, queue, deliveries, "the item comes again in {wait:.1?}"),
        None => tracing::error!(%item, queue, "the item is gone: the queue's shared memory is spoilt"),
    }
}
