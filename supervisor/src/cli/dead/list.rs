//! `brigade dead list`: a line for each.

use std::io::IsTerminal;
use std::process::ExitCode;

use serde_json::{Value, json};

use super::find::{self, FindError};
use super::{item, show};
use crate::cli::say;
use crate::cli::select::{Need, Select};
use crate::logs::show::wants_colour;
use crate::state::StateDir;
use crate::table::{Cell, Side, Table, Tint};

/// Lists them.
pub(super) fn run(select: &Select, queue: Option<&str>, as_json: bool) -> ExitCode {
    let dir = match select.find(Need::Left) {
        Ok(dir) => dir,
        Err(error) => return say::error(&error),
    };
    let text = if as_json { in_json(&dir, queue) } else { in_lines(&dir, queue) };
    match text {
        Ok(text) => say::result(&text),
        Err(error) => say::error(&error),
    }
}

fn in_json(dir: &StateDir, queue: Option<&str>) -> Result<String, FindError> {
    let mut all = Vec::new();
    for name in find::queues(dir, queue)? {
        find::each(dir, &name, |letter| {
            all.push(json!({
                "id": letter.key.to_string(),
                "queue": name,
                "time": show::utc(letter.time_us),
                "deliveries": letter.deliveries,
                "words": letter.words,
                "bytes": letter.bytes.len(),
                "preview": item::preview(&letter.bytes),
            }));
        })?;
    }
    Ok(item::pretty(&Value::from(all)))
}

fn in_lines(dir: &StateDir, queue: Option<&str>) -> Result<String, FindError> {
    let mut table = Table::new(&[
        ("id", Side::Left),
        ("queue", Side::Left),
        ("since", Side::Left),
        ("deliveries", Side::Right),
        ("item", Side::Left),
        ("why", Side::Left),
    ]);
    let mut count = 0u64;
    for name in find::queues(dir, queue)? {
        find::each(dir, &name, |letter| {
            count += 1;
            table.row([
                Cell::new(letter.key.to_string()).tint(Tint::Bold),
                Cell::new(&name),
                Cell::new(show::utc(letter.time_us)).tint(Tint::Dim),
                Cell::new(letter.deliveries.to_string()),
                Cell::new(item::preview(&letter.bytes)),
                Cell::new(&letter.words),
            ]);
        })?;
    }
    if count == 0 {
        return Ok("no dead letters\n".to_owned());
    }
    Ok(table.text(wants_colour(std::io::stdout().is_terminal())))
}
