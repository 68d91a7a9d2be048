//! What every stage was told to do: its program, its arguments, and where. A checkpoint means something only to a worker
//! that does the same as its author: one that walks the same folder, or writes the same file. So a checkpoint is used
//! under the orders that made it, and under no others.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::{fmt, fs, io};

use brigade_protocol::page::{Page, PageError};
use serde::{Deserialize, Serialize};

use crate::config::plan::{Plan, Role, StagePlan};
use crate::figures::counted;
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
    /// Among how many the work is shared, of a source or task; `None` of other stages, and in files of earlier versions.
    #[serde(default)]
    pub crew: Option<Crew>,
    /// What the pipeline file adds to its environment: for each name a number that another value changes, as values may be
    /// secrets. `None` in files of earlier versions.
    #[serde(default)]
    pub env: Option<BTreeMap<String, u64>>,
}

/// Among how many a stage shares its work. Its workers and threads do so by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crew {
    /// Workers.
    pub replicas: u16,
    /// Threads in each of them.
    pub threads: u16,
}

impl fmt::Display for Crew {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&counted(self.replicas.into(), "worker"))?;
        if self.threads > 1 { write!(f, " of {} threads", self.threads) } else { Ok(()) }
    }
}

impl Order {
    /// Those of a stage.
    pub fn of(stage: &StagePlan) -> Self {
        let program = stage.program.file_name().map(|name| name.to_string_lossy().into_owned());
        let shares = matches!(stage.role(), Role::Source | Role::Task);
        let crew = shares.then_some(Crew { replicas: stage.replicas, threads: stage.threads });
        let env = stage.env.iter().map(|(name, value)| (name.clone(), digest(name, value))).collect();
        Self {
            program: program.unwrap_or_default(),
            args: stage.args.clone(),
            cwd: stage.cwd.clone(),
            crew,
            env: Some(env),
        }
    }

    /// The names of the variables that are not the same in both, as far as that is known.
    pub fn other_env(&self, other: &Self) -> Vec<String> {
        let Some((one, other)) = self.env.as_ref().zip(other.env.as_ref()) else { return Vec::new() };
        let names: BTreeSet<&String> = one.keys().chain(other.keys()).collect();
        names.into_iter().filter(|name| one.get(*name) != other.get(*name)).cloned().collect()
    }

    /// Whether both say to do the same, among however many.
    pub fn is_same_work(&self, other: &Self) -> bool {
        (&self.program, &self.args, &self.cwd) == (&other.program, &other.args, &other.cwd)
    }

    /// Whether both share the work among as many, as far as that is known.
    pub fn is_same_crew(&self, other: &Self) -> bool {
        self.crew.zip(other.crew).is_none_or(|(one, other)| one == other)
    }

    /// In words: the first of program, arguments and folder in which the other one differs, or else among how many the work
    /// is shared.
    pub fn beside(&self, other: &Self) -> String {
        if self.program != other.program {
            format!("to run {}", self.program)
        } else if self.args != other.args {
            format!("{:?}", self.args)
        } else if self.cwd != other.cwd {
            format!("to work in {}", self.cwd.display())
        } else {
            self.crew.map_or_else(String::new, |crew| format!("to share the work among {crew}"))
        }
    }
}

/// That a stage continues from a checkpoint although these variables have changed; `None` if none has.
pub fn in_words(stage: &str, changed: &[String]) -> Option<String> {
    (!changed.is_empty()).then(|| {
        format!(
            "stage {stage} continues from its checkpoint although its env has changed: {}; if these say what it has to do, \
             begin again with --fresh",
            changed.join(", ")
        )
    })
}

/// FNV-1a, which is the same in all versions.
fn digest(name: &str, value: &str) -> u64 {
    let bytes = name.bytes().chain([0]).chain(value.bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
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
    let with_pages: BTreeSet<String> = pages(dir)?.into_iter().map(|(stage, ..)| stage).collect();
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

/// What a worker of an earlier run, of a stage of this plan or not, has left in its page.
#[derive(Clone, Debug)]
pub struct Trace {
    /// Its stage.
    pub stage: String,
    /// Its number in the stage.
    pub replica: u16,
    /// One of its threads has committed a checkpoint.
    pub has_checkpoint: bool,
    /// It has ended well, and by itself.
    pub is_complete: bool,
}

/// What all workers have left whose pages are there.
///
/// # Errors
/// A page cannot be read. Then it is not known whether it holds a checkpoint.
pub fn traces(dir: &StateDir) -> io::Result<Vec<Trace>> {
    let mut traces = Vec::new();
    for (stage, replica, path) in pages(dir)? {
        let page = match Page::open(&path) {
            Ok(page) => page,
            Err(PageError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(io::Error::other(error)),
        };
        let has_checkpoint = (0..page.lanes()).any(|lane| page.lane(lane).checkpoint().is_some());
        traces.push(Trace { stage, replica, has_checkpoint, is_complete: page.is_complete() });
    }
    Ok(traces)
}

/// The stages, of this plan or not, of which a page holds a checkpoint: of any replica, as there may be more of them later.
///
/// # Errors
/// A page cannot be read. Then it is not known whether it holds one.
pub fn with_checkpoints(dir: &StateDir) -> io::Result<BTreeSet<String>> {
    let left = traces(dir)?.into_iter().filter(|trace| trace.has_checkpoint);
    Ok(left.map(|trace| trace.stage).collect())
}

/// The pages that are there, each with the stage and the number of its worker.
///
/// # Errors
/// The folder cannot be read, or a page has no such name.
fn pages(dir: &StateDir) -> io::Result<Vec<(String, u16, PathBuf)>> {
    let mut pages = Vec::new();
    for entry in fs::read_dir(dir.pages())? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "page") {
            let (stage, replica) = worker(&path).ok_or_else(|| {
                io::Error::new(io::ErrorKind::InvalidData, format!("{} is not named after a worker", path.display()))
            })?;
            pages.push((stage.to_owned(), replica, path.clone()));
        }
    }
    Ok(pages)
}

fn worker(page: &Path) -> Option<(&str, u16)> {
    let (stage, replica) = page.file_stem()?.to_str()?.rsplit_once('-')?;
    Some((stage, replica.parse().ok()?))
}
