//! `brigade man`: the manual page, made from the same words as `--help`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Command;
use clap_mangen::Man;

use super::say;

/// Shown after the options.
pub const AFTER_HELP: &str = "\
Examples:
  brigade man | man -l -
  brigade man > ~/.local/share/man/man1/brigade.1";

/// Writes the manual page to stdout.
pub fn run() -> ExitCode {
    match page() {
        Ok(text) => say::result(&text),
        Err(error) => say::error(&error),
    }
}

/// One page for all: a section for every command, in which what would be sections of its own page are subsections.
fn page() -> io::Result<String> {
    let mut root = super::command();
    root.build();
    let mut page = Vec::new();
    let man = Man::new(root.clone()).manual("Brigade");
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    for command in root.get_subcommands().filter(|command| !command.is_hide_set() && command.get_name() != "help") {
        writeln!(page, ".SH \"BRIGADE {}\"", command.get_name().to_uppercase())?;
        page.extend(section(command)?);
        for part in command.get_subcommands().filter(|part| !part.is_hide_set() && part.get_name() != "help") {
            let (whole, part_name) = (command.get_name().to_uppercase(), part.get_name().to_uppercase());
            writeln!(page, ".SH \"BRIGADE {whole} {part_name}\"")?;
            page.extend(section(part)?);
        }
    }
    String::from_utf8(page).map_err(io::Error::other)
}

fn section(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut parts = Vec::new();
    man.render_description_section(&mut parts)?;
    man.render_synopsis_section(&mut parts)?;
    man.render_options_section(&mut parts)?;
    let text = String::from_utf8(parts).map_err(io::Error::other)?;
    let mut text = text.replace(".SH DESCRIPTION\n", "").replace(".SH ", ".SS ");
    if let Some(more) = command.get_after_help() {
        text.push_str(".SS NOTES\n.ad l\n");
        for line in more.to_string().lines() {
            text.push_str(if line.is_empty() { ".PP\n" } else { ".br\n" });
            text.push_str(&literal(line));
            text.push('\n');
        }
        text.push_str(".ad b\n");
    }
    Ok(text.into_bytes())
}

/// A line of text for troff. Blanks that are more than the space between two words stay.
fn literal(line: &str) -> String {
    let escaped = line.replace('\\', "\\e").replace('-', "\\-").replace("  ", "\\ \\ ");
    // A dot or a quote at the beginning would be a request.
    if escaped.is_empty() { escaped } else { format!("\\&{escaped}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_no_request_to_the_formatter() {
        assert_eq!(literal("  a --b \\n"), "\\&\\ \\ a \\-\\-b \\en");
        assert_eq!((literal(".TH"), literal("")), ("\\&.TH".to_owned(), String::new()));
    }

    #[test]
    fn the_page_has_a_section_for_every_command_and_none_for_the_hidden_one() {
        let page = page().expect("it is made");
        for command in [
            "RUN",
            "CHECK",
            "STATUS",
            "LOGS",
            "EVENTS",
            "STOP",
            "PAUSE",
            "RESUME",
            "RESTART",
            "SIGNAL",
            "WAIT",
            "DEAD",
            "DEAD RETRY",
            "SHARED",
            "COMPLETIONS",
            "MAN",
        ] {
            assert!(page.contains(&format!(".SH \"BRIGADE {command}\"")), "{command}");
        }
        assert!(!page.contains("BRIGADE MANAGER"));
        assert_eq!(page.matches(".TH ").count(), 1);
        assert!(page.contains("\\-\\-fresh"), "options are there");
    }
}
