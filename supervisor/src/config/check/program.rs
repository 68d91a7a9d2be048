//! Finds the program of a command. Without it a misspelt name would be met when the pipeline already runs.

use std::path::{Path, PathBuf};

use rustix::fs::{Access, access};
use toml::Spanned;

use crate::config::fault::Fault;
use crate::config::nearest::nearest;
use crate::config::surroundings::Surroundings;

/// What lies at a path.
enum Look {
    Runs,
    NotExecutable,
    Folder,
    Absent,
}

fn look(path: &Path) -> Look {
    match std::fs::metadata(path) {
        Err(_) => Look::Absent,
        Ok(found) if found.is_dir() => Look::Folder,
        Ok(found) if found.is_file() && access(path, Access::EXEC_OK).is_ok() => Look::Runs,
        Ok(_) => Look::NotExecutable,
    }
}

/// The absolute path of a program: a name with a slash starts at the folder of the pipeline file, a bare one is looked
/// up beside the running binary, then in `PATH`.
pub(super) fn find(name: &Spanned<String>, folder: &Path, surroundings: &Surroundings) -> Result<PathBuf, Fault> {
    let typed = name.get_ref().as_str();
    if typed.contains('/') {
        let path = tidy(&folder.join(typed));
        return match look(&path) {
            Look::Runs => Ok(path),
            other => Err(refuse(name, &path, &other)),
        };
    }
    let in_path = surroundings.path.iter().flat_map(std::env::split_paths).map(|folder| surroundings.cwd.join(folder));
    let mut first_found = None;
    for folder in std::iter::once(surroundings.bin_dir.clone()).chain(in_path) {
        let path = tidy(&folder.join(typed));
        match look(&path) {
            Look::Runs => return Ok(path),
            Look::Absent => {}
            other => {
                first_found.get_or_insert((path, other));
            }
        }
    }
    Err(match first_found {
        Some((path, look)) => refuse(name, &path, &look),
        None => refuse(name, &surroundings.bin_dir.join(typed), &Look::Absent),
    })
}

fn refuse(name: &Spanned<String>, path: &Path, look: &Look) -> Fault {
    let typed = name.get_ref();
    let bare = !typed.contains('/');
    let (message, help) = match look {
        Look::Runs => unreachable!("a program that runs is not refused"),
        Look::NotExecutable => {
            (format!("program {} is not executable", path.display()), format!("chmod +x {}", path.display()))
        }
        Look::Folder => {
            (format!("program {} is a folder", path.display()), "name a program that lies in it".to_owned())
        }
        Look::Absent => {
            let folder = path.parent().unwrap_or(Path::new("/"));
            let message = if bare {
                format!("no program {typed:?} beside brigade, in {}, nor in PATH", folder.display())
            } else {
                format!("no program {}", path.display())
            };
            (message, help_absent(typed, folder, bare))
        }
    };
    Fault::at(name.span(), message).help(help)
}

fn help_absent(typed: &str, folder: &Path, bare: bool) -> String {
    let file_name = typed.rsplit('/').next().unwrap_or(typed);
    let names = programs_in(folder);
    match nearest(file_name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean {:?}?", typed.replace(file_name, near)),
        None if bare => {
            "build or install it, or write its path: a name with a slash starts at the pipeline file".to_owned()
        }
        None => "build it, or mend the path: it starts at the folder of the pipeline file".to_owned(),
    }
}

fn programs_in(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter(|entry| matches!(look(&entry.path()), Look::Runs))
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    names
}

/// Without `.` in the middle; links and `..` stay, since a program may ask by which name it was called.
fn tidy(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
