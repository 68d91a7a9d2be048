//! Workers that end in order, to be started anew.

use super::*;

fn grows(story: &mut Story, name: &str) {
    let (post, incarnation) = story.id(name);
    story.tell(Event::Replace { post, incarnation, words: "it has grown".into() });
}

fn leaves(story: &mut Story, name: &str) {
    let (post, incarnation) = story.id(name);
    story.tell(Event::Leaving { post, incarnation, words: "it has done its 5 items".into() });
}

#[test]
fn a_worker_that_has_grown_is_asked_to_end_and_started_anew_at_once() {
    let mut story = Story::running(line());
    grows(&mut story, "hash/0");
    assert_eq!(story.state("hash/0"), State::Ready, "it has an item in hand");
    grows(&mut story, "hash/0");
    story.expect(&["stop hash/0 #1 renew"]);
    story.exits("hash/0", OK);
    story.expect(&["sweep hash/0 #1", "spawn hash/0 #2"]);
    assert_eq!(story.who("hash/0").last_end.as_deref(), Some("exit code 0: it has grown"));
    story.up("hash/0");
    assert_eq!((story.state("hash/0"), story.who("hash/0").restarts), (State::Ready, 0));
}

#[test]
fn to_be_replaced_never_counts_as_a_crash() {
    let mut story = Story::running(line());
    for _ in 0..100 {
        leaves(&mut story, "hash/0");
        story.exits("hash/0", OK);
        assert_eq!(story.state("hash/0"), State::Starting, "there is no wait");
        story.up("hash/0");
    }
    assert_eq!(story.core.level(), None);
    for _ in 0..5 {
        story.crashes_and_comes_back("hash/0");
    }
    assert_eq!(story.core.level(), None, "all five restarts were still allowed");
}

#[test]
fn whoever_does_not_end_is_left_at_its_item() {
    let mut story = Story::running(line());
    grows(&mut story, "hash/0");
    story.seconds(1000);
    story.expect(&["stop hash/0 #1 renew"]);
}

#[test]
fn a_stop_weighs_more_than_to_be_replaced() {
    for renew in [grows, leaves] {
        let mut story = Story::running(line());
        renew(&mut story, "hash/0");
        story.unread.clear();
        story.tell(Event::StopAt(StopLevel::Now, TERM));
        assert!(story.unread.iter().any(|action| story.deed(action).as_deref() == Some("stop hash/0 #1 now")));
        story.unread.clear();
        story.exits("hash/0", OK);
        story.expect(&["sweep hash/0 #1"]);
        assert_eq!(story.state("hash/0"), State::Exited);
    }
    let mut story = Story::running(line());
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.unread.clear();
    grows(&mut story, "hash/0");
    leaves(&mut story, "hash/0");
    story.expect(&[]);
}

#[test]
fn a_drain_goes_on_with_the_next_run() {
    let mut story = Story::running(line());
    story.signal();
    grows(&mut story, "hash/0");
    story.exits("hash/0", OK);
    story.up("hash/0");
    assert_eq!(story.state("hash/0"), State::Draining);
}

#[test]
fn one_that_is_not_at_work_is_not_replaced() {
    let mut story = Story::of(line());
    story.tell(Event::Begin);
    story.spawned("report/0");
    story.unread.clear();
    grows(&mut story, "report/0");
    leaves(&mut story, "report/0");
    story.expect(&[]);
    story.exits("report/0", CRASH);
    assert_eq!(story.state("report/0"), State::Backoff);
}

#[test]
fn a_crash_on_the_way_out_is_a_crash() {
    for renew in [grows, leaves] {
        let mut story = Story::running(line());
        renew(&mut story, "hash/0");
        story.exits("hash/0", KILLED);
        assert_eq!(story.state("hash/0"), State::Backoff, "its item may kill the next run as well");
    }
}
