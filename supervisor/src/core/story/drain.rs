//! Stories of the first rung: nothing new comes in, and what is queued is worked on.

use super::super::StageState;
use super::*;

#[test]
fn a_drain_stops_the_source_and_lets_the_others_come_to_their_end() {
    let mut story = Story::running(line());
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop walk/0 #1 drain"]);
    assert_eq!((story.state("walk/0"), story.state("hash/0")), (State::Stopping, State::Draining));
    assert_eq!(story.core.stage_state(1), Some(StageState::Draining));
    story.exits("walk/0", Exit::Signal { signal: 15, core: false });
    story.expect(&["sweep walk/0 #1", "close paths"]);
    story.all_exit(&["hash/0", "hash/1"], OK);
    story.expect(&["sweep hash/0 #1", "sweep hash/1 #1", "close sums"]);
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "finish Drained"]);
}

#[test]
fn a_source_that_does_not_stop_is_killed_after_its_stop_timeout() {
    let mut story = Story::running(line());
    story.signal();
    story.unread.clear();
    story.wait(9_999);
    story.expect(&[]);
    story.wait(1);
    story.expect(&["kill walk/0 #1: still there 10s after it was asked to stop"]);
    story.exits("walk/0", KILLED);
    story.expect(&["sweep walk/0 #1", "close paths"]);
}

#[test]
fn a_drain_that_takes_too_long_becomes_a_stop() {
    let mut story = Story::running(line());
    story.signal();
    story.exits("walk/0", OK);
    story.unread.clear();
    story.seconds(30);
    story.expect(&["level now by Core", "stop hash/0 #1 now", "stop hash/1 #1 now", "stop report/0 #1 now"]);
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    story.expect(&["sweep hash/0 #1", "sweep hash/1 #1", "sweep report/0 #1", "finish Stopped"]);
}

#[test]
fn a_consumer_that_crashes_in_a_drain_is_restarted_and_drains_on() {
    let mut story = Story::running(line());
    story.signal();
    story.exits("walk/0", OK);
    story.crashes_and_comes_back("report/0");
    assert_eq!(story.state("report/0"), State::Draining);
}

#[test]
fn a_drain_before_the_consumers_are_ready_starts_them_and_not_the_source() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.signal();
    story.expect(&["spawn report/0 #1", "level drain by Signal(15)", "close paths"]);
    assert_eq!((story.state("walk/0"), story.state("hash/0")), (State::Exited, State::Pending));
    story.up("report/0");
    story.expect(&["spawn hash/0 #1", "spawn hash/1 #1"]);
    assert_eq!(story.state("report/0"), State::Draining);
    story.all_up(&["hash/0", "hash/1"]);
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    story.expect(&["sweep hash/0 #1", "sweep hash/1 #1", "close sums", "sweep report/0 #1", "finish Drained"]);
}

#[test]
fn a_drain_before_the_beginning_waits_for_it() {
    let mut story = Story::of(line());
    story.signal();
    story.expect(&["level drain by Signal(15)"]);
    story.tell(Event::Begin);
    story.expect(&["close paths", "spawn report/0 #1"]);
}

#[test]
fn a_source_that_is_starting_gets_its_stop_when_it_is_there() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.all_up(&["report/0", "hash/0", "hash/1"]);
    story.unread.clear();
    story.signal();
    story.expect(&["level drain by Signal(15)"]);
    story.seconds(1);
    story.spawned("walk/0");
    story.expect(&["stop walk/0 #1 drain"]);
    story.seconds(10);
    story.expect(&["kill walk/0 #1: still there 10s after it was asked to stop"]);
}

#[test]
fn a_source_that_waits_for_its_next_start_is_over_at_once() {
    let mut story = Story::running(line());
    story.exits("walk/0", CRASH);
    story.signal();
    story.expect(&["sweep walk/0 #1", "level drain by Signal(15)", "close paths"]);
    assert_eq!(story.state("walk/0"), State::Exited);
}

#[test]
fn tasks_are_asked_to_stop_and_services_stay_until_the_end() {
    let plan = line().stage("task", &[], &[]).stage("cache", &[], &[]).with(|stage| {
        stage.restart = RestartPolicy::Permanent;
    });
    let mut story = Story::running(plan);
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop walk/0 #1 drain", "stop task/0 #1 drain"]);
    story.all_exit(&["walk/0", "task/0", "hash/0", "hash/1"], OK);
    story.unread.clear();
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "stop cache/0 #1 now"]);
    story.seconds(9);
    story.exits("cache/0", CRASH);
    story.expect(&["sweep cache/0 #1", "finish Drained"]);
}

#[test]
fn a_drain_that_ends_in_time_is_not_undone_by_a_slow_service() {
    let plan = pipeline().stage("task", &[], &[]).stage("cache", &[], &[]).with(|stage| {
        stage.restart = RestartPolicy::Permanent;
        stage.stop_timeout = Duration::from_secs(100);
    });
    let mut story = Story::running(plan);
    story.signal();
    story.exits("task/0", OK);
    story.unread.clear();
    story.seconds(99);
    story.expect(&[]);
    story.exits("cache/0", OK);
    story.expect(&["sweep cache/0 #1", "finish Drained"]);
}

/// A second passes, and then so many items are left.
fn left(story: &mut Story, items: u64) {
    story.seconds(1);
    story.tell(Event::Left(items));
}

#[test]
fn a_drain_that_cannot_be_done_in_time_is_told_when_it_is_known_and_again_when_it_has_changed_much() {
    let mut story = Story::running(line());
    story.tell(Event::Left(5_000));
    story.signal();
    story.exits("walk/0", OK);
    story.unread.clear();
    story.tell(Event::Left(4_152));
    left(&mut story, 4_061);
    story.expect(&[]);
    left(&mut story, 3_970);
    story.expect(&["3970 items need Some(43.626373626s) of 28s"]);
    assert_eq!(story.core.outlook().map(|outlook| (outlook.fewer, outlook.within.as_secs())), Some((182, 2)));
    left(&mut story, 3_880);
    story.expect(&[]);
    // Somebody has scaled the stage.
    for items in [2_000, 600] {
        left(&mut story, items);
    }
    story.expect(&["in time"]);
    assert!(story.core.outlook().is_none());
    for _ in 0..10 {
        left(&mut story, 600);
    }
    story.expect(&["600 items need None of 15s"]);
    left(&mut story, 0);
    story.expect(&["in time"]);
}

#[test]
fn a_drain_with_nothing_left_does_not_wait_for_a_worker_that_fails_at_each_start() {
    let plan = || pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]);
    for starts in [false, true] {
        let mut story = Story::of(plan());
        story.tell(Event::Begin);
        story.spawned("take/0");
        story.exits("take/0", CRASH);
        story.signal();
        assert_eq!((story.state("make/0"), story.state("take/0")), (State::Exited, State::Backoff));
        story.tell(Event::Left(1));
        assert_eq!(story.state("take/0"), State::Backoff, "an item is left for it");
        if starts {
            story.seconds(1);
            story.spawned("take/0");
            story.tell(Event::Left(0));
            assert_eq!(story.state("take/0"), State::Stopping);
            story.exits("take/0", CRASH);
        } else {
            story.tell(Event::Left(0));
        }
        assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Drained)));
    }
}

#[test]
fn a_drain_with_nothing_left_waits_for_a_worker_that_may_have_something_to_finish() {
    let mut story = Story::running(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.signal();
    story.exits("make/0", OK);
    story.exits_leaving("take/0", CRASH, Left { progress: Progress::Some, ..Left::default() });
    story.tell(Event::Left(0));
    assert_eq!(story.state("take/0"), State::Backoff);
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.signal();
    story.tell(Event::Left(0));
    assert_eq!(story.state("take/0"), State::Starting, "it has not failed");
}

#[test]
fn a_stage_that_was_asked_to_stop_is_not_complete() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.tell(Event::StopAt(StopLevel::Now, Actor::Operator));
    story.all_exit(&["hash/0", "hash/1"], OK);
    assert_eq!(story.core.stage_state(0), Some(StageState::Complete));
    assert_eq!(story.core.stage_state(1), Some(StageState::Stopped));
}

#[test]
fn a_drain_that_is_done_in_time_is_not_spoken_of() {
    let mut story = Story::running(line());
    story.signal();
    story.exits("walk/0", OK);
    story.unread.clear();
    for items in (0..20).rev() {
        left(&mut story, items * 100);
    }
    story.expect(&[]);
}
