//! Stories of the manager: it comes when it is wanted, and goes last.

use super::super::action::Verdict;
use super::*;

fn with_manager() -> Story {
    let mut story = Story::running(line());
    story.tell(Event::WantManager);
    story.expect(&["spawn manager/0 #1"]);
    story.up("manager/0");
    story
}

#[test]
fn the_manager_is_started_once_however_many_want_it() {
    let mut story = with_manager();
    story.tell(Event::WantManager);
    story.expect(&[]);
    assert_eq!(story.state("manager/0"), State::Ready);
    assert_eq!(story.who("manager/0").stage, None);
    assert_eq!(story.who("manager/0").post, story.core.manager_post());
}

#[test]
fn the_manager_goes_when_all_others_are_gone() {
    let mut story = with_manager();
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    story.unread.clear();
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "stop manager/0 #1 now"]);
    story.seconds(10);
    story.expect(&["kill manager/0 #1: still there 10s after it was asked to stop"]);
    story.exits("manager/0", KILLED);
    story.expect(&["sweep manager/0 #1", "finish Complete"]);
}

#[test]
fn a_manager_that_dies_is_restarted() {
    let mut story = with_manager();
    story.exits("manager/0", OK);
    story.comes_back("manager/0");
    story.expect(&["sweep manager/0 #1", "spawn manager/0 #2"]);
}

#[test]
fn a_manager_that_dies_too_often_ends_the_pipeline() {
    let mut story = with_manager();
    let begun = story.now;
    while story.core.level().is_none() {
        story.exits("manager/0", CRASH);
        if story.state("manager/0") == State::Backoff {
            story.comes_back("manager/0");
        }
    }
    let endured = (story.now - begun).as_secs();
    assert!((120..126).contains(&endured), "{endured} s");
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
    let reason = format!("restarted more than 5 times within 60s, and no progress for {endured}s");
    let verdict = gave_up("manager/0", &reason, "exit code 1");
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn at_a_stop_the_manager_outlives_the_workers_and_is_not_restarted() {
    let mut story = with_manager();
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    assert_eq!(story.state("manager/0"), State::Ready);
    story.unread.clear();
    story.exits("manager/0", CRASH);
    assert_eq!(story.state("manager/0"), State::Exited);
    story.tell(Event::WantManager);
    story.seconds(5);
    story.expect(&["sweep manager/0 #1"]);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Stopped)));
}

#[test]
fn at_a_stop_a_manager_that_waits_for_its_next_start_is_over_at_once() {
    let mut story = with_manager();
    story.exits("manager/0", CRASH);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    assert_eq!(story.state("manager/0"), State::Exited);
    story.unread.clear();
    story.seconds(1);
    story.expect(&[]);
}

#[test]
fn at_a_kill_the_manager_is_killed_with_all_others() {
    let mut story = with_manager();
    story.tell(Event::StopAt(StopLevel::Kill, TERM));
    let kill = Action::Kill {
        post: story.core.manager_post(),
        incarnation: Incarnation(1),
        why: "killed with the whole pipeline".into(),
    };
    assert_eq!(story.unread.last(), Some(&kill));
}

#[test]
fn a_manager_that_waits_for_its_next_start_does_not_hold_up_the_end() {
    let mut story = with_manager();
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    story.exits("manager/0", CRASH);
    story.unread.clear();
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "finish Complete"]);
}
