//! Stories of the second and third rung, and of what arrives late.

use super::*;

#[test]
fn each_signal_goes_one_rung_further() {
    let mut story = Story::running(line());
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop walk/0 #1 drain"]);
    story.signal();
    story.expect(&[
        "level now by Signal(15)",
        "stop walk/0 #1 now",
        "stop hash/0 #1 now",
        "stop hash/1 #1 now",
        "stop report/0 #1 now",
    ]);
    story.signal();
    let why = "killed with the whole pipeline";
    story.expect(&[
        "level kill by Signal(15)",
        &format!("kill walk/0 #1: {why}"),
        &format!("kill hash/0 #1: {why}"),
        &format!("kill hash/1 #1: {why}"),
        &format!("kill report/0 #1: {why}"),
    ]);
    story.signal();
    story.expect(&[]);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], KILLED);
    assert_eq!(story.unread.last(), Some(&Action::Finish(super::super::action::Verdict::Stopped)));
}

#[test]
fn a_stop_at_a_level_never_goes_back() {
    let mut story = Story::running(line());
    story.tell(Event::StopAt(StopLevel::Now, Actor::Operator));
    story.unread.clear();
    story.tell(Event::StopAt(StopLevel::Drain, Actor::Operator));
    story.tell(Event::StopAt(StopLevel::Now, Actor::Operator));
    story.expect(&[]);
    assert_eq!(story.core.level(), Some(StopLevel::Now));
    story.tell(Event::StopNext(Actor::Operator));
    assert_eq!(story.core.level(), Some(StopLevel::Kill));
}

#[test]
fn a_kill_at_once_asks_nobody() {
    let mut story = Story::running(pipeline().stage("task", &[], &[]));
    story.tell(Event::StopAt(StopLevel::Kill, Actor::Operator));
    story.expect(&["level kill by Operator", "kill task/0 #1: killed with the whole pipeline"]);
}

#[test]
fn a_worker_that_ignores_stop_is_killed_after_its_stop_timeout() {
    let mut story =
        Story::running(pipeline().stage("task", &[], &[]).with(|s| s.stop_timeout = Duration::from_secs(3)));
    story.tell(Event::StopAt(StopLevel::Now, Actor::Operator));
    story.unread.clear();
    story.wait(2_999);
    story.expect(&[]);
    story.wait(1);
    story.expect(&["kill task/0 #1: still there 3s after it was asked to stop"]);
    story.seconds(1000);
    story.expect(&[]);
}

#[test]
fn a_source_asked_twice_keeps_the_end_of_the_first_patience() {
    let mut story = Story::running(line());
    story.signal();
    story.seconds(8);
    story.signal();
    story.unread.clear();
    story.seconds(2);
    story.expect(&["kill walk/0 #1: still there 10s after it was asked to stop"]);
}

#[test]
fn a_crash_during_a_stop_is_not_restarted() {
    let mut story = Story::running(line());
    story.tell(Event::StopAt(StopLevel::Now, Actor::Operator));
    story.unread.clear();
    story.exits("hash/0", Exit::Signal { signal: 11, core: false });
    story.seconds(9);
    story.expect(&["sweep hash/0 #1"]);
    assert_eq!(story.state("hash/0"), State::Exited);
}

#[test]
fn a_worker_that_waits_for_its_next_start_is_over_at_once() {
    let mut story = Story::running(pipeline().stage("task", &[], &[]));
    story.exits("task/0", CRASH);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.expect(&["sweep task/0 #1", "level now by Signal(15)", "finish Stopped"]);
}

#[test]
fn a_process_that_appears_after_the_stop_is_asked_to_stop() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.expect(&["spawn report/0 #1", "level now by Signal(15)"]);
    story.spawned("report/0");
    story.expect(&["stop report/0 #1 now"]);
    story.seconds(10);
    story.expect(&["kill report/0 #1: still there 10s after it was asked to stop"]);
}

#[test]
fn a_process_that_appears_after_the_kill_is_killed() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.tell(Event::StopAt(StopLevel::Kill, TERM));
    story.expect(&["spawn report/0 #1", "level kill by Signal(15)"]);
    story.spawned("report/0");
    story.expect(&["kill report/0 #1: killed with the whole pipeline"]);
    story.exits("report/0", KILLED);
    story.expect(&["sweep report/0 #1", "finish Stopped"]);
}

#[test]
fn a_spawn_that_fails_after_the_stop_is_the_end() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.unread.clear();
    story.spawn_fails("report/0", "no such file", true);
    story.expect(&["finish Stopped"]);
}

#[test]
fn a_stop_before_the_beginning_is_the_end() {
    let mut story = Story::of(line());
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.expect(&["level now by Signal(15)", "finish Stopped"]);
    story.tell(Event::Begin);
    story.expect(&[]);
}

#[test]
fn a_stop_while_the_services_are_stopping_does_not_spoil_the_verdict() {
    let plan = pipeline().stage("task", &[], &[]).stage("cache", &[], &[]).with(|stage| {
        stage.restart = RestartPolicy::Permanent;
    });
    let mut story = Story::running(plan);
    story.exits("task/0", OK);
    story.tell(Event::StopAt(StopLevel::Kill, TERM));
    story.exits("cache/0", KILLED);
    assert_eq!(story.unread.last(), Some(&Action::Finish(super::super::action::Verdict::Complete)));
}

#[test]
fn the_worst_verdict_counts_and_of_equals_the_first() {
    let mut story = Story::running(line());
    story.exits_leaving("report/0", OK, Left { items_left: true, ..Left::default() });
    story.exits("hash/0", Exit::Code(127));
    assert_eq!(story.state("hash/0"), State::Exited, "it was asked to stop before it said 127");
    story.exits("hash/1", OK);
    story.exits("walk/0", OK);
    let verdict = super::super::action::Verdict::Abandoned { stage: "report".into() };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));

    let mut story = Story::running(line());
    story.exits("hash/0", Exit::Code(127));
    story.tell(Event::StopNext(TERM));
    story.all_exit(&["walk/0", "hash/1", "report/0"], KILLED);
    let verdict = super::super::action::Verdict::Hopeless {
        worker: "hash/0".into(),
        words: "exit code 127 (a command was not found)".into(),
    };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}
