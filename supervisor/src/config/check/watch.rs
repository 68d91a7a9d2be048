//! What is believed of the keys by which hung workers are noticed.

use toml::Spanned;

use crate::config::bounds::{ITEM_TIMEOUT, PROGRESS_TIMEOUT};
use crate::config::fault::Fault;
use crate::config::plan::Watch;
use crate::config::raw::RawStage;

/// The stage's.
pub(super) fn believe(raw: &RawStage, faults: &mut Vec<Fault>) -> Watch {
    let watch = Watch {
        progress_timeout: PROGRESS_TIMEOUT.hold_given(raw.progress_timeout.as_ref(), faults),
        item_timeout: ITEM_TIMEOUT.hold_given(raw.item_timeout.as_ref(), faults),
    };
    check_takes_items(raw, faults);
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
