//! That there always is a keeper: whoever kills it, kills it alone or takes the supervisor along.

use std::time::{Duration, Instant};

use super::Reactor;
use crate::core::event::Exit;
use crate::effects::keeper::Keeper;
use crate::kin::cookie::Cookie;

/// Between two starts of a keeper, at least.
const PAUSE: Duration = Duration::from_secs(1);

/// The keeper, and what it takes to have one.
#[derive(Debug)]
pub struct Keeping {
    cookie: Cookie,
    keeper: Option<Keeper>,
    /// When one may be started again. `None`: there cannot be one here.
    next: Option<Instant>,
    /// That none can be started was said.
    complained: bool,
}

impl Keeping {
    /// For a run of this cookie. Not `possible`: without a keeper.
    pub fn new(cookie: Cookie, possible: bool) -> Self {
        Self { cookie, keeper: None, next: possible.then(Instant::now), complained: false }
    }

    /// For the environment of all that are started.
    pub fn cookie(&self) -> &Cookie {
        &self.cookie
    }

    /// A group was started.
    pub fn lives(&self, group: i32) {
        if let Some(keeper) = &self.keeper {
            keeper.lives(group);
        }
    }

    /// The leader of a group, which has been killed, is about to be reaped.
    pub fn is_over(&self, group: i32) {
        if let Some(keeper) = &self.keeper {
            keeper.is_over(group);
        }
    }

    /// The keeper's process.
    pub fn pid(&self) -> Option<i32> {
        self.keeper.as_ref().map(|keeper| keeper.pid)
    }

    /// Nobody is left whom a keeper would have to end.
    pub fn dismiss(&mut self) {
        if let Some(keeper) = self.keeper.take() {
            keeper.dismiss();
        }
    }
}

impl Reactor {
    /// Starts a keeper if there is none, and the last was not started just now.
    pub(super) fn have_keeper(&mut self) {
        let now = Instant::now();
        let keeping = &mut self.keeping;
        if keeping.keeper.is_some() || keeping.next.is_none_or(|next| now < next) {
            return;
        }
        keeping.next = Some(now + PAUSE);
        match Keeper::start(&keeping.cookie, self.roster.groups()) {
            Ok(keeper) => {
                tracing::debug!(pid = keeper.pid, "the keeper is started");
                keeping.keeper = Some(keeper);
                keeping.complained = false;
            }
            Err(error) if !keeping.complained => {
                keeping.complained = true;
                tracing::warn!(
                    "no keeper can be started ({error}), and is tried again: if this supervisor is killed meanwhile, what workers have started may live on until the next run"
                );
            }
            Err(_) => {}
        }
    }

    /// The keeper's process has been reaped.
    pub(super) fn keeper_ended(&mut self, exit: Exit) {
        self.keeping.keeper = None;
        tracing::warn!("the keeper ended ({exit}); another one is started");
        self.have_keeper();
    }
}
