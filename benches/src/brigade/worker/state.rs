//! Shared state, changed by one process. Each change is in the manager's journal, and seen by all, before the next one.

use brigade_worker::{Context, Result};

use super::{Numbers, keep};
use crate::sample::{Sample, now};

pub fn push(ctx: &Context, n: &Numbers) -> Result {
    let list = ctx.list::<u64>("numbers");
    list.clear()?; // Not in the time: the manager is started for it.
    let begun = now();
    for number in 0..n[0] {
        list.push(&number)?;
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: n[0] })
}

/// The same for a thousand at a time.
pub fn extend(ctx: &Context, n: &Numbers) -> Result {
    let list = ctx.list::<u64>("numbers");
    list.clear()?;
    let begun = now();
    for first in (0..n[0]).step_by(1000) {
        list.extend(first..first + 1000)?;
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: n[0] })
}

/// A map of a thousand keys, set again and again.
pub fn insert(ctx: &Context, n: &Numbers) -> Result {
    let map = ctx.map::<u64, u64>("squares");
    map.clear()?;
    let begun = now();
    for number in 0..n[0] {
        map.insert(&(number % 1000), &number)?;
    }
    keep(ctx, &Sample::Span { begun, ended: now(), items: n[0] })
}
