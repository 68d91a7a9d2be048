//! The binary `brigade`: everything is in the library, so that tests can reach it.

use std::process::ExitCode;

fn main() -> ExitCode {
    brigade::cli::main()
}
