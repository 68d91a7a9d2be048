//! Stories of order: stages that depend on others, and stages whose end is the end of all.

use super::super::action::Verdict;
use super::*;

fn service(stage: &mut StagePlan) {
    stage.restart = RestartPolicy::Permanent;
}

fn significant(stage: &mut StagePlan) {
    stage.significant = true;
}

/// db ← web, beside each other
fn web() -> Plan {
    pipeline().stage("db", &[], &[]).stage("web", &[], &[]).needs(&["db"])
}

#[test]
fn a_stage_starts_when_what_it_depends_on_is_ready() {
    let mut story = Story::of(web());
    story.tell(Event::Begin);
    story.expect(&["spawn db/0 #1"]);
    story.spawned("db/0");
    story.expect(&[]);
    story.ready("db/0");
    story.expect(&["spawn web/0 #1"]);
}

#[test]
fn a_crash_of_what_it_depends_on_leaves_a_stage_alone() {
    let mut story = Story::running(web());
    story.crashes_and_comes_back("db/0");
    story.expect(&["sweep db/0 #1", "spawn db/0 #2"]);
}

#[test]
fn a_stop_asks_a_stage_when_those_that_depend_on_it_are_gone() {
    for level in [StopLevel::Drain, StopLevel::Now] {
        let mut story = Story::running(web());
        story.tell(Event::StopAt(level, Actor::Operator));
        assert_eq!((story.state("web/0"), story.state("db/0")), (State::Stopping, State::Ready));
        story.unread.clear();
        story.seconds(9);
        story.expect(&[]);
        story.exits("web/0", OK);
        assert_eq!(story.state("db/0"), State::Stopping);
        story.exits("db/0", OK);
        assert!(matches!(story.unread.last(), Some(Action::Finish(_))));
    }
}

#[test]
fn a_kill_waits_for_nobody() {
    let mut story = Story::running(web());
    story.tell(Event::StopAt(StopLevel::Kill, TERM));
    let why = "killed with the whole pipeline";
    story.expect(&["level kill by Signal(15)", &format!("kill db/0 #1: {why}"), &format!("kill web/0 #1: {why}")]);
}

#[test]
fn in_a_drain_what_others_still_need_is_restarted() {
    let mut story = Story::running(web());
    story.signal();
    story.exits("db/0", CRASH);
    story.comes_back("db/0");
    story.exits("web/0", OK);
    assert_eq!(story.state("db/0"), State::Stopping);
}

#[test]
fn at_a_stop_what_others_still_need_is_not_restarted() {
    let mut story = Story::running(web());
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.exits("db/0", CRASH);
    assert_eq!(story.state("db/0"), State::Exited);
}

#[test]
fn a_stop_before_the_dependents_have_started_starts_nobody() {
    let mut story = Story::of(web());
    story.tell(Event::Begin);
    story.spawned("db/0");
    story.signal();
    story.exits("db/0", OK);
    story.expect(&[
        "spawn db/0 #1",
        "level drain by Signal(15)",
        "stop db/0 #1 drain",
        "sweep db/0 #1",
        "finish Drained",
    ]);
}

#[test]
fn services_outlive_a_stop_of_those_that_may_need_them() {
    let mut story = Story::running(line().stage("cache", &[], &[]).with(service));
    story.tell(Event::StopAt(StopLevel::Now, TERM));
    story.all_exit(&["walk/0", "hash/0", "report/0"], OK);
    assert_eq!(story.state("cache/0"), State::Ready);
    story.exits("hash/1", KILLED);
    assert_eq!(story.state("cache/0"), State::Stopping);
}

#[test]
fn services_that_depend_on_each_other_start_and_stop_in_order() {
    let plan = pipeline().stage("db", &[], &[]).with(service).stage("api", &[], &[]).with(service).needs(&["db"]);
    let mut story = Story::of(plan.stage("task", &[], &[]));
    story.tell(Event::Begin);
    story.up("db/0");
    story.up("api/0");
    story.up("task/0");
    story.expect(&["spawn db/0 #1", "spawn api/0 #1", "spawn task/0 #1"]);
    story.exits("task/0", OK);
    story.exits("api/0", OK);
    story.exits("db/0", OK);
    story.expect(&[
        "sweep task/0 #1",
        "stop api/0 #1 now",
        "sweep api/0 #1",
        "stop db/0 #1 now",
        "sweep db/0 #1",
        "finish Complete",
    ]);
}

#[test]
fn a_service_that_depends_on_a_task_is_stopped_before_it_in_a_drain() {
    let plan = line().stage("job", &[], &[]).stage("watch", &[], &[]).with(service).needs(&["job"]);
    let mut story = Story::running(plan);
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop walk/0 #1 drain", "stop watch/0 #1 now"]);
    story.exits("watch/0", OK);
    story.expect(&["sweep watch/0 #1", "stop job/0 #1 drain"]);
}

#[test]
fn a_source_may_depend_on_a_stage_of_another_line() {
    let plan = pipeline()
        .stage("feed", &[], &["news"])
        .stage("index", &["news"], &[])
        .stage("ask", &[], &["questions"])
        .needs(&["index"])
        .stage("answer", &["questions"], &[]);
    let mut story = Story::of(plan);
    story.tell(Event::Begin);
    story.up("answer/0");
    assert_eq!(story.state("ask/0"), State::Pending);
    story.up("index/0");
    assert_eq!((story.state("ask/0"), story.state("feed/0")), (State::Starting, State::Starting));
}

#[test]
fn the_end_of_a_significant_stage_drains_the_rest() {
    let plan = line().stage("main", &[], &[]).with(significant).stage("cache", &[], &[]).with(service);
    let mut story = Story::running(plan);
    story.exits("main/0", CRASH);
    assert_eq!(story.core.level(), None, "it is started again");
    story.comes_back("main/0");
    story.unread.clear();
    story.exits("main/0", OK);
    story.expect(&["sweep main/0 #2", "level drain by Core", "stop walk/0 #1 drain"]);
    story.all_exit(&["walk/0", "hash/0", "hash/1", "report/0", "cache/0"], OK);
    let verdict = Verdict::Ended { stage: "main".into() };
    assert_eq!(story.unread.last(), Some(&Action::Finish(verdict)));
}

#[test]
fn a_significant_stage_has_ended_when_all_its_workers_have() {
    let plan = pipeline().stage("main", &[], &[]).with(significant).times(2).stage("other", &[], &[]);
    let mut story = Story::running(plan);
    story.exits("main/0", OK);
    story.expect(&["sweep main/0 #1"]);
    story.exits("main/1", OK);
    story.expect(&["sweep main/1 #1", "level drain by Core", "stop other/0 #1 drain"]);
}

#[test]
fn a_significant_stage_that_ends_last_makes_no_difference() {
    let plan = pipeline().stage("make", &[], &["q"]).with(significant).stage("take", &["q"], &[]).with(significant);
    let mut story = Story::running(plan);
    story.exits("make/0", OK);
    story.exits("take/0", OK);
    story.expect(&["sweep make/0 #1", "close q", "sweep take/0 #1", "finish Complete"]);
}

#[test]
fn a_significant_stage_may_leave_before_its_queue_is_empty() {
    let plan = pipeline().stage("make", &[], &["q"]).stage("head", &["q"], &[]).with(significant);
    let mut story = Story::running(plan);
    story.exits("head/0", OK);
    story.exits("make/0", OK);
    assert_eq!(story.unread.last(), Some(&Action::Finish(Verdict::Ended { stage: "head".into() })));
}

#[test]
fn a_temporary_significant_stage_ends_all_by_a_crash_too() {
    let once = |stage: &mut StagePlan| {
        significant(stage);
        stage.restart = RestartPolicy::Temporary;
    };
    let mut story = Story::running(pipeline().stage("main", &[], &[]).with(once).stage("other", &[], &[]));
    story.exits("main/0", CRASH);
    story.expect(&["sweep main/0 #1", "level drain by Core", "stop other/0 #1 drain"]);
}

#[test]
fn exits_mean_what_the_stage_says() {
    let change = |stage: &mut StagePlan| {
        stage.exits.success.extend([ExitCode::Code(3), ExitCode::Signal(15)]);
        stage.exits.fatal.insert(ExitCode::Signal(6));
    };
    let term = Exit::Signal { signal: 15, core: false };
    for (exit, state) in [
        (Exit::Code(3), State::Exited),
        (term, State::Exited),
        (Exit::Signal { signal: 6, core: true }, State::Failed),
        (Exit::Code(6), State::Backoff),
    ] {
        let mut story = Story::running(pipeline().stage("task", &[], &[]).with(change));
        story.exits("task/0", exit);
        assert_eq!(story.state("task/0"), state, "{exit}");
    }
}

#[test]
fn one_that_was_killed_for_not_being_ready_has_crashed_whatever_its_stage_says_of_sigkill() {
    let change = |stage: &mut StagePlan| _ = stage.exits.success.insert(ExitCode::Signal(9));
    let mut story = Story::of(pipeline().stage("make", &[], &["q"]).stage("take", &["q"], &[]).with(change));
    story.tell(Event::Begin);
    story.spawned("take/0");
    story.seconds(30);
    story.exits("take/0", KILLED);
    assert_eq!(story.state("take/0"), State::Backoff);
}
