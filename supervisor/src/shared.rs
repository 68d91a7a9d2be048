//! What `brigade shared` gets to see of a running pipeline: asked of the manager by a thread of its own, because the
//! manager may take its time and the reactor may not.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use brigade_protocol::shared::Connect;
use ipc_channel::ipc::IpcSender;

use crate::control::Answer;
use crate::manager::{picture, snapshot};
use crate::state::StateDir;

/// How long the manager may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Answers a request for the list of all containers, or for the content of `name`. Without a manager the answer is what
/// it left behind.
pub fn answer(manager: Option<IpcSender<Connect>>, dir: StateDir, name: Option<String>, answer: Sender<Answer>) {
    let work = move || {
        let found = match manager {
            Some(manager) => running(&manager, name.as_deref()),
            None => stored(&dir, name.as_deref()),
        };
        let _ = answer.send(found.map_or_else(Answer::Refused, Answer::Shared));
    };
    if let Err(error) = thread::Builder::new().name("shared".into()).spawn(work) {
        tracing::warn!(%error, "no thread to ask the manager from");
    }
}

fn running(manager: &IpcSender<Connect>, name: Option<&str>) -> Result<serde_json::Value, String> {
    picture::of_manager(manager, name, PATIENCE).map_err(|error| error.to_string())
}

/// What the manager left in the state folder.
pub fn stored(dir: &StateDir, name: Option<&str>) -> Result<serde_json::Value, String> {
    let state = snapshot::load(&dir.snapshot()).map_err(|error| error.to_string())?.unwrap_or_default();
    picture::of_state(&state, name).map_err(|error| error.to_string())
}
