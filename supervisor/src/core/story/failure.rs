//! Stories of exits that look like an end and are none, and of how long the supervisor keeps trying.

use super::*;

const HELLO: &str = "before it said hello to the supervisor: the program of a stage with inputs or outputs must be written \
                     with the SDK, and may not end before it says hello";

fn done(progress: Progress) -> Left {
    Left { progress, ..Left::default() }
}

/// make → q → take, whose `take` has these keys.
fn pair(change: impl FnOnce(&mut StagePlan)) -> Plan {
    pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).with(change)
}

fn verdict_of(story: &mut Story) -> Verdict {
    let alive: Vec<String> =
        story.core.workers().filter(|worker| worker.pid.is_some()).map(|worker| worker.name.clone()).collect();
    alive.iter().for_each(|name| story.exits(name, OK));
    match story.unread.last() {
        Some(Action::Finish(verdict)) => verdict.clone(),
        other => panic!("{other:?} is no end"),
    }
}

#[test]
fn a_program_with_queues_that_never_says_hello_has_failed_whatever_its_exit_code_is() {
    for exit in [OK, CRASH, Exit::Code(2)] {
        let mut story = Story::of(pair(|take| take.max_restarts = Some(1)));
        story.tell(Event::Begin);
        story.spawned("take/0");
        story.exits("take/0", exit);
        assert_eq!(story.state("take/0"), State::Backoff, "{exit}");
        story.seconds(1);
        story.spawned("take/0");
        story.exits("take/0", exit);
        let exited = if exit == OK { "exited with code 0".to_owned() } else { exit.to_string() };
        let words = format!("{exited} {HELLO}");
        assert_eq!(verdict_of(&mut story), gave_up("take/0", "restarted more than once within 60s", &words));
    }
}

#[test]
fn one_that_is_temporary_ends_the_run_as_it_is_not_started_again() {
    let mut story = Story::of(pair(|take| take.restart = RestartPolicy::Temporary));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.exits("take/0", OK);
    let words = format!("exited with code 0 {HELLO}");
    assert_eq!(verdict_of(&mut story), gave_up("take/0", "a temporary stage is not restarted", &words));
}

#[test]
fn a_plain_process_need_not_say_hello_and_one_that_is_asked_to_stop_may_not_have_come_to_it() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.spawned("task/0");
    story.exits("task/0", OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Complete)));
    let mut story = Story::of(pair(|_| {}));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.exits("take/0", OK);
    assert_eq!((story.state("take/0"), story.end_of("take/0")), (State::Exited, "exit code 0"));
}

#[test]
fn an_exit_with_an_item_in_hand_is_a_crash_whatever_its_code_is() {
    let in_hand = || Left { in_hand: Some("item 7 of queue q".into()), ..Left::default() };
    let mut story = Story::running(pair(|take| take.exits.success.extend([ExitCode::Code(3), ExitCode::Signal(15)])));
    let term = Exit::Signal { signal: 15, core: false };
    for (exit, words) in [(OK, "exited with code 0"), (Exit::Code(3), "exit code 3"), (term, "killed by SIGTERM")] {
        story.exits_leaving("take/0", exit, in_hand());
        assert_eq!(story.state("take/0"), State::Backoff, "{exit}");
        assert_eq!(story.end_of("take/0"), format!("{words} while it had item 7 of queue q in hand"));
        story.comes_back("take/0");
    }
    // What is a crash in any case is told as it is.
    story.exits_leaving("take/0", CRASH, in_hand());
    assert_eq!(story.end_of("take/0"), "exit code 1");
    story.comes_back("take/0");
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.exits_leaving("take/0", OK, in_hand());
    assert_eq!(story.state("take/0"), State::Exited, "a stop was asked for");
}

#[test]
fn one_that_is_replaced_may_not_exit_in_the_middle_of_an_item() {
    let mut story = Story::running(pair(|_| {}));
    let (post, incarnation) = story.id("take/0");
    story.tell(Event::Replace { post, incarnation, words: "it has grown".into() });
    story.exits_leaving("take/0", OK, Left { in_hand: Some("item 7 of queue q".into()), ..Left::default() });
    assert_eq!(story.state("take/0"), State::Backoff);
}

#[test]
fn code_0_without_a_word_that_the_work_is_done_is_a_crash_and_another_success_code_is_not() {
    let unannounced = || Left { unannounced: true, ..Left::default() };
    let plan = || pipeline().stage("make", &[], &["q"]).with(|make| _ = make.exits.success.insert(ExitCode::Code(3)));
    let mut story = Story::running(plan().stage("take", &["q"], &[]));
    story.exits_leaving("make/0", OK, unannounced());
    assert_eq!(story.state("make/0"), State::Backoff);
    assert!(story.end_of("make/0").starts_with("exited with code 0 before its work was done: "));
    story.comes_back("make/0");
    story.exits_leaving("make/0", Exit::Code(3), unannounced());
    assert_eq!(story.state("make/0"), State::Exited);
}

#[test]
fn one_that_leaves_items_behind_has_not_seen_the_end_of_its_stage() {
    let end = |left: Left| {
        let mut story = Story::running(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).times(2));
        story.exits("make/0", OK);
        story.exits("take/0", KILLED);
        story.exits_leaving("take/1", OK, left);
        story.state("take/0")
    };
    assert_eq!(end(Left::default()), State::Exited, "nothing is left for it");
    assert_eq!(end(Left { items_left: true, ..Left::default() }), State::Backoff, "it has items to do");
}

#[test]
fn after_progress_a_crash_is_the_first_again() {
    let mut story = Story::running(pair(|take| take.max_restarts = Some(2)));
    for progress in [Progress::None, Progress::None, Progress::Some, Progress::None, Progress::Much, Progress::None] {
        story.exits_leaving("take/0", KILLED, done(progress));
        assert_eq!(story.state("take/0"), State::Backoff);
        story.comes_back("take/0");
    }
    story.exits("take/0", KILLED);
    assert_eq!(story.state("take/0"), State::Failed, "three crashes with nothing done in between");
}

#[test]
fn much_progress_makes_the_next_wait_short_and_a_little_does_not() {
    let mut story = Story::running(pair(|take| take.max_restarts = None));
    (0..5).for_each(|_| story.crashes_and_comes_back("take/0"));
    let wait = |story: &Story| story.who("take/0").next_start.expect("it waits") - story.now;
    story.exits_leaving("take/0", KILLED, done(Progress::Some));
    assert!(wait(&story) >= Duration::from_secs(2));
    story.comes_back("take/0");
    story.exits_leaving("take/0", KILLED, done(Progress::Much));
    assert!(wait(&story) <= Duration::from_millis(120));
}

#[test]
fn a_crash_loop_is_endured_for_give_up_after_and_ends_with_any_progress() {
    let minutes = |n: u64| Duration::from_secs(60 * n);
    let mut story = Story::running(pair(|take| {
        (take.give_up_after, take.backoff_max) = (minutes(2), Duration::from_secs(5));
    }));
    let begun = story.now;
    while story.now - begun < minutes(1) {
        story.crashes_and_comes_back("take/0");
    }
    // The database is back for a moment.
    story.exits_leaving("take/0", CRASH, done(Progress::Some));
    let begun = story.now;
    story.comes_back("take/0");
    loop {
        story.exits("take/0", CRASH);
        if story.state("take/0") == State::Failed {
            break;
        }
        story.comes_back("take/0");
    }
    let endured = story.now - begun;
    assert!(endured >= minutes(2) && endured < minutes(2) + Duration::from_secs(6), "{endured:?}");
    let reason = format!("restarted more than 5 times within 60s, and no progress for {}s", endured.as_secs());
    assert_eq!(verdict_of(&mut story), gave_up("take/0", &reason, "exit code 1"));
}

#[test]
fn an_outage_is_no_crash_and_has_a_time_of_its_own() {
    let mut story = Story::running(pair(|take| {
        (take.max_restarts, take.backoff_max) = (Some(1), Duration::from_secs(5));
    }));
    let begun = story.now;
    loop {
        let (post, incarnation) = story.id("take/0");
        let words = "no database".to_owned();
        story.tell(Event::Failed { post, incarnation, words, permanent: false, outage: true });
        story.exits("take/0", CRASH);
        if story.state("take/0") == State::Failed {
            break;
        }
        story.comes_back("take/0");
    }
    let endured = (story.now - begun).as_secs();
    assert!((600..606).contains(&endured), "{endured} s");
    let reason = format!("the outage has lasted {endured}s, longer than its outage_timeout");
    assert_eq!(verdict_of(&mut story), gave_up("take/0", &reason, "exit code 1: no database"));
}

#[test]
fn an_addition_that_never_becomes_ready_is_dropped_and_the_run_goes_its_way() {
    let ways: [fn(&mut Story); 3] = [
        |story| {
            for _ in 0..6 {
                story.spawn_fails("take/1", "no space left", false);
                story.seconds(5);
            }
        },
        |story| story.spawn_fails("take/1", "no such file", true),
        |story| {
            story.spawned("take/1");
            story.says_failed("take/1", "no such column", true);
            story.exits("take/1", Exit::Code(78));
        },
    ];
    for way in ways {
        let mut story = Story::running(pair(|_| {}));
        story.tell(Event::Scale { stage: 1, replicas: 2, actor: Actor::Operator });
        way(&mut story);
        assert_eq!((story.state("take/1"), story.core.level()), (State::Exited, None));
        assert!(story.who("take/1").dropped);
        let told = story.unread.iter().any(|action| {
            matches!(action, Action::Changed { cause, .. }
                if cause.starts_with("it could not be added (") && cause.ends_with("; the stage works on with 1"))
        });
        assert!(told, "{:?}", story.unread);
        assert_eq!(story.core.plan().stages[1].replicas, 1);
        // And it can be tried again.
        story.tell(Event::Scale { stage: 1, replicas: 2, actor: Actor::Operator });
        story.up("take/1");
        assert!(!story.who("take/1").dropped);
        (0..5).for_each(|_| story.crashes_and_comes_back("take/1"));
        story.exits("take/1", CRASH);
        assert_eq!(story.core.level(), Some(StopLevel::Now), "once ready, it is like any other");
    }
}

#[test]
fn the_run_stops_at_so_many_dead_letters() {
    let mut plan = pair(|_| {});
    plan.max_dead_letters = Some(3);
    let mut story = Story::running(plan);
    story.tell(Event::DeadLetters(2));
    assert_eq!(story.core.level(), None);
    story.tell(Event::DeadLetters(4));
    assert_eq!(story.core.level(), Some(StopLevel::Now));
    assert_eq!(verdict_of(&mut story), Verdict::DeadLetters { most: 3 });
    let mut plan = pair(|_| {});
    plan.max_dead_letters = Some(3);
    let mut story = Story::running(plan);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.tell(Event::DeadLetters(3));
    assert_eq!(verdict_of(&mut story), Verdict::DeadLetters { most: 3 }, "also while it is being stopped");
    let mut story = Story::running(pair(|_| {}));
    story.tell(Event::DeadLetters(u64::MAX));
    assert_eq!(story.core.level(), None, "without a limit nothing happens");
}
