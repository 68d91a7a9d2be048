//! Stages that grow and shrink while they work.

use super::*;

fn scale(story: &mut Story, stage: usize, replicas: u16) {
    story.tell(Event::Scale { stage, replicas, actor: Actor::Operator });
}

const HASH: usize = 1;

#[test]
fn a_stage_that_grows_gets_workers_of_new_posts() {
    let mut story = Story::running(line());
    let report = story.id("report/0").0;
    scale(&mut story, HASH, 4);
    story.expect(&["spawn hash/2 #1", "spawn hash/3 #1"]);
    story.everybody_comes_up();
    assert!(story.id("hash/2").0 > report && story.id("hash/3").0 > story.id("hash/2").0);
    assert_eq!(story.core.plan().stages[HASH].replicas, 4);
    scale(&mut story, HASH, 4);
    story.expect(&[]);
}

#[test]
fn of_one_that_shrinks_the_last_go_and_stay_away() {
    let mut story = Story::running(line());
    scale(&mut story, HASH, 1);
    story.expect(&["stop hash/1 #1 now"]);
    // However it ends.
    story.exits("hash/1", CRASH);
    story.expect(&["sweep hash/1 #1"]);
    assert_eq!(story.state("hash/1"), State::Exited);
    story.seconds(100);
    story.expect(&[]);
    assert_eq!(story.core.stage_state(HASH), Some(crate::core::StageState::Ready));
}

#[test]
fn who_was_let_go_comes_back_first_as_a_new_run() {
    let mut story = Story::running(line());
    let post = story.id("hash/1").0;
    scale(&mut story, HASH, 1);
    story.exits("hash/1", OK);
    scale(&mut story, HASH, 3);
    story.expect(&["stop hash/1 #1 now", "sweep hash/1 #1", "spawn hash/1 #2", "spawn hash/2 #1"]);
    assert_eq!(story.id("hash/1").0, post);
}

#[test]
fn who_is_wanted_again_before_it_has_gone_comes_back_when_it_has() {
    let mut story = Story::running(line());
    scale(&mut story, HASH, 1);
    scale(&mut story, HASH, 2);
    story.expect(&["stop hash/1 #1 now"]);
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #1", "spawn hash/1 #2"]);
    story.up("hash/1");
    // And is a worker like any other from then on.
    story.exits("hash/1", CRASH);
    assert_eq!(story.state("hash/1"), State::Backoff);
}

#[test]
fn who_waits_for_its_start_is_let_go_at_once() {
    let mut story = Story::running(line());
    story.exits("hash/1", CRASH);
    scale(&mut story, HASH, 1);
    assert_eq!(story.state("hash/1"), State::Exited);
    story.seconds(60);
    story.expect(&["sweep hash/1 #1"]);
}

#[test]
fn whoever_does_not_go_is_killed() {
    let mut story = Story::running(line());
    scale(&mut story, HASH, 1);
    story.seconds(10);
    story.expect(&["stop hash/1 #1 now", "kill hash/1 #1: still there 10s after it was asked to stop"]);
    story.exits("hash/1", KILLED);
    assert_eq!(story.state("hash/1"), State::Exited);
}

#[test]
fn the_end_of_the_stream_waits_for_new_ones_and_not_for_those_that_went() {
    let mut story = Story::running(line());
    scale(&mut story, HASH, 1);
    story.exits("hash/1", OK);
    scale(&mut story, HASH, 3);
    story.everybody_comes_up();
    scale(&mut story, HASH, 2);
    story.exits("hash/2", OK);
    story.exits("walk/0", OK);
    story.unread.clear();
    story.exits("hash/0", OK);
    story.expect(&["sweep hash/0 #1"]);
    story.exits("hash/1", OK);
    story.expect(&["sweep hash/1 #2", "close sums"]);
}

#[test]
fn one_that_crashed_at_the_end_is_not_waited_for_whoever_was_let_go_before() {
    let plan = line().with(|_| ());
    let mut story = Story::running(plan);
    scale(&mut story, HASH, 3);
    story.everybody_comes_up();
    scale(&mut story, HASH, 2);
    story.exits("hash/2", OK);
    story.exits("walk/0", OK);
    story.exits("hash/1", CRASH);
    assert_eq!(story.state("hash/1"), State::Backoff);
    story.exits("hash/0", OK);
    assert_eq!(story.state("hash/1"), State::Exited, "the other one has seen that nothing is left");
}

#[test]
fn what_cannot_be_scaled_is_left_as_it_is_and_said_why() {
    let mut story = Story::running(line());
    let why = |story: &Story, stage, replicas| story.core.why_no_scale(stage, replicas).unwrap_or_default();
    assert!(why(&story, 0, 2).starts_with("it is a source"));
    assert!(why(&story, HASH, 4_001).contains("queue \"paths\" would be shared by 4002 threads, more than 4000"));
    for (stage, replicas) in [(0, 2), (HASH, 0), (HASH, 4_001), (99, 1)] {
        scale(&mut story, stage, replicas);
    }
    story.expect(&[]);
    story.exits("walk/0", OK);
    story.all_exit(&["hash/0", "hash/1"], OK);
    assert_eq!(why(&story, HASH, 3), "it has come to its end");
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    assert_eq!(why(&story, 2, 3), "the pipeline is being stopped");
    story.unread.clear();
    scale(&mut story, 2, 3);
    story.expect(&[]);
}

#[test]
fn a_manager_that_is_wanted_after_a_stage_has_grown_has_its_own_post() {
    let mut story = Story::running(line());
    scale(&mut story, HASH, 3);
    story.everybody_comes_up();
    story.unread.clear();
    story.tell(Event::WantManager);
    story.expect(&["spawn manager/0 #1"]);
    assert_eq!(story.id("manager/0").0, story.core.manager_post());
}

#[test]
fn whoever_was_let_go_does_not_come_back_with_its_group() {
    let plan = line().group(Strategy::OneForAll, &["walk", "hash", "report"]);
    let mut story = Story::running(plan);
    scale(&mut story, HASH, 1);
    story.exits("report/0", CRASH);
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!((story.state("hash/0"), story.state("hash/1")), (State::Ready, State::Exited));
    // One that goes down with the others and is let go meanwhile stays away, too.
    scale(&mut story, HASH, 2);
    story.everybody_comes_up();
    story.exits("report/0", CRASH);
    scale(&mut story, HASH, 1);
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    story.seconds(1);
    story.everybody_comes_up();
    assert_eq!((story.state("hash/0"), story.state("hash/1")), (State::Ready, State::Exited));
}
