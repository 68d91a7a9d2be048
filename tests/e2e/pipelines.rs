//! Pipelines that several tests disturb in their own way.

/// A source that never ends, a stage that hands on, a sink; the keys go to the stage in the middle.
pub fn endless(keys: &str) -> String {
    line(&["bucket", "drip"], &["bucket", "pass"], keys)
}

/// `emit` makes so many items, `middle` hands them on, a sink keeps them; the keys go to the stage in the middle.
pub fn finite(items: u64, middle: &[&str], keys: &str) -> String {
    line(&["bucket", "emit", &items.to_string()], middle, keys)
}

/// Source, middle, sink, with one queue of 64 items before and one after the middle. Every stage notes its deeds.
pub fn line(source: &[&str], middle: &[&str], keys: &str) -> String {
    format!(
        r#"
name = "line"
[queues.raw]
capacity = 64
[queues.done]
capacity = 64
[stages.source]
command = {source:?}
outputs = ["raw"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.middle]
command = {middle:?}
inputs = ["raw"]
outputs = ["done"]
env.LEDGER = "${{ledger}}"
{keys}
[stages.sink]
command = ["bucket", "keep"]
inputs = ["done"]
env = {{ LEDGER = "${{ledger}}" }}
"#
    )
}

/// A source and a taker, joined by one queue; `queue` and `taker` are further keys.
pub fn pair(source: &[&str], queue: &str, taker: &[&str], keys: &str) -> String {
    format!(
        r#"
name = "pair"
[queues.items]
{queue}
[stages.source]
command = {source:?}
outputs = ["items"]
env = {{ LEDGER = "${{ledger}}" }}
[stages.taker]
command = {taker:?}
inputs = ["items"]
env.LEDGER = "${{ledger}}"
{keys}
"#
    )
}

/// One plain process.
pub fn task(command: &[&str], keys: &str) -> String {
    format!(
        r#"
name = "task"
[stages.only]
command = {command:?}
env.LEDGER = "${{ledger}}"
{keys}
"#
    )
}
