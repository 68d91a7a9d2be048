//! What follows from an end: a restart, rest, or the end of everything. Without this one function the answer would be
//! spread over every place that learns of an exit.

use super::event::Exit;
use crate::config::plan::{RestartPolicy, Role};

/// How a run ended, as far as the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// How the process ended; `None` if there never was one, because the spawn failed.
    pub(super) exit: Option<Exit>,
    /// It was asked to stop, or its pipeline is being stopped.
    pub(super) asked: bool,
    /// It, or its spawn, said that trying again will not help.
    pub(super) hopeless: bool,
    /// It said that it could not work this time.
    pub(super) failing: bool,
    /// Every queue that its stage takes from is closed.
    pub(super) inputs_closed: bool,
    /// Items are left in them.
    pub(super) items_left: bool,
    /// It was killed for being paused at the end of its stage, and others of the stage are there to finish.
    pub(super) spared: bool,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is done.
    Rest,
    /// It is to be started again, after a wait.
    Restart,
    /// It can never work.
    Hopeless,
}

/// What follows from an end, by the stage's policy.
pub(super) fn next(role: Role, policy: RestartPolicy, ending: Ending) -> Next {
    if ending.hopeless {
        return Next::Hopeless;
    }
    if ending.asked {
        return Next::Rest;
    }
    if matches!(ending.exit, Some(Exit::Code(78 | 126 | 127))) {
        return Next::Hopeless;
    }
    let complete = ending.exit == Some(Exit::Code(0)) && !ending.failing;
    if complete && completes(role, policy, ending.inputs_closed && !ending.items_left) {
        return Next::Rest;
    }
    match policy {
        RestartPolicy::Temporary => Next::Rest,
        RestartPolicy::Permanent | RestartPolicy::Transient if ending.spared => Next::Rest,
        RestartPolicy::Permanent | RestartPolicy::Transient => Next::Restart,
    }
}

/// Whether exit code 0 means that the worker is done. A permanent consumer may leave and come back (after so many
/// items, say) as long as there is more or more can come in.
fn completes(role: Role, policy: RestartPolicy, at_end: bool) -> bool {
    match (role, policy) {
        (Role::Service, _) => false,
        (Role::Consumer, RestartPolicy::Permanent) => at_end,
        (Role::Consumer, RestartPolicy::Transient | RestartPolicy::Temporary) | (Role::Source | Role::Task, _) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use RestartPolicy::{Permanent, Temporary, Transient};

    const OK: Option<Exit> = Some(Exit::Code(0));
    const BAD: Option<Exit> = Some(Exit::Code(1));
    const KILLED: Option<Exit> = Some(Exit::Signal { signal: 9, core: false });

    fn by(exit: Option<Exit>) -> Ending {
        Ending {
            exit,
            asked: false,
            hopeless: false,
            failing: false,
            inputs_closed: false,
            items_left: false,
            spared: false,
        }
    }

    #[test]
    fn a_crash_is_restarted_unless_the_stage_is_temporary() {
        for crash in [BAD, KILLED, None] {
            for role in [Role::Source, Role::Consumer, Role::Task, Role::Service] {
                assert_eq!(next(role, Transient, by(crash)), Next::Restart);
                assert_eq!(next(role, Permanent, by(crash)), Next::Restart);
                assert_eq!(next(role, Temporary, by(crash)), Next::Rest);
            }
        }
    }

    #[test]
    fn exit_code_0_is_the_end_of_sources_consumers_and_tasks_but_not_of_services() {
        assert_eq!(next(Role::Source, Transient, by(OK)), Next::Rest);
        assert_eq!(next(Role::Source, Permanent, by(OK)), Next::Rest);
        assert_eq!(next(Role::Consumer, Transient, by(OK)), Next::Rest);
        assert_eq!(next(Role::Task, Temporary, by(OK)), Next::Rest);
        assert_eq!(next(Role::Service, Permanent, by(OK)), Next::Restart);
    }

    #[test]
    fn a_permanent_consumer_that_leaves_comes_back_while_more_can_come_in() {
        assert_eq!(next(Role::Consumer, Permanent, by(OK)), Next::Restart);
        let closed = Ending { inputs_closed: true, ..by(OK) };
        assert_eq!(next(Role::Consumer, Permanent, closed), Next::Rest);
        assert_eq!(next(Role::Consumer, Permanent, Ending { items_left: true, ..closed }), Next::Restart);
    }

    #[test]
    fn exits_that_no_restart_can_mend_are_hopeless_under_every_policy() {
        for code in [78, 126, 127] {
            for policy in [Permanent, Transient, Temporary] {
                assert_eq!(next(Role::Consumer, policy, by(Some(Exit::Code(code)))), Next::Hopeless);
            }
        }
    }

    #[test]
    fn an_exit_that_was_asked_for_is_never_a_crash() {
        for exit in [OK, BAD, KILLED, None, Some(Exit::Code(127))] {
            for policy in [Permanent, Transient, Temporary] {
                assert_eq!(next(Role::Service, policy, Ending { asked: true, ..by(exit) }), Next::Rest);
            }
        }
    }

    #[test]
    fn its_own_word_outweighs_its_exit_code() {
        assert_eq!(next(Role::Source, Transient, Ending { failing: true, ..by(OK) }), Next::Restart);
        assert_eq!(next(Role::Source, Transient, Ending { hopeless: true, asked: true, ..by(OK) }), Next::Hopeless);
    }

    #[test]
    fn a_worker_paused_at_the_end_is_spared_the_restart_when_others_can_finish() {
        let ending = Ending { inputs_closed: true, ..by(KILLED) };
        assert_eq!(next(Role::Consumer, Transient, ending), Next::Restart);
        assert_eq!(next(Role::Consumer, Transient, Ending { spared: true, ..ending }), Next::Rest);
    }
}
