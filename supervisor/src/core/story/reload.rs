//! Another plan while the pipeline runs.

use super::*;
use crate::config::plan::difference::Difference;

pub(super) fn reload(story: &mut Story, renewed: &[usize], change: impl FnOnce(&mut Plan)) {
    let mut plan = Plan::clone(story.core.plan());
    change(&mut plan);
    let renewed = renewed.to_vec();
    let difference = Box::new(Difference { plan, renewed, made: Vec::new(), words: Vec::new() });
    story.tell(Event::Reload { difference, actor: Actor::Operator });
}

const HASH: usize = 1;

#[test]
fn stale_workers_are_started_anew_one_by_one_each_when_the_others_are_at_work() {
    let mut story = Story::running(line().times(3));
    let report = 2;
    reload(&mut story, &[report], |_| {});
    story.expect(&["stop report/0 #1 now"]);
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "spawn report/0 #2"]);
    story.seconds(5);
    story.expect(&[]);
    story.up("report/0");
    story.expect(&["stop report/1 #1 now"]);
    // A crash of another one holds it up.
    story.exits("report/2", CRASH);
    story.exits("report/1", OK);
    story.up("report/1");
    story.unread.clear();
    assert_eq!(story.state("report/2"), State::Backoff);
    story.comes_back("report/2");
    story.expect(&["spawn report/2 #2"]);
    assert_eq!(story.who("report/0").restarts, 0, "to be renewed is no restart after a crash");
}

#[test]
fn a_stage_that_is_new_is_started_and_one_that_is_gone_goes() {
    let mut story = Story::running(line());
    reload(&mut story, &[], |plan| plan.stages.extend(pipeline().stage("web", &[], &[]).stages));
    story.expect(&["spawn web/0 #1"]);
    story.up("web/0");
    reload(&mut story, &[], |plan| (plan.stages[3].removed, plan.stages[3].replicas) = (true, 0));
    story.expect(&["stop web/0 #1 now"]);
    assert!(!story.core.is_gone(3));
    story.exits("web/0", CRASH);
    assert!(story.core.is_gone(3));
    assert_eq!(story.state("web/0"), State::Exited);
    // The end does not wait for it.
    story.exits("walk/0", OK);
    story.all_exit(&["hash/0", "hash/1"], OK);
    story.unread.clear();
    story.exits("report/0", OK);
    story.expect(&["sweep report/0 #1", "finish Complete"]);
}

#[test]
fn other_rules_hold_from_then_on_and_sizes_change_as_by_scale() {
    let mut story = Story::running(line());
    reload(&mut story, &[], |plan| (plan.stages[HASH].max_restarts, plan.stages[HASH].replicas) = (Some(0), 3));
    story.expect(&["spawn hash/2 #1"]);
    story.up("hash/2");
    story.exits("hash/0", CRASH);
    assert_eq!(story.state("hash/0"), State::Failed);
}

#[test]
fn a_stop_in_the_middle_of_it_weighs_more() {
    let mut story = Story::running(line());
    reload(&mut story, &[HASH], |_| {});
    story.expect(&["stop hash/0 #1 now"]);
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.exits("hash/0", OK);
    assert_eq!(story.state("hash/0"), State::Exited);
    story.unread.clear();
    story.exits("walk/0", OK);
    story.expect(&["sweep walk/0 #1"]);
}

#[test]
fn one_that_waits_for_its_start_needs_no_other_one() {
    let mut story = Story::running(line());
    story.exits("hash/1", CRASH);
    story.unread.clear();
    reload(&mut story, &[HASH], |_| {});
    story.expect(&[]);
    story.comes_back("hash/1");
    story.expect(&["spawn hash/1 #2", "stop hash/0 #1 now"]);
    story.exits("hash/0", OK);
    story.up("hash/0");
    story.unread.clear();
    story.seconds(10);
    story.expect(&[]);
}
