//! Stories of what a stage waits for before it starts, and of what never comes.

use super::super::action::Verdict;
use super::*;

/// A one-shot `migrate`, and a service `web` that depends on it.
fn site() -> Plan {
    pipeline()
        .stage("migrate", &[], &[])
        .with(|stage| {
            stage.restart = RestartPolicy::Temporary;
            stage.ready = Readiness::Fd;
        })
        .stage("web", &[], &[])
        .with(|stage| stage.restart = RestartPolicy::Permanent)
        .needs(&["migrate"])
}

/// The same, and `migrate` must have completed.
fn site_that_completes() -> Plan {
    site().with(|stage| stage.needs_completed = stage.depends_on.clone())
}

const FAILED: &str = "it depends on migrate, and migrate/0 has failed: exit code 1";

#[test]
fn a_stage_whose_dependency_fails_before_it_was_ready_never_starts() {
    for plan in [site(), site_that_completes()] {
        let mut story = Story::of(plan);
        story.tell(Event::Begin);
        story.spawned("migrate/0");
        story.exits("migrate/0", CRASH);
        let end = Verdict::NeverStarts { stage: "web".to_owned(), words: FAILED.to_owned() };
        story.expect(&["spawn migrate/0 #1", "sweep migrate/0 #1", "level drain by Core", &format!("finish {end:?}")]);
        assert_eq!(story.state("web/0"), State::Exited);
    }
}

#[test]
fn a_stage_starts_when_its_dependency_has_ended_well() {
    let as_task = |plan: Plan| plan.with(|stage| stage.restart = RestartPolicy::Transient);
    for plan in [as_task(site()), as_task(site_that_completes()), site_that_completes()] {
        let mut story = Story::of(plan);
        story.tell(Event::Begin);
        story.spawned("migrate/0");
        story.exits("migrate/0", OK);
        story.expect(&["spawn migrate/0 #1", "sweep migrate/0 #1", "spawn web/0 #1"]);
    }
}

#[test]
fn a_service_that_was_prepared_runs_until_it_is_stopped() {
    let mut story = Story::of(site_that_completes());
    story.tell(Event::Begin);
    story.spawned("migrate/0");
    story.exits("migrate/0", OK);
    story.up("web/0");
    story.unread.clear();
    story.seconds(3600);
    story.expect(&[]);
    story.signal();
    story.expect(&["level drain by Signal(15)", "stop web/0 #1 now"]);
    story.exits("web/0", OK);
    story.expect(&["sweep web/0 #1", "finish Drained"]);
}

#[test]
fn what_must_have_completed_is_not_enough_when_it_is_ready() {
    let mut story = Story::of(site_that_completes());
    story.tell(Event::Begin);
    story.up("migrate/0");
    story.expect(&["spawn migrate/0 #1"]);
    assert_eq!(story.core.pending_for(story.who("web/0")).as_deref(), Some("waits for migrate to complete"));
    story.exits("migrate/0", OK);
    story.expect(&["sweep migrate/0 #1", "spawn web/0 #1"]);
    assert_eq!(story.core.pending_for(story.who("web/0")), None);
    let mut story = Story::of(site().stage("other", &[], &[]));
    story.tell(Event::Begin);
    story.up("migrate/0");
    story.expect(&["spawn migrate/0 #1", "spawn other/0 #1", "spawn web/0 #1"]);
    // Afterwards it is left alone.
    story.up("web/0");
    story.exits("migrate/0", CRASH);
    story.crashes_and_comes_back("web/0");
    story.expect(&["sweep migrate/0 #1", "sweep web/0 #1", "spawn web/0 #2"]);
}

#[test]
fn all_workers_of_a_dependency_must_have_completed_and_a_restart_is_another_chance() {
    let plan = site_that_completes();
    let mut story = Story::of(Plan {
        stages: plan
            .stages
            .into_iter()
            .map(|stage| match stage.name.as_str() {
                "migrate" => StagePlan { replicas: 2, restart: RestartPolicy::Transient, ..stage },
                _ => stage,
            })
            .collect(),
        ..plan
    });
    story.tell(Event::Begin);
    story.all_up(&["migrate/0", "migrate/1"]);
    story.exits("migrate/0", OK);
    story.crashes_and_comes_back("migrate/1");
    story.unread.clear();
    story.exits("migrate/1", OK);
    story.expect(&["sweep migrate/1 #2", "spawn web/0 #1"]);
}

#[test]
fn those_that_wait_for_a_stage_that_never_starts_never_start_either_and_the_rest_is_drained() {
    let plan = site()
        .stage("proxy", &[], &[])
        .with(|stage| stage.restart = RestartPolicy::Permanent)
        .needs(&["web"])
        .stage("emit", &[], &["items"])
        .stage("keep", &["items"], &[]);
    let mut story = Story::of(plan);
    story.tell(Event::Begin);
    story.everybody_comes_up_but("migrate/0");
    story.unread.clear();
    story.spawned("migrate/0");
    story.exits("migrate/0", CRASH);
    assert_eq!((story.state("web/0"), story.state("proxy/0")), (State::Exited, State::Exited));
    story.expect(&["sweep migrate/0 #1", "level drain by Core", "stop emit/0 #1 drain"]);
    story.exits("emit/0", OK);
    story.unread.clear();
    story.exits("keep/0", OK);
    let end = Verdict::NeverStarts { stage: "web".to_owned(), words: FAILED.to_owned() };
    story.expect(&["sweep keep/0 #1", &format!("finish {end:?}")]);
}

#[test]
fn in_a_drain_a_stage_with_items_left_still_starts_when_its_dependency_has_completed() {
    let plan = site_that_completes().stage("emit", &[], &["items"]).stage("keep", &["items"], &[]).needs(&["migrate"]);
    let mut story = Story::of(plan.with(|stage| stage.needs_completed = stage.depends_on.clone()));
    story.tell(Event::Begin);
    story.spawned("migrate/0");
    story.unread.clear();
    story.signal();
    story.expect(&["level drain by Signal(15)", "close items"]);
    story.exits("migrate/0", OK);
    story.expect(&["sweep migrate/0 #1", "spawn keep/0 #1"]);
}
