//! What commands tell: results on stdout, errors on stderr, and the exit code that goes with it. Without it, `brigade
//! status | head -1` would panic.

use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

/// Writes a result. 0, also when the reader has gone; 1 when it could not be written.
pub fn result(text: &str) -> ExitCode {
    results(&[text])
}

/// Writes a text that may be long to stdout, and ends the line. 0, or 1 when that fails.
pub fn line(text: &str) -> ExitCode {
    results(&[text, "\n"])
}

fn results(texts: &[&str]) -> ExitCode {
    let mut stdout = io::stdout().lock();
    let written = texts.iter().try_for_each(|text| stdout.write_all(text.as_bytes()));
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(gone) if gone.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(why) => error(&format_args!("cannot write to stdout: {why}")),
    }
}

/// Writes `error: …`. 1.
pub fn error(why: &dyn fmt::Display) -> ExitCode {
    // Nobody could be told that this fails.
    let _ = writeln!(io::stderr().lock(), "error: {why}");
    ExitCode::FAILURE
}

/// Writes a line about what goes on.
pub fn note(words: &dyn fmt::Display) {
    let _ = writeln!(io::stderr().lock(), "{words}");
}
