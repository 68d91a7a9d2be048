//! The second stage of checksum: the SHA-256 of every file. A file that cannot be read is named and left out.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use brigade_examples::checksum::{FileName, Sum};
use brigade_worker::{Exit, Output, run};
use sha2::{Digest, Sha256};
use tracing::warn;

fn hash(name: FileName, out: &mut Output<Sum>) -> brigade_worker::Result {
    match digest(name.path()) {
        Ok(digest) => out.send(Sum { digest, name })?,
        Err(error) => warn!("{:?} is left out: {error}", name.path()),
    }
    Ok(())
}

fn digest(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hasher = Sha256::new();
    let mut buffer = [0; 64 << 10];
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finalize().into()),
            Ok(len) => hasher.update(&buffer[..len]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn main() -> Exit {
    run(hash)
}
