//! Changes that fail while the pipeline runs, and what works on.

use super::super::StageState;
use super::reload::reload;
use super::*;

const MISSING: Exit = Exit::Code(127);
const HASH: usize = 1;
const REPORT: usize = 2;

/// The line, and a stage `web` that a reload has added; its worker starts.
fn with_web() -> Story {
    let mut story = Story::running(line());
    reload(&mut story, &[], |plan| plan.stages.extend(pipeline().stage("web", &[], &[]).stages));
    story.expect(&["spawn web/0 #1"]);
    story
}

/// All workers of the line come to their ends.
fn ends(story: &mut Story) {
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0"], OK);
}

fn hopeless(worker: &str) -> Verdict {
    let words = "exit code 127 (a command was not found)".into();
    Verdict::Hopeless { worker: worker.into(), words }
}

#[test]
fn a_new_stage_that_can_never_work_does_not_end_what_works_and_is_named_at_the_end() {
    let mut story = with_web();
    story.spawned("web/0");
    story.exits("web/0", MISSING);
    story.seconds(1000);
    story.expect(&["sweep web/0 #1"]);
    assert_eq!((story.state("web/0"), story.core.level()), (State::Failed, None));
    assert_eq!(story.core.stage_state(3), Some(StageState::Failed));
    ends(&mut story);
    assert_eq!(story.unread.last(), Some(&Action::Finish(hopeless("web/0"))));
}

#[test]
fn a_new_stage_that_is_given_up_does_not_end_what_works() {
    let mut story = with_web();
    story.spawn_fails("web/0", "no such file", false);
    assert_eq!(story.state("web/0"), State::Backoff);
    while story.state("web/0") == State::Backoff {
        story.seconds(6);
        story.spawn_fails("web/0", "no such file", false);
    }
    assert_eq!((story.state("web/0"), story.core.level()), (State::Failed, None));
    assert!(story.core.why_no_restart(story.id("web/0").0).is_none());
}

#[test]
fn a_stage_that_has_failed_is_started_again_when_it_is_wanted() {
    for by_reload in [false, true] {
        let mut story = with_web();
        story.spawn_fails("web/0", "no such file", true);
        story.expect(&[]);
        if by_reload {
            reload(&mut story, &[3], |_| {});
        } else {
            story.tell(Event::Restart { post: story.id("web/0").0, actor: Actor::Operator });
        }
        story.expect(&["spawn web/0 #2"]);
        story.up("web/0");
        story.exits("web/0", OK);
        ends(&mut story);
        assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Complete)));
    }
}

#[test]
fn a_stage_that_has_failed_and_is_removed_again_is_not_missed() {
    let mut story = with_web();
    story.spawn_fails("web/0", "no such file", true);
    reload(&mut story, &[], |plan| (plan.stages[3].removed, plan.stages[3].replicas) = (true, 0));
    assert!(story.core.is_gone(3));
    ends(&mut story);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Complete)));
}

#[test]
fn a_stage_that_came_up_once_ends_the_run_as_any_other() {
    let mut story = with_web();
    story.up("web/0");
    story.exits("web/0", MISSING);
    assert_eq!(story.core.level(), Some(StopLevel::Now));
}

#[test]
fn changed_stages_stay_what_they_were_until_the_new_ones_are_up() {
    let mut story = Story::running(line());
    reload(&mut story, &[REPORT], |plan| plan.stages.extend(pipeline().stage("web", &[], &[]).stages));
    story.expect(&["spawn web/0 #1"]);
    story.spawn_fails("web/0", "no such file", true);
    story.seconds(100);
    story.expect(&[]);
    assert_eq!(story.state("report/0"), State::Ready);
    story.tell(Event::Restart { post: story.id("web/0").0, actor: Actor::Operator });
    story.up("web/0");
    story.expect(&["spawn web/0 #2", "stop report/0 #1 now"]);
}

#[test]
fn a_reload_stops_at_the_first_worker_that_can_never_work_and_the_others_work_on() {
    let mut story = Story::running(line());
    reload(&mut story, &[HASH], |_| {});
    story.exits("hash/0", OK);
    story.says_failed("hash/0", "the queue holds items of another shape", true);
    story.exits("hash/0", CRASH);
    story.seconds(100);
    story.expect(&["stop hash/0 #1 now", "sweep hash/0 #1", "spawn hash/0 #2", "sweep hash/0 #2"]);
    assert_eq!((story.state("hash/0"), story.state("hash/1"), story.core.level()), (State::Failed, State::Ready, None));
    assert!(story.end_of("hash/0").contains("items of another shape"));
    // The program is corrected.
    story.tell(Event::Restart { post: story.id("hash/0").0, actor: Actor::Operator });
    story.up("hash/0");
    story.expect(&["spawn hash/0 #3", "stop hash/1 #1 now"]);
}

#[test]
fn what_the_others_of_a_stage_have_done_is_not_missed() {
    let mut story = Story::running(line());
    story.tell(Event::Restart { post: story.id("hash/0").0, actor: Actor::Operator });
    story.exits("hash/0", OK);
    story.spawn_fails("hash/0", "no such file", true);
    story.unread.clear();
    story.all_exit(&["walk/0", "hash/1", "report/0"], OK);
    let end = ["sweep walk/0 #1", "close paths", "sweep hash/1 #1", "close sums", "sweep report/0 #1"];
    story.expect(&[&end[..], &["finish Complete"]].concat());
}

#[test]
fn a_stage_that_cannot_be_started_again_leaves_its_items_and_the_rest_works_on_to_its_end() {
    let mut story = Story::running(line());
    for name in ["hash/0", "hash/1"] {
        story.tell(Event::Restart { post: story.id(name).0, actor: Actor::Operator });
        story.exits(name, OK);
        story.spawn_fails(name, "no such file", true);
    }
    story.unread.clear();
    story.seconds(1000);
    story.expect(&[]);
    assert_eq!((story.core.level(), story.state("walk/0")), (None, State::Ready));
    story.exits("walk/0", OK);
    story.expect(&["sweep walk/0 #1", "close paths", "close sums"]);
    assert_eq!(
        story.core.why_no_restart(story.id("hash/0").0),
        Some("it was given up, and the queues that it sends to are closed")
    );
    story.exits("report/0", OK);
    let verdict = Verdict::Hopeless { worker: "hash/0".into(), words: "no such file".into() };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn a_drain_ends_although_a_stage_in_the_middle_has_failed() {
    let mut story = Story::running(line());
    reload(&mut story, &[REPORT], |_| {});
    story.exits("report/0", OK);
    story.spawn_fails("report/0", "no such file", true);
    story.signal();
    story.all_exit(&["walk/0", "hash/0", "hash/1"], OK);
    let verdict = Verdict::Hopeless { worker: "report/0".into(), words: "no such file".into() };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn a_new_stage_that_waits_for_one_that_has_failed_is_given_up_at_the_end() {
    let mut story = Story::running(line());
    let new = || pipeline().stage("db", &[], &[]).stage("web", &[], &[]);
    reload(&mut story, &[], |plan| {
        plan.stages.extend(new().stages);
        (plan.stages[4].depends_on, plan.stages[4].starts_after) = (vec![3], vec![3]);
    });
    story.expect(&["spawn db/0 #1"]);
    story.spawn_fails("db/0", "no such file", true);
    story.seconds(100);
    assert_eq!((story.state("web/0"), story.core.level()), (State::Pending, None));
    ends(&mut story);
    let verdict = Verdict::Hopeless { worker: "db/0".into(), words: "no such file".into() };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
    assert_eq!(story.end_of("web/0"), "never started: it starts after stage db, which has failed");
}

#[test]
fn a_manager_that_can_never_work_ends_the_run_also_when_it_was_restarted_by_hand() {
    let mut story = Story::running(line());
    story.tell(Event::WantManager);
    story.up("manager/0");
    story.tell(Event::Restart { post: story.id("manager/0").0, actor: Actor::Operator });
    story.exits("manager/0", OK);
    story.spawn_fails("manager/0", "no such file", true);
    assert_eq!(story.core.level(), Some(StopLevel::Now));
}
