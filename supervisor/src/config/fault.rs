//! What is wrong with the user's file. Without it a newcomer would meet one bare sentence at a time, and would have
//! to search the file for the place.

use std::fmt;
use std::io::{IsTerminal, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet, normalize_untrusted_str};

/// One thing that is wrong, where, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What is wrong: lower case, no full stop.
    pub message: String,
    /// Bytes of the file that it is about; `None` if it is about no place in it (the command line, an unreadable file).
    pub span: Option<Range<usize>>,
    /// What to do.
    pub help: Option<String>,
}

impl Fault {
    /// A fault at these bytes of the file.
    pub(super) fn at(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { message: message.into(), span: Some(span), help: None }
    }

    /// A fault that has no place in the file.
    pub(super) fn nowhere(message: impl Into<String>) -> Self {
        Self { message: message.into(), span: None, help: None }
    }

    /// The same with a word about what to do.
    #[must_use]
    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

/// All that is wrong with one pipeline file, in the order of the file; what has no place in it comes first. Never
/// empty. `Display` shows each fault with its line and a caret, and ends in a line that counts them.
#[derive(Clone, Debug)]
pub struct Faults {
    file: PathBuf,
    source: String,
    list: Vec<Fault>,
}

impl Faults {
    pub(super) fn new(file: &Path, source: String, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| fault.span.as_ref().map(|span| span.start));
        Self { file: file.to_owned(), source, list }
    }

    /// The faults, in the order of the file.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Line and column of a fault, both from 1, the column in characters.
    pub fn position(&self, fault: &Fault) -> Option<(usize, usize)> {
        let start = self.clamp(fault.span.as_ref()?).start;
        let before = &self.source[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Some((before.matches('\n').count() + 1, before[line_start..].chars().count() + 1))
    }

    /// The whole text, with a line end after its last line. `colour`: with escape sequences for a terminal.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        let mut text = String::new();
        for fault in &self.list {
            text.push_str(&renderer.render(&[self.group(fault)]));
            text.push_str("\n\n");
        }
        let plural = if self.list.len() == 1 { "" } else { "s" };
        text.push_str(&format!("{} fault{plural} in {}\n", self.list.len(), self.file_shown()));
        text
    }

    /// Writes the whole text to stderr: in colour if that is a terminal and `NO_COLOR` is not set.
    pub fn show(&self) {
        let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|set| set.is_empty());
        // Nobody could be told that this fails.
        let _ = write!(std::io::stderr().lock(), "{}", self.render(colour));
    }

    fn group<'a>(&'a self, fault: &'a Fault) -> Group<'a> {
        let title = Level::ERROR.with_name("fault").primary_title(fault.message.as_str());
        let group = match &fault.span {
            Some(span) => title.element(
                Snippet::source(self.source.as_str())
                    .path(self.file_shown())
                    .annotation(AnnotationKind::Primary.span(self.clamp(span))),
            ),
            None => title.element(Origin::path(self.file_shown())),
        };
        match &fault.help {
            Some(help) => group.element(Level::HELP.message(normalize_untrusted_str(help))),
            None => group,
        }
    }

    fn file_shown(&self) -> String {
        normalize_untrusted_str(&self.file.to_string_lossy())
    }

    /// The parser may point between the bytes of a character, where slicing would panic, or behind the last line,
    /// which has nothing to show: then the end of that line is meant.
    fn clamp(&self, span: &Range<usize>) -> Range<usize> {
        let last = self.source.trim_end_matches(['\n', '\r']).len();
        let mut start = span.start.min(last);
        while !self.source.is_char_boundary(start) {
            start -= 1;
        }
        let mut end = span.end.clamp(start, last);
        while !self.source.is_char_boundary(end) {
            end += 1;
        }
        start..end
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_shown_with_its_line_a_caret_and_help() {
        let source = "name = \"é\"\nx = 1\n".to_owned();
        let faults = vec![Fault::at(12..13, "unknown key \"x\"").help("did you mean \"y\"?"), Fault::nowhere("first")];
        let shown = Faults::new(Path::new("a.toml"), source, faults);
        assert_eq!(
            shown.to_string(),
            "fault: first\n--> a.toml\n\nfault: unknown key \"x\"\n --> a.toml:2:1\n  |\n2 | x = 1\n  | ^\n  |\n  = help: did you mean \"y\"?\n\n2 faults in a.toml"
        );
        assert_eq!(shown.position(&shown.list()[1]), Some((2, 1)));
        assert_eq!(shown.position(&shown.list()[0]), None);
    }

    #[test]
    fn columns_count_characters() {
        let source = "k = [\"é\", 1]".to_owned();
        let faults = Faults::new(Path::new("a.toml"), source, vec![Fault::at(11..12, "one")]);
        assert_eq!(faults.position(&faults.list()[0]), Some((1, 11)));
        assert!(faults.to_string().contains("a.toml:1:11"), "{faults}");
    }

    #[test]
    fn a_span_behind_the_end_or_inside_a_character_does_no_harm() {
        let faults =
            Faults::new(Path::new("a.toml"), "é".to_owned(), vec![Fault::at(1..1, "in"), Fault::at(90..95, "behind")]);
        assert!(faults.to_string().ends_with("2 faults in a.toml"));
    }

    #[test]
    fn escape_sequences_of_the_file_do_not_reach_the_terminal() {
        let faults = vec![Fault::at(0..1, "m\u{1b}[31m").help("h\u{1b}[31m")];
        let shown = Faults::new(Path::new("\u{1b}[31m.toml"), "x = '\u{1b}[31m'".to_owned(), faults).to_string();
        assert!(!shown.contains('\u{1b}'), "{shown:?}");
    }
}
