//! What one process has measured, on its way to the one that started it.

use std::io;
use std::path::Path;

use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

/// Nanoseconds of a clock that all processes share.
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// What was measured.
#[derive(Serialize, Deserialize)]
pub enum Sample {
    /// So many items from one moment to another.
    Span {
        /// When the first one was there.
        begun: u64,
        /// When the last one was done.
        ended: u64,
        /// How many.
        items: u64,
    },
    /// How long each took, in nanoseconds.
    Times(Vec<u64>),
}

impl Sample {
    /// Leaves it in a file.
    pub fn write(&self, path: &Path) -> io::Result<()> {
        std::fs::write(path, serde_json::to_vec(self)?)
    }

    /// All that lie in a folder.
    pub fn read_all(folder: &Path) -> io::Result<Vec<Self>> {
        let read = |entry: io::Result<std::fs::DirEntry>| Ok(serde_json::from_slice(&std::fs::read(entry?.path())?)?);
        std::fs::read_dir(folder)?.map(read).collect()
    }
}

/// Items per second from when the first began to when the last ended.
pub fn rate(samples: &[Sample]) -> io::Result<f64> {
    let (mut first, mut last, mut all) = (u64::MAX, 0, 0);
    for sample in samples {
        if let Sample::Span { begun, ended, items } = sample
            && *items > 0
        {
            (first, last, all) = (first.min(*begun), last.max(*ended), all + items);
        }
    }
    match last.checked_sub(first) {
        Some(time) if time > 0 => Ok(all as f64 * 1e9 / time as f64),
        _ => Err(io::Error::other("nothing was measured")),
    }
}

/// The time that half of them do not exceed, and the one that 99 of 100 do not exceed, in nanoseconds.
pub fn percentiles(samples: Vec<Sample>) -> io::Result<(f64, f64)> {
    let mut times: Vec<u64> = Vec::new();
    for sample in samples {
        if let Sample::Times(more) = sample {
            times.extend(more);
        }
    }
    times.sort_unstable();
    let last = times.len().checked_sub(1).ok_or_else(|| io::Error::other("nothing was measured"))?;
    let at = |part: f64| times[(last as f64 * part) as usize] as f64;
    Ok((at(0.5), at(0.99)))
}
