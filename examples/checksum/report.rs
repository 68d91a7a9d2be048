//! The last stage of checksum: writes the manifest, one line for every file, as `sha256sum` would.

use brigade_examples::checksum::Sum;
use brigade_worker::{Context, ExactFile, Exit, Misconfigured, Output, Result, Worker};

struct Manifest(ExactFile);

impl Worker for Manifest {
    type Item = Sum;
    type Output = ();

    fn build(_: &Context) -> Result<Self> {
        let path = std::env::args_os().nth(1).ok_or_else(|| Misconfigured::new("usage: report FILE"))?;
        Ok(Self(ExactFile::open(path)?))
    }

    fn handle(&mut self, sum: Sum, out: &mut Output<()>) -> Result {
        self.0.append(&sum.line(), out)
    }

    fn finish(&mut self, out: &mut Output<()>) -> Result {
        self.0.finish(out)
    }
}

fn main() -> Exit {
    Manifest::main()
}
