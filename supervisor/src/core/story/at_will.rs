//! New runs because the operator wants them.

use super::*;

fn restart(story: &mut Story, name: &str) {
    let (post, _) = story.id(name);
    story.tell(Event::Restart { post, actor: Actor::Operator });
}

#[test]
fn it_is_asked_to_stop_and_started_anew_at_once() {
    let mut story = Story::running(line());
    restart(&mut story, "hash/0");
    assert_eq!(story.state("hash/0"), State::Stopping);
    restart(&mut story, "hash/0");
    story.expect(&["stop hash/0 #1 now"]);
    story.exits("hash/0", OK);
    story.expect(&["sweep hash/0 #1", "spawn hash/0 #2"]);
    story.up("hash/0");
    assert_eq!((story.state("hash/0"), story.who("hash/0").restarts), (State::Ready, 0));
}

#[test]
fn whoever_does_not_stop_is_killed_and_started_anew_all_the_same() {
    let mut story = Story::running(line());
    restart(&mut story, "hash/0");
    story.seconds(10);
    story.expect(&["stop hash/0 #1 now", "kill hash/0 #1: still there 10s after it was asked to stop"]);
    restart(&mut story, "hash/0");
    story.exits("hash/0", KILLED);
    story.expect(&["sweep hash/0 #1", "spawn hash/0 #2"]);
}

#[test]
fn a_wait_is_cut_short_and_what_went_wrong_before_is_forgotten() {
    let mut story = Story::running(line());
    for _ in 0..4 {
        story.crashes_and_comes_back("hash/0");
    }
    story.exits("hash/0", CRASH);
    story.unread.clear();
    restart(&mut story, "hash/0");
    story.expect(&["spawn hash/0 #6"]);
    story.up("hash/0");
    for _ in 0..5 {
        story.crashes_and_comes_back("hash/0");
    }
    assert_eq!(story.core.level(), None, "all five restarts were allowed again");
}

#[test]
fn a_restart_by_hand_never_counts_as_a_crash_however_it_ends() {
    let mut story = Story::running(line());
    for exit in [OK, CRASH, KILLED, Exit::Code(127)].into_iter().cycle().take(50) {
        restart(&mut story, "hash/0");
        story.exits("hash/0", exit);
        assert_eq!(story.state("hash/0"), State::Starting, "there is no wait");
        story.up("hash/0");
    }
    assert_eq!(story.core.level(), None);
}

#[test]
fn one_that_is_just_coming_up_begins_anew_too() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    restart(&mut story, "report/0");
    story.expect(&["spawn report/0 #1"]);
    story.spawned("report/0");
    restart(&mut story, "report/0");
    story.seconds(5);
    story.expect(&["stop report/0 #1 now"]);
    story.exits("report/0", KILLED);
    story.expect(&["sweep report/0 #1", "spawn report/0 #2"]);
}

#[test]
fn one_that_says_that_it_cannot_work_meanwhile_is_started_anew_all_the_same() {
    let mut story = Story::running(line());
    story.says_failed("hash/0", "no connection", false);
    restart(&mut story, "hash/0");
    story.exits("hash/0", CRASH);
    assert_eq!(story.state("hash/0"), State::Starting);
}

#[test]
fn a_stop_weighs_more_and_a_drain_goes_on_with_the_next_run() {
    let mut story = Story::running(line());
    restart(&mut story, "hash/0");
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.exits("hash/0", OK);
    assert_eq!(story.state("hash/0"), State::Exited);
    assert_eq!(story.core.why_no_restart(story.id("hash/0").0), Some("the pipeline is being stopped"));

    let mut story = Story::running(line());
    story.signal();
    restart(&mut story, "hash/0");
    story.exits("hash/0", OK);
    story.up("hash/0");
    assert_eq!(story.state("hash/0"), State::Draining);
    assert_eq!(story.core.why_no_restart(story.id("walk/0").0), Some("it is being stopped for good"));
    story.unread.clear();
    restart(&mut story, "walk/0");
    story.expect(&[]);
}

#[test]
fn who_has_ended_or_waits_for_its_turn_is_not_started_by_hand() {
    let mut story = Story::running(line());
    story.exits("walk/0", OK);
    story.unread.clear();
    restart(&mut story, "walk/0");
    story.expect(&[]);
    assert_eq!(story.core.why_no_restart(story.id("walk/0").0), Some("it has ended for good"));

    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.unread.clear();
    restart(&mut story, "walk/0");
    story.expect(&[]);
    assert_eq!(story.core.why_no_restart(story.id("walk/0").0), Some("it waits for its turn to be started"));
}

#[test]
fn one_that_goes_down_with_its_group_comes_back_once() {
    let plan = line().group(Strategy::OneForAll, &["walk", "hash", "report"]);
    let mut story = Story::running(plan);
    story.exits("report/0", CRASH);
    restart(&mut story, "hash/0");
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    assert_eq!(story.state("hash/0"), State::Pending);
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!(story.who("hash/0").incarnation, Incarnation(2));
}
