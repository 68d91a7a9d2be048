//! What is believed of a queue, alone and between its stages.

use std::time::Duration;

use toml::Spanned;

use super::check_name;
use crate::config::bounds::{
    CAPACITY, ITEM_BYTES, MAX_DELIVERIES, MAX_ITEM_BYTES, MOST_QUEUE_BYTES, RETRY_DELAY, RETRY_DELAY_MAX,
};
use crate::config::fault::Fault;
use crate::config::plan::{MOST_MEMBERS, QueuePlan, StagePlan};
use crate::config::raw::RawQueue;
use crate::config::table::NumberOr;
use crate::config::units::{show_duration, show_size};

/// The queue alone; its stages come by [`attach`].
pub(super) fn believe(raw: &RawQueue, faults: &mut Vec<Fault>) -> QueuePlan {
    check_name("queue", &raw.name, faults);
    let item_bytes = ITEM_BYTES.hold(raw.item_bytes.as_ref(), faults);
    let mut max_item_bytes = MAX_ITEM_BYTES.hold(raw.max_item_bytes.as_ref(), faults);
    if max_item_bytes < item_bytes {
        if let Some(given) = &raw.max_item_bytes {
            let (max, inline) = (show_size(max_item_bytes.unsigned_abs()), show_size(item_bytes.unsigned_abs()));
            let message = format!("max_item_bytes is {max}, less than item_bytes, which is {inline}");
            faults.push(Fault::at(given.span(), message).help("raise max_item_bytes or lower item_bytes"));
        }
        max_item_bytes = item_bytes;
    }
    let (retry_delay, retry_delay_max) = retry_delays(raw, faults);
    let capacity = CAPACITY.hold(raw.capacity.as_ref(), faults);
    check_room(raw, capacity, max_item_bytes, faults);
    QueuePlan {
        name: raw.name.get_ref().clone(),
        capacity: u32::try_from(capacity).expect("the bounds of capacity are within 32 bits"),
        item_bytes: u32::try_from(item_bytes).expect("the bounds of item_bytes are within 32 bits"),
        max_item_bytes: u32::try_from(max_item_bytes).expect("the bounds of max_item_bytes are within 32 bits"),
        max_deliveries: max_deliveries(raw, faults),
        retry_delay,
        retry_delay_max,
        producers: Vec::new(),
        consumers: Vec::new(),
        removed: false,
    }
}

fn max_deliveries(raw: &RawQueue, faults: &mut Vec<Fault>) -> Option<u16> {
    let number = match raw.max_deliveries.as_ref().map(|given| (given.get_ref(), given.span())) {
        None => None,
        Some((NumberOr::Word, _)) => return None,
        Some((NumberOr::Number(number), span)) => Some(Spanned::new(span, *number)),
    };
    let held = MAX_DELIVERIES.hold(number.as_ref(), faults);
    Some(u16::try_from(held).expect("the bounds of max_deliveries are within 16 bits"))
}

/// The first wait and the longest: a longest that nobody gave makes way.
fn retry_delays(raw: &RawQueue, faults: &mut Vec<Fault>) -> (Duration, Duration) {
    let delay = RETRY_DELAY.hold(raw.retry_delay.as_ref(), faults);
    let longest = RETRY_DELAY_MAX.hold(raw.retry_delay_max.as_ref(), faults);
    if delay > longest
        && let Some(given) = &raw.retry_delay_max
    {
        let (first, most) = (show_duration(delay), show_duration(longest));
        let message = format!("retry_delay is {first}, more than retry_delay_max, which is {most}");
        faults.push(Fault::at(given.span(), message).help("lower retry_delay or raise retry_delay_max"));
    }
    (delay, longest.max(delay))
}

/// Every slot has (sparse) room for the largest item, and all of it must fit into an address space.
fn check_room(raw: &RawQueue, capacity: i64, max_item_bytes: i64, faults: &mut Vec<Fault>) {
    let room = capacity.unsigned_abs() * max_item_bytes.unsigned_abs();
    if room > MOST_QUEUE_BYTES {
        let given = raw.max_item_bytes.as_ref().or(raw.capacity.as_ref());
        let place = given.map_or(raw.name.span(), Spanned::span);
        let message = format!(
            "queue {:?} could grow to {}, more than {}",
            raw.name.get_ref(),
            show_size(room),
            show_size(MOST_QUEUE_BYTES)
        );
        faults.push(Fault::at(place, message).help("lower capacity or max_item_bytes: their product counts"));
    }
}

/// Writes down at every queue which stages send to it and take from it.
pub(super) fn attach(queues: &mut [QueuePlan], stages: &[StagePlan]) {
    for (ix, stage) in stages.iter().enumerate() {
        for queue in &stage.outputs {
            queues[*queue].producers.push(ix);
        }
        for queue in &stage.inputs {
            queues[*queue].consumers.push(ix);
        }
    }
}

/// Every queue must have somebody at both ends: else it fills up, or is waited for, for ever.
pub(super) fn check_ends(raw: &[RawQueue], queues: &[QueuePlan], faults: &mut Vec<Fault>) {
    for (raw, queue) in raw.iter().zip(queues) {
        let (message, help) = match (queue.producers.is_empty(), queue.consumers.is_empty()) {
            (false, false) => continue,
            (true, true) => (
                format!("queue {:?} is used by no stage", queue.name),
                "remove it, or name it in the outputs of one stage and the inputs of another".to_owned(),
            ),
            (true, false) => (
                format!("queue {:?} has no sender", queue.name),
                format!("add outputs = [{:?}] to the stage that makes its items", queue.name),
            ),
            (false, true) => (
                format!("queue {:?} has no receiver", queue.name),
                format!("add inputs = [{:?}] to the stage that takes its items", queue.name),
            ),
        };
        faults.push(Fault::at(raw.name.span(), message).help(help));
    }
}

/// Every handler thread of every worker has a place in the queue's table of members.
pub(super) fn check_members(raw: &[RawQueue], queues: &[QueuePlan], stages: &[StagePlan], faults: &mut Vec<Fault>) {
    for (raw, queue) in raw.iter().zip(queues) {
        let mut attached: Vec<_> = queue.producers.iter().chain(&queue.consumers).collect();
        attached.sort_unstable();
        attached.dedup();
        let of_stage = |stage: &StagePlan| u64::from(stage.replicas) * u64::from(stage.threads);
        let members: u64 = attached.into_iter().map(|ix| of_stage(&stages[*ix])).sum();
        if members > MOST_MEMBERS {
            let message = format!("queue {:?} is shared by {members} threads, more than {MOST_MEMBERS}", queue.name);
            let help = "lower replicas or threads of its stages: replicas × threads counts, of all together";
            faults.push(Fault::at(raw.name.span(), message).help(help));
        }
    }
}
