//! What the manager holds, and what operations do to it: pure, so that one table of tests tells all of it, and all
//! changes go through [`apply`], so that whoever wants to repeat them later has one place to listen at.

use std::collections::{BTreeMap, VecDeque};

use brigade_protocol::shape::{TypeNote, compare};
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Container, CounterOp, Dump, Kind, ListOp, MapOp, NAME_BYTES, Op, Outcome, Refusal};

use super::batches::{self, Batches};
use super::kinds::{number, on_counter, on_list, on_map};
use super::sessions::Sessions;

/// A dump, which is for people, holds no more than this many bytes of values.
const DUMP_BYTES: usize = 16 << 20;

/// Items of a list. A deque, so that taking the first one is as cheap as taking the last.
pub type List = VecDeque<Box<[u8]>>;
/// Entries of a map, in the order of their encoded keys: two looks at the same map show the same order.
pub type Map = BTreeMap<Box<[u8]>, Box<[u8]>>;

/// All containers, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Public for the snapshot alone; everyone else goes through [`apply`].
    pub(super) held: BTreeMap<String, Held>,
    /// What its clients may ask again.
    pub(super) sessions: Sessions,
    /// What workers have prepared.
    pub(super) batches: Batches,
}

/// One container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// The types of its items, or of its keys and its values.
    pub types: Vec<TypeNote>,
    /// Its contents.
    pub body: Body,
}

/// Contents of a container.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A sequence.
    List(List),
    /// Keys and values.
    Map(Map),
    /// A number.
    Counter(i64),
}

impl Body {
    /// An empty one.
    pub fn new(kind: Kind) -> Self {
        match kind {
            Kind::List => Self::List(List::new()),
            Kind::Map => Self::Map(Map::new()),
            Kind::Counter => Self::Counter(0),
        }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::List(_) => Kind::List,
            Self::Map(_) => Kind::Map,
            Self::Counter(_) => Kind::Counter,
        }
    }
}

/// Whether the operation may change something: only those need to be in the journal.
pub fn may_change(state: &State, op: &Op) -> bool {
    let (name, changes) = match op {
        Op::Create { name, .. } => (name, state.held.get(name).is_some_and(|held| held.types.is_empty())),
        Op::List { name, op } => (name, !matches!(op, ListOp::Get(_) | ListOp::Len | ListOp::Range(..))),
        Op::Map { name, op } => (name, !matches!(op, MapOp::Get(_) | MapOp::Len | MapOp::Keys | MapOp::Entries)),
        Op::Counter { name, op } => (name, !matches!(op, CounterOp::Get)),
        Op::Prepare { .. } | Op::Settle { .. } => return true,
        Op::Describe | Op::Dump { .. } => return false,
    };
    // Every operation makes the container that it is about.
    changes || !state.held.contains_key(name)
}

/// Applies an operation that may change something, unless it has been applied: then it tells again what came of it.
pub fn apply_once(state: &mut State, client: u128, number: u64, seen: u64, op: &Op) -> Outcome {
    if let Op::Settle { .. } = op {
        return apply(state, op); // By ourselves: nobody asks again.
    }
    if let Some(outcome) = state.sessions.recorded(client, number) {
        return outcome.clone();
    }
    let outcome = apply(state, op);
    state.sessions.record(client, number, seen, outcome.clone());
    outcome
}

/// Applies one operation. An operation that is refused has changed nothing.
pub fn apply(state: &mut State, op: &Op) -> Outcome {
    let outcome = match op {
        Op::Create { name, kind, types } => state.held(name, *kind).and_then(|held| create(held, *kind, types)),
        Op::List { name, op } => state.held(name, Kind::List).and_then(|held| match &mut held.body {
            Body::List(list) => on_list(list, op),
            body @ (Body::Map(_) | Body::Counter(_)) => Err(wrong(body, Kind::List)),
        }),
        Op::Map { name, op } => state.held(name, Kind::Map).and_then(|held| match &mut held.body {
            Body::Map(map) => on_map(map, op),
            body @ (Body::List(_) | Body::Counter(_)) => Err(wrong(body, Kind::Map)),
        }),
        Op::Counter { name, op } => state.held(name, Kind::Counter).and_then(|held| match &mut held.body {
            Body::Counter(number) => on_counter(number, op),
            body @ (Body::List(_) | Body::Map(_)) => Err(wrong(body, Kind::Counter)),
        }),
        Op::Describe => Ok(Outcome::Containers(state.containers())),
        Op::Dump { name, limit } => state.dump(name, *limit).map(Outcome::Dump).ok_or(Refusal::Unknown),
        Op::Prepare { from, batch, ops, .. } => batches::prepare(state, from, *batch, ops),
        Op::Settle { from, batch } => Ok(batches::settle(state, from, *batch)),
    };
    outcome.unwrap_or_else(Outcome::Refused)
}

impl State {
    /// The container of that name, which is made if there is none.
    fn held(&mut self, name: &str, kind: Kind) -> Result<&mut Held, Refusal> {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(Refusal::BadName);
        }
        if !self.held.contains_key(name) {
            self.held.insert(name.to_owned(), Held { types: Vec::new(), body: Body::new(kind) });
        }
        Ok(self.held.get_mut(name).expect("it is there or was just made"))
    }

    /// Whether there is a container of that name and kind, or can be one.
    pub(super) fn may_be(&self, name: &str, wanted: Kind) -> Result<(), Refusal> {
        if name.is_empty() || name.len() > NAME_BYTES {
            return Err(Refusal::BadName);
        }
        match self.held.get(name) {
            Some(held) if held.body.kind() != wanted => Err(wrong(&held.body, wanted)),
            Some(_) | None => Ok(()),
        }
    }

    /// Makes a container that may be, if there is none.
    pub(super) fn make(&mut self, name: &str, kind: Kind) {
        _ = self.held(name, kind);
    }

    /// What there is, by name.
    pub fn containers(&self) -> Vec<Container> {
        self.held.iter().map(|(name, held)| describe(name, held)).collect()
    }

    /// The first `limit` items or entries of a container, or as many as are no more than 16 MiB; `None` if there is no
    /// such container.
    pub fn dump(&self, name: &str, limit: u64) -> Option<Dump> {
        let held = self.held.get(name)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let mut items = Items::new();
        let mut takes = |group: &[&[u8]]| {
            let fits = items.bytes() + group.iter().map(|part| part.len()).sum::<usize>() <= DUMP_BYTES;
            if fits {
                group.iter().for_each(|part| items.push(part));
            }
            fits
        };
        match &held.body {
            Body::List(list) => _ = list.iter().take(limit).all(|item| takes(&[item])),
            Body::Map(map) => _ = map.iter().take(limit).all(|(key, value)| takes(&[key, value])),
            Body::Counter(counter) => _ = takes(&[&number(*counter)]),
        }
        Some(Dump { container: describe(name, held), items })
    }
}

fn wrong(body: &Body, wanted: Kind) -> Refusal {
    Refusal::WrongKind { is: body.kind(), wanted }
}

fn create(held: &mut Held, kind: Kind, types: &[TypeNote]) -> Result<Outcome, Refusal> {
    if held.body.kind() != kind {
        return Err(wrong(&held.body, kind));
    }
    if held.types.is_empty() {
        held.types = types.to_vec();
    }
    for (stands, comes) in held.types.iter().zip(types) {
        if let Err(difference) = compare(stands, comes) {
            let [held, wanted] = [stands, comes].map(TypeNote::to_string);
            return Err(Refusal::OtherShape { held, wanted, difference: difference.to_string() });
        }
    }
    Ok(Outcome::Done)
}

fn describe(name: &str, held: &Held) -> Container {
    let length = match &held.body {
        Body::List(list) => list.len() as u64,
        Body::Map(map) => map.len() as u64,
        Body::Counter(_) => 1,
    };
    Container { name: name.to_owned(), kind: held.body.kind(), length, types: held.types.clone() }
}

#[cfg(test)]
mod tests {
    use brigade_protocol::codec;
    use brigade_protocol::shape::Shape;
    use brigade_protocol::shared::op::Bytes;

    use super::*;

    fn bytes(text: &str) -> Bytes {
        Bytes::from(text.as_bytes())
    }

    fn items(values: &[&str]) -> Items {
        let mut items = Items::new();
        values.iter().for_each(|value| items.push(value.as_bytes()));
        items
    }

    fn some(text: &str) -> Outcome {
        Outcome::Value(Some(bytes(text)))
    }

    fn list(op: ListOp) -> Op {
        Op::List { name: "l".into(), op }
    }

    fn map(op: MapOp) -> Op {
        Op::Map { name: "m".into(), op }
    }

    fn counter(op: CounterOp) -> Op {
        Op::Counter { name: "c".into(), op }
    }

    fn tell(story: Vec<(Op, Outcome)>) -> State {
        let mut state = State::default();
        for (step, (op, outcome)) in story.into_iter().enumerate() {
            assert_eq!(apply(&mut state, &op), outcome, "step {step}: {op:?}");
        }
        state
    }

    #[test]
    fn a_list_does_what_a_vector_does() {
        let past = |position, length| Outcome::Refused(Refusal::PastTheEnd { position, length });
        tell(vec![
            (list(ListOp::Pop), Outcome::Value(None)),
            (list(ListOp::Extend(items(&["a", "b", "c"]))), Outcome::Length(3)),
            (list(ListOp::Extend(items(&[]))), Outcome::Length(3)),
            (list(ListOp::Get(2)), some("c")),
            (list(ListOp::Get(3)), Outcome::Value(None)),
            (list(ListOp::Set(1, bytes("B"))), Outcome::Done),
            (list(ListOp::Set(3, bytes("x"))), past(3, 3)),
            (list(ListOp::Insert(3, bytes("d"))), Outcome::Done),
            (list(ListOp::Insert(5, bytes("x"))), past(5, 4)),
            (list(ListOp::Insert(0, bytes("_"))), Outcome::Done),
            (list(ListOp::Range(0, u64::MAX)), Outcome::Items(items(&["_", "a", "B", "c", "d"]))),
            (list(ListOp::Range(1, 3)), Outcome::Items(items(&["a", "B"]))),
            (list(ListOp::Range(3, 1)), Outcome::Items(items(&[]))),
            (list(ListOp::Range(9, 12)), Outcome::Items(items(&[]))),
            (list(ListOp::Remove(1)), some("a")),
            (list(ListOp::Remove(u64::MAX)), Outcome::Value(None)),
            (list(ListOp::Pop), some("d")),
            (list(ListOp::Len), Outcome::Length(3)),
            (list(ListOp::Clear), Outcome::Done),
            (list(ListOp::Len), Outcome::Length(0)),
        ]);
    }

    #[test]
    fn a_map_does_what_a_map_does() {
        tell(vec![
            (map(MapOp::Get(bytes("k"))), Outcome::Value(None)),
            (map(MapOp::Insert(bytes("k"), bytes("1"))), Outcome::Value(None)),
            (map(MapOp::Insert(bytes("k"), bytes("2"))), some("1")),
            (map(MapOp::Extend(items(&["j", "3", "i", "4"]))), Outcome::Length(3)),
            (map(MapOp::Extend(items(&["j"]))), Outcome::Refused(Refusal::Malformed)),
            (map(MapOp::Keys), Outcome::Items(items(&["i", "j", "k"]))),
            (map(MapOp::Entries), Outcome::Items(items(&["i", "4", "j", "3", "k", "2"]))),
            (map(MapOp::Remove(bytes("j"))), some("3")),
            (map(MapOp::Remove(bytes("j"))), Outcome::Value(None)),
            (map(MapOp::Len), Outcome::Length(2)),
            (map(MapOp::Clear), Outcome::Done),
            (map(MapOp::Len), Outcome::Length(0)),
        ]);
    }

    #[test]
    fn an_exchange_is_made_only_against_exactly_what_is_there() {
        let exchange = |expected: Option<&str>, new: Option<&str>| {
            map(MapOp::CompareExchange { key: bytes("k"), expected: expected.map(bytes), new: new.map(bytes) })
        };
        let made = Outcome::Exchanged(Ok(()));
        let instead = |current: Option<&str>| Outcome::Exchanged(Err(current.map(bytes)));
        tell(vec![
            (exchange(Some("1"), Some("2")), instead(None)),
            (exchange(None, Some("1")), made.clone()),
            (exchange(None, Some("2")), instead(Some("1"))),
            (exchange(Some("0"), None), instead(Some("1"))),
            (exchange(Some("1"), Some("2")), made.clone()),
            (exchange(Some("2"), None), made.clone()),
            (exchange(None, None), made),
            (map(MapOp::Len), Outcome::Length(0)),
        ]);
    }

    #[test]
    fn adding_to_many_numbers_is_done_to_all_or_to_none() {
        let text = {
            let mut bytes = Vec::new();
            codec::encode("seven", &mut bytes).expect("text has an encoding");
            Bytes::from(bytes)
        };
        let before = vec![
            (
                map(MapOp::Add(vec![(bytes("a"), 2), (bytes("b"), -1), (bytes("a"), 3)])),
                Outcome::Numbers(vec![2, -1, 5]),
            ),
            (map(MapOp::Insert(bytes("t"), text)), Outcome::Value(None)),
        ];
        let after = [
            (map(MapOp::Add(vec![(bytes("a"), 1), (bytes("t"), 1)])), Outcome::Refused(Refusal::NotANumber)),
            (map(MapOp::Add(vec![(bytes("c"), 1), (bytes("a"), i64::MAX)])), Outcome::Refused(Refusal::Overflow)),
            (map(MapOp::Get(bytes("a"))), Outcome::Value(Some(Bytes::from(number(5))))),
        ];
        assert_eq!(tell(before.to_vec()), tell(before.into_iter().chain(after).collect()));
    }

    #[test]
    fn a_counter_counts_and_never_wraps() {
        tell(vec![
            (counter(CounterOp::Get), Outcome::Number(0)),
            (counter(CounterOp::Add(5)), Outcome::Number(5)),
            (counter(CounterOp::Add(-7)), Outcome::Number(-2)),
            (counter(CounterOp::Swap(i64::MAX)), Outcome::Number(-2)),
            (counter(CounterOp::Add(1)), Outcome::Refused(Refusal::Overflow)),
            (counter(CounterOp::Get), Outcome::Number(i64::MAX)),
        ]);
    }

    #[test]
    fn a_name_stands_for_one_kind_only() {
        let as_list = |name: &str| Op::List { name: name.into(), op: ListOp::Len };
        let wrong = Outcome::Refused(Refusal::WrongKind { is: Kind::Map, wanted: Kind::List });
        let create = Op::Create { name: "m".into(), kind: Kind::List, types: Vec::new() };
        tell(vec![
            (map(MapOp::Len), Outcome::Length(0)),
            (as_list("m"), wrong.clone()),
            (create, wrong),
            (as_list(""), Outcome::Refused(Refusal::BadName)),
            (as_list(&"n".repeat(NAME_BYTES + 1)), Outcome::Refused(Refusal::BadName)),
            (as_list(&"n".repeat(NAME_BYTES)), Outcome::Length(0)),
        ]);
    }

    #[test]
    fn a_container_keeps_its_types_and_refuses_others() {
        let note = |name: &str, shape| TypeNote { name: name.into(), shape, enums: vec![] };
        let create = |value| {
            let types = vec![note("a::Key", Shape::Text), note("a::Value", value)];
            Op::Create { name: "m".into(), kind: Kind::Map, types }
        };
        let other =
            Refusal::OtherShape { held: "i64".into(), wanted: "u64".into(), difference: "u64 instead of i64".into() };
        let state = tell(vec![
            (map(MapOp::Insert(bytes("k"), bytes("1"))), Outcome::Value(None)),
            (create(Shape::I64), Outcome::Done),
            (create(Shape::U64), Outcome::Refused(other)),
            (create(Shape::Opaque), Outcome::Done),
            (create(Shape::I64), Outcome::Done),
        ]);
        assert_eq!(state.held["m"].types[1].shape, Shape::I64);
    }

    #[test]
    fn what_there_is_can_be_listed_and_looked_into_without_making_anything() {
        let note = TypeNote { name: "u8".into(), shape: Shape::U8, enums: vec![] };
        let of = |length| Container { name: "l".into(), kind: Kind::List, length, types: vec![note.clone()] };
        let dump = |limit| Op::Dump { name: "l".into(), limit };
        tell(vec![
            (dump(9), Outcome::Refused(Refusal::Unknown)),
            (Op::Describe, Outcome::Containers(vec![])),
            (Op::Create { name: "l".into(), kind: Kind::List, types: vec![note.clone()] }, Outcome::Done),
            (list(ListOp::Extend(items(&["a", "b"]))), Outcome::Length(2)),
            (Op::Create { name: "l".into(), kind: Kind::List, types: vec![] }, Outcome::Done),
            (Op::Describe, Outcome::Containers(vec![of(2)])),
            (dump(1), Outcome::Dump(Dump { container: of(2), items: items(&["a"]) })),
            (dump(u64::MAX), Outcome::Dump(Dump { container: of(2), items: items(&["a", "b"]) })),
        ]);
    }
}
