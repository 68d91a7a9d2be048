//! How large each file is. A name is bytes on Linux, and an `OsString` holds any; a `PathBuf` or a `String` refuses those that
//! are no text.

use std::ffi::OsString;
use std::path::Path;

use brigade_worker::{Exit, Output, run};

fn measure(name: OsString, out: &mut Output<(OsString, u64)>) -> brigade_worker::Result {
    let bytes = Path::new(&name).metadata()?.len();
    out.send((name, bytes))?;
    Ok(())
}

fn main() -> Exit {
    run(measure)
}
