//! What people see of shared state.

use std::collections::BTreeMap;

use brigade::manager::{ask, picture};
use brigade_protocol::shared::op::Kind;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::stage::{LIMIT, door, inside};

#[derive(Serialize, Deserialize)]
enum Verdict {
    Good,
    Bad { lines: Vec<u32> },
}

#[derive(Serialize, Deserialize)]
struct Checked {
    path: String,
    verdict: Option<Verdict>,
}

#[test]
fn people_can_look_at_values_of_any_type() {
    let (sender, _table) = inside();
    let shared = door(sender.clone());
    let list = shared.list::<Checked>("checked");
    list.push(&Checked { path: "a".into(), verdict: Some(Verdict::Bad { lines: vec![3, 500] }) }).unwrap();
    list.push(&Checked { path: "b".into(), verdict: Some(Verdict::Good) }).unwrap();
    list.push(&Checked { path: "c".into(), verdict: None }).unwrap();
    shared.map::<String, u64>("words").insert("the", &7).unwrap();
    shared.counter("sum").add(-3).unwrap();

    let described = ask::describe(&sender, LIMIT).unwrap();
    let names: BTreeMap<_, _> = described.iter().map(|it| (it.name.as_str(), (it.kind, it.length))).collect();
    let expected = [("checked", (Kind::List, 3)), ("sum", (Kind::Counter, 1)), ("words", (Kind::Map, 1))];
    assert_eq!(names, BTreeMap::from(expected));

    let types = json!(["Checked"]);
    let bad = json!({"path": "a", "verdict": {"Bad": {"lines": [3, 500]}}});
    let (good, none) = (json!({"path": "b", "verdict": "Good"}), json!({"path": "c", "verdict": null}));
    let look = |name| picture::of_manager(&sender, name, LIMIT);
    let list = json!({"name": "checked", "kind": "list", "length": 3, "types": types, "items": [bad, good, none]});
    assert_eq!(look(Some("checked")).unwrap(), list);
    let entries = json!([{"key": "the", "value": 7}]);
    let types = json!(["String", "u64"]);
    let map = json!({"name": "words", "kind": "map", "length": 1, "types": types, "entries": entries});
    assert_eq!(look(Some("words")).unwrap(), map);
    let sum = json!({"name": "sum", "kind": "counter", "length": 1, "types": []});
    assert_eq!(look(None).unwrap()[1], sum);
    assert_eq!(look(Some("sum")).unwrap()["value"], json!(-3));
    assert!(matches!(look(Some("nothing")), Err(ask::AskError::Unknown(_))));
    assert_eq!(ask::dump(&sender, "checked", 2, LIMIT).unwrap().items.len(), 2);
}
