//! What is believed of the keys by which hung workers are noticed.

use toml::Spanned;

use crate::config::bounds::{ITEM_TIMEOUT, PROGRESS_TIMEOUT, WATCHDOG};
use crate::config::fault::Fault;
use crate::config::plan::{Readiness, Watch};
use crate::config::raw::RawStage;

/// The stage's.
pub(super) fn believe(raw: &RawStage, ready: Readiness, faults: &mut Vec<Fault>) -> Watch {
    let watch = Watch {
        progress_timeout: PROGRESS_TIMEOUT.hold_given(raw.progress_timeout.as_ref(), faults),
        item_timeout: ITEM_TIMEOUT.hold_given(raw.item_timeout.as_ref(), faults),
        watchdog: WATCHDOG.hold_given(raw.watchdog.as_ref(), faults),
    };
    check_takes_items(raw, faults);
    if let Some(given) = raw.watchdog.as_ref().filter(|_| ready != Readiness::Notify) {
        let message = "watchdog is for processes that say by sd_notify that they live";
        faults.push(Fault::at(given.span(), message).help("set ready = \"notify\", or remove it"));
    }
    watch
}

/// Whoever takes no items may be idle for as long as it likes.
fn check_takes_items(raw: &RawStage, faults: &mut Vec<Fault>) {
    if raw.inputs.as_ref().is_none_or(|inputs| !inputs.is_empty()) {
        return;
    }
    let given = [
        ("progress_timeout", raw.progress_timeout.as_ref().map(Spanned::span)),
        ("item_timeout", raw.item_timeout.as_ref().map(Spanned::span)),
    ];
    for (key, span) in given {
        if let Some(span) = span {
            let message = format!("{key} is for stages with inputs: its time is that of a worker with an item in hand");
            faults.push(Fault::at(span, message).help("remove it"));
        }
    }
}
