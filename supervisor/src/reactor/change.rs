//! Every change of state as a record of the log that can be read back. Without it, `brigade events` would have to guess from
//! sentences what happened to whom, and by whose wish.

use brigade_protocol::id::{Incarnation, Post};

use super::Reactor;
use super::picture::word;
use crate::core::action::{State, Verdict};
use crate::core::event::{Actor, StopLevel};
use crate::logs::change::TARGET;
use crate::logs::own;
use crate::status::Status;

/// What the whole pipeline is before it runs, and after.
const ENDED: &str = "ended";

impl Reactor {
    pub(super) fn note_begin(&self) {
        note(own::STAGE, 0, ENDED, self.standing, "started", "operator");
    }

    pub(super) fn note_change(
        &self,
        (post, incarnation): (Post, Incarnation),
        (from, to): (State, State),
        cause: &str,
        actor: Actor,
    ) {
        let (stage, replica) = self.name_of(post);
        note(&format!("{stage}/{replica}"), incarnation.0, word(from), word(to), cause, actor_word(actor));
    }

    pub(super) fn note_level(&mut self, level: StopLevel, actor: Actor) {
        let (to, cause) = match level {
            StopLevel::Drain => ("draining", "sources stop, what is queued is finished"),
            StopLevel::Now => ("stopping", "items in hand are finished or given back, the rest stays queued"),
            StopLevel::Kill => ("killing", "every worker is killed"),
        };
        note(own::STAGE, 0, self.standing, to, cause, actor_word(actor));
        self.standing = to;
    }

    pub(super) fn note_end(&self, verdict: &Verdict, picture: &Status) {
        let cause = crate::verdict::report(self.core.plan(), verdict, picture, self.new_dead_letters()).verdict;
        note(own::STAGE, 0, self.standing, ENDED, &cause, actor_word(Actor::Core));
    }
}

/// A change of a stage as a whole.
pub(super) fn note_stage(stage: &str, from: &str, to: &str, cause: &str, actor: Actor) {
    note(stage, 0, from, to, cause, actor_word(actor));
}

/// Who wanted it, in a word.
fn actor_word(actor: Actor) -> &'static str {
    match actor {
        Actor::Core => "supervisor",
        Actor::Operator => "operator",
        Actor::Signal(number) => crate::core::signal_name(number).unwrap_or("signal"),
    }
}

fn note(worker: &str, incarnation: u32, from: &str, to: &str, cause: &str, actor: &str) {
    tracing::debug!(target: TARGET, worker, incarnation, from, to, cause, actor, "change");
}
