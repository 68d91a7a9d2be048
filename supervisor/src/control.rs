//! The control socket's language: a closed set of requests, JSON in frames of bounded length, and the client's side.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::effects::dead::{Gone, Which};
use crate::state::StateDir;
use crate::status::Status;
use crate::who::Who;

/// A request's frame is not longer than this.
pub const MAX_REQUEST: usize = 64 << 10;
/// An answer's frame is not longer than this.
pub const MAX_ANSWER: usize = 256 << 20;

/// What can be asked of a running pipeline.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// The picture of the pipeline.
    Status,
    /// Stop it: at least at this level.
    Stop(StopRequest),
    /// Send dead letters of a queue again.
    Retry {
        /// Its name.
        queue: String,
        /// Which.
        which: Which,
    },
    /// Drop dead letters of a queue.
    Drop {
        /// Its name.
        queue: String,
        /// Which.
        which: Which,
    },
    /// Send a signal to the processes of workers.
    Signal {
        /// The workers that get it.
        who: Who,
        /// Its number.
        signal: i32,
        /// To their whole process groups.
        group: bool,
    },
    /// Start workers anew.
    Restart {
        /// Whom.
        who: Who,
    },
    /// Give stages so many workers.
    Scale {
        /// By their names.
        sizes: Vec<(String, u16)>,
    },
    /// Read the pipeline file again, and apply the difference.
    Reload,
    /// Give a stage one worker more, while its others are started anew one by one. Refused where that may do harm.
    Spare {
        /// The stage.
        stage: String,
    },
    /// Have the workers of a stage take nothing new, or go on.
    Pause {
        /// The stage.
        stage: String,
        /// False: they go on.
        paused: bool,
    },
    /// Names, kinds and lengths of the shared lists, maps and counters; or the content of one.
    Shared {
        /// Which one; `None`: the list of all.
        name: Option<String>,
    },
}

/// How to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopRequest {
    /// Work until the queues are empty.
    Drain,
    /// Finish the items in hand.
    Now,
    /// SIGKILL.
    Kill,
}

/// What a running pipeline answers.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To `Status`.
    Status(Box<Status>),
    /// To `Stop`: it has begun. The words say what happens now.
    Stopping(String),
    /// To `Shared`: the manager's description or dump, as JSON.
    Shared(serde_json::Value),
    /// To `Retry` and `Drop`: what became of the letters.
    Gone(Gone),
    /// To all other commands: it is done, or has begun. What that means now, in words.
    Done(String),
    /// It cannot be done, and why.
    Refused(String),
}

/// Why a running pipeline cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// Nobody is there.
    #[error("no pipeline runs on {}", .0.display())]
    NotRunning(PathBuf),
    /// It broke off.
    #[error("the pipeline on {} does not answer: {source}", path.display())]
    Io {
        /// Its state folder.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
}

/// Asks the pipeline that runs on `dir`, and waits for the answer, `limit` at most.
pub fn ask(dir: &StateDir, request: &Request, limit: Duration) -> Result<Answer, ControlError> {
    understand(dir, &ask_unread(dir, request, limit)?)
}

/// Like [`ask`], for those who hand the answer on and need not know what is in it: the JSON of an [`Answer`].
pub fn ask_unread(dir: &StateDir, request: &Request, limit: Duration) -> Result<Vec<u8>, ControlError> {
    let io = |source| ControlError::io(dir, source);
    let mut stream = UnixStream::connect(dir.socket()).map_err(io)?;
    stream.set_read_timeout(Some(limit)).map_err(io)?;
    stream.set_write_timeout(Some(limit)).map_err(io)?;
    write_frame(&mut stream, request).map_err(io)?;
    read_body(&mut stream, MAX_ANSWER).map_err(io)
}

/// Reads the JSON of what the pipeline on `dir` has answered.
pub fn understand<'a, T: Deserialize<'a>>(dir: &StateDir, answer: &'a [u8]) -> Result<T, ControlError> {
    parse(answer).map_err(|error| ControlError::io(dir, error))
}

impl ControlError {
    fn io(dir: &StateDir, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Self::NotRunning(dir.root().to_owned()),
            _ => Self::Io { path: dir.root().to_owned(), source },
        }
    }
}

/// Writes one frame, its length in bytes (32 bits, little end first), then JSON, at one go: whoever waits for it would be
/// woken for its length already.
pub fn write_frame(stream: &mut impl Write, value: &impl Serialize) -> io::Result<()> {
    let mut frame = vec![0; LEN_BYTES];
    serde_json::to_writer(&mut frame, value)?;
    let len = u32::try_from(frame.len() - LEN_BYTES).map_err(io::Error::other)?;
    frame[..LEN_BYTES].copy_from_slice(&len.to_le_bytes());
    stream.write_all(&frame)?;
    stream.flush()
}

/// Reads one frame of at most `max` bytes.
pub fn read_frame<T: DeserializeOwned>(stream: &mut impl Read, max: usize) -> io::Result<T> {
    parse(&read_body(stream, max)?)
}

/// Before the JSON stands its length, in so many bytes.
const LEN_BYTES: usize = 4;

fn read_body(stream: &mut impl Read, max: usize) -> io::Result<Vec<u8>> {
    let mut len = [0; LEN_BYTES];
    stream.read_exact(&mut len)?;
    let len = u32::from_le_bytes(len) as usize;
    if len > max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("a frame of {len} bytes, {max} are allowed")));
    }
    let mut body = vec![0; len];
    stream.read_exact(&mut body)?;
    Ok(body)
}

fn parse<'a, T: Deserialize<'a>>(body: &'a [u8]) -> io::Result<T> {
    serde_json::from_slice(body).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}
