//! Shared state as JSON: what `brigade shared` shows, taken from a manager that runs or from the file that one left.
//!
//! Without a name: `[{"name", "kind", "length", "types"}, …]`. With one: the same for it alone, and beside it `"items"`
//! of a list, `"entries"` (`[{"key", "value"}, …]`) of a map, or the `"value"` of a counter. If there are fewer items or
//! entries than `length` says, those are the first of them.

use std::time::Duration;

use brigade_protocol::shared::Connect;
use brigade_protocol::shared::op::{Container, Dump, Kind};
use ipc_channel::ipc::IpcSender;
use serde_json::{Map, Value, json};

use super::ask::{self, AskError};
use super::show;
use super::state::State;

/// Not more items or entries than this are shown of one container.
pub const ITEMS: u64 = 10_000;

/// Asks a manager that runs. Waits for at most about `limit`; call it from a thread that may wait.
pub fn of_manager(door: &IpcSender<Connect>, name: Option<&str>, limit: Duration) -> Result<Value, AskError> {
    match name {
        None => ask::describe(door, limit).map(|all| of_all(&all)),
        Some(name) => ask::dump(door, name, ITEMS, limit).map(|dump| of_one(&dump)),
    }
}

/// Looks at the state that a snapshot holds. A name that it does not know: `Unknown`.
pub fn of_state(state: &State, name: Option<&str>) -> Result<Value, AskError> {
    match name {
        None => Ok(of_all(&state.containers())),
        Some(name) => {
            state.dump(name, ITEMS).map(|dump| of_one(&dump)).ok_or_else(|| AskError::Unknown(name.to_owned()))
        }
    }
}

fn of_all(containers: &[Container]) -> Value {
    containers.iter().map(|container| Value::from(described(container))).collect()
}

fn described(container: &Container) -> Map<String, Value> {
    let types: Vec<_> = container.types.iter().map(|note| show::short_name(&note.name)).collect();
    Map::from_iter([
        ("name".to_owned(), json!(container.name)),
        ("kind".to_owned(), json!(container.kind.to_string())),
        ("length".to_owned(), json!(container.length)),
        ("types".to_owned(), json!(types)),
    ])
}

fn of_one(dump: &Dump) -> Value {
    let types = &dump.container.types;
    let mut picture = described(&dump.container);
    let mut items = dump.items.iter();
    match dump.container.kind {
        Kind::List => {
            picture.insert("items".into(), items.map(|item| show::value(item, types.first())).collect());
        }
        Kind::Map => {
            let mut entries = Vec::new();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                let (key, value) = (show::value(key, types.first()), show::value(value, types.get(1)));
                entries.push(json!({ "key": key, "value": value }));
            }
            picture.insert("entries".into(), Value::from(entries));
        }
        Kind::Counter => {
            picture.insert("value".into(), items.next().map_or(Value::Null, show::counter));
        }
    }
    Value::from(picture)
}
