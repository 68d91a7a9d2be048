//! What follows from an end: a restart, rest, or the end of everything. Without this one function the answer would be
//! spread over every place that learns of an exit.

use super::exit::Meaning;
use crate::config::plan::{RestartPolicy, Role};

/// How a run ended, as far as the answer depends on it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    /// What its exit means; a crash if there was none, because the spawn failed.
    pub(super) meaning: Meaning,
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
    /// It ended before it said hello, which the program of a stage with queues must.
    pub(super) never_introduced: bool,
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
    /// It has failed, and is not to be started again.
    GiveUp,
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
    if ending.meaning == Meaning::Fatal {
        return Next::Hopeless;
    }
    let well = ending.meaning == Meaning::Success && !ending.failing;
    if well && completes(role, policy, ending.inputs_closed && !ending.items_left) {
        return Next::Rest;
    }
    match policy {
        RestartPolicy::Temporary if ending.never_introduced => Next::GiveUp,
        RestartPolicy::Temporary => Next::Rest,
        RestartPolicy::Permanent | RestartPolicy::Transient if ending.spared => Next::Rest,
        RestartPolicy::Permanent | RestartPolicy::Transient => Next::Restart,
    }
}

/// Whether a success means that the worker is done. A permanent consumer may leave and come back (after so many
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
    use Meaning::{Crash, Fatal, Success};
    use RestartPolicy::{Permanent, Temporary, Transient};

    fn by(meaning: Meaning) -> Ending {
        Ending {
            meaning,
            asked: false,
            hopeless: false,
            failing: false,
            inputs_closed: false,
            items_left: false,
            never_introduced: false,
            spared: false,
        }
    }

    #[test]
    fn a_crash_is_restarted_unless_the_stage_is_temporary() {
        for role in [Role::Source, Role::Consumer, Role::Task, Role::Service] {
            assert_eq!(next(role, Transient, by(Crash)), Next::Restart);
            assert_eq!(next(role, Permanent, by(Crash)), Next::Restart);
            assert_eq!(next(role, Temporary, by(Crash)), Next::Rest);
        }
    }

    #[test]
    fn a_success_is_the_end_of_sources_consumers_and_tasks_but_not_of_services() {
        assert_eq!(next(Role::Source, Transient, by(Success)), Next::Rest);
        assert_eq!(next(Role::Source, Permanent, by(Success)), Next::Rest);
        assert_eq!(next(Role::Consumer, Transient, by(Success)), Next::Rest);
        assert_eq!(next(Role::Task, Temporary, by(Success)), Next::Rest);
        assert_eq!(next(Role::Service, Permanent, by(Success)), Next::Restart);
    }

    #[test]
    fn a_permanent_consumer_that_leaves_comes_back_while_more_can_come_in() {
        assert_eq!(next(Role::Consumer, Permanent, by(Success)), Next::Restart);
        let closed = Ending { inputs_closed: true, ..by(Success) };
        assert_eq!(next(Role::Consumer, Permanent, closed), Next::Rest);
        assert_eq!(next(Role::Consumer, Permanent, Ending { items_left: true, ..closed }), Next::Restart);
    }

    #[test]
    fn exits_that_no_restart_can_mend_are_hopeless_under_every_policy() {
        for policy in [Permanent, Transient, Temporary] {
            assert_eq!(next(Role::Consumer, policy, by(Fatal)), Next::Hopeless);
        }
    }

    #[test]
    fn an_exit_that_was_asked_for_is_never_a_crash() {
        for meaning in [Success, Crash, Fatal] {
            for policy in [Permanent, Transient, Temporary] {
                assert_eq!(next(Role::Service, policy, Ending { asked: true, ..by(meaning) }), Next::Rest);
            }
        }
    }

    #[test]
    fn the_end_of_a_temporary_worker_that_never_said_hello_is_not_the_end_of_its_work() {
        let ending = Ending { never_introduced: true, ..by(Crash) };
        assert_eq!(next(Role::Source, Temporary, ending), Next::GiveUp);
        assert_eq!(next(Role::Source, Transient, ending), Next::Restart);
        assert_eq!(next(Role::Source, Temporary, Ending { asked: true, ..ending }), Next::Rest);
    }

    #[test]
    fn its_own_word_outweighs_its_exit_code() {
        assert_eq!(next(Role::Source, Transient, Ending { failing: true, ..by(Success) }), Next::Restart);
        assert_eq!(
            next(Role::Source, Transient, Ending { hopeless: true, asked: true, ..by(Success) }),
            Next::Hopeless
        );
    }

    #[test]
    fn a_worker_paused_at_the_end_is_spared_the_restart_when_others_can_finish() {
        let ending = Ending { inputs_closed: true, ..by(Crash) };
        assert_eq!(next(Role::Consumer, Transient, ending), Next::Restart);
        assert_eq!(next(Role::Consumer, Transient, Ending { spared: true, ..ending }), Next::Rest);
    }
}
