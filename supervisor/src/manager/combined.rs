//! Tests that combined changes do to the manager's state what the single ones do: the same values, and as many refusals for
//! the same reasons. Random sequences with few keys, numbers near the limits, other values in place of numbers, and names
//! that stand for another kind.

use std::collections::BTreeMap;

use brigade_protocol::codec;
use brigade_protocol::shared::combine::{Change, Combined};
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Bytes, CounterOp, ListOp, MapOp, Op, Origin, Outcome, Refusal};

use super::batches::{make, prepare};
use super::state::{State, apply};

/// Draws numbers (xorshift).
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % limit as u64) as usize
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())]
    }

    fn number(&mut self) -> i64 {
        self.one_of(&[0, 1, 1, 1, 1, -1, 3, i64::MAX, i64::MIN, i64::MAX - 2, i64::MIN + 2, i64::MAX / 2])
    }

    /// With more keys than are looked through one by one.
    fn key(&mut self) -> Bytes {
        let keys = self.one_of(&[3, 20]);
        Bytes::from(vec![self.below(keys) as u8])
    }

    fn value(&mut self) -> Bytes {
        let mut bytes = Vec::new();
        match self.below(4) {
            0 => codec::encode("no number", &mut bytes),
            _ => codec::encode(&self.number(), &mut bytes),
        }
        .expect("it has an encoding");
        Bytes::from(bytes)
    }

    fn items(&mut self, most: usize) -> Items {
        let mut items = Items::new();
        (0..self.below(most)).for_each(|_| items.push(&self.value()));
        items
    }

    fn change(&mut self) -> (String, Change) {
        // Mostly the right kind for the name.
        let kind = self.below(3);
        let names = [["m", "n"], ["l", "k"], ["c", "d"]][if self.below(500) == 0 { self.below(3) } else { kind }];
        let name = match self.below(20) {
            0 => format!("{}{}", self.one_of(&names), self.below(9)),
            _ => self.one_of(&names).to_owned(),
        };
        let change = match kind {
            0 => match self.below(16) {
                0 => Change::Map(MapOp::Clear),
                1 => Change::Map(MapOp::Remove(self.key())),
                2..5 => Change::Map(MapOp::Insert(self.key(), self.value())),
                5 => Change::Map(MapOp::Add((0..self.below(4)).map(|_| (self.key(), self.number())).collect())),
                6 => {
                    let mut items = Items::new();
                    (0..2 * self.below(3)).for_each(|_| items.push(&self.value()));
                    Change::Map(MapOp::Extend(items))
                }
                _ => Change::Add(self.key(), self.number()),
            },
            1 if self.below(10) == 0 => Change::List(ListOp::Clear),
            1 => Change::List(ListOp::Extend(self.items(4))),
            _ if self.below(6) == 0 => Change::Counter(CounterOp::Swap(self.number())),
            _ => Change::Counter(CounterOp::Add(self.number())),
        };
        (name, change)
    }
}

fn encoded(op: &Op) -> Bytes {
    let mut bytes = Vec::new();
    codec::encode(op, &mut bytes).expect("it has an encoding");
    Bytes::from(bytes)
}

/// What comes of operations.
#[derive(Debug, PartialEq)]
struct Made {
    prepared: Result<Outcome, Refusal>,
    /// How many changes could not be made, by container and reason.
    refused: BTreeMap<(String, String), u64>,
    state: State,
}

fn made(before: &State, ops: &[Bytes]) -> Made {
    let mut state = before.clone();
    let from = Origin { stage: "s".into(), replica: 0, lane: 0 };
    let prepared = prepare(&mut state, &from, 1, ops);
    state.batches.clear();
    let mut refused = BTreeMap::new();
    if prepared.is_ok() {
        for (name, refusal, times) in make(&mut state, ops) {
            *refused.entry((name, refusal.to_string())).or_default() += times;
        }
    }
    Made { prepared, refused, state }
}

#[test]
fn combined_changes_do_what_single_changes_do() {
    let mut draw = Draw(0x9E37_79B9_7F4A_7C15);
    let (mut refusals, mut not_prepared, mut fewer) = (0, 0, 0);
    for round in 0..1_000 {
        let mut before = State::default();
        for _ in 0..draw.below(30) {
            let (name, change) = draw.change();
            apply(&mut before, &change.into_op(name));
        }
        let changes: Vec<_> = (0..draw.below(60)).map(|_| draw.change()).collect();
        let mut combined = Combined::default();
        changes.iter().for_each(|(name, change)| match change {
            Change::Add(key, number) => _ = combined.push_add(name, key, *number),
            other => _ = combined.push(name, other.clone()),
        });
        let single: Vec<_> =
            changes.iter().map(|(name, change)| encoded(&change.clone().into_op(name.clone()))).collect();
        let together = combined.encoded().expect("they have an encoding");
        assert!(together.iter().map(|op| op.len()).sum::<usize>() <= combined.bytes(), "round {round}");
        let (one_by_one, combined) = (made(&before, &single), made(&before, &together));
        assert_eq!(combined, one_by_one, "round {round}: {changes:?} after {before:?}");
        refusals += one_by_one.refused.values().sum::<u64>();
        not_prepared += u32::from(one_by_one.prepared.is_err());
        fewer += single.len() - together.len();
    }
    assert!(refusals > 300 && not_prepared > 20 && fewer > 3_000, "{refusals} {not_prepared} {fewer}");
}
