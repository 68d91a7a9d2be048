//! The matrix: every restart policy, every way to end, every strategy, every phase. What is expected of each case is said
//! by a few short tables that know nothing of the core. Without it a rule could hold in the cases that somebody thought of.

use super::*;

const SUCCESS: Exit = Exit::Code(3);
const FATAL: Exit = Exit::Code(9);
const POLICIES: [RestartPolicy; 3] = [RestartPolicy::Permanent, RestartPolicy::Transient, RestartPolicy::Temporary];
const STRATEGIES: [Strategy; 3] = [Strategy::OneForOne, Strategy::OneForAll, Strategy::RestForOne];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reason {
    Zero,
    SuccessCode,
    One,
    FatalCode,
    Signal,
    FailedSpawn,
    StartTimeout,
}

const REASONS: [Reason; 7] = [
    Reason::Zero,
    Reason::SuccessCode,
    Reason::One,
    Reason::FatalCode,
    Reason::Signal,
    Reason::FailedSpawn,
    Reason::StartTimeout,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Starting,
    Ready,
    Draining,
    /// It waits for its next start; the news is about its last run.
    Backoff,
    /// It crashed before, and is starting again.
    Again,
}

const PHASES: [Phase; 5] = [Phase::Starting, Phase::Ready, Phase::Draining, Phase::Backoff, Phase::Again];

/// The one to whom it happens is called `it`, and is the second of its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// `first` → it → `last`
    Consumer,
    /// Three processes without queues; a service if it is permanent, else a task. The others are tasks.
    Plain,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    subject: Subject,
    policy: RestartPolicy,
    reason: Reason,
    strategy: Strategy,
    phase: Phase,
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for subject in [Subject::Consumer, Subject::Plain] {
        for policy in POLICIES {
            for reason in REASONS {
                for strategy in STRATEGIES {
                    cases.extend(PHASES.map(|phase| Case { subject, policy, reason, strategy, phase }));
                }
            }
        }
    }
    cases.retain(can_be);
    cases
}

/// What is ready has been spawned; what is temporary never waits for a start.
fn can_be(case: &Case) -> bool {
    let at_start = matches!(case.reason, Reason::FailedSpawn | Reason::StartTimeout);
    let again = matches!(case.phase, Phase::Backoff | Phase::Again);
    // A program that cannot say when it is ready has no start timeout.
    let timeless = case.subject == Subject::Plain && case.reason == Reason::StartTimeout;
    let was_started = at_start && matches!(case.phase, Phase::Ready | Phase::Draining);
    let never_again = again && case.policy == RestartPolicy::Temporary;
    !(timeless || was_started || never_again)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Follows {
    Nothing,
    Restart,
    Rest,
    EndOfAll,
}

/// What follows for itself.
fn follows(case: &Case) -> Follows {
    let Case { subject, policy, reason, phase, .. } = *case;
    let a_task_was_asked = (subject, phase) == (Subject::Plain, Phase::Draining) && policy != RestartPolicy::Permanent;
    match (reason, policy) {
        _ if phase == Phase::Backoff => Follows::Nothing,
        _ if a_task_was_asked => Follows::Rest,
        (Reason::FatalCode, _) => Follows::EndOfAll,
        // A service is always there, and a permanent consumer as long as more can come in.
        (_, RestartPolicy::Permanent) => Follows::Restart,
        (_, RestartPolicy::Temporary) | (Reason::Zero | Reason::SuccessCode, RestartPolicy::Transient) => Follows::Rest,
        (Reason::One | Reason::Signal | Reason::FailedSpawn | Reason::StartTimeout, RestartPolicy::Transient) => {
            Follows::Restart
        }
    }
}

/// Who else goes down if it is restarted.
fn goes_down(case: &Case) -> &'static [&'static str] {
    let service = case.subject == Subject::Plain && case.policy == RestartPolicy::Permanent;
    match (case.strategy, case.subject, case.phase) {
        (Strategy::OneForOne, _, _) => &[],
        // The others start after a service, and a drain has stopped them for good.
        (_, Subject::Plain, Phase::Starting | Phase::Again) if service => &[],
        (_, Subject::Plain, Phase::Draining) => &[],
        (Strategy::OneForAll, Subject::Plain, _) => &["first/0", "last/0"],
        // A source starts last, and is the first that a drain stops.
        (Strategy::OneForAll, Subject::Consumer, Phase::Ready) => &["first/0", "last/0"],
        (Strategy::OneForAll, Subject::Consumer, _) | (Strategy::RestForOne, _, _) => &["last/0"],
    }
}

fn plan(subject: Subject, policy: RestartPolicy, strategy: Strategy) -> Plan {
    let change = |stage: &mut StagePlan| {
        stage.restart = policy;
        stage.exits.success.insert(ExitCode::Code(3));
        stage.exits.fatal.insert(ExitCode::Code(9));
    };
    let plan = match subject {
        Subject::Consumer => {
            pipeline().stage("first", &[], &["p"]).stage("it", &["p"], &["q"]).with(change).stage("last", &["q"], &[])
        }
        Subject::Plain => {
            pipeline().stage("first", &[], &[]).stage("it", &[], &[]).with(change).stage("last", &[], &[])
        }
    };
    plan.group(strategy, &["first", "it", "last"])
}

/// Brings a story to the phase.
fn story_at(case: &Case) -> Story {
    let plan = plan(case.subject, case.policy, case.strategy);
    match case.phase {
        Phase::Starting => {
            let mut story = Story::of(plan);
            story.tell(Event::Begin);
            starts_alone(&mut story);
            story
        }
        Phase::Ready => Story::running(plan),
        Phase::Draining => {
            let mut story = Story::running(plan);
            story.signal();
            story
        }
        Phase::Backoff | Phase::Again => {
            let mut story = Story::running(plan);
            story.exits("it/0", CRASH);
            // In a story that goes on, who goes down is gone by the time that it may start again.
            while let Some(name) = first_in(&story, State::Stopping) {
                story.exits(&name, OK);
            }
            if case.phase == Phase::Again {
                story.wait(120);
                starts_alone(&mut story);
            }
            story
        }
    }
}

/// It is starting, and whoever starts with it is there but not ready.
fn starts_alone(story: &mut Story) {
    while story.state("it/0") != State::Starting {
        let name = story.first_starting().expect("somebody starts before it");
        story.up(&name);
    }
    for name in ["first/0", "last/0"] {
        if story.state(name) == State::Starting {
            story.spawned(name);
        }
    }
}

fn first_in(story: &Story, state: State) -> Option<String> {
    story.core.workers().find(|worker| worker.state == state).map(|worker| worker.name.clone())
}

fn ends(story: &mut Story, reason: Reason) {
    if reason != Reason::FailedSpawn {
        story.spawned("it/0");
        story.introduces("it/0");
    }
    match reason {
        Reason::Zero => story.exits("it/0", OK),
        Reason::SuccessCode => story.exits("it/0", SUCCESS),
        Reason::One => story.exits("it/0", CRASH),
        Reason::FatalCode => story.exits("it/0", FATAL),
        Reason::Signal => story.exits("it/0", Exit::Signal { signal: 11, core: true }),
        Reason::FailedSpawn => story.spawn_fails("it/0", "no memory", false),
        Reason::StartTimeout => {
            if story.state("it/0") == State::Starting {
                story.seconds(30);
            }
            story.exits("it/0", KILLED);
        }
    }
}

/// Those that were asked to go down with it.
fn went_down(actions: &[Action], story: &Story) -> Vec<String> {
    let told = actions.iter().filter_map(|action| match action {
        Action::Changed { post, cause, .. } if cause == "goes down with it/0" => Some(post),
        _ => None,
    });
    told.map(|post| story.core.worker(*post).expect("a worker").name.clone()).collect()
}

/// Those that stop stop, those that start come up, and no wait is left.
fn all_settle(story: &mut Story) {
    for _ in 0..100 {
        if let Some(name) = first_in(story, State::Stopping) {
            story.spawned(&name);
            story.exits(&name, OK);
        } else if let Some(name) = story.first_starting() {
            story.up(&name);
        } else if first_in(story, State::Backoff).is_some() {
            story.wait(300);
        } else {
            return;
        }
    }
    panic!("they never settle");
}

fn check(case: &Case) {
    let mut story = story_at(case);
    story.unread.clear();
    let before: Vec<Worker> = story.core.workers().cloned().collect();
    ends(&mut story, case.reason);
    let state = story.state("it/0");
    let down = went_down(&story.unread, &story);
    match follows(case) {
        Follows::Nothing => {
            assert_eq!((state, &story.unread[..]), (State::Backoff, &[][..]));
        }
        Follows::Rest => {
            assert_eq!((state, &down[..]), (State::Exited, &[][..]));
        }
        Follows::EndOfAll => {
            assert_eq!((state, story.core.level()), (State::Failed, Some(StopLevel::Now)));
            assert_eq!(down, [] as [&str; 0]);
        }
        Follows::Restart => {
            assert_eq!(
                (state, &down[..]),
                (State::Backoff, &goes_down(case).iter().map(|name| (*name).to_owned()).collect::<Vec<_>>()[..])
            );
            assert!(story.core.level() < Some(StopLevel::Now));
            story.wait(300);
            assert_eq!(story.state("it/0") == State::Pending, !down.is_empty(), "it waits for those that go down");
            all_settle(&mut story);
            for Worker { name, incarnation, state, .. } in before {
                let starts = name == "it/0" || down.contains(&name) || state == State::Pending;
                let expected = if starts { incarnation.next() } else { incarnation };
                assert_eq!(story.who(&name).incarnation, expected, "{name}");
            }
        }
    }
}

#[test]
fn every_end_in_every_phase_has_the_expected_consequences_under_every_policy_and_strategy() {
    let cases = cases();
    assert!(cases.len() > 350, "only {} cases", cases.len());
    for case in cases {
        let checked = std::panic::catch_unwind(|| check(&case));
        assert!(checked.is_ok(), "{case:?}");
    }
}

#[test]
fn one_two_and_three_signals_end_the_run_from_every_phase() {
    for signals in 1..=3 {
        for case in cases() {
            let told = std::panic::catch_unwind(|| {
                let mut story = story_at(&case);
                if case.reason != Reason::Zero {
                    ends(&mut story, case.reason);
                }
                (0..signals).for_each(|_| story.signal());
                comes_to_its_end(&mut story);
            });
            assert!(told.is_ok(), "{signals} signals: {case:?}");
        }
    }
}

/// Everybody does what is asked; the end comes once, when nobody lives, and nothing after it.
fn comes_to_its_end(story: &mut Story) {
    let is_end = |action: &Action| matches!(action, Action::Finish(_));
    for _ in 0..100 {
        if story.unread.iter().any(is_end) {
            let ends = story.unread.iter().filter(|action| is_end(action)).count();
            assert_eq!((ends, story.unread.last().is_some_and(is_end), story.core.deadline()), (1, true, None));
            assert!(story.core.workers().all(|worker| worker.pid.is_none() && worker.next_start.is_none()));
            return;
        }
        if let Some(name) = first_in(story, State::Stopping) {
            story.spawned(&name);
            story.exits(&name, KILLED);
        } else if let Some(name) = story.first_starting() {
            story.up(&name);
        } else if let Some(name) = first_in(story, State::Draining).filter(|name| sees_end(story, name)) {
            story.exits(&name, OK);
        } else {
            story.seconds(1);
        }
    }
    panic!("the run has no end");
}

fn sees_end(story: &Story, name: &str) -> bool {
    let stage = story.who(name).stage.expect("a worker of a stage");
    story.core.plan().stages[stage].inputs.iter().all(|queue| story.core.is_closed(*queue))
}
