//! The last stage of checksum: writes the manifest, a line for every file, as `sha256sum` would.

use std::fs::{File, OpenOptions};
use std::io::Write;

use brigade_examples::checksum::Sum;
use brigade_worker::{Context, Error, Exit, Misconfigured, Output, Worker};

struct Manifest {
    file: File,
}

impl Worker for Manifest {
    type Item = Sum;
    type Output = ();

    fn build(ctx: &Context) -> Result<Self, Error> {
        let path = std::env::args_os().nth(1).ok_or_else(|| Misconfigured::new("usage: report FILE"))?;
        // A run begins with an empty manifest; a restart within the run goes on with what is there.
        let first = ctx.incarnation() == 1;
        let file = OpenOptions::new().create(true).write(true).truncate(first).append(!first).open(path)?;
        Ok(Self { file })
    }

    fn handle(&mut self, sum: Sum, _: &mut Output<()>) -> Result<(), Error> {
        self.file.write_all(&sum.line())?;
        Ok(())
    }
}

fn main() -> Exit {
    Manifest::main()
}
