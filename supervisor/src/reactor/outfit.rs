//! What the loop is given before it begins.

use brigade_protocol::queue::Queue;

use super::{Keeping, Origin};
use crate::core::Core;
use crate::effects::dead::DeadFile;
use crate::logs::Capture;
use crate::sources::signals::Signals;
use crate::state::StateDir;
use crate::view::View;

/// What is ready before the loop begins.
pub struct Outfit {
    /// The core, with its plan.
    pub core: Core,
    /// The state folder.
    pub dir: StateDir,
    /// Where the plan has come from.
    pub origin: Origin,
    /// The queues, by their number in the plan.
    pub queues: Vec<(Queue, DeadFile)>,
    /// The reader of the workers' words.
    pub capture: Capture,
    /// The registered signals.
    pub signals: Signals,
    /// The run's mark, and its keeper.
    pub keeping: Keeping,
    /// The live view, on a terminal.
    pub view: Option<View>,
}
