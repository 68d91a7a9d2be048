//! The file that holds the whole shared state as it was when a journal began. Without it the journal would grow for ever.
//!
//! It opens with `MAGIC`; then come records, each behind its length and its CRC-32 (4 bytes each, little endian),
//! encoded by [`codec`]; the last one says how many there were, so that a file that was cut is not taken for a whole
//! one. The first one says with which journal it goes on. A large container takes several records. A snapshot is written
//! under another name, synced, and renamed: at any moment the old one or the new one is there, whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use brigade_protocol::codec;
use brigade_protocol::shape::TypeNote;
use brigade_protocol::shared::items::Items;
use brigade_protocol::shared::op::{Bytes, Kind, Origin};
use serde::{Deserialize, Serialize};

use super::batches::Prepared;
use super::sessions::Outcomes;
use super::state::{Body, Held, State};

/// Opens the file; the last byte is the version of its format.
const MAGIC: [u8; 8] = *b"BRGDSHR\x03";

/// A record is closed when it holds this many bytes.
const RECORD_BYTES: usize = 1 << 20;

#[derive(Debug, Serialize, Deserialize)]
enum Record {
    /// The first one: operations since then are in the journal of this generation.
    Begin { generation: u64 },
    /// What a client has not seen yet.
    Session { client: u128, outcomes: Outcomes },
    /// What a thread of a worker has prepared.
    Prepared { from: Origin, batch: u64, ops: Vec<Bytes> },
    /// A container begins.
    Container { name: String, kind: Kind, types: Vec<TypeNote> },
    /// Contents of the container that has begun: items of a list; of a map a key, its value, the next key, and so on.
    Items(Items),
    /// Contents of a counter that has begun.
    Number(i64),
    /// The last one: how many came before it.
    End { records: u64 },
}

/// Why there is no state from a file that is there.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It cannot be read.
    #[error("cannot read the shared state in {path}: {error}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// It opens as something else does.
    #[error("{path} is no snapshot of shared state, or one of another version of Brigade")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// It is cut or damaged.
    #[error("the shared state in {path} is damaged at byte {at}: {words}")]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where the damage was noticed.
        at: u64,
        /// What is wrong there.
        words: String,
    },
}

/// Reads the state and the generation of the journal that goes on with it, or gives `None` if there is no such file.
pub fn load(path: &Path) -> Result<Option<(State, u64)>, SnapshotError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(SnapshotError::Read { path: path.to_owned(), error }),
    };
    let Some(mut rest) = bytes.strip_prefix(&MAGIC) else {
        return Err(SnapshotError::Foreign { path: path.to_owned() });
    };
    let (mut state, mut open, mut records, mut begin) = (State::default(), None, 0, None);
    loop {
        let at = (bytes.len() - rest.len()) as u64;
        let corrupt = |words: String| SnapshotError::Corrupt { path: path.to_owned(), at, words };
        match record(&mut rest).map_err(corrupt)? {
            Record::Begin { generation } if records == 0 => begin = Some(generation),
            Record::Begin { .. } => return Err(corrupt("the beginning comes at the wrong place".into())),
            Record::End { records: said } => match begin {
                Some(generation) if said == records && rest.is_empty() => return Ok(Some((state, generation))),
                Some(_) | None => return Err(corrupt("the end comes at the wrong place".into())),
            },
            Record::Session { client, outcomes } => _ = state.sessions.held.insert(client, outcomes),
            Record::Prepared { from, batch, ops } => _ = state.batches.insert(from, Prepared { batch, ops }),
            Record::Container { name, kind, types } => {
                state.held.insert(name.clone(), Held { types, body: Body::new(kind) });
                open = Some(name);
            }
            contents @ (Record::Items(_) | Record::Number(_)) => {
                let held = open.as_ref().and_then(|name| state.held.get_mut(name));
                fill(held.map(|held| &mut held.body), contents).map_err(corrupt)?;
            }
        }
        records += 1;
    }
}

fn record(rest: &mut &[u8]) -> Result<Record, String> {
    let cut = || "the file ends in the middle of a record".to_owned();
    let (length, behind) = rest.split_first_chunk::<4>().ok_or_else(cut)?;
    let (sum, behind) = behind.split_first_chunk::<4>().ok_or_else(cut)?;
    let (body, behind) = behind.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or_else(cut)?;
    if crc32fast::hash(body) != u32::from_le_bytes(*sum) {
        return Err("the checksum of a record is wrong".into());
    }
    *rest = behind;
    codec::decode(body).map_err(|error| error.to_string())
}

fn fill(body: Option<&mut Body>, contents: Record) -> Result<(), String> {
    match (body, contents) {
        (Some(Body::List(list)), Record::Items(items)) if items.is_sound() => {
            list.extend(items.iter().map(Box::from));
            Ok(())
        }
        (Some(Body::Map(map)), Record::Items(items)) if items.is_sound() && items.len().is_multiple_of(2) => {
            let mut items = items.iter();
            while let (Some(key), Some(value)) = (items.next(), items.next()) {
                map.insert(key.into(), value.into());
            }
            Ok(())
        }
        (Some(Body::Counter(counter)), Record::Number(number)) => {
            *counter = number;
            Ok(())
        }
        (
            None | Some(Body::List(_) | Body::Map(_) | Body::Counter(_)),
            Record::Items(_)
            | Record::Number(_)
            | Record::Container { .. }
            | Record::End { .. }
            | Record::Begin { .. }
            | Record::Session { .. }
            | Record::Prepared { .. },
        ) => Err("a record does not belong to what stands before it".into()),
    }
}

/// Writes the state to a new file, which the caller brings to the disk ([`File::sync_all`]) before it gives it its name.
/// After an error the file is gone again.
pub(super) fn write(state: &State, generation: u64, new: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(new)?;
    let written = write_to(state, generation, file);
    if written.is_err() {
        let _ = fs::remove_file(new);
    }
    written
}

fn write_to(state: &State, generation: u64, file: File) -> io::Result<File> {
    let mut out = Out { file: BufWriter::with_capacity(RECORD_BYTES, file), records: 0 };
    out.file.write_all(&MAGIC)?;
    out.write(&Record::Begin { generation })?;
    for (name, held) in &state.held {
        out.write(&Record::Container { name: name.clone(), kind: held.body.kind(), types: held.types.clone() })?;
        match &held.body {
            Body::List(list) => out.items(list.iter().map(|item| [Some(item), None]))?,
            Body::Map(map) => out.items(map.iter().map(|(key, value)| [Some(key), Some(value)]))?,
            Body::Counter(number) => out.write(&Record::Number(*number))?,
        }
    }
    for (client, outcomes) in &state.sessions.held {
        out.write(&Record::Session { client: *client, outcomes: outcomes.clone() })?;
    }
    for (from, prepared) in &state.batches {
        let (batch, ops) = (prepared.batch, prepared.ops.clone());
        out.write(&Record::Prepared { from: from.clone(), batch, ops })?;
    }
    out.write(&Record::End { records: out.records })?;
    out.file.into_inner().map_err(io::IntoInnerError::into_error)
}

struct Out {
    file: BufWriter<File>,
    records: u64,
}

impl Out {
    fn write(&mut self, record: &Record) -> io::Result<()> {
        let mut body = Vec::new();
        codec::encode(record, &mut body).map_err(io::Error::other)?;
        let length = u32::try_from(body.len()).map_err(io::Error::other)?;
        self.file.write_all(&length.to_le_bytes())?;
        self.file.write_all(&crc32fast::hash(&body).to_le_bytes())?;
        self.file.write_all(&body)?;
        self.records += 1;
        Ok(())
    }

    /// Groups (an item, or a key with its value) are never torn apart.
    fn items<'a>(&mut self, groups: impl Iterator<Item = [Option<&'a Box<[u8]>>; 2]>) -> io::Result<()> {
        let mut items = Items::new();
        for group in groups {
            group.into_iter().flatten().for_each(|item| items.push(item));
            if items.bytes() >= RECORD_BYTES {
                self.write(&Record::Items(std::mem::take(&mut items)))?;
            }
        }
        if items.is_empty() { Ok(()) } else { self.write(&Record::Items(items)) }
    }
}

#[cfg(test)]
mod tests {
    use brigade_protocol::shape::Shape;

    use super::*;

    fn sample() -> State {
        let mut state = State::default();
        let types = vec![TypeNote { name: "u8".into(), shape: Shape::U8, enums: vec![] }];
        let list = (0..5u32).map(|n| vec![n as u8; (n as usize) * RECORD_BYTES / 3].into_boxed_slice()).collect();
        let map = (0..9u8).map(|n| (Box::from([n]), Box::from([n, n]))).collect();
        state.held.insert("list".into(), Held { types: types.clone(), body: Body::List(list) });
        state.held.insert("empty".into(), Held { types, body: Body::Map(Default::default()) });
        state.held.insert("map".into(), Held { types: vec![], body: Body::Map(map) });
        state.held.insert("count".into(), Held { types: vec![], body: Body::Counter(-7) });
        state.sessions.record(1 << 90, 4, 4, brigade_protocol::shared::op::Outcome::Number(-7));
        state
    }

    fn small() -> State {
        let mut state = sample();
        state.held.remove("list");
        state
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shared");
        assert!(load(&path).expect("no file is no error").is_none());
        for state in [State::default(), sample(), small()] {
            write(&state, 7, &path).expect("there is room");
            assert!(load(&path).expect("it was just written") == Some((state, 7)));
        }
        assert_eq!(fs::read_dir(folder.path()).expect("the folder is there").count(), 1);
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_noticed() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("shared");
        write(&small(), 7, &path).expect("there is room");
        let good = fs::read(&path).expect("it was just written");
        for length in 0..good.len() {
            fs::write(&path, &good[..length]).expect("there is room");
            assert!(load(&path).is_err(), "cut to {length} bytes");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).expect("there is room");
            assert!(load(&path).is_err(), "bit {bit} flipped");
        }
        let mut longer = good;
        longer.push(0);
        fs::write(&path, &longer).expect("there is room");
        assert!(load(&path).is_err(), "something behind the end");
    }
}
