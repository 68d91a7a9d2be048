//! Stories of crashes and what follows them.

use super::*;

fn wait_of(story: &Story, name: &str) -> Duration {
    story.who(name).next_start.expect("it waits for its next start") - story.now
}

#[test]
fn the_wait_doubles_and_begins_anew_after_half_a_minute_of_work() {
    let mut story = Story::running(line());
    for expected in [100, 200, 400] {
        story.exits("hash/0", KILLED);
        let wait = wait_of(&story, "hash/0").as_millis();
        assert!((expected * 8 / 10..=expected * 12 / 10).contains(&wait), "{wait} ms, not {expected} ms");
        story.comes_back("hash/0");
    }
    story.seconds(30);
    story.exits("hash/0", KILLED);
    assert!(wait_of(&story, "hash/0") <= Duration::from_millis(120));
    assert_eq!(story.who("hash/0").restarts, 3);
}

#[test]
fn the_longest_wait_is_kept() {
    let plan = pipeline().stage("task", &[], &[]).with(|stage| {
        stage.max_restarts = None;
        stage.backoff_max = Duration::from_secs(3);
    });
    let mut story = Story::running(plan);
    for _ in 0..100 {
        story.exits("task/0", CRASH);
        assert!(wait_of(&story, "task/0") <= Duration::from_secs(3));
        story.comes_back("task/0");
    }
}

#[test]
fn a_worker_that_crashes_too_often_ends_the_pipeline() {
    let mut story = Story::running(line());
    (0..5).for_each(|_| story.crashes_and_comes_back("hash/0"));
    story.unread.clear();
    story.exits("hash/0", CRASH);
    assert_eq!(story.state("hash/0"), State::Failed);
    story.expect(&[
        "sweep hash/0 #6",
        "level now by Core",
        "stop walk/0 #1 now",
        "stop hash/1 #1 now",
        "stop report/0 #1 now",
    ]);
    story.seconds(10);
    story.expect(&[
        "kill walk/0 #1: still there 10s after it was asked to stop",
        "kill hash/1 #1: still there 10s after it was asked to stop",
        "kill report/0 #1: still there 10s after it was asked to stop",
    ]);
    story.all_exit(&["walk/0", "hash/1", "report/0"], KILLED);
    let verdict = gave_up("hash/0", "restarted more than 5 times within 60s", "exit code 1");
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn crashes_that_are_far_apart_are_not_too_many() {
    let mut story = Story::running(line());
    for _ in 0..50 {
        story.crashes_and_comes_back("hash/0");
        story.seconds(12);
    }
    assert_eq!(story.state("hash/0"), State::Ready);
    assert_eq!(story.who("hash/0").restarts, 50);
}

#[test]
fn failed_starts_count_like_crashes() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    for _ in 0..6 {
        story.spawn_fails("task/0", "too many processes", false);
        story.seconds(5);
    }
    let verdict = gave_up("task/0", "restarted more than 5 times within 60s", "too many processes");
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn the_verdict_speaks_of_the_last_run_alone() {
    let mut story = Story::running(pipeline().stage("task", &[], &[]).with(|stage| stage.max_restarts = Some(1)));
    story.says_failed("task/0", "no connection", false);
    story.exits("task/0", CRASH);
    story.comes_back("task/0");
    story.exits("task/0", KILLED);
    let verdict = gave_up("task/0", "restarted more than once within 60s", "killed by SIGKILL");
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
    assert_eq!(story.who("task/0").last_words.as_deref(), Some("no connection"));
}

#[test]
fn each_worker_has_its_own_count() {
    let mut story = Story::running(line());
    for _ in 0..5 {
        story.crashes_and_comes_back("hash/0");
        story.crashes_and_comes_back("hash/1");
    }
    assert_eq!(story.core.level(), None);
}

#[test]
fn news_of_an_earlier_run_changes_nothing() {
    let mut story = Story::running(line());
    let (post, incarnation) = story.id("hash/0");
    story.crashes_and_comes_back("hash/0");
    story.unread.clear();
    let before = story.who("hash/0").clone();
    for event in [
        Event::Exited { post, incarnation, exit: KILLED, left: Left::default() },
        Event::Failed { post, incarnation, words: "late".into(), permanent: true, outage: false },
        Event::SpawnFailed { post, incarnation, words: "late".into(), permanent: true },
        Event::Spawned { post, incarnation, pid: 1 },
        Event::Paused { post, incarnation },
        Event::Exited { post: Post(0), incarnation, exit: KILLED, left: Left::default() },
        Event::Exited { post: Post(999), incarnation, exit: KILLED, left: Left::default() },
        Event::LoopIdle(7),
    ] {
        story.tell(event);
    }
    assert_eq!(story.unread, []);
    assert_eq!(format!("{:?}", story.who("hash/0")), format!("{before:?}"));
}

#[test]
fn an_exit_is_believed_once() {
    let mut story = Story::running(line());
    let (post, incarnation) = story.id("hash/0");
    story.tell(Event::Exited { post, incarnation, exit: KILLED, left: Left::default() });
    story.tell(Event::Exited { post, incarnation, exit: KILLED, left: Left::default() });
    story.tell(Event::Ready { post, incarnation });
    story.expect(&["sweep hash/0 #1"]);
    assert_eq!(story.state("hash/0"), State::Backoff);
}

#[test]
fn an_exit_may_be_known_before_the_spawn() {
    let mut story = Story::of(pipeline().stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.exits("task/0", CRASH);
    story.spawned("task/0");
    story.expect(&["spawn task/0 #1", "sweep task/0 #1"]);
    assert_eq!((story.state("task/0"), story.who("task/0").pid), (State::Backoff, None));
}

#[test]
fn a_service_is_restarted_after_every_exit() {
    let plan = line().stage("cache", &[], &[]).with(|stage| stage.restart = RestartPolicy::Permanent);
    let mut story = Story::running(plan);
    story.exits("cache/0", OK);
    story.comes_back("cache/0");
    story.expect(&["sweep cache/0 #1", "spawn cache/0 #2"]);
}

#[test]
fn a_source_that_crashes_is_restarted_and_its_queue_stays_open() {
    let mut story = Story::running(line());
    story.crashes_and_comes_back("walk/0");
    story.expect(&["sweep walk/0 #1", "spawn walk/0 #2"]);
}

#[test]
fn a_temporary_worker_is_never_restarted() {
    let plan = line().stage("once", &[], &[]).with(|stage| stage.restart = RestartPolicy::Temporary);
    let mut story = Story::running(plan);
    story.exits("once/0", CRASH);
    assert_eq!(story.state("once/0"), State::Exited);
    story.seconds(100);
    story.expect(&["sweep once/0 #1"]);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
    let words = "exit code 1".to_owned();
    let failed = Verdict::Failed { worker: "once/0".to_owned(), words };
    assert_eq!(story.unread.last(), Some(&Action::Finish(failed)), "the others worked on, and the run is not complete");
}

#[test]
fn a_temporary_source_or_task_that_ends_well_or_is_stopped_has_not_failed() {
    let once = || line().stage("once", &[], &[]).with(|stage| stage.restart = RestartPolicy::Temporary);
    let mut story = Story::running(once());
    story.all_exit(&["once/0", "walk/0", "hash/0", "hash/1", "report/0"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Complete)));
    let mut story = Story::running(once());
    story.signal();
    story.exits("once/0", CRASH);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Drained)));
}

#[test]
fn a_temporary_consumer_that_fails_leaves_its_items_to_the_others_of_its_stage() {
    let plan = pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).times(2);
    let mut story = Story::running(plan.with(|stage| stage.restart = RestartPolicy::Temporary));
    story.exits("take/0", CRASH);
    story.all_exit(&["make/0", "take/1"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Complete)));
}

#[test]
fn what_a_run_left_behind_is_part_of_how_it_ended_and_of_the_verdict() {
    let plan = pipeline().stage("web", &[], &[]).with(|stage| {
        stage.restart = RestartPolicy::Permanent;
        stage.max_restarts = Some(1);
    });
    let mut story = Story::running(plan);
    story.exits("web/0", OK);
    let at = story.who("web/0").next_start.expect("it waits for its next start");
    story.now = story.now.max(at);
    story.tell(Event::Tick);
    let (post, incarnation) = story.id("web/0");
    let words = "left 1 process behind".to_owned();
    story.tell(Event::LeftBehind { post, incarnation, words });
    assert_eq!(story.who("web/0").last_end.as_deref(), Some("exit code 0; it left 1 process behind"));
    story.up("web/0");
    story.unread.clear();
    story.exits("web/0", OK);
    let words = "exit code 0; its run before left 1 process behind";
    assert_eq!(story.who("web/0").last_end.as_deref(), Some(words));
    let finish = story.unread.iter().any(|action| format!("{action:?}").contains(words));
    assert!(finish, "{:?}", story.unread);
}
