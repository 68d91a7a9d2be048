//! What every stage was told to do: its program, its arguments, and where. A checkpoint means something only to a worker
//! that does the same as its author: one that walks the same folder, or writes the same file. So a checkpoint is used
//! under the orders that made it, and under no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fs, io};

use brigade_protocol::page::{Page, PageError};
use serde::{Deserialize, Serialize};

use crate::config::plan::{Plan, StagePlan};
use crate::state::StateDir;

/// By stage.
pub type Orders = BTreeMap<String, Order>;

/// What one stage was told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The program's file name. Its folder may change, as from `target/debug` to `target/release`.
    pub program: String,
    /// Behind the program's name.
    pub args: Vec<String>,
    /// Where relative paths begin.
    pub cwd: PathBuf,
}

impl Order {
    /// Those of a stage.
    pub fn of(stage: &StagePlan) -> Self {
        let program = stage.program.file_name().map(|name| name.to_string_lossy().into_owned());
        Self { program: program.unwrap_or_default(), args: stage.args.clone(), cwd: stage.cwd.clone() }
    }

    /// In words: the first of program, arguments and folder in which the other one differs.
    pub fn beside(&self, other: &Self) -> String {
        if self.program != other.program {
            format!("to run {}", self.program)
        } else if self.args != other.args {
            format!("{:?}", self.args)
        } else {
            format!("to work in {}", self.cwd.display())
        }
    }
}

/// Those of this plan.
pub fn of(plan: &Plan) -> Orders {
    let present = plan.stages.iter().filter(|stage| !stage.removed);
    present.map(|stage| (stage.name.clone(), Order::of(stage))).collect()
}

/// Those that were written down last: of the stages of the last run, and of stages before it whose pages are still there.
///
/// # Errors
/// The file cannot be read, or holds something else. There is no file before the first run: that is no error.
pub fn noted(dir: &StateDir) -> io::Result<Orders> {
    let path = dir.orders();
    let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
    match fs::read(&path) {
        Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| named(error.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Orders::new()),
        Err(error) => Err(named(error)),
    }
}

/// Writes the orders of a plan to the state folder: whole, or not at all. The orders of a stage that is not in the plan
/// stay there until its pages are gone, since one of those may hold a checkpoint.
///
/// # Errors
/// The file cannot be written, or what is there cannot be read.
pub fn keep(dir: &StateDir, mut orders: Orders) -> io::Result<()> {
    let with_pages: BTreeSet<String> = pages(dir)?.into_iter().map(|(stage, _)| stage).collect();
    if !with_pages.is_empty() {
        for (stage, order) in noted(dir)? {
            if with_pages.contains(&stage) {
                orders.entry(stage).or_insert(order);
            }
        }
    }
    let new = dir.orders().with_extension("json.new");
    fs::write(&new, serde_json::to_vec_pretty(&orders)?)?;
    fs::rename(new, dir.orders())
}

/// The stages, of this plan or not, of which a page holds a checkpoint: of any replica, as there may be more of them later.
///
/// # Errors
/// A page cannot be read. Then it is not known whether it holds one.
pub fn with_checkpoints(dir: &StateDir) -> io::Result<BTreeSet<String>> {
    let mut stages = BTreeSet::new();
    for (stage, path) in pages(dir)? {
        let page = match Page::open(&path) {
            Ok(page) => page,
            Err(PageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        if (0..page.lanes()).any(|lane| page.lane(lane).checkpoint().is_some()) {
            stages.insert(stage);
        }
    }
    Ok(stages)
}

/// The pages that are there, each with the name of its stage.
///
/// # Errors
/// The folder cannot be read.
pub fn pages(dir: &StateDir) -> io::Result<Vec<(String, PathBuf)>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(dir.pages())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "page")
            && let Some((stage, _)) = stem(&path).and_then(|stem| stem.rsplit_once('-'))
        {
            pages.push((stage.to_owned(), path.clone()));
        }
    }
    Ok(pages)
}

fn stem(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}
