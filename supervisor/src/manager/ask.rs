//! Asking a running manager what it holds, with a time limit, for the commands that show it. A hung manager must not
//! hang those who look.

use std::time::{Duration, Instant};

use brigade_protocol::codec;
use brigade_protocol::shared::numbered::{self, HEAD_BYTES};
use brigade_protocol::shared::op::{Container, Dump, Op, Outcome, Refusal};
use brigade_protocol::shared::parts::{self, Joined};
use brigade_protocol::shared::{Connect, Reply, Request};
use ipc_channel::TryRecvError;
use ipc_channel::ipc::{self, IpcSender};

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// It is gone, or went while it was asked.
    #[error("the manager of shared state is gone: try again, or read what it left when it has stopped")]
    Gone,
    /// It did not answer in time.
    #[error("the manager of shared state did not answer within {0:?}")]
    Silent(Duration),
    /// Its answer makes no sense.
    #[error("the manager of shared state answered something else than was asked: {0}")]
    Nonsense(String),
    /// There is nothing of that name.
    #[error("there is no shared list, map or counter named `{0}`")]
    Unknown(String),
}

/// What there is. Waits for at most about `limit`; call it from a thread that may wait.
pub fn describe(door: &IpcSender<Connect>, limit: Duration) -> Result<Vec<Container>, AskError> {
    let outcome = ask(door, &Op::Describe, limit)?;
    let Outcome::Containers(containers) = outcome else { return Err(AskError::Nonsense(format!("{outcome:?}"))) };
    Ok(containers)
}

/// Contents of one container, at most `items` items or entries of it. Waits for at most about `limit`; call it from a
/// thread that may wait.
pub fn dump(door: &IpcSender<Connect>, name: &str, items: u64, limit: Duration) -> Result<Dump, AskError> {
    let outcome = ask(door, &Op::Dump { name: name.to_owned(), limit: items }, limit)?;
    if outcome == Outcome::Refused(Refusal::Unknown) {
        return Err(AskError::Unknown(name.to_owned()));
    }
    let Outcome::Dump(dump) = outcome else { return Err(AskError::Nonsense(format!("{outcome:?}"))) };
    if dump.items.is_sound() { Ok(dump) } else { Err(AskError::Nonsense("items that do not add up".into())) }
}

fn ask(door: &IpcSender<Connect>, op: &Op, limit: Duration) -> Result<Outcome, AskError> {
    let deadline = Instant::now() + limit;
    let (sender, requests) = ipc::channel().map_err(|_| AskError::Gone)?;
    let (replies, receiver) = ipc::channel().map_err(|_| AskError::Gone)?;
    let mut bytes = vec![0; HEAD_BYTES];
    numbered::put_number(&mut bytes, 1, 1);
    codec::encode(op, &mut bytes).map_err(|error| AskError::Nonsense(error.to_string()))?;
    // Those who only ask need no name: nothing is remembered of them.
    door.send(Connect { client: 0, requests, replies, desk: None }).map_err(|_| AskError::Gone)?;
    parts::split(&bytes, |part| sender.send(Request(part))).map_err(|_| AskError::Gone)?;
    let mut joined = Joined::default();
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let Reply(part) = match receiver.try_recv_timeout(left) {
            Ok(reply) => reply,
            Err(TryRecvError::Empty) if left.is_zero() => return Err(AskError::Silent(limit)),
            // Early, by less than a millisecond or by a signal: look at the clock again.
            Err(TryRecvError::Empty) => continue,
            Err(TryRecvError::IpcError(ipc_channel::IpcError::Io(error)))
                if error.kind() == std::io::ErrorKind::Interrupted =>
            {
                continue;
            }
            Err(TryRecvError::IpcError(_)) => return Err(AskError::Gone),
        };
        if let Some(message) = joined.take(part).map_err(|error| AskError::Nonsense(error.to_string()))? {
            return codec::decode(&message).map_err(|error| AskError::Nonsense(error.to_string()));
        }
    }
}
