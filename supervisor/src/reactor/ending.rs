//! What the loop hands on when it has come to its end.

use std::sync::Arc;

use super::Spoilt;
use crate::config::plan::Plan;
use crate::core::action::Verdict;

/// How it ended.
pub struct Ending {
    /// The plan that it went by last.
    pub plan: Arc<Plan>,
    /// How the run ended.
    pub verdict: Verdict,
    /// The last picture, for the report and the state folder.
    pub picture: crate::status::Status,
    /// The signal of which the supervisor is to die now.
    pub killed_by: Option<i32>,
    /// Items that became dead letters in this run, and that are kept.
    pub dead_letters: u64,
    /// Files whose content cannot be; nobody uses them any more.
    pub spoilt: Vec<Spoilt>,
}
