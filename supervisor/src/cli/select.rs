//! Which pipeline a command speaks to. Without it, everybody would have to type the path of a state folder.

use std::io;
use std::path::{Path, PathBuf};

use crate::state::StateDir;

/// Names the state folder where `--state-dir` and `-p` do not.
pub const STATE_DIR_ENV: &str = "BRIGADE_STATE_DIR";

/// The options by which a pipeline is found, to be flattened into a command's arguments.
#[derive(Clone, Debug, Default, PartialEq, Eq, clap::Args)]
pub struct Select {
    /// The pipeline of this name
    #[arg(short, long, value_name = "NAME", conflicts_with = "state_dir", help_heading = "Which pipeline")]
    pub pipeline: Option<String>,
    /// The pipeline that has its state here [default: the only one that runs] [env: BRIGADE_STATE_DIR]
    #[arg(long, value_name = "DIR", help_heading = "Which pipeline")]
    pub state_dir: Option<PathBuf>,
}

/// What a command needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// A pipeline that runs.
    Running,
    /// One that runs, or else what one has left.
    Left,
}

/// Why no pipeline was found. Each says what to type.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectError {
    /// Neither `XDG_STATE_HOME` nor `HOME` says where to look.
    #[error("neither XDG_STATE_HOME nor HOME is set: name the state folder with --state-dir DIR")]
    NoBase,
    /// `-p` with something that cannot be a name.
    #[error("`{0}` is no name of a pipeline: for a folder, write --state-dir {0}")]
    NoName(String),
    /// `-p` with a name under which nothing is kept.
    #[error("nothing is known of a pipeline {name}: there is no {}{}", path.display(), known(names))]
    Unknown {
        /// As typed.
        name: String,
        /// Where it would be.
        path: PathBuf,
        /// Those that are there.
        names: Vec<String>,
    },
    /// `--state-dir` with a folder that is not there, or has never been one.
    #[error("{} is no state folder: no pipeline has run on it", .0.display())]
    NotThere(PathBuf),
    /// `--state-dir` with somebody else's folder.
    #[error("{} belongs to another user: ask as that user", .0.display())]
    Forbidden(PathBuf),
    /// The one that was named does not run.
    #[error("the pipeline on {} does not run", .0.display())]
    NotRunning(PathBuf),
    /// None runs.
    #[error("no pipeline runs (looked under {}); if one keeps its state elsewhere, name it with --state-dir DIR", .0.display())]
    NoneRuns(PathBuf),
    /// None runs, and none ever did.
    #[error(
        "no pipeline runs, and none has left its state under {}: start one with `brigade run FILE`, or name its folder with --state-dir DIR",
        .0.display()
    )]
    Nothing(PathBuf),
    /// Several run.
    #[error("{} pipelines run, say which one:{}", .0.len(), choices(.0))]
    SeveralRun(Vec<String>),
    /// None runs, and several did.
    #[error("no pipeline runs; {} have left their state, say which one:{}", .0.len(), choices(.0))]
    SeveralLeft(Vec<String>),
}

fn known(names: &[String]) -> String {
    if names.is_empty() { String::new() } else { format!("; known: {}", names.join(", ")) }
}

fn choices(names: &[String]) -> String {
    names.iter().map(|name| format!("\n  -p {name}")).collect()
}

impl Select {
    /// Finds the state folder in the surroundings of this process.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub fn find(&self, need: Need) -> Result<StateDir, SelectError> {
        let env = std::env::var_os(STATE_DIR_ENV).filter(|path| !path.is_empty()).map(PathBuf::from);
        self.find_in(StateDir::base().as_deref(), env.as_deref(), need)
    }

    fn find_in(&self, base: Option<&Path>, env: Option<&Path>, need: Need) -> Result<StateDir, SelectError> {
        let named = match (self.state_dir.as_deref(), &self.pipeline, env) {
            (Some(path), _, _) | (None, None, Some(path)) => {
                let dir = StateDir::at(path);
                match dir.lock().metadata() {
                    Ok(lock) if lock.is_file() => {}
                    Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                        return Err(SelectError::Forbidden(dir.root().to_owned()));
                    }
                    Ok(_) | Err(_) => return Err(SelectError::NotThere(dir.root().to_owned())),
                }
                dir
            }
            (None, Some(name), _) => by_name(name, base.ok_or(SelectError::NoBase)?)?,
            (None, None, None) => return only(base.ok_or(SelectError::NoBase)?, need),
        };
        match need {
            Need::Running if named.holder().is_none() => Err(SelectError::NotRunning(named.root().to_owned())),
            Need::Running | Need::Left => Ok(named),
        }
    }
}

fn by_name(name: &str, base: &Path) -> Result<StateDir, SelectError> {
    // Names hold no dots either, but a folder that was put aside may be looked at.
    if name.is_empty() || name.contains('/') || name.starts_with('.') {
        return Err(SelectError::NoName(name.to_owned()));
    }
    let dir = StateDir::at(&base.join(name));
    if dir.lock().is_file() {
        return Ok(dir);
    }
    let names = all(base).into_iter().map(|(name, _)| name).collect();
    Err(SelectError::Unknown { name: name.to_owned(), path: dir.root().to_owned(), names })
}

fn only(base: &Path, need: Need) -> Result<StateDir, SelectError> {
    let (mut running, mut left): (Vec<_>, Vec<_>) = all(base).into_iter().partition(|(_, dir)| dir.holder().is_some());
    let names = |dirs: Vec<(String, StateDir)>| dirs.into_iter().map(|(name, _)| name).collect();
    match (running.len(), left.len(), need) {
        (1, _, _) => Ok(running.remove(0).1),
        (2.., _, _) => Err(SelectError::SeveralRun(names(running))),
        (0, _, Need::Running) => Err(SelectError::NoneRuns(base.to_owned())),
        (0, 0, Need::Left) => Err(SelectError::Nothing(base.to_owned())),
        (0, 1, Need::Left) => Ok(left.remove(0).1),
        (0, 2.., Need::Left) => Err(SelectError::SeveralLeft(names(left))),
    }
}

/// The state folders under `base`, by name; without those that were put aside.
fn all(base: &Path) -> Vec<(String, StateDir)> {
    let Ok(entries) = std::fs::read_dir(base) else { return Vec::new() };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    let mut found: Vec<_> = names
        .filter(|name| !name.contains(".aside-"))
        .map(|name| (name.clone(), StateDir::at(&base.join(name))))
        .filter(|(_, dir)| dir.lock().is_file())
        .collect();
    found.sort_by(|one, other| one.0.cmp(&other.0));
    found
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::state::StateFolder;

    fn base() -> TempDir {
        tempfile::tempdir().expect("a temporary folder")
    }

    fn take(base: &TempDir, name: &str) -> StateFolder {
        StateDir::at(&base.path().join(name)).take(name).expect("taken")
    }

    fn find(base: &TempDir, select: &Select, need: Need) -> Result<PathBuf, String> {
        let found = select.find_in(Some(base.path()), None, need);
        found.map(|dir| dir.root().to_owned()).map_err(|error| error.to_string())
    }

    fn named(name: &str) -> Select {
        Select { pipeline: Some(name.to_owned()), state_dir: None }
    }

    #[test]
    fn the_only_one_that_runs_is_found_among_those_that_ran() {
        let base = base();
        drop(take(&base, "one"));
        let two = take(&base, "two");
        for need in [Need::Running, Need::Left] {
            assert_eq!(find(&base, &Select::default(), need), Ok(base.path().join("two")));
        }
        drop(two);
        let refused = find(&base, &Select::default(), Need::Left).expect_err("two are left");
        assert_eq!(refused, "no pipeline runs; 2 have left their state, say which one:\n  -p one\n  -p two");
        let refused = find(&base, &Select::default(), Need::Running).expect_err("none runs");
        assert!(refused.starts_with("no pipeline runs (looked under "), "{refused}");
        assert_eq!(find(&base, &named("one"), Need::Left), Ok(base.path().join("one")));
        let refused = find(&base, &named("one"), Need::Running).expect_err("it does not run");
        assert_eq!(refused, format!("the pipeline on {} does not run", base.path().join("one").display()));
    }

    #[test]
    fn several_that_run_are_named() {
        let base = base();
        let _held = [take(&base, "b"), take(&base, "a")];
        let refused = find(&base, &Select::default(), Need::Running).expect_err("two run");
        assert_eq!(refused, "2 pipelines run, say which one:\n  -p a\n  -p b");
        assert_eq!(find(&base, &named("a"), Need::Running), Ok(base.path().join("a")));
    }

    #[test]
    fn what_was_put_aside_and_what_is_not_ours_does_not_count() {
        let base = base();
        drop(take(&base, "one"));
        drop(take(&base, "one.aside-20261120T102853Z"));
        std::fs::create_dir(base.path().join("other")).expect("made");
        std::fs::write(base.path().join("file"), "").expect("written");
        assert_eq!(find(&base, &Select::default(), Need::Left), Ok(base.path().join("one")));
        let refused = find(&base, &named("other"), Need::Left).expect_err("not a state folder");
        assert!(refused.ends_with("/other; known: one"), "{refused}");
        assert_eq!(
            find(&base, &named("x/y"), Need::Left).expect_err("a path"),
            "`x/y` is no name of a pipeline: for a folder, write --state-dir x/y"
        );
    }

    #[test]
    fn without_any_it_says_how_to_begin() {
        let base = base();
        let refused = find(&base, &Select::default(), Need::Left).expect_err("nothing");
        assert!(refused.contains("start one with `brigade run FILE`"), "{refused}");
        assert_eq!(Select::default().find_in(None, None, Need::Left), Err(SelectError::NoBase));
    }

    #[test]
    fn options_win_over_the_environment_and_it_wins_over_looking() {
        let base = base();
        let _held = [take(&base, "a"), take(&base, "b")];
        let (a, b) = (base.path().join("a"), base.path().join("b"));
        let find = |select: Select, env: &Path| {
            select.find_in(Some(base.path()), Some(env), Need::Running).map(|dir| dir.root().to_owned())
        };
        assert_eq!(find(Select::default(), &a), Ok(a.clone()));
        assert_eq!(find(named("b"), &a), Ok(b.clone()));
        assert_eq!(find(Select { pipeline: None, state_dir: Some(b.clone()) }, &a), Ok(b));
        let gone = base.path().join("gone");
        assert_eq!(find(Select::default(), &gone), Err(SelectError::NotThere(gone)));
    }
}
