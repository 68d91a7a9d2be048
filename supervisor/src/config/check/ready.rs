//! What is believed of the way in which a worker says that it is ready.

use super::names::word;
use crate::config::fault::Fault;
use crate::config::plan::Readiness;
use crate::config::raw::RawStage;

/// The stage's. Those with queues are written with the SDK, which says it.
pub(super) fn believe(raw: &RawStage, faults: &mut Vec<Fault>) -> Readiness {
    let words = [("alive", Readiness::Alive), ("fd", Readiness::Fd), ("notify", Readiness::Notify)];
    let ready = word(raw.ready.as_ref(), "ready", &words, faults);
    let is_empty = |queues: &Option<Vec<_>>| queues.as_ref().is_some_and(Vec::is_empty);
    if is_empty(&raw.inputs) && is_empty(&raw.outputs) {
        return ready;
    }
    if let Some(given) = &raw.ready {
        let message =
            "ready is for plain processes: the workers of a stage with queues say by the SDK when they are ready";
        faults.push(Fault::at(given.span(), message).help("remove it"));
    }
    Readiness::Sdk
}
