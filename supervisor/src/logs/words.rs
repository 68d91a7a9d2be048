//! The last lines of every worker. Without it, the report of a crash would say that it happened, and not why.

use std::collections::HashMap;

use brigade_protocol::id::{Incarnation, Post};

use super::escape;
use super::record::Source;

/// The last lines of each post's latest run: at most [`Self::LINES`] lines of about 1 KiB for each post.
#[derive(Debug, Default)]
pub(super) struct LastWords(HashMap<Post, (Incarnation, Vec<String>)>);

impl LastWords {
    /// So many lines are remembered.
    pub(super) const LINES: usize = 10;
    const BYTES: usize = 1024;

    /// Remembers a line, if it is of the latest run.
    pub(super) fn heard(&mut self, source: &Source, line: &str) {
        let (latest, lines) = self.0.entry(source.post).or_insert((source.incarnation, Vec::new()));
        if source.incarnation < *latest {
            return;
        }
        if source.incarnation > *latest {
            *latest = source.incarnation;
            lines.clear();
        }
        if lines.len() == Self::LINES {
            lines.remove(0);
        }
        lines.push(Self::short(line));
    }

    /// What was heard of this run.
    pub(super) fn of(&self, post: Post, incarnation: Incarnation) -> Vec<String> {
        self.0.get(&post).filter(|(latest, _)| *latest == incarnation).map_or_else(Vec::new, |(_, lines)| lines.clone())
    }

    /// A line that is safe to show and not too long.
    pub(super) fn short(line: &str) -> String {
        let end = (0..=line.len().min(Self::BYTES)).rev().find(|end| line.is_char_boundary(*end)).unwrap_or(0);
        let mark = if end < line.len() { "…" } else { "" };
        format!("{}{mark}", escape::terminal(&line[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::Stream;
    use super::*;

    fn source(incarnation: u32) -> Source {
        let (stage, worker, incarnation) = ("hash".to_owned(), "hash/0".to_owned(), Incarnation(incarnation));
        Source { stage, worker, post: Post(1), incarnation, stream: Stream::Stderr }
    }

    #[test]
    fn the_last_ten_lines_of_the_latest_run_are_remembered() {
        let mut words = LastWords::default();
        words.heard(&source(1), "first run");
        for number in 0..12 {
            words.heard(&source(2), &format!("line {number}"));
        }
        words.heard(&source(1), "a straggler of the first run");
        let expected: Vec<_> = (2..12).map(|number| format!("line {number}")).collect();
        assert_eq!(words.of(Post(1), Incarnation(2)), expected);
        assert_eq!(words.of(Post(1), Incarnation(1)), Vec::<String>::new());
        assert_eq!(words.of(Post(2), Incarnation(1)), Vec::<String>::new());
    }

    #[test]
    fn a_remembered_line_is_short_and_safe_to_show() {
        assert_eq!(LastWords::short("\x1b[2Jü"), "\\x1b[2Jü");
        let long = LastWords::short(&"ü".repeat(10_000));
        assert!(long.len() <= LastWords::BYTES + '…'.len_utf8() && long.ends_with("ü…"), "{}", long.len());
    }
}
