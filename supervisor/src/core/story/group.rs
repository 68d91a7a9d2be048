//! Stories of groups: who goes down together, and how they come up again.

use super::super::action::Verdict;
use super::*;

/// walk → paths → hash ×2 → sums → report, as one group.
fn group(strategy: Strategy) -> Plan {
    line().group(strategy, &["walk", "hash", "report"])
}

#[test]
fn one_for_all_stops_all_others_and_starts_all_in_order_when_they_are_gone_and_the_wait_is_over() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("hash/0", CRASH);
    story.expect(&["sweep hash/0 #1", "stop walk/0 #1 now", "stop hash/1 #1 now", "stop report/0 #1 now"]);
    story.all_exit(&["walk/0", "report/0"], OK);
    story.wait(120);
    story.expect(&["sweep walk/0 #1", "sweep report/0 #1"]);
    assert_eq!((story.state("hash/0"), story.state("hash/1")), (State::Pending, State::Stopping));
    story.exits("hash/1", KILLED);
    story.expect(&["sweep hash/1 #1", "spawn report/0 #2"]);
    story.up("report/0");
    story.expect(&["spawn hash/0 #2", "spawn hash/1 #2"]);
    story.up("hash/0");
    story.expect(&[]);
    story.up("hash/1");
    story.expect(&["spawn walk/0 #2"]);
    assert_eq!(story.core.level(), None);
}

#[test]
fn the_others_wait_for_the_one_that_crashed() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("hash/0", CRASH);
    story.all_exit(&["walk/0", "hash/1", "report/0"], OK);
    story.unread.clear();
    story.wait(79);
    story.expect(&[]);
    story.wait(41);
    story.expect(&["spawn report/0 #2"]);
}

#[test]
fn rest_for_one_takes_along_the_stages_named_after_its_own() {
    let mut story = Story::running(group(Strategy::RestForOne));
    story.exits("hash/0", CRASH);
    story.expect(&["sweep hash/0 #1", "stop report/0 #1 now"]);
    story.exits("report/0", OK);
    story.wait(120);
    story.expect(&["sweep report/0 #1", "spawn report/0 #2"]);
    story.up("report/0");
    story.expect(&["spawn hash/0 #2"]);
    story.up("hash/0");
    story.expect(&[]);
    assert_eq!((story.who("walk/0").restarts, story.who("hash/1").restarts), (0, 0));
}

#[test]
fn the_list_of_a_group_decides_who_is_the_rest_and_the_line_decides_who_starts_first() {
    let mut story = Story::running(line().group(Strategy::RestForOne, &["report", "hash", "walk"]));
    story.exits("hash/1", CRASH);
    story.expect(&["sweep hash/1 #1", "stop walk/0 #1 now"]);
    story.exits("walk/0", OK);
    story.wait(120);
    story.expect(&["sweep walk/0 #1", "spawn hash/1 #2"]);
    story.up("hash/1");
    story.expect(&["spawn walk/0 #2"]);
}

#[test]
fn stages_outside_of_the_group_go_on() {
    let plan = line().stage("beside", &[], &[]).group(Strategy::OneForAll, &["walk", "hash"]);
    let mut story = Story::running(plan);
    story.exits("walk/0", CRASH);
    story.expect(&["sweep walk/0 #1", "stop hash/0 #1 now", "stop hash/1 #1 now"]);
    assert_eq!((story.state("report/0"), story.state("beside/0")), (State::Ready, State::Ready));
}

#[test]
fn a_crash_counts_for_the_one_that_crashed_alone() {
    let plan = line().with(|report| report.max_restarts = Some(0)).group(Strategy::OneForAll, &["hash", "report"]);
    let mut story = Story::running(plan);
    for _ in 0..5 {
        story.exits("hash/0", CRASH);
        story.all_exit(&["hash/1", "report/0"], CRASH);
        story.seconds(3);
        story.everybody_comes_up();
    }
    assert_eq!((story.core.level(), story.who("report/0").restarts), (None, 5));
    story.exits("hash/0", CRASH);
    assert_eq!((story.state("hash/0"), story.core.level()), (State::Failed, Some(StopLevel::Now)));
}

#[test]
fn a_group_may_have_a_limit_for_all_its_crashes_together() {
    let mut plan = group(Strategy::OneForOne);
    plan.groups[0].max_restarts = Some(3);
    let mut story = Story::running(plan);
    for name in ["hash/0", "hash/1", "report/0"] {
        story.crashes_and_comes_back(name);
    }
    story.exits("hash/0", CRASH);
    story.all_exit(&["walk/0", "hash/1", "report/0"], KILLED);
    let verdict = gave_up("hash/0", "the workers of its group crashed more than 3 times within 60s", "exit code 1");
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn two_that_crash_at_once_go_down_as_one() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("hash/0", KILLED);
    story.exits("hash/1", KILLED);
    assert_eq!((story.state("hash/0"), story.state("hash/1")), (State::Backoff, State::Pending));
    story.all_exit(&["walk/0", "report/0"], OK);
    story.unread.clear();
    story.wait(120);
    story.everybody_comes_up();
    story.expect(&["spawn report/0 #2", "spawn hash/0 #2", "spawn hash/1 #2", "spawn walk/0 #2"]);
}

#[test]
fn one_that_does_not_go_down_in_time_is_killed() {
    let mut story = Story::running(group(Strategy::RestForOne));
    story.exits("hash/0", CRASH);
    story.unread.clear();
    story.seconds(10);
    story.expect(&["kill report/0 #1: still there 10s after it was asked to stop"]);
    story.exits("report/0", KILLED);
    story.expect(&["sweep report/0 #1", "spawn report/0 #2"]);
}

#[test]
fn one_whose_process_is_still_being_made_goes_down_when_it_is_there() {
    let mut story = Story::of(group(Strategy::OneForAll));
    story.tell(Event::Begin);
    story.up("report/0");
    story.exits("hash/0", CRASH);
    story.unread.clear();
    story.spawned("hash/1");
    story.expect(&["stop hash/1 #1 now"]);
    story.exits("hash/1", OK);
    story.exits("report/0", OK);
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!(story.who("hash/1").incarnation, Incarnation(2));
}

#[test]
fn what_was_never_started_waits_for_those_that_went_down() {
    let plan = line().group(Strategy::OneForAll, &["hash", "report"]);
    let mut story = Story::of(plan);
    story.tell(Event::Begin);
    ["report/0", "hash/0"].iter().for_each(|name| story.up(name));
    story.exits("hash/0", CRASH);
    story.spawned("hash/1");
    // Late news of one that is on its way down.
    story.ready("hash/1");
    assert_eq!(story.state("walk/0"), State::Pending);
    story.all_exit(&["hash/1", "report/0"], OK);
    story.unread.clear();
    story.wait(120);
    story.everybody_comes_up();
    story.expect(&["spawn report/0 #2", "spawn hash/0 #2", "spawn hash/1 #2", "spawn walk/0 #1"]);
}

#[test]
fn nobody_outside_starts_on_the_strength_of_one_that_goes_down() {
    let plan = pipeline().stage("a", &[], &[]).stage("x", &[], &[]).stage("b", &[], &[]).stage("p", &[], &[]);
    let mut story = Story::of(plan.needs(&["x", "b"]).group(Strategy::RestForOne, &["a", "x"]));
    story.tell(Event::Begin);
    story.all_up(&["a/0", "x/0"]);
    story.exits("a/0", CRASH);
    story.up("b/0");
    assert_eq!(story.state("p/0"), State::Pending);
    story.exits("x/0", OK);
    story.wait(120);
    assert_eq!(story.state("p/0"), State::Pending);
    story.up("x/0");
    assert_eq!(story.state("p/0"), State::Starting);
}

#[test]
fn a_temporary_member_goes_down_for_good_and_takes_nobody_along() {
    let once = |stage: &mut StagePlan| stage.restart = RestartPolicy::Temporary;
    let plan = pipeline().stage("a", &[], &[]).stage("once", &[], &[]).with(once).stage("too", &[], &[]).with(once);
    let mut story = Story::running(plan.group(Strategy::OneForAll, &["a", "once", "too"]));
    story.exits("too/0", CRASH);
    story.expect(&["sweep too/0 #1"]);
    story.exits("a/0", CRASH);
    story.exits("once/0", OK);
    story.wait(120);
    story.expect(&["sweep a/0 #1", "stop once/0 #1 now", "sweep once/0 #1", "spawn a/0 #2"]);
    assert_eq!((story.state("once/0"), story.state("too/0")), (State::Exited, State::Exited));
}

#[test]
fn what_is_complete_stays_complete() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("walk/0", OK);
    story.exits("hash/0", CRASH);
    story.all_exit(&["hash/1", "report/0"], OK);
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!((story.state("walk/0"), story.who("walk/0").restarts), (State::Exited, 0));
    story.unread.clear();
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    let sweeps = ["sweep hash/0 #2", "sweep hash/1 #2", "close sums", "sweep report/0 #2", "finish Complete"];
    story.expect(&sweeps);
}

#[test]
fn a_drain_in_between_brings_the_consumers_up_again_and_not_the_source() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("hash/0", CRASH);
    story.exits("report/0", OK);
    story.signal();
    story.all_exit(&["hash/1", "walk/0"], OK);
    assert_eq!(story.state("walk/0"), State::Exited);
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!((story.state("hash/0"), story.state("report/0")), (State::Draining, State::Draining));
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Drained)));
}

#[test]
fn a_stop_in_between_starts_nobody() {
    let mut story = Story::running(group(Strategy::OneForAll));
    story.exits("hash/0", CRASH);
    story.exits("report/0", OK);
    story.unread.clear();
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.expect(&["level now by Signal(15)"]);
    story.all_exit(&["hash/1", "walk/0"], OK);
    story.expect(&["sweep hash/1 #1", "sweep walk/0 #1", "finish Stopped"]);
}

#[test]
fn a_failed_start_takes_the_group_down_like_a_crash() {
    let mut story = Story::running(group(Strategy::RestForOne));
    story.exits("walk/0", CRASH);
    story.all_exit(&["hash/0", "hash/1", "report/0"], OK);
    story.wait(120);
    story.all_up(&["report/0", "hash/0", "hash/1"]);
    story.unread.clear();
    story.spawn_fails("walk/0", "no memory", false);
    story.expect(&["stop hash/0 #2 now", "stop hash/1 #2 now", "stop report/0 #2 now"]);
}

#[test]
fn members_that_need_each_other_go_down_one_after_the_other() {
    let plan = pipeline().stage("db", &[], &[]).stage("web", &[], &[]).needs(&["db"]).stage("log", &[], &[]);
    let mut story = Story::running(plan.group(Strategy::OneForAll, &["db", "web", "log"]));
    story.exits("log/0", CRASH);
    story.expect(&["sweep log/0 #1", "stop web/0 #1 now"]);
    story.exits("web/0", OK);
    story.expect(&["sweep web/0 #1", "stop db/0 #1 now"]);
    story.exits("db/0", OK);
    story.wait(120);
    story.expect(&["sweep db/0 #1", "spawn db/0 #2", "spawn log/0 #2"]);
    story.up("db/0");
    story.expect(&["spawn web/0 #2"]);
}

#[test]
fn one_that_crashes_while_it_is_to_go_down_has_only_gone_down() {
    let plan = pipeline().stage("db", &[], &[]).stage("web", &[], &[]).needs(&["db"]).stage("log", &[], &[]);
    let mut story = Story::running(plan.group(Strategy::OneForAll, &["db", "web", "log"]));
    story.exits("log/0", CRASH);
    story.exits("db/0", CRASH);
    assert_eq!((story.state("db/0"), story.state("web/0")), (State::Pending, State::Stopping));
}

#[test]
fn one_that_a_drain_is_stopping_keeps_what_it_needs_until_it_is_gone() {
    let plan =
        pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).stage("db", &[], &[]).stage("web", &[], &[]);
    let mut story = Story::running(plan.needs(&["db"]).group(Strategy::OneForAll, &["take", "db"]));
    story.signal();
    story.unread.clear();
    story.exits("take/0", CRASH);
    story.expect(&["sweep take/0 #1"]);
    story.exits("web/0", OK);
    story.expect(&["sweep web/0 #1", "stop db/0 #1 drain"]);
}

#[test]
fn one_that_is_replaced_takes_nobody_along_and_still_goes_down_with_others() {
    let mut story = Story::running(group(Strategy::OneForAll));
    let (post, incarnation) = story.id("hash/0");
    story.tell(Event::Replace { post, incarnation, words: "it has grown".into() });
    story.exits("hash/0", OK);
    story.up("hash/0");
    story.expect(&["stop hash/0 #1 renew", "sweep hash/0 #1", "spawn hash/0 #2"]);
    let (post, incarnation) = story.id("hash/0");
    story.tell(Event::Replace { post, incarnation, words: "it has grown".into() });
    story.exits("report/0", CRASH);
    story.all_exit(&["walk/0", "hash/1", "hash/0"], OK);
    assert_eq!((story.state("hash/0"), story.state("report/0")), (State::Pending, State::Backoff));
    story.wait(120);
    story.everybody_comes_up();
    assert_eq!(story.who("hash/0").incarnation, Incarnation(3));
}

#[test]
fn one_that_is_replaced_waits_for_what_it_needs() {
    let plan = pipeline().stage("db", &[], &[]).stage("log", &[], &[]).stage("web", &[], &[]).needs(&["db"]);
    let mut story = Story::running(plan.group(Strategy::OneForAll, &["db", "log"]));
    story.exits("log/0", CRASH);
    let (post, incarnation) = story.id("web/0");
    story.tell(Event::Leaving { post, incarnation, words: "it has done enough".into() });
    story.exits("web/0", OK);
    assert_eq!(story.state("web/0"), State::Pending);
    story.exits("db/0", OK);
    story.wait(120);
    story.up("db/0");
    assert_eq!(story.state("web/0"), State::Starting);
}
