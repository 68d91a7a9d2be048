//! The second stage of wordcount: counts the words of one file by itself, then adds them to the shared map in one go.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use brigade_examples::checksum::FileName;
use brigade_worker::{Exit, Output, run};
use tracing::warn;

fn count(name: FileName, out: &mut Output<FileName>) -> brigade_worker::Result {
    match words(name.path()) {
        Ok(words) => {
            out.map::<String, i64>("words").add_all(words)?;
            out.send(name)?;
        }
        Err(error) => warn!("{:?} is left out: {error}", name.path()),
    }
    Ok(())
}

/// Runs of the letters A to Z, in lower case, with how often each occurs in a file.
fn words(path: &Path) -> io::Result<HashMap<String, i64>> {
    let mut counts = HashMap::new();
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    while file.read_until(b'\n', &mut line)? > 0 {
        line.make_ascii_lowercase();
        for word in line.split(|byte| !byte.is_ascii_lowercase()).filter(|word| !word.is_empty()) {
            let word = str::from_utf8(word).expect("letters are text");
            match counts.get_mut(word) {
                Some(count) => *count += 1,
                None => drop(counts.insert(word.to_owned(), 1)),
            }
        }
        line.clear();
    }
    Ok(counts)
}

fn main() -> Exit {
    run(count)
}
