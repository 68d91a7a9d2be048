//! Stories of ends that nobody asked for: of streams, of loops, of stages that leave too early.

use super::super::StageState;
use super::*;

#[test]
fn a_line_ends_from_its_source_to_its_sink() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.expect(&["sweep walk/0 #1", "close paths"]);
    story.exits("hash/0", OK);
    story.expect(&["sweep hash/0 #1"]);
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #1", "close sums"]);
    assert_eq!(story.core.stage_state(1), Some(StageState::Complete));
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "finish Complete"]);
    assert_eq!(story.core.deadline(), None);
    story.signal();
    story.tell(Event::WantManager);
    story.expect(&[]);
}

#[test]
fn a_run_that_continues_a_complete_one_starts_no_source_and_ends_when_what_is_queued_is_done() {
    let mut story = Story::of(line());
    story.core = Core::new(Plan::clone(story.core.plan()), 1).with_complete(&["walk".to_owned()]);
    story.tell(Event::Begin);
    story.expect(&["close paths", "spawn report/0 #1"]);
    story.everybody_comes_up();
    assert_eq!((story.state("walk/0"), story.state("hash/1")), (State::Exited, State::Ready));
    story.unread.clear();
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    let end = ["sweep hash/0 #1", "sweep hash/1 #1", "close sums", "sweep report/0 #1", "finish Complete"];
    story.expect(&end);
}

#[test]
fn a_queue_with_two_producing_stages_is_closed_when_both_are_complete() {
    let plan = pipeline().stage("a", &[], &["q"]).stage("b", &[], &["q"]).times(2).stage("take", &["q"], &[]);
    let mut story = Story::running(plan);
    story.all_exit(&["a/0", "b/0"], OK);
    story.expect(&["sweep a/0 #1", "sweep b/0 #1"]);
    story.exits("b/1", OK);
    story.expect(&["sweep b/1 #1", "close q"]);
}

#[test]
fn services_stop_when_all_work_is_done_and_do_not_hold_it_up() {
    let plan = line().stage("cache", &[], &[]).with(|stage| stage.restart = RestartPolicy::Permanent);
    let mut story = Story::running(plan);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
    assert_eq!(story.state("cache/0"), State::Stopping);
    story.unread.clear();
    story.seconds(10);
    story.expect(&["kill cache/0 #1: still there 10s after it was asked to stop"]);
    story.exits("cache/0", KILLED);
    story.expect(&["sweep cache/0 #1", "finish Complete"]);
}

#[test]
fn services_alone_run_until_they_are_stopped() {
    let plan = pipeline().stage("cache", &[], &[]).with(|stage| stage.restart = RestartPolicy::Permanent);
    let mut story = Story::running(plan);
    story.seconds(1000);
    story.expect(&[]);
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop cache/0 #1 now"]);
    story.exits("cache/0", OK);
    story.expect(&["sweep cache/0 #1", "finish Drained"]);
}

#[test]
fn a_worker_that_crashed_before_the_end_is_started_again_for_what_is_left() {
    let mut story = Story::running(line());
    story.exits("hash/0", KILLED);
    story.exits("walk/0", OK);
    story.comes_back("hash/0");
    story.expect(&["sweep hash/0 #1", "sweep walk/0 #1", "close paths", "spawn hash/0 #2"]);
}

#[test]
fn a_worker_that_waits_is_released_when_the_others_have_seen_the_end() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.exits("hash/0", KILLED);
    story.unread.clear();
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #1", "close sums"]);
    assert_eq!((story.state("hash/0"), story.who("hash/0").next_start), (State::Exited, None));
}

#[test]
fn a_worker_that_waits_is_not_released_by_one_that_left_before_the_end() {
    let mut story = Story::running(line());
    story.exits("hash/0", OK);
    story.exits("hash/1", KILLED);
    story.exits("walk/0", OK);
    assert_eq!(story.state("hash/1"), State::Backoff);
}

/// Items are in a queue that its stage takes from.
fn leaving_items() -> Left {
    Left { items_left: true, ..Left::default() }
}

#[test]
fn a_stage_that_ends_before_the_items_of_its_queue_stops_everything_upstream_at_once() {
    let mut story = Story::running(line());
    story.exits_leaving("report/0", OK, leaving_items());
    story.expect(&[
        "sweep report/0 #1",
        "level drain by Core",
        "stop walk/0 #1 now",
        "stop hash/0 #1 now",
        "stop hash/1 #1 now",
    ]);
    story.all_exit(&["hash/0", "hash/1", "walk/0"], OK);
    let finish = "finish Abandoned { stage: \"report\" }";
    story.expect(&["sweep hash/0 #1", "sweep hash/1 #1", "close sums", "sweep walk/0 #1", "close paths", finish]);
}

#[test]
fn a_sender_that_ends_within_a_second_after_its_taker_is_in_order() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.exits("report/0", OK);
    story.exits("hash/0", OK);
    story.wait(999);
    story.expect(&["sweep walk/0 #1", "close paths", "sweep report/0 #1", "sweep hash/0 #1"]);
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #1", "close sums", "finish Complete"]);
    assert_eq!(story.core.deadline(), None);
}

#[test]
fn a_sender_that_works_on_for_a_second_after_its_taker_is_stopped() {
    let mut story = Story::running(line());
    story.exits("report/0", OK);
    story.wait(999);
    story.exits("hash/0", OK);
    story.expect(&["sweep report/0 #1", "sweep hash/0 #1"]);
    story.wait(1);
    story.expect(&["level drain by Core", "stop walk/0 #1 now", "stop hash/1 #1 now"]);
    story.all_exit(&["hash/1", "walk/0"], OK);
    let finish = "finish Abandoned { stage: \"report\" }";
    story.expect(&["sweep hash/1 #1", "close sums", "sweep walk/0 #1", "close paths", finish]);
}

#[test]
fn a_join_that_ends_with_its_first_queue_is_in_order_if_the_other_sender_ends_as_well() {
    let plan = pipeline().stage("a", &[], &["p"]).stage("b", &[], &["q"]).stage("join", &["p", "q"], &[]);
    let mut story = Story::running(plan);
    story.exits("a/0", OK);
    story.exits("join/0", OK);
    story.exits("b/0", OK);
    story.expect(&["sweep a/0 #1", "close p", "sweep join/0 #1", "sweep b/0 #1", "close q", "finish Complete"]);
}

#[test]
fn the_end_of_a_significant_stage_stops_what_feeds_it_at_once() {
    let plan = pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).with(|stage| stage.significant = true);
    let mut story = Story::running(plan);
    story.exits("take/0", OK);
    story.expect(&["sweep take/0 #1", "level drain by Core", "stop make/0 #1 drain", "stop make/0 #1 now"]);
    story.exits("make/0", OK);
    story.expect(&["sweep make/0 #1", "close q", "finish Ended { stage: \"take\" }"]);
}

#[test]
fn a_stop_ends_the_wait_for_the_senders_of_an_abandoned_queue() {
    let mut story = Story::running(line());
    story.exits("report/0", OK);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.all_exit(&["hash/0", "hash/1", "walk/0"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Stopped)));
}

#[test]
fn a_stage_beside_the_abandoned_one_drains() {
    let plan = pipeline()
        .stage("make", &[], &["p", "q"])
        .stage("left", &["p"], &[])
        .stage("right", &["q"], &[])
        .with(|stage| stage.restart = RestartPolicy::Temporary);
    let mut story = Story::running(plan);
    story.exits_leaving("right/0", CRASH, leaving_items());
    assert_eq!((story.state("left/0"), story.state("make/0")), (State::Draining, State::Stopping));
    story.exits("make/0", OK);
    story.unread.clear();
    story.exits("left/0", OK);
    story.expect(&["sweep left/0 #1", "finish Abandoned { stage: \"right\" }"]);
}

#[test]
fn a_source_is_not_started_for_a_stage_that_has_left() {
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.introduces("take/0");
    story.exits("take/0", OK);
    story.expect(&[
        "spawn take/0 #1",
        "sweep take/0 #1",
        "level drain by Core",
        "close q",
        "finish Abandoned { stage: \"take\" }",
    ]);
}

/// seed → seeds → fetch ⇄ parse, by pages and links
fn circle() -> Plan {
    pipeline()
        .stage("seed", &[], &["seeds"])
        .stage("fetch", &["seeds", "links"], &["pages"])
        .stage("parse", &["pages"], &["links"])
        .circle(&["fetch", "parse"])
}

#[test]
fn a_loop_ends_when_nothing_feeds_it_any_more_and_all_of_it_is_idle() {
    let mut story = Story::running(circle());
    story.tell(Event::LoopIdle(0));
    story.expect(&[]);
    story.exits("seed/0", OK);
    story.expect(&["sweep seed/0 #1", "close seeds", "watch loop 0"]);
    story.seconds(100);
    story.expect(&[]);
    story.tell(Event::LoopIdle(0));
    story.tell(Event::LoopIdle(0));
    story.expect(&["close links", "close pages"]);
    story.all_exit(&["parse/0", "fetch/0"], OK);
    story.expect(&["sweep parse/0 #1", "sweep fetch/0 #1", "finish Complete"]);
}

#[test]
fn a_loop_that_is_idle_after_a_stop_stays_open() {
    let mut story = Story::running(circle());
    story.exits("seed/0", OK);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.unread.clear();
    story.tell(Event::LoopIdle(0));
    story.expect(&[]);
}

#[test]
fn a_stage_that_feeds_itself_is_a_loop() {
    let plan = pipeline().stage("make", &[], &["q"]).stage("split", &["q"], &["q"]).circle(&["split"]);
    let mut story = Story::running(plan);
    story.exits("make/0", OK);
    story.expect(&["sweep make/0 #1", "watch loop 0"]);
    story.tell(Event::LoopIdle(0));
    story.exits("split/0", OK);
    story.expect(&["close q", "sweep split/0 #1", "finish Complete"]);
}

#[test]
fn a_worker_paused_at_the_end_is_killed_and_the_others_finish_for_it() {
    let mut story = Story::running(line());
    story.paused("hash/0");
    story.seconds(100);
    story.exits("walk/0", OK);
    story.expect(&["sweep walk/0 #1", "close paths"]);
    story.wait(9_999);
    story.expect(&[]);
    story.wait(1);
    story.expect(&["kill hash/0 #1: stopped by a signal for 10s while its stage waits for the end"]);
    story.exits("hash/0", KILLED);
    assert_eq!(story.state("hash/0"), State::Exited);
    story.expect(&["sweep hash/0 #1"]);
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #1", "close sums"]);
}

#[test]
fn the_last_worker_paused_at_the_end_is_restarted_for_its_item() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    ["hash/0", "hash/1"].iter().for_each(|name| story.paused(name));
    story.seconds(10);
    story.unread.clear();
    story.all_exit(&["hash/0", "hash/1"], KILLED);
    assert_eq!((story.state("hash/0"), story.state("hash/1")), (State::Exited, State::Backoff));
    story.comes_back("hash/1");
    story.expect(&["sweep hash/0 #1", "sweep hash/1 #1", "spawn hash/1 #2"]);
}

#[test]
fn a_worker_that_is_continued_in_time_is_left_alone() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.paused("hash/0");
    assert!(story.who("hash/0").paused.is_some());
    story.seconds(9);
    story.resumed("hash/0");
    story.unread.clear();
    story.seconds(100);
    story.expect(&[]);
    assert_eq!(story.who("hash/0").paused, None);
}
