//! The manager of shared state as a process of its own, for tests that kill it without a whole pipeline around it.

use std::process::ExitCode;

fn main() -> ExitCode {
    brigade::manager::run()
}
