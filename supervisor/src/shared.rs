//! What `brigade shared` gets to see: asked of a running manager by a thread of its own, because the manager may take its
//! time and the reactor may not; else what the last manager left in the state folder.

use std::sync::mpsc::Sender;
use std::thread;
use std::time::Duration;

use brigade_protocol::shared::Connect;
use ipc_channel::ipc::IpcSender;
use serde_json::Value;

use crate::control::Answer;
use crate::manager::{batches, picture, store};
use crate::state::StateDir;

/// How long the manager may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Answers a request for the list of all containers, or for the content of `name`.
pub fn answer(manager: Option<IpcSender<Connect>>, dir: StateDir, name: Option<String>, answer: Sender<Answer>) {
    let work = move || {
        let found = match manager {
            Some(manager) => {
                picture::of_manager(&manager, name.as_deref(), PATIENCE).map_err(|error| error.to_string())
            }
            None => stored(&dir, name.as_deref()),
        };
        let _ = answer.send(found.map_or_else(Answer::Refused, Answer::Shared));
    };
    if let Err(error) = thread::Builder::new().name("shared".into()).spawn(work) {
        tracing::warn!(%error, "no thread to ask the manager from");
    }
}

/// What the manager left in the state folder.
pub fn stored(dir: &StateDir, name: Option<&str>) -> Result<Value, String> {
    let mut state = store::look(&dir.shared()).map_err(|error| error.to_string())?;
    batches::see_committed(&mut state, &dir.shared());
    picture::of_state(&state, name).map_err(|error| error.to_string())
}
