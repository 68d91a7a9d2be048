//! What every stage was told to do: its arguments, and where. Without it, a run with other arguments would go on from the
//! checkpoints of a run that did something else, and its results would be wrong without a word.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::{fs, io};

use serde::{Deserialize, Serialize};

use crate::config::plan::Plan;
use crate::state::StateDir;

/// By stage.
pub type Orders = BTreeMap<String, Order>;

/// What one stage was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Behind the program's name. The program itself may move, as from `target/debug` to `target/release`.
    pub args: Vec<String>,
    /// Where relative paths begin.
    pub cwd: PathBuf,
}

/// Those of this plan.
pub fn of(plan: &Plan) -> Orders {
    let order = |stage: &crate::config::plan::StagePlan| Order { args: stage.args.clone(), cwd: stage.cwd.clone() };
    plan.stages.iter().map(|stage| (stage.name.clone(), order(stage))).collect()
}

/// Those of the last run. None if there was no run, or one that did not come so far as to write them.
pub fn of_the_last_run(dir: &StateDir) -> Orders {
    fs::read(dir.orders()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}

/// Writes them to the state folder: whole, or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn keep(dir: &StateDir, orders: &Orders) -> io::Result<()> {
    let new = dir.orders().with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(orders)?)?;
    fs::rename(new, dir.orders())
}
