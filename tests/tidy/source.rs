//! The source files of the workspace, and what of them is code.

use std::path::{Path, PathBuf};

use brigade_tests::workspace;

/// A Rust file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Relative to the workspace, such as `protocol/src/lib.rs`.
    pub path: String,
    /// Its text.
    pub text: String,
}

impl Source {
    /// Its lines of code, with their numbers from 1: without comments, and without what only tests see.
    pub fn code(&self) -> Vec<(usize, String)> {
        if self.is_test() {
            return Vec::new();
        }
        let mut code = Vec::new();
        let mut lines = self.text.lines().zip(1..).peekable();
        while let Some((line, number)) = lines.next() {
            if line.trim_start().starts_with("#[cfg(test)]") {
                let indent = line.len() - line.trim_start().len();
                // The item goes on to a line that is not indented further and closes it.
                for (line, _) in lines.by_ref() {
                    let (text, depth) = (line.trim_start(), line.len() - line.trim_start().len());
                    if depth == indent && (text.starts_with('}') || text.ends_with(';') || text.ends_with('}')) {
                        break;
                    }
                }
                continue;
            }
            let line = line.split("//").next().unwrap_or_default();
            if !line.trim().is_empty() {
                code.push((number, line.to_owned()));
            }
        }
        code
    }

    /// Whether the whole file is for tests alone.
    pub fn is_test(&self) -> bool {
        let names = ["/story/", "/story.rs", "/tests/", "/tests.rs", "/sandbox.rs", "/model.rs", "/model/"];
        self.path.starts_with("tests/") || names.iter().any(|name| self.path.contains(name))
    }

    /// Whether it lies below this folder, or is this file.
    pub fn is_in(&self, place: &str) -> bool {
        self.path.starts_with(place)
    }

    /// Places, `file:line`, where code holds one of these.
    pub fn places_of(&self, words: &[&str]) -> Vec<String> {
        let found = self.code().into_iter().filter(|(_, line)| words.iter().any(|word| line.contains(word)));
        found.map(|(number, line)| format!("{}:{number}: {}", self.path, line.trim())).collect()
    }
}

/// All Rust files of the workspace.
pub fn sources() -> Vec<Source> {
    let mut found = Vec::new();
    for folder in ["protocol", "worker", "supervisor", "examples", "tests", "benches"] {
        collect(&workspace().join(folder), &mut found);
    }
    assert!(found.len() > 100, "the sources were not found");
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

fn collect(folder: &Path, found: &mut Vec<Source>) {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target") {
                collect(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("sources are text");
            let path = path.strip_prefix(workspace()).expect("below the workspace").display().to_string();
            found.push(Source { path, text });
        }
    }
}

/// Fails with all these places at once.
#[track_caller]
pub fn assert_none(what: &str, places: &[String]) {
    assert!(places.is_empty(), "{what}:\n  {}", places.join("\n  "));
}
