//! What each kind of container does when it is asked to; which container that is has been settled before.

use std::collections::BTreeMap;

use brigade_protocol::codec;
use brigade_protocol::shared::addends::Addends;
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Bytes, CounterOp, ListOp, MapOp, Outcome, Refusal};
use brigade_protocol::shared::parts::MESSAGE_BYTES;

use super::state::{List, Map};

/// An outcome may hold this many bytes of values; the rest of a message is for what stands around them.
const ANSWER_BYTES: usize = MESSAGE_BYTES - (64 << 10);

/// Does something with a list.
pub(super) fn on_list(list: &mut List, op: &ListOp) -> Result<Outcome, Refusal> {
    let past = |position: u64, list: &List| Refusal::PastTheEnd { position, length: list.len() as u64 };
    Ok(match op {
        ListOp::Extend(items) => {
            list.extend(items.iter().map(Box::from));
            Outcome::Length(list.len() as u64)
        }
        ListOp::Get(at) => Outcome::Value(list.get(*at as usize).map(|value| owned(value))),
        ListOp::Set(at, value) => {
            let place = match list.get_mut(*at as usize) {
                Some(place) => place,
                None => return Err(past(*at, list)),
            };
            *place = value.as_slice().into();
            Outcome::Done
        }
        ListOp::Insert(at, value) => {
            if *at > list.len() as u64 {
                return Err(past(*at, list));
            }
            list.insert(*at as usize, value.as_slice().into());
            Outcome::Done
        }
        ListOp::Remove(at) => Outcome::Value(list.remove(*at as usize).map(taken)),
        ListOp::Pop => Outcome::Value(list.pop_back().map(taken)),
        ListOp::Len => Outcome::Length(list.len() as u64),
        ListOp::Range(from, to) => {
            let to = (*to).min(list.len() as u64) as usize;
            let from = (*from).min(to as u64) as usize;
            packed(list.range(from..to))?
        }
        ListOp::Clear => {
            list.clear();
            Outcome::Done
        }
    })
}

/// Does something with a map.
pub(super) fn on_map(map: &mut Map, op: &MapOp) -> Result<Outcome, Refusal> {
    Ok(match op {
        MapOp::Insert(key, value) => {
            Outcome::Value(map.insert(key.as_slice().into(), value.as_slice().into()).map(taken))
        }
        MapOp::Extend(entries) => {
            if !entries.len().is_multiple_of(2) {
                return Err(Refusal::Malformed);
            }
            let mut entries = entries.iter();
            while let (Some(key), Some(value)) = (entries.next(), entries.next()) {
                map.insert(key.into(), value.into());
            }
            Outcome::Length(map.len() as u64)
        }
        MapOp::Get(key) => Outcome::Value(map.get(key.as_slice()).map(|value| owned(value))),
        MapOp::Remove(key) => Outcome::Value(map.remove(key.as_slice()).map(taken)),
        MapOp::CompareExchange { key, expected, new } => {
            let current = map.get(key.as_slice());
            if current.map(|value| &**value) != expected.as_ref().map(|value| value.as_slice()) {
                return Ok(Outcome::Exchanged(Err(current.map(|value| owned(value)))));
            }
            match new {
                Some(value) => map.insert(key.as_slice().into(), value.as_slice().into()),
                None => map.remove(key.as_slice()),
            };
            Outcome::Exchanged(Ok(()))
        }
        MapOp::Add(addends) => add_to(map, addends)?,
        MapOp::AddEach(additions) => add_each(map, additions),
        MapOp::Len => Outcome::Length(map.len() as u64),
        MapOp::Keys => packed(map.keys())?,
        MapOp::Entries => packed(map.iter().flat_map(|(key, value)| [key, value]))?,
        MapOp::Clear => {
            map.clear();
            Outcome::Done
        }
    })
}

/// Adds to several numbers, or, if one of the sums cannot be, to none: first all sums are made, then all are written.
fn add_to(map: &mut Map, addends: &[(Bytes, i64)]) -> Result<Outcome, Refusal> {
    let mut sums: BTreeMap<&[u8], i64> = BTreeMap::new();
    let mut numbers = Vec::with_capacity(addends.len());
    for (key, addend) in addends {
        let before = match (sums.get(key.as_slice()), map.get(key.as_slice())) {
            (Some(number), _) => *number,
            (None, Some(value)) => codec::decode::<i64>(value).map_err(|_| Refusal::NotANumber)?,
            (None, None) => 0,
        };
        let sum = before.checked_add(*addend).ok_or(Refusal::Overflow)?;
        sums.insert(key.as_slice(), sum);
        numbers.push(sum);
    }
    for (key, sum) in sums {
        map.insert(key.into(), number(sum).into_boxed_slice());
    }
    Ok(Outcome::Numbers(numbers))
}

/// Makes additions to single numbers: one that cannot be made leaves its number as it was, and keeps no other one back.
fn add_each(map: &mut Map, additions: &[(Bytes, Addends)]) -> Outcome {
    let (mut overflows, mut not_numbers) = (0u64, 0u64);
    for (key, addends) in additions {
        let before = match map.get(key.as_slice()).map(|value| codec::decode::<i64>(value)) {
            Some(Ok(number)) => number,
            None => 0,
            Some(Err(_)) => {
                not_numbers = not_numbers.saturating_add(addends.count());
                continue;
            }
        };
        let (sum, refused) = addends.applied(before);
        overflows = overflows.saturating_add(refused);
        if refused == addends.count() {
            continue; // None was made.
        }
        let sum = number(sum);
        match map.get_mut(key.as_slice()) {
            Some(value) => *value = sum.into_boxed_slice(),
            None => _ = map.insert(key.as_slice().into(), sum.into_boxed_slice()),
        }
    }
    Outcome::Added { overflows, not_numbers }
}

/// Does something with a counter.
pub(super) fn on_counter(number: &mut i64, op: &CounterOp) -> Result<Outcome, Refusal> {
    Ok(Outcome::Number(match op {
        CounterOp::AddEach(addends) => {
            let overflows;
            (*number, overflows) = addends.applied(*number);
            return Ok(Outcome::Added { overflows, not_numbers: 0 });
        }
        CounterOp::Add(addend) => {
            *number = number.checked_add(*addend).ok_or(Refusal::Overflow)?;
            *number
        }
        CounterOp::Get => *number,
        CounterOp::Swap(new) => std::mem::replace(number, *new),
    }))
}

/// Values as one outcome, if they fit in a message.
fn packed<'a>(values: impl Iterator<Item = &'a Box<[u8]>> + Clone) -> Result<Outcome, Refusal> {
    let bytes: usize = values.clone().map(|value| value.len() + 4).sum();
    if bytes > ANSWER_BYTES {
        return Err(Refusal::TooLarge { bytes: bytes as u64, limit: ANSWER_BYTES as u64 });
    }
    let mut items = Items::with_capacity(bytes);
    values.for_each(|value| items.push(value));
    Ok(Outcome::Items(items))
}

fn owned(value: &[u8]) -> Bytes {
    Bytes::from(value.to_vec())
}

fn taken(value: Box<[u8]>) -> Bytes {
    Bytes::from(value.into_vec())
}

/// A number as clients encode it.
pub(super) fn number(number: i64) -> Vec<u8> {
    let mut bytes = Vec::new();
    codec::encode(&number, &mut bytes).expect("a number has an encoding");
    bytes
}
