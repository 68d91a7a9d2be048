//! Plain processes that say more of themselves than that they are ready.

use super::*;

fn service() -> Plan {
    pipeline().stage("db", &[], &[]).with(|db| (db.ready, db.restart) = (Readiness::Notify, RestartPolicy::Permanent))
}

fn extend(story: &mut Story, seconds: u64) {
    let (post, incarnation) = story.id("db/0");
    story.tell(Event::Extend { post, incarnation, time: Duration::from_secs(seconds) });
}

fn says_stopping(story: &mut Story) {
    let (post, incarnation) = story.id("db/0");
    story.tell(Event::SaysStopping { post, incarnation });
}

fn starting() -> Story {
    let mut story = Story::of(service());
    story.tell(Event::Begin);
    story.spawned("db/0");
    story.unread.clear();
    story
}

#[test]
fn one_that_asks_for_time_is_given_it_from_then_on_and_never_less_than_it_had() {
    let mut story = starting();
    extend(&mut story, 1);
    story.seconds(20);
    extend(&mut story, 40);
    story.seconds(39);
    story.expect(&[]);
    extend(&mut story, 10);
    story.seconds(9);
    story.expect(&[]);
    story.seconds(1);
    story.expect(&["kill db/0 #1: not ready when the time was over that it had asked for (10s)"]);
}

#[test]
fn once_it_is_ready_time_that_was_asked_for_before_means_nothing() {
    let mut story = starting();
    extend(&mut story, 40);
    story.ready("db/0");
    story.seconds(100);
    story.expect(&[]);
    extend(&mut story, 1);
    story.seconds(100);
    story.expect(&[]);
}

#[test]
fn an_end_takes_as_long_as_it_is_asked_for() {
    let mut story = Story::running(service());
    story.signal();
    extend(&mut story, 3);
    story.seconds(8);
    extend(&mut story, 20);
    story.seconds(19);
    story.expect(&["level drain by Signal(15)", "stop db/0 #1 now"]);
    story.seconds(1);
    story.expect(&["kill db/0 #1: still there when the time was over that it had asked for (20s)"]);
}

#[test]
fn who_is_to_be_killed_gets_no_more_time() {
    let mut story = Story::running(service());
    let (post, incarnation) = story.id("db/0");
    story.tell(Event::Hung { post, incarnation, words: "sent no WATCHDOG=1 for 5s".into() });
    extend(&mut story, 50);
    story.seconds(2);
    story.expect(&["abort db/0 #1: sent no WATCHDOG=1 for 5s: aborted", "kill db/0 #1: still there 2s after SIGABRT"]);
    extend(&mut story, 50);
    story.expect(&[]);
}

#[test]
fn one_that_says_that_it_is_stopping_has_its_stop_timeout_and_its_exit_says_the_rest() {
    let mut story = Story::running(service());
    says_stopping(&mut story);
    assert_eq!(story.state("db/0"), State::Stopping);
    story.exits("db/0", OK);
    assert_eq!(story.state("db/0"), State::Backoff, "it is a service");

    let mut story = Story::running(service());
    says_stopping(&mut story);
    story.seconds(10);
    story.expect(&["kill db/0 #1: still there 10s after it said that it was stopping"]);
    story.exits("db/0", KILLED);
    assert_eq!(story.state("db/0"), State::Backoff);

    let mut story = Story::running(service().with(|db| db.restart = RestartPolicy::Transient));
    says_stopping(&mut story);
    story.exits("db/0", OK);
    assert_eq!(story.state("db/0"), State::Exited, "its work is done");
}

#[test]
fn word_that_comes_late_changes_nothing() {
    let mut story = Story::running(service());
    story.signal();
    says_stopping(&mut story);
    story.exits("db/0", OK);
    story.unread.clear();
    extend(&mut story, 50);
    says_stopping(&mut story);
    story.expect(&[]);
}
